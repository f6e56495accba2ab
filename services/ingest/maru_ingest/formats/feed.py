"""RSS 0.9 to 2.0, RDF and Atom, as feedparser understands them."""

import calendar
import io
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser

from maru_ingest.formats import dates, encodings, ids, links, text, xml_guard
from maru_ingest.formats.fields import bounded_id, language
from maru_ingest.formats.parsed import (
    Attachment,
    Document,
    ParsedPost,
    Unreadable,
)

_WIDE = ("utf-16", "utf-32")
_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?>")
_CLOSED = re.compile(rb"</(?:[\w.-]+:)?(?:rss|feed|rdf|channel|entry)\s*>\s*$", re.IGNORECASE)
_TAIL = 4_096
_COMMENT = re.compile(rb"<!--.*?-->|<\?[^>]*\?>", re.DOTALL)
_HTML = ("text/html", "application/xhtml+xml")
_KINDS = ("image", "audio", "video")
_MAX_MEDIA = 9
_MAX_TTL = timedelta(days=1)

Entry = Mapping[str, Any]  # feedparser's dictionaries, whose values have no declared types


def parse(
    body: bytes,
    *,
    url: str = "",
    content_type: str = "",
    untrusted: frozenset[str] = frozenset(),
) -> Document:
    """Return the posts of a feed, the page's last (commonly the oldest) first.

    `url` is where it came from (relative links hang on it), `content_type` what the server called
    it. Raises Unreadable when it is no feed, ends in the middle, or is made to hurt.
    """
    document = _narrow(body)
    xml_guard.check(document)
    # Without the feed's address: feedparser would make a part of every relative id of it, and
    # posts of a feed that moves would come anew. Links are resolved below.
    headers = {"content-type": content_type or "application/xml"}
    feed = feedparser.parse(
        io.BytesIO(document),
        response_headers=headers,
        sanitize_html=False,  # only text leaves this module: see text.from_html
        resolve_relative_uris=False,
    )
    _check_whole(feed, document)
    posts = [_post(entry, feed, url) for entry in feed.entries]
    bad = ids.settle(posts, untrusted)
    return Document(rows=posts[::-1], ttl=_ttl(feed.feed), untrusted_ids=bad)


def _narrow(body: bytes) -> bytes:
    """Return `body` in UTF-8 when it is in UTF-16 or UTF-32, which the guard could not read."""
    encoding, length = encodings.marked(body)
    encoding = encoding or encodings.guess(body[:_TAIL], whole=False)
    if not encoding.startswith(_WIDE):
        return body
    plain = body[length:].decode(encoding, "replace").encode("utf-8", "replace")
    return _DECLARED.sub(b"", plain, count=1)


def _check_whole(feed: Any, document: bytes) -> None:
    if not feed.get("version") and not feed.entries:
        raise Unreadable("not a feed: neither RSS nor Atom")
    tail = _COMMENT.sub(b"", document[-_TAIL:]).rstrip()
    if feed.bozo and not _CLOSED.search(tail):
        raise Unreadable(f"broken XML: it ends in the middle ({_why(feed)})")


def _why(feed: Any) -> str:
    error = feed.get("bozo_exception")
    return text.clean_line(str(error), 200) or type(error).__name__


def _post(entry: Entry, feed: Any, url: str) -> ParsedPost:
    body, cut = text.cut(_body(entry))
    title = text.clean_line(_shown(entry.get("title_detail"), entry.get("title", "")))
    return ParsedPost(
        native_id=bounded_id(str(entry.get("id") or "")),
        text=body,
        title=title,
        truncated=cut,
        url=links.absolute(str(entry.get("link") or ""), url or feed.feed.get("link", "")),
        author=text.clean_line(_author(entry) or _author(feed.feed)),
        lang=language(_language(entry, feed.feed)),
        created_at=_moment(entry, "published", "created", "updated"),
        edited_at=_moment(entry, "updated"),
        media=_media(entry, url),
    )


def _body(entry: Entry) -> str:
    for content in entry.get("content") or []:
        if body := _shown(content, content.get("value", "")):
            return body
    return _shown(entry.get("summary_detail"), entry.get("summary", ""))


def _shown(detail: Entry | None, value: object) -> str:
    """Return the text of a construct by its declared type; undeclared markup is recognised."""
    written = str(value or "")
    if detail and detail.get("type") in _HTML:
        return text.from_html(written)
    return text.from_maybe_html(written)


def _author(owner: Entry) -> str:
    detail = owner.get("author_detail") or {}
    return str(detail.get("name") or owner.get("author") or detail.get("email") or "")


def _language(entry: Entry, feed: Entry) -> str:
    """Return the language that the text declares, else the entry, else the feed."""
    details = [
        *(entry.get("content") or []),
        entry.get("summary_detail"),
        entry.get("title_detail"),
    ]
    declared = (detail.get("language") for detail in details if detail)
    return str(
        entry.get("language") or next(filter(None, declared), "") or feed.get("language") or ""
    )


def _moment(entry: Entry, *names: str) -> datetime | None:
    """Return the first time that is stated; an odd date is no reason to lose what was said."""
    for name in names:
        if name not in entry:  # feedparser's own get() would take one time for another
            continue
        parsed = entry.get(f"{name}_parsed")
        if isinstance(parsed, time.struct_time):
            moment = _from_struct(parsed)
        else:
            moment = _from_text(str(entry.get(name) or ""))
        if moment is not None:
            return moment
    return None


def _from_struct(parsed: time.struct_time) -> datetime | None:
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _from_text(written: str) -> datetime | None:
    try:
        return dates.parse(written)
    except dates.UnreadableDate:
        return None


def _media(entry: Entry, url: str) -> tuple[Attachment, ...]:
    listed = [*(entry.get("enclosures") or []), *(entry.get("media_content") or [])]
    found: dict[str, Attachment] = {}
    for one in listed[:_MAX_MEDIA]:
        link = links.absolute(str(one.get("href") or one.get("url") or ""), url)
        kind = str(one.get("medium") or one.get("type") or "").partition("/")[0]
        if link:
            found.setdefault(link, Attachment(kind if kind in _KINDS else "file", link))
    return tuple(found.values())


def _ttl(feed: Entry) -> timedelta | None:
    """Return RSS's `ttl` (minutes) or the syndication module's period, at most a day."""
    try:
        minutes = int(feed.get("ttl") or 0)
    except ValueError:
        minutes = 0
    return min(timedelta(minutes=minutes), _MAX_TTL) if minutes > 0 else None
