"""A fast reader of the common, well-formed feeds: RSS 2.0, RDF and Atom over expat.

It gives what feedparser gives, in feedparser's own names and as far as `feed.py` asks for it, at a
fraction of the time: most feeds are polled again and again, and most of them are written by a
few programs. Whatever it does not know to read exactly as feedparser does (a document type,
another encoding, markup in plain text, a date in words …) it declines, and feedparser decides;
`tests/ingest/formats/test_quick_feed.py` holds the two together.

It is its own guard: expat reads everything in one pass whose time is that of the length, and stops
at a document type (so that there are no entities), and at the depth and the number of elements
that `xml_guard` allows.

The names of namespaces are feedparser's table, so that both know the same modules.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from feedparser.api import StrictFeedParser

from maru_ingest.formats import dates
from maru_ingest.formats.xml_guard import MAX_DEPTH, MAX_ELEMENTS

Dict = dict[str, Any]  # an entry, in feedparser's names
_Done = Callable[[str], None]

THREADS = "http://purl.org/syndication/thread/1.0"
"""The namespace of RFC 4685, which feedparser does not know."""

_PREFIXES: Mapping[str, str] = {
    **{uri.lower(): prefix for uri, prefix in StrictFeedParser.namespaces.items()},
    THREADS: "thr",
}
_TAKEN = frozenset(_PREFIXES.values()) | {
    "content", "summary", "title", "link", "links", "authors", "author", "published", "updated",
    "created",
}  # fmt: skip
"""Prefixes that a namespace which nobody knows may not have: their elements would be mixed up."""

_HARMLESS = frozenset(
    {"?", "admin", "dc", "dcterms", "feedburner", "itunes", "media", "slash", "sy", "taxo", "thr",
     "trackback", "wfw", "pingback", "rdf"}
)  # fmt: skip
"""Modules whose other elements change nothing that a post is made of (`?`: unknown to all)."""

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["'][^>]*?\?>""")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.-]+)", re.IGNORECASE)
_FIRST = re.compile(rb"<\w")
_UNICODE = {"utf-8", "utf8", "us-ascii", "ascii", ""}
_MARK = b"\xef\xbb\xbf"
_CONTROLS = re.compile("[\x80-\x9f]")
_AMPERSAND = re.compile("&([A-Za-z0-9_]+);")
_ADDRESS = re.compile(
    r"([a-zA-Z0-9_.+-]+@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,4})(?:\s*\(([^()@<>]*)\))?"
)
_TYPES = {
    "": "", "text": "text/plain", "plain": "text/plain", "text/plain": "text/plain",
    "html": "text/html", "text/html": "text/html",
}  # fmt: skip
_VERSIONS = {"0.91": "rss091u", "0.92": "rss092", "0.93": "rss093", "0.94": "rss094"}
_ATOM = {"0.1": "atom01", "0.2": "atom02", "0.3": "atom03"}
_SEPARATOR = "}"
_DECLARATION = 200
"""Bytes within which the XML declaration ends."""


class _Odd(Exception):
    """Something that feedparser has to decide."""


@dataclass(slots=True)
class Understood:
    """A feed as read, in the words of feedparser's result.

    `threads` is the prefix under which the elements of RFC 4685 are kept.
    """

    version: str
    feed: Dict
    entries: list[Dict]
    threads: str = "thr"


def read(document: bytes, content_type: str) -> Understood | None:
    """Return what a feed says, or None when it is none of those that are read exactly.

    `document` may be anything; it is well-formed when something is returned.
    """
    first = _FIRST.search(document)
    if first is None or not _is_utf8(document, content_type):
        return None
    head = document[: first.start()]
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:  # even in a comment, feedparser cuts it out
        return None
    reader = _Reader()
    try:
        reader.parse(document)
    except (_Odd, expat.ExpatError):
        return None
    return reader.found()


def _is_utf8(document: bytes, content_type: str) -> bool:
    """Whether feedparser, too, would take the document for UTF-8, by the same declarations."""
    declared = _DECLARED.match(document[:_DECLARATION].removeprefix(_MARK))
    charset = _CHARSET.search(content_type) if content_type else None
    named = declared[1].decode().lower() if declared else ""
    served = charset[1].lower() if charset else ""
    if named not in _UNICODE or served not in _UNICODE or b"\x00" in document:
        return False
    if document.isascii():
        return True
    is_told = named.startswith("utf") or document.startswith(_MARK)
    return is_told or "xml" in content_type or not content_type


class _Reader:
    """Takes expat's events; `_modes` says for each open element what its children mean."""

    def __init__(self) -> None:
        parser = expat.ParserCreate("utf-8", _SEPARATOR)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = _decline
        self._parser = parser
        self._modes: list[Callable[[str, Dict], None]] = [self._root]
        self._ends: list[Callable[[], None] | None] = []
        self._languages: list[str | None] = [None]
        self._tags: dict[str, str] = {}
        self._elements = 0
        self._leaf: _Done | None = None
        self._pieces: list[str] = []
        self._feed: Dict = {}
        self._entries: list[Dict] = []
        self._owner: Dict = self._feed
        self._version = ""
        self._has_content = False
        self._title_depth = -1
        self._depths: dict[str, int] = {}
        self._is_person = False
        self._textual: list[int] = []

    def parse(self, document: bytes) -> None:
        """Read a whole document; raises _Odd or ExpatError."""
        self._parser.Parse(document, True)  # noqa: FBT003 - expat's name for the last piece

    def found(self) -> Understood:
        """What was read."""
        return Understood(self._version, self._feed, self._entries)

    # Events

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        lower = (uri or "").lower()
        if not self._version:
            if prefix is None and lower == "http://my.netscape.com/rdf/simple/0.9/":
                self._version = "rss090"
            elif lower == "http://purl.org/rss/1.0/":
                self._version = "rss10"
            elif lower == "http://www.w3.org/2005/atom":
                self._version = "atom10"
        known = _PREFIXES.get(lower)
        if known is None:
            is_mistakable = prefix is None or prefix.lower() in _TAKEN or _SEPARATOR in lower
            if is_mistakable or " " in lower or "backend.userland.com/rss" in lower:
                raise _Odd

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._ends) > MAX_DEPTH:
            raise _Odd
        tag = self._tags.get(name) or self._named(name)
        language = self._languages[-1]
        given = attributes
        if attributes:
            given = {_attribute(key): value for key, value in attributes.items()}
            if "xml:base" in given or "base" in given:
                raise _Odd
            if "rel" in given:
                given["rel"] = given["rel"].lower()
            if "type" in given:
                given["type"] = given["type"].lower()
            language = given.get("xml:lang", given.get("lang", language)) or None
        self._languages.append(language)
        before = len(self._ends)
        self._modes[-1](tag, given)
        if len(self._ends) == before:
            self._modes.append(self._ignored)
            self._ends.append(None)

    def _end(self, _: str) -> None:
        if (leaf := self._leaf) is not None:
            self._leaf = None
            self._parser.CharacterDataHandler = None
            written = "".join(self._pieces).strip()
            self._pieces.clear()
            leaf(written)
        elif (done := self._ends[-1]) is not None:
            done()
        self._ends.pop()
        self._modes.pop()
        self._languages.pop()

    def _named(self, name: str) -> str:
        uri, _, local = name.rpartition(_SEPARATOR)
        prefix = _PREFIXES.get(uri.lower(), "?")
        tag = f"{prefix}:{local.lower()}" if prefix else local.lower()
        self._tags[name] = tag
        return tag

    def _within(self, children: Callable[[str, Dict], None], done: Callable[[], None]) -> None:
        self._modes.append(children)
        self._ends.append(done)

    def _text(self, done: _Done) -> None:
        """Collect the text of an element that has no children, and hand it over stripped."""
        self._parser.CharacterDataHandler = self._pieces.append
        self._leaf = done
        self._modes.append(_childless)
        self._ends.append(None)

    # What children mean: of the document, of a feed, of an entry …

    def _root(self, tag: str, given: Dict) -> None:
        if tag == "rss":
            if not self._version.startswith("rss"):
                version = given.get("version", "")
                newer = "rss20" if version.startswith("2.") else "rss"
                self._version = _VERSIONS.get(version, newer)
            self._within(self._document, _nothing)
        elif tag == "rdf:rdf":
            self._within(self._document, _nothing)
        elif tag == "feed":
            self._version = self._version or _ATOM.get(given.get("version", ""), "atom")
            self._within(self._in_feed, _nothing)
        else:
            raise _Odd
        if tag in {"rss", "feed"} and (language := self._languages[-1]):
            self._feed["language"] = language.replace("_", "-")

    def _document(self, tag: str, given: Dict) -> None:
        if tag == "channel":
            if "lastmod" in given or "href" in given:
                raise _Odd
            self._within(self._in_feed, _nothing)
        elif tag == "item":
            self._entry(given)
        elif tag in {"image", "textinput"}:
            self._within(self._pictured, _nothing)
        else:
            raise _Odd

    def _in_feed(self, tag: str, given: Dict) -> None:
        if tag in {"item", "entry"}:
            self._entry(given)
        elif tag in {"language", "dc:language"} or (tag == "ttl" and not given):
            self._text(self._kept(tag.rpartition(":")[2]))
        elif tag in {"description", "dc:description", "itunes:summary"}:
            self._feed_summary(tag)
        elif tag in {"image", "textinput"}:
            self._within(self._pictured, _nothing)
        elif tag in _SHARED:
            _SHARED[tag](self, given)
        elif tag == "itunes:owner":
            self._within(self._of_owner, _nothing)
        elif tag not in _FEED_ONLY:
            self._other(tag, given)

    def _entry(self, given: Dict) -> None:
        if self._owner is not self._feed or "lastmod" in given or "href" in given:
            raise _Odd
        self._owner = {}
        self._entries.append(self._owner)
        self._title_depth = -1
        self._depths = {}
        if about := given.get("rdf:about"):
            self._owner["id"] = about
        self._within(self._in_entry, self._entry_ends)

    def _entry_ends(self) -> None:
        self._owner = self._feed
        self._has_content = False

    def _in_entry(self, tag: str, given: Dict) -> None:
        handler = _ENTRY.get(tag)
        if handler is not None:
            handler(self, given)
        elif tag == "source" and "url" in given:
            self._title_depth = -1
            self._modes.append(_childless)
            self._ends.append(None)
        elif tag not in _ENTRY_ONLY:
            self._other(tag, given)

    def _other(self, tag: str, _: Dict) -> None:
        prefix, colon, _local = tag.partition(":")
        if not colon or prefix not in _HARMLESS:
            raise _Odd

    def _ignored(self, tag: str, _: Dict) -> None:
        """Within what changes nothing, only what is unknown to feedparser changes nothing."""
        if not tag.startswith(("?", "rdf:", "itunes:category")) and tag not in {"hour", "day"}:
            raise _Odd

    def _pictured(self, tag: str, _: Dict) -> None:
        if tag not in {"title", "link", "url", "description", "width", "height", "name"}:
            raise _Odd
        self._within(_childless, _nothing)

    # Elements

    def _kept(self, name: str) -> _Done:
        owner = self._owner

        def keep(written: str) -> None:
            owner[name] = _mended(written)

        return keep

    def _feed_summary(self, tag: str) -> None:
        """A feed's own words are not kept, but they decide how its first entry is read."""
        if "summary" in self._feed and not self._has_content:
            self._has_content = True
        elif tag == "itunes:summary":
            self._feed["summary"] = ""
        self._within(_childless, _nothing)

    def id(self, given: Dict) -> None:
        owner = self._owner
        is_link = given.get("ispermalink", "true") == "true"

        def keep(written: str) -> None:
            written = _mended(_address(written)) if is_link else _mended(written)
            owner["id"] = written
            if is_link:
                owner.setdefault("link", written)

        self._text(keep)

    def link(self, given: Dict) -> None:
        owner = self._owner
        rel = given.get("rel", "alternate")
        kind = given.get("type", "application/atom+xml" if rel == "self" else "text/html")
        href = given.get("url") or given.get("href")
        if "uri" in given:
            raise _Odd
        if href:
            href = _address(href)
            owner.setdefault("links", []).append({**given, "rel": rel, "href": href})
            if rel == "alternate" and kind in _LINKED:
                owner["link"] = href
            return
        if "href" in given or "url" in given:
            raise _Odd
        link: Dict = {**given, "rel": rel, "type": kind}
        owner.setdefault("links", []).append(link)
        is_entry = owner is not self._feed

        def keep(written: str) -> None:
            written = _mended(_address(written))
            if is_entry:
                written = written.replace("&amp;", "&")
            written = _AMPERSAND.sub(r"&\1", written)
            owner["link"] = written
            if written:
                link["href"] = written

        self._text(keep)

    def enclosure(self, given: Dict) -> None:
        href = given.get("url", given.get("uri", given.get("href")))
        enclosed = {**given, "rel": "enclosure"}
        if href:
            enclosed["href"] = href
        self._owner.setdefault("links", []).append(enclosed)
        self._within(_childless, _nothing)

    def title(self, given: Dict, *, of_media: bool = False) -> None:
        owner, depth = self._owner, len(self._modes)
        detail = self._detail(given, "text/plain")

        def keep(written: str) -> None:
            written = self._read(written, detail)
            if not -1 < self._title_depth <= depth:
                self._store(owner, "title", written, depth)
                owner["title_detail"] = detail
            if written and not of_media:
                self._title_depth = depth

        self._text(keep)

    def title_of_media(self, given: Dict) -> None:
        self.title(given, of_media=True)

    def description(self, given: Dict) -> None:
        self._summed_up(given, "text/html")

    def summary(self, given: Dict) -> None:
        self._summed_up(given, "text/plain")

    def _summed_up(self, given: Dict, default: str) -> None:
        """A first summary is one; a second one, where there is no content, is the content."""
        owner, depth = self._owner, len(self._modes)
        if "summary" in owner and not self._has_content:
            self.content(given)
            return
        detail = self._detail(given, default)

        def keep(written: str) -> None:
            self._store(owner, "summary", self._read(written, detail), depth)
            owner["summary_detail"] = detail

        self._text(keep)

    def content(self, given: Dict, default: str = "text/plain") -> None:
        owner = self._owner
        self._has_content = True
        detail = self._detail(given, default)

        def keep(written: str) -> None:
            detail["value"] = self._read(written, detail)
            owner.setdefault("content", []).append(detail)
            owner.setdefault("summary", detail["value"])

        self._text(keep)

    def encoded(self, given: Dict) -> None:
        self.content(given, "text/html")

    def _detail(self, given: Dict, default: str) -> Dict:
        kind = _TYPES.get(given.get("type", ""))
        if kind is None or given.get("mode") == "base64":
            raise _Odd
        language = self._languages[-1]
        return {
            "type": kind or default,
            "language": language.replace("_", "-") if language else None,
        }

    def _read(self, written: str, detail: Dict) -> str:
        """Mend a text; outside Atom, one that looks like HTML is HTML, whatever is declared."""
        if (
            detail["type"] == "text/plain"
            and ("<" in written or "&" in written)
            and not self._version.startswith("atom")
            and StrictFeedParser.looks_like_html(written)
        ):
            detail["type"] = "text/html"
        return _mended(written)

    def _store(self, owner: Dict, name: str, value: str, depth: int) -> None:
        """Keep the value of the element that lies least deep, the last of equals."""
        before = self._depths.get(name)
        if before is None or depth <= before:
            self._depths[name] = depth
            owner[name] = value

    def _moment(self, name: str) -> None:
        owner = self._owner

        def keep(written: str) -> None:
            written = _mended(written)
            if written and owner is not self._feed:
                try:
                    dates.parse(written)
                except dates.UnreadableDate:
                    raise _Odd from None
            owner[name] = written

        self._text(keep)

    def published(self, _: Dict) -> None:
        self._moment("published")

    def updated(self, _: Dict) -> None:
        self._moment("updated")

    def created(self, _: Dict) -> None:
        self._moment("created")

    def own_language(self, _: Dict) -> None:
        self._text(self._kept("language"))

    def comments(self, given: Dict) -> None:
        if given:
            raise _Odd
        self._text(self._kept("slash_comments"))

    def replies(self, given: Dict) -> None:
        if given:
            raise _Odd
        self._text(self._kept("thr_total"))

    def answered(self, given: Dict) -> None:
        if not given:
            raise _Odd
        self._owner["thr_in-reply-to"] = given
        self._within(_childless, _nothing)

    def author(self, _: Dict) -> None:
        """An author is named in text (RSS, Dublin Core) or in elements (Atom)."""
        authors = self._owner.setdefault("authors", [])
        author: Dict = {}
        authors.append(author)
        pieces: list[str] = []
        self._is_person = False
        self._parser.CharacterDataHandler = pieces.append

        def end() -> None:
            self._parser.CharacterDataHandler = None
            written = "".join(pieces).strip()
            if not self._is_person:
                author.update(_person(_mended(written)))
                self._textual.append(id(authors))
            elif written or id(authors) in self._textual or not authors[0].get("name"):
                raise _Odd  # feedparser may take one author's name for another's

        self._within(self._of_author, end)

    def _of_author(self, tag: str, _: Dict) -> None:
        self._is_person = True
        around = self._parser.CharacterDataHandler
        pieces: list[str] = []
        owner = self._owner
        key = {"name": "name", "email": "email", "uri": "", "url": "", "homepage": ""}.get(tag)
        if key is None and not tag.startswith("?"):
            raise _Odd
        self._parser.CharacterDataHandler = pieces.append

        def end() -> None:
            self._parser.CharacterDataHandler = around
            written = "".join(pieces).strip()
            if key:
                owner["authors"][-1][key] = written
            elif key is None and written:  # the text of what is unknown may be the author's
                raise _Odd

        self._within(_childless, end)

    def _of_owner(self, tag: str, _: Dict) -> None:
        """A podcast's owner; feedparser writes their name over that of the last author."""
        if tag not in {"itunes:name", "itunes:email", "name", "email"}:
            raise _Odd
        feed, key = self._feed, tag.rpartition(":")[2]

        def keep(written: str) -> None:
            feed.setdefault("authors", [{}])[-1][key] = written

        self._text(keep)

    def contributor(self, _: Dict) -> None:
        self._within(_of_contributor, _nothing)

    def media(self, _: Dict) -> None:
        self._within(self._in_media, _nothing)

    def _in_media(self, tag: str, given: Dict) -> None:
        if tag in _MEDIA:
            _MEDIA[tag](self, given)
        elif not tag.startswith(("media:", "?")):
            raise _Odd

    def media_content(self, given: Dict) -> None:
        self._owner.setdefault("media_content", []).append(given)
        self._within(self._in_media, _nothing)

    def thumbnail(self, given: Dict) -> None:
        self._owner.setdefault("media_thumbnail", []).append(given)

        def keep(written: str) -> None:
            if written:
                raise _Odd

        self._text(keep)

    def statistics(self, given: Dict) -> None:
        if not given:
            raise _Odd
        self._owner["media_statistics"] = given
        self._within(_childless, _nothing)


def _nothing() -> None:
    """The end of an element that leaves nothing to do."""


def _decline(*_: object) -> None:
    raise _Odd


def _childless(_tag: str, _given: Dict) -> None:
    raise _Odd


def _of_contributor(tag: str, _: Dict) -> None:
    if tag not in {"name", "email", "uri", "url", "homepage"} and not tag.startswith("?"):
        raise _Odd


def _attribute(name: str) -> str:
    """Return an attribute's name with the prefix of its namespace, if that is a known one."""
    if _SEPARATOR not in name:
        return name.lower()
    uri, _, local = name.rpartition(_SEPARATOR)
    prefix = _PREFIXES.get(uri.lower())
    return f"{prefix}:{local}".lower() if prefix else local.lower()


def _mended(written: str) -> str:
    """Undo UTF-8 that was taken for Latin-1, as feedparser does."""
    if written.isascii():
        return written
    with suppress(UnicodeError):  # then it is what it says
        written = written.encode("iso-8859-1").decode("utf-8")
    if _CONTROLS.search(written):
        raise _Odd
    return written


def _address(written: str) -> str:
    """Return an address as it is; one that feedparser would mend is its own to mend."""
    if ":///" in written:
        raise _Odd
    return written


def _person(written: str) -> Dict:
    """Return the name and the address in an author's text, as in `ann@example.com (Ann)`."""
    if "@" not in written:
        return {"name": written} if written else {}
    address = _ADDRESS.fullmatch(written)
    if address is None:
        raise _Odd
    email, name = address[1], (address[2] or "").strip()
    return {"name": name, "email": email} if name else {"email": email}


_Handler = Callable[[_Reader, Dict], None]
_LINKED = {"text/html", "html", "application/xhtml+xml", "xhtml"}
_SHARED: Mapping[str, _Handler] = {
    "link": _Reader.link,
    "id": _Reader.id,
    "guid": _Reader.id,
    "author": _Reader.author,
    "managingeditor": _Reader.author,
    "dc:creator": _Reader.author,
    "dc:author": _Reader.author,
    "itunes:author": _Reader.author,
    "contributor": _Reader.contributor,
}
_MEDIA: Mapping[str, _Handler] = {
    "media:group": _Reader.media,
    "media:community": _Reader.media,
    "media:content": _Reader.media_content,
    "media:thumbnail": _Reader.thumbnail,
    "media:title": _Reader.title_of_media,
    "media:description": _Reader.description,
    "media:statistics": _Reader.statistics,
}
_ENTRY: Mapping[str, _Handler] = {
    **_SHARED,
    **_MEDIA,
    "title": _Reader.title,
    "dc:title": _Reader.title,
    "description": _Reader.description,
    "dc:description": _Reader.description,
    "summary": _Reader.summary,
    "itunes:summary": _Reader.summary,
    "content": _Reader.content,
    "content:encoded": _Reader.encoded,
    "enclosure": _Reader.enclosure,
    "published": _Reader.published,
    "issued": _Reader.published,
    "pubdate": _Reader.published,
    "dcterms:issued": _Reader.published,
    "updated": _Reader.updated,
    "modified": _Reader.updated,
    "lastbuilddate": _Reader.updated,
    "dc:date": _Reader.updated,
    "dcterms:modified": _Reader.updated,
    "created": _Reader.created,
    "dcterms:created": _Reader.created,
    "dc:language": _Reader.own_language,
    "language": _Reader.own_language,
    "slash:comments": _Reader.comments,
    "thr:total": _Reader.replies,
    "thr:in-reply-to": _Reader.answered,
}
_ENTRY_ONLY = {"category", "comments", "rights", "copyright"}
_FEED_ONLY = {
    "title", "subtitle", "tagline", "generator", "docs", "copyright", "rights", "lastbuilddate",
    "pubdate", "published", "updated", "modified", "logo", "icon", "category", "cloud",
    "webmaster", "skipdays", "skiphours", "rating", "items",
}  # fmt: skip
