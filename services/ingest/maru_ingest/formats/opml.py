"""Lists of feeds as readers export and import them: OPML 1 and 2 (http://opml.org/spec2.opml)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.sax.saxutils import quoteattr

import listparser

from maru_ingest.formats import encodings, text, xml_guard
from maru_ingest.formats.parsed import Unreadable

MAX_FEEDS = 5_000
"""Feeds of one list."""

_MAX_TITLE = 200
_DECLARED = "<?xml"
# What listparser may raise over tags that close what never began.
_SURPRISES = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Outline:
    """A feed in a list; `folder` is the outermost one that it lies in, empty for none."""

    url: str
    title: str = ""
    folder: str = ""


def read(body: bytes) -> Sequence[Outline]:
    """Return the feeds of a list, in its order. Raises Unreadable with the reason."""
    written = encodings.decode(body).lstrip()
    if written.startswith(_DECLARED):
        written = written[written.find(">") + 1 :]
    document = written.encode("ascii", "xmlcharrefreplace")  # the parser guesses no encoding
    xml_guard.check(document)
    try:
        found = listparser.parse(document)
    except _SURPRISES as error:
        raise Unreadable(f"broken XML: it makes no sense ({error!r:.100})") from error
    if not found.version.startswith("opml") and not found.feeds:
        raise Unreadable("not OPML: there is no list of feeds in it")
    if len(found.feeds) > MAX_FEEDS:
        raise Unreadable(f"a list of more than {MAX_FEEDS:,} feeds")
    return [
        Outline(feed.url.strip(), text.clean_line(feed.title, _MAX_TITLE), _folder(feed.categories))
        for feed in found.feeds
    ]


def _folder(categories: Sequence[Sequence[str]]) -> str:
    return text.clean_line(categories[-1][0], _MAX_TITLE) if categories and categories[-1] else ""


def written(outlines: Iterable[Outline], *, title: str) -> str:
    """Return a list that readers can import: OPML 2.0, a folder for each of `Outline.folder`."""
    lines = []
    for folder, inside in groupby(sorted(outlines, key=_by_folder), key=lambda one: one.folder):
        feeds = [
            f"<outline type={quoteattr('rss')} text={quoteattr(one.title)}"
            f" title={quoteattr(one.title)} xmlUrl={quoteattr(one.url)}/>"
            for one in inside
        ]
        lines += [f"<outline text={quoteattr(folder)}>", *feeds, "</outline>"] if folder else feeds
    head = f"<head><title>{text.clean_line(title)}</title></head>"
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', f'<opml version="2.0">{head}<body>', *lines,
         "</body></opml>", ""]
    )  # fmt: skip


def _by_folder(outline: Outline) -> tuple[str, str]:
    return outline.folder, outline.title
