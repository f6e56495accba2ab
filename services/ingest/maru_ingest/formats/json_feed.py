"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""

import json
import re
from collections.abc import Mapping
from datetime import datetime

import orjson

from maru_ingest.formats import dates, encodings, ids, links, text
from maru_ingest.formats.fields import bounded_id, language
from maru_ingest.formats.parsed import (
    MAX_ORIGINAL,
    Attachment,
    BadRow,
    Document,
    ParsedPost,
    Row,
    Unreadable,
)

_KINDS = ("image", "audio", "video")
_MAX_MEDIA = 9
_MAX_HUBS = 4
_WEBSUB = ("websub", "pubsubhubbub")
_VERSION = re.compile(r"https?://(?:www\.)?jsonfeed\.org/")
_SAYS = {"content_html", "content_text", "summary", "date_published", "title", "url"}
_MAX_REASON = 100


def parse(body: bytes, *, url: str = "", untrusted: frozenset[str] = frozenset()) -> Document:
    """Return the posts of a feed, oldest first as the feed lists them last.

    Raises Unreadable when the whole is no JSON Feed.
    """
    feed = _feed(body)
    items = feed["items"] if isinstance(feed["items"], list) else []
    inherited = _author(feed)
    base = str(feed.get("home_page_url") or feed.get("feed_url") or url)
    rows: list[Row] = []
    for number, item in enumerate(items, start=1):
        rows.append(_row(number, item, feed=feed, author=inherited, base=base or url))
    bad = ids.settle([row for row in rows if isinstance(row, ParsedPost)], untrusted)
    return Document(
        rows=rows[::-1],
        untrusted_ids=bad,
        hubs=_hubs(feed, base or url),
        topic=links.absolute(_string(feed, "feed_url"), base or url),
    )


def is_feed(value: object) -> bool:
    """Whether `value` says that it is a JSON Feed."""
    return isinstance(value, dict) and bool(_VERSION.match(str(value.get("version"))))


def is_like_feed(value: object) -> bool:
    """Whether `value` is a JSON Feed in all but its version: one of its items says something."""
    items = value.get("items") if isinstance(value, dict) else None
    return isinstance(items, list) and (
        not items or any(isinstance(item, dict) and not _SAYS.isdisjoint(item) for item in items)
    )


def _feed(body: bytes) -> Mapping[str, object]:
    written = encodings.decode(body)
    try:
        feed = orjson.loads(written)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        try:
            feed = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"not JSON: {str(error)[:_MAX_REASON]}") from error
    if not isinstance(feed, dict) or "items" not in feed:
        raise Unreadable("not a JSON Feed: it has no items")
    return feed


def _row(number: int, item: object, *, feed: Mapping[str, object], author: str, base: str) -> Row:
    if not isinstance(item, dict):
        return BadRow(number, "not a JSON object", repr(item).encode()[:MAX_ORIGINAL])
    body, cut = text.cut(_body(item))
    title = text.clean_line(text.from_maybe_html(_string(item, "title")))
    return ParsedPost(
        native_id=bounded_id(_string(item, "id")),
        text=body,
        title=title,
        truncated=cut,
        url=links.absolute(_string(item, "url") or _string(item, "external_url"), base),
        author=_author(item) or author,
        lang=language(_string(item, "language") or _string(feed, "language")),
        created_at=_moment(item, "date_published"),
        edited_at=_moment(item, "date_modified"),
        media=_media(item, base),
    )


def _body(item: Mapping[str, object]) -> str:
    if markup := _string(item, "content_html"):
        return text.from_html(markup)
    return text.clean(_string(item, "content_text") or _string(item, "summary"))


def _author(owner: Mapping[str, object]) -> str:
    authors = owner.get("authors")
    first = authors[0] if isinstance(authors, list) and authors else owner.get("author")
    if not isinstance(first, dict):
        return ""
    return text.clean_line(_string(first, "name") or _string(first, "url"))


def _moment(item: Mapping[str, object], name: str) -> datetime | None:
    """Return the time, or None: an odd date is no reason to lose what was said."""
    try:
        return dates.parse(_string(item, name))
    except dates.UnreadableDate:
        return None


def _media(item: Mapping[str, object], base: str) -> tuple[Attachment, ...]:
    found = [Attachment("image", links.absolute(_string(item, "image"), base))]
    attachments = item.get("attachments")
    for one in attachments[:_MAX_MEDIA] if isinstance(attachments, list) else []:
        if isinstance(one, dict):
            kind = _string(one, "mime_type").partition("/")[0]
            url = links.absolute(_string(one, "url"), base)
            alt = text.clean_line(_string(one, "title"))
            found.append(Attachment(kind if kind in _KINDS else "file", url, alt))
    return tuple(one for one in found if one.url)


def _hubs(feed: Mapping[str, object], base: str) -> tuple[str, ...]:
    """Return the hubs that speak WebSub; others (rssCloud) have protocols of their own."""
    listed = feed.get("hubs")
    named = (
        links.absolute(_string(one, "url"), base)
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and _string(one, "type").lower() in _WEBSUB
    )
    return tuple(link for link in named if link)[:_MAX_HUBS]


def _string(owner: Mapping[str, object], name: str) -> str:
    value = owner.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
