"""Feeds over HTTP: RSS 0.9 to 2.0, RDF, Atom and JSON Feed, asked for no more often than needed.

Also what platforms' APIs answer to anybody, such as a Mastodon server's timeline of a hashtag.

A feed that names a hub (WebSub, https://www.w3.org/TR/websub/: `rel="hub"` in its Link header or
its head, `hubs` of a JSON Feed) is pushed to Maru within seconds of each change, once hubs can
reach it: set `MARU_INGEST_PUBLIC_URL` to the gateway's public address. Nothing else is to be set
up; hubs are asked for ten days and again before these end, what they send is signed, and a source
shows in `push` how that stands. While a hub sends, the feed is polled at a quarter of its pace, at
least once a day, so that nothing depends on a hub. Feeds with `authorization` or `full_text`, and
files, are only polled.

**Press and other feeds that only announce.** With `full_text` the page behind each post is fetched,
and the article in it takes the place of the feed's summary; the post's id stays, so turning it on
makes no post twice. Give such a source its channel:
`maru sources add feed NAME --url ADDRESS --channel press --set full_text=true`.
Pages are fetched as their site's robots.txt allows, half a second apart
(`MARU_INGEST_PAGE_DELAY_SECONDS`), at most twenty in a look and for eight seconds; the others
follow with the next looks. Until then, and where a page fails three times, is only for payers or
says no more than the feed, the post has the feed's own words: a page never holds its feed up. A
site that fails or asks for silence is asked again when its feed has changed. Each page is one of
the source's `daily_requests`.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from maru_contracts.posts import Channel
from maru_ingest import full_text
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Page,
    Push,
    SourceBroken,
    SourceSettings,
    Tools,
)
from maru_ingest.formats import documents, links
from maru_ingest.formats.parsed import Document, Unreadable
from maru_kit.outbound import Fetched

_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, */*;q=0.5"
_MAX_AGE = re.compile(r"(?:^|[\s,])(?:s-)?max-?age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_MAX_UNTRUSTED = 1_000
_MAX_HUBS = 4
_VALIDATORS = {"etag", "modified", "body"}


class FeedSettings(SourceSettings):
    """Where the feed is, how often to look, and what to show at the door."""

    url: str = Field(
        max_length=8_000, description="Address of the feed: http(s), or file below the files' root"
    )
    interval_seconds: float = Field(
        default=900.0,
        ge=1,
        description="How often to look, in seconds, unless the feed asks for less",
    )
    authorization: SecretStr | None = Field(
        default=None, description="Value of the Authorization header, for feeds that need one"
    )

    full_text: bool = Field(
        default=False,
        description="Whether to fetch the page behind each post for the whole text of its article",
    )

    @field_validator("url")
    @classmethod
    def _is_followable(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme == "file" or (parts.scheme in {"http", "https"} and parts.hostname):
            return url
        raise ValueError("must begin with http://, https:// or file:///")

    @model_validator(mode="after")
    def _has_pages(self) -> "FeedSettings":
        if self.full_text and self.url.startswith("file:"):
            raise ValueError("full_text is for feeds at http:// or https:// addresses")
        return self


@dataclass(frozen=True, slots=True)
class FeedConnector:
    """Fetches a feed when it has changed.

    The cursor holds the validators of the last answer (RFC 9110 section 13), a hash of its body
    for servers that have none, the ids that this feed was seen to use twice, and its hubs. With
    `full_text` it holds marks of the posts whose articles were read, too; it holds no validators
    while some are still to be read, since they are read from the feed again.
    """

    settings: FeedSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield one page: the feed as it is, or nothing new."""
        if self.settings.url.startswith("file:"):
            yield await self._from_file(cursor)
            return
        if self.settings.full_text and "articles" not in cursor:
            cursor = _unvalidated(cursor)
        fetched = await self._fetch(cursor)
        due = _freshness(fetched.headers)
        if fetched.status == HTTPStatus.NOT_MODIFIED:
            push = self._push(cursor, fetched.url)
            yield Page(rows=(), cursor=cursor, next_due=due, push=push)
            return
        content_type = fetched.headers.get("content-type", "")
        page = await _page(fetched.body, cursor, url=fetched.url, content_type=content_type)
        hints = [hint for hint in (due, page.next_due) if hint is not None]
        validators = {
            name: value
            for name, header in (("etag", "etag"), ("modified", "last-modified"))
            if (value := fetched.headers.get(header))
        }
        known = {**page.cursor, **validators, **_offered(fetched)}
        push = self._push(known, fetched.url)
        whole = Page(page.rows, known, max(hints, default=None), page.deleted, push)
        yield (
            await self._completed(whole, cursor, fetched.url) if self.settings.full_text else whole
        )

    async def _completed(self, page: Page, cursor: Cursor, url: str) -> Page:
        """Return a page with the articles of its posts.

        As long as some want theirs it has no validators, so that the next look sees these again.
        """
        tries = cursor.get("articles", {})
        told = await full_text.completed(page.rows, tries, self.tools, feed=url)
        known = _unvalidated(page.cursor) if told.is_wanting else page.cursor
        return replace(page, rows=told.rows, cursor={**known, "articles": told.tries})

    async def _from_file(self, cursor: Cursor) -> Page:
        path = self.tools.file(unquote(urlsplit(self.settings.url).path))
        try:
            size = path.stat().st_size
            if size > documents.MAX_DOCUMENT:
                raise SourceBroken(f"The file has {size:,} bytes, too many for a feed.")
            body = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise SourceBroken(f"The file can't be read: {error.strerror}.") from error
        return await _page(body, cursor, url="", content_type="")

    def _push(self, cursor: Cursor, url: str) -> Push:
        """Return who offers to push what was found at `url`.

        Nobody a feed that is not for all, nor one whose posts would come without their articles.
        """
        is_pushed = self.settings.authorization is None and not self.settings.full_text
        hubs = cursor.get("hubs", ()) if is_pushed else ()
        return Push(hubs, cursor.get("topic") or url, url)

    async def _fetch(self, cursor: Cursor) -> Fetched:
        headers = {"Accept": _ACCEPT}
        if etag := cursor.get("etag"):
            headers["If-None-Match"] = etag
        if modified := cursor.get("modified"):
            headers["If-Modified-Since"] = modified
        if self.settings.authorization is not None:
            headers["Authorization"] = self.settings.authorization.get_secret_value()
        return await self.tools.get(self.settings.url, headers=headers)


async def _page(body: bytes, cursor: Cursor, *, url: str, content_type: str) -> Page:
    mark = hashlib.sha256(body).hexdigest()
    untrusted = frozenset(cursor.get("untrusted", ()))
    if mark == cursor.get("body"):
        offered = {name: cursor[name] for name in ("hubs", "topic") if name in cursor}
        return Page(rows=(), cursor={"body": mark, "untrusted": sorted(untrusted), **offered})
    document = await asyncio.to_thread(_parse, body, url, content_type, untrusted)
    kept = sorted(document.untrusted_ids)[:_MAX_UNTRUSTED]
    offered = {"hubs": document.hubs, "topic": document.topic}
    known = {name: value for name, value in offered.items() if value}
    cursor = {"body": mark, "untrusted": kept, **known}
    return Page(document.rows, cursor, document.ttl, document.deleted)


def _unvalidated(cursor: Cursor) -> Cursor:
    return {name: value for name, value in cursor.items() if name not in _VALIDATORS}


def _offered(fetched: Fetched) -> dict[str, object]:
    """Return the hubs that the Link header names, which come before those that the feed names."""
    header = fetched.headers.get("link", "")
    hubs = links.related(header, "hub", fetched.url)
    itself = links.related(header, "self", fetched.url)
    topic = {"topic": itself[0]} if itself else {}
    return {"hubs": hubs[:_MAX_HUBS], **topic} if hubs else {}


def _parse(body: bytes, url: str, content_type: str, untrusted: frozenset[str]) -> Document:
    try:
        return documents.parse(body, url=url, content_type=content_type, untrusted=untrusted)
    except Unreadable as error:
        raise SourceBroken(f"The feed can't be read: {error}.") from error


def _freshness(headers: Mapping[str, str]) -> timedelta | None:
    """How long the answer stays fresh as `Cache-Control: max-age` says (RFC 9111)."""
    match = _MAX_AGE.search(headers.get("cache-control", ""))
    return timedelta(seconds=int(match[1])) if match and int(match[1]) > 0 else None


CONNECTOR = ConnectorKind(
    kind="feed",
    title="Feeds",
    summary="Follows an RSS, Atom or JSON feed",
    settings=FeedSettings,
    channel=Channel.BLOG,
    open=FeedConnector,
    capabilities=frozenset({Capability.REPLIES, Capability.MEDIA}),
)
