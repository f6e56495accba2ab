"""The feeds that a web page offers: `<link rel="alternate">` of its head."""

from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from maru_ingest.formats import encodings, links, text

COMMON_PATHS = ("/feed", "/rss", "/feed.xml", "/rss.xml", "/atom.xml", "/index.xml", "/feed.json")
"""Where feeds commonly are on hosts whose pages do not say, the likeliest first."""

_TYPES = {
    "application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+json",
    "application/rss", "application/atom", "text/rss+xml",
}  # fmt: skip
_MAX_PAGE = 1024 * 1024
_MAX_FOUND = 50


@dataclass(frozen=True, slots=True)
class Offered:
    """A feed that a page offers, by its absolute address, and what the page calls it."""

    url: str
    title: str = ""


def offered(page: bytes, *, url: str) -> Sequence[Offered]:
    """Return the feeds that a page at `url` offers, each once, in the page's order."""
    reader = _Reader(url)
    reader.feed(encodings.decode(page[:_MAX_PAGE]))
    return list(reader.found.values())[:_MAX_FOUND]


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._base = url
        self.found: dict[str, Offered] = {}

    def parse_marked_section(self, i: int, report: int = 1) -> int:  # noqa: ARG002 - nor shown
        """Take `<![` for a comment, as HTML does; the library may end in an AssertionError."""
        return self.parse_bogus_comment(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take `<base>` and `<link>`."""
        given = {name: value or "" for name, value in attrs}
        if tag == "base":
            self._base = links.absolute(given.get("href", ""), self._base) or self._base
        if tag != "link":
            return
        kind = given.get("type", "").partition(";")[0].strip().lower()
        relations = given.get("rel", "").lower().split()
        is_offered = "feed" in relations or ("alternate" in relations and kind in _TYPES)
        address = links.absolute(given.get("href", ""), self._base)
        if is_offered and address:
            title = text.clean_line(given.get("title", ""), 200)
            self.found.setdefault(links.canonical(address), Offered(address, title))
