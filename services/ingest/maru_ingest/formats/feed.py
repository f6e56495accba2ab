"""RSS 0.9 to 2.0, RDF and Atom, as feedparser understands them."""

import calendar
import io
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser

from maru_ingest.formats import dates, encodings, ids, links, quick_feed, text, xml_guard
from maru_ingest.formats.fields import bounded_id, count, language
from maru_ingest.formats.parsed import (
    Attachment,
    Document,
    ParsedPost,
    Unreadable,
)
from maru_ingest.formats.quick_feed import Understood

_WIDE = ("utf-16", "utf-32")
_ENCODING = re.compile(r"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]+)""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.-]+)""", re.IGNORECASE)
_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?>")
_ROOT = re.compile(
    rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<![^\[>]*(?:\[.*?\]\s*)?>)*+"
    rb"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_CLOSED = re.compile(rb"</(?:[\w.-]+:)?(?:rss|feed|rdf|channel|entry)\s*>?\s*$", re.IGNORECASE)
_HEAD = _TAIL = 4_096
_COMMENT = re.compile(rb"<!--.*?-->|<\?[^>]*\?>", re.DOTALL)
_HTML = ("text/html", "application/xhtml+xml")
_KINDS = ("image", "audio", "video")
_MAX_MEDIA = 9
_MAX_HUBS = 4
_MAX_TTL_MINUTES = 24 * 60
_REFERENCE = re.compile(rb"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")
_NOT_ITS_ADDRESS = re.compile(rb"(<link\s+)uri(\s*=\s*(?:\"[^\"]*\"|'[^']*')\s*>\s*[^\s<])")
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_MAX_DIGITS = 8
# What feedparser is seen to raise over ill-formed XML, from tags that close what never began.
_SURPRISES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)

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
    document, content_type = _narrow(body, content_type)
    feed = quick_feed.read(document, content_type) or _slowly(document, content_type)
    posts = [_post(entry, feed, url) for entry in feed.entries]
    bad = ids.settle(posts, untrusted)
    return Document(
        rows=posts[::-1],
        ttl=_ttl(feed.feed),
        untrusted_ids=bad,
        hubs=tuple(_related(feed.feed, "hub", url)[:_MAX_HUBS]),
        topic=next(iter(_related(feed.feed, "self", url)), ""),
    )


def _slowly(document: bytes, content_type: str) -> Understood:
    """Return what feedparser, which forgives everything, makes of a document that is harmless."""
    xml_guard.check(document)
    # A line of its own for the declaration: feedparser looks for encodings in the whole line.
    if document[:_HEAD].lstrip().startswith((b"<?", b"\xef\xbb\xbf<?")):
        document = document.replace(b"?>", b"?>\n", 1)
    document = _NOT_ITS_ADDRESS.sub(rb"\1about\2", document)
    try:
        feed = _forgiving(document, content_type)
    except _SURPRISES:
        try:
            feed = _forgiving(_REFERENCE.sub(_mended, document), content_type)
        except _SURPRISES as error:
            raise Unreadable(f"broken XML: it makes no sense ({error!r:.100})") from error
    _check_whole(feed, document)
    prefixes = (prefix for prefix, uri in feed.namespaces.items() if uri == quick_feed.THREADS)
    return Understood(feed.version, feed.feed, feed.entries, threads=next(prefixes, ""))


def _forgiving(document: bytes, content_type: str) -> Any:
    # Without the feed's address: feedparser would make a part of every relative id of it, and
    # posts of a feed that moves would come anew. Links are resolved here.
    return feedparser.parse(
        io.BytesIO(document),
        response_headers={"content-type": content_type or "application/xml"},
        sanitize_html=False,  # only text leaves this module: see text.from_html
        resolve_relative_uris=False,
    )


def _narrow(body: bytes, content_type: str = "") -> tuple[bytes, str]:
    """Return a document in which ASCII is ASCII, and the type under which it is to be read.

    UTF-16, UTF-32, EBCDIC and UTF-7 become UTF-8: the guard could not read them.
    """
    encoding, length = "", 0
    has_zeros = b"\x00" in body[:_HEAD]
    if has_zeros or body.startswith(encodings.EBCDIC):
        encoding, length = encodings.marked(body)
        encoding = encoding or encodings.guess(body[:_TAIL], whole=False)
        if encoding == "cp037":
            encoding = _stated(_ENCODING, body[:_HEAD].decode(encoding)) or encoding
    if not encoding or encodings.extends_ascii(encoding):
        start = body[:_HEAD].decode("latin-1")
        named = (_stated(_CHARSET, content_type), _stated(_ENCODING, start))
        encoding = next((name for name in named if not encodings.extends_ascii(name)), "")
        if not encoding:
            mark, length = encodings.marked(body)
            encoding = encodings.mistaken(body, mark or next(filter(None, named), ""))
        if not encoding:
            return body, content_type
        if encoding.startswith(_WIDE) and not has_zeros:
            encoding = ""  # it says so, and it is not
    plain = _decoded(body[length:], encoding).encode("utf-8", "replace")
    return _DECLARED.sub(b"", plain, count=1), ""


def _decoded(body: bytes, encoding: str) -> str:
    """Return text by its encoding, or by a guess when that is nonsense, such as `undefined`."""
    if encoding:
        with suppress(LookupError, ValueError):
            written = body.decode(encoding, "replace")
            if "<" in written:
                return written
    return body.decode(encodings.guess(body[:_TAIL], whole=False), "replace")


def _stated(pattern: re.Pattern[str], written: str) -> str:
    found = pattern.search(written)
    return found[1].lower() if found else ""


def _mended(reference: re.Match[bytes]) -> bytes:
    """Return a reference as it is, or nothing when it names no character of Unicode."""
    hexadecimal, decimal = reference.groups()
    digits = (hexadecimal or decimal).lstrip(b"0")
    if len(digits) > _MAX_DIGITS:
        return b""
    number = int(digits or b"0", 16 if hexadecimal else 10)
    is_none = number in _SURROGATES or not 0 < number <= _LAST_CHARACTER
    return b"" if is_none else reference[0]


def _check_whole(feed: Any, document: bytes) -> None:
    if not feed.get("version") and not feed.entries and not _ROOT.match(document[:_HEAD]):
        raise Unreadable("not a feed: neither RSS nor Atom")
    tail = _COMMENT.sub(b"", document[-_TAIL:]).rstrip()
    if feed.bozo and not _CLOSED.search(tail):
        raise Unreadable(f"broken XML: it ends in the middle ({_why(feed)})")


def _why(feed: Any) -> str:
    error = feed.get("bozo_exception")
    return text.clean_line(str(error), 200) or type(error).__name__


def _post(entry: Entry, feed: Understood, url: str) -> ParsedPost:
    body, cut = text.cut(_body(entry, is_rss=feed.version.startswith("rss")))
    title = text.clean_line(_shown(entry.get("title_detail"), entry.get("title", "")))
    base = url or str(feed.feed.get("link", ""))
    return ParsedPost(
        native_id=bounded_id(str(entry.get("id") or "")),
        text=body,
        title=title,
        truncated=cut,
        url=links.absolute(str(entry.get("link") or ""), base),
        author=text.clean_line(_author(entry) or _author(feed.feed)),
        lang=language(_language(entry, feed.feed)),
        created_at=_moment(entry, "published", "created", "updated"),
        edited_at=_moment(entry, "updated"),
        in_reply_to=_in_reply_to(entry, feed.threads),
        media=_media(entry, base),
        metrics=_metrics(entry, feed.threads),
    )


def _body(entry: Entry, *, is_rss: bool) -> str:
    """Return an entry's text as a whole: its content where it has one, else its summary.

    RSS has no plain content: what comes as such is a second summary (a podcast's, a picture's),
    and the longest of all of them counts.
    """
    summaries = []
    contents = _listed(entry, "content")
    for content in contents:
        if is_rss and content.get("type") == "text/plain":
            summaries.append(_shown(content, content.get("value")))
        elif body := _shown(content, content.get("value")):
            return body
    if "summary_detail" in entry or not contents:  # else it repeats the content
        summaries.append(_shown(entry.get("summary_detail"), entry.get("summary")))
    return max(summaries, key=len, default="")


def _shown(detail: Entry | None, value: object) -> str:
    """Return the text of a construct by its declared type; undeclared markup is recognised."""
    written = str(value or "")
    if isinstance(detail, dict) and detail.get("type") in _HTML:
        return text.from_html(written)
    return text.from_maybe_html(written)


def _author(owner: Entry) -> str:
    """Return the name of the first author, or an address where no author is named."""
    authors = _listed(owner, "authors")
    names = [author[key] for key in ("name", "email") for author in authors if author.get(key)]
    return str(next(iter(names), "") or owner.get("author") or "")


def _listed(owner: Entry, name: str) -> list[Entry]:
    """Return the details kept under a name; an element of that very name leaves something else."""
    kept = owner.get(name)
    return [one for one in kept if isinstance(one, dict)] if isinstance(kept, list) else []


def _language(entry: Entry, feed: Entry) -> str:
    """Return the language that the text declares, else the entry, else the feed."""
    details = [
        *_listed(entry, "content"),
        entry.get("summary_detail"),
        entry.get("title_detail"),
    ]
    declared = (detail.get("language") for detail in details if isinstance(detail, dict))
    return str(
        entry.get("language") or next(filter(None, declared), "") or feed.get("language") or ""
    )


def _moment(entry: Entry, *names: str) -> datetime | None:
    """Return the first time that is stated; an odd date is no reason to lose what was said."""
    for name in names:
        if name not in entry:  # feedparser's own get() would take one time for another
            continue
        written = str(entry.get(name) or "").strip()
        moment = _from_text(written)
        if moment is None and not written.startswith("-"):  # a year before Christ: no date was set
            moment = _from_struct(entry.get(f"{name}_parsed"))
        if moment is not None:
            return moment
    return None


def _from_text(written: str) -> datetime | None:
    try:
        return dates.parse(written).replace(microsecond=0)
    except dates.UnreadableDate:
        return None


def _from_struct(parsed: object) -> datetime | None:
    """Return what feedparser makes of a date that is none of ours, such as one in Greek."""
    if not isinstance(parsed, time.struct_time):
        return None
    try:
        moment = datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if dates.is_plausible(moment) else None


def _media(entry: Entry, base: str) -> tuple[Attachment, ...]:
    """Return what is attached; a thumbnail only where nothing else is."""
    enclosed = [link for link in _listed(entry, "links") if link.get("rel") == "enclosure"]
    listed = [*enclosed, *_listed(entry, "media_content")]
    found: dict[str, Attachment] = {}
    for one in listed[:_MAX_MEDIA]:
        link = links.absolute(str(one.get("href") or one.get("url") or ""), base)
        kind = str(one.get("medium") or one.get("type") or "").partition("/")[0]
        if link:
            found.setdefault(link, Attachment(kind if kind in _KINDS else "file", link))
    for one in [] if found else _listed(entry, "media_thumbnail")[:1]:
        if link := links.absolute(str(one.get("url") or ""), base):
            found[link] = Attachment("image", link)
    return tuple(found.values())


def _related(feed: Entry, relation: str, base: str) -> list[str]:
    """Return the links of that relation of the feed itself, absolute, in order."""
    named = (
        links.absolute(str(link.get("href") or ""), base)
        for link in _listed(feed, "links")
        if relation in str(link.get("rel") or "").lower().split()
    )
    return [link for link in named if link]


def _in_reply_to(entry: Entry, threads: str) -> str:
    """Return the id of the post that this one answers (RFC 4685)."""
    answered = entry.get(f"{threads}_in-reply-to")
    return bounded_id(str(answered.get("ref") or "")) if isinstance(answered, dict) else ""


def _metrics(entry: Entry, threads: str) -> dict[str, int]:
    """Return the counts that RSS's slash, Atom's threading and the media module know."""
    seen = entry.get("media_statistics")
    counts = seen if isinstance(seen, dict) else {}
    replies = entry.get("slash_comments") or entry.get(f"{threads}_total")
    if not (counts or replies):
        return {}
    written = {"likes": counts.get("favorites"), "replies": replies, "views": counts.get("views")}
    read = ((name, count(value)) for name, value in written.items() if value)
    return {name: number for name, number in read if number is not None}


def _ttl(feed: Entry) -> timedelta | None:
    """Return RSS's `ttl` (minutes), at most a day."""
    minutes = count(feed.get("ttl") or 0) or 0
    return timedelta(minutes=min(minutes, _MAX_TTL_MINUTES)) if minutes else None
