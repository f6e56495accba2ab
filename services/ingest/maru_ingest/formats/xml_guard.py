"""Refuses XML that is made to hurt, in one pass and before any parser sees it.

One scan over the bytes, so that ill-formed feeds are covered too (a checking parser would stop at
the first mistake and leave the rest to the lenient one). Cases: entity expansion in its nested
and its quadratic form, external entities, depth, sheer number of elements.
"""

import re
from collections import Counter

from maru_ingest.formats.parsed import Unreadable

MAX_DEPTH = 256
MAX_ELEMENTS = 500_000
_MAX_ENTITY = 256
_MAX_EXPANDED = 1_000_000
_MAX_QUOTED = 64

_ENTITY = re.compile(
    rb"<!ENTITY\s+(%\s+)?([^\s%&;>]{1,200})\s+(?:(SYSTEM|PUBLIC)\b|\"([^\"]*)\"|'([^']*)')",
    re.ASCII,
)
_REFERENCE = re.compile(rb"[&%](?!#)")
_NAMED = re.compile(rb"&([^\s%&;>]{1,200});", re.ASCII)
_NAME = re.compile(rb"</?([A-Za-z_:][^\s/>]*)")
# Unclosed in sloppy HTML; they never nest, so they do not count as depth.
_VOID = frozenset({b"br", b"hr", b"img", b"input", b"wbr"})
_MAX_VOID = 50_000
_MAX_STRAYS = 2_000
_MAX_DECLARATION = 2_000


def check(document: bytes) -> None:
    """Return when `document` (in an ASCII-compatible encoding) is safe to parse.

    Raises Unreadable with the reason otherwise.
    """
    depth = voids = elements = strays = position = 0
    entities = _Entities(document)
    _check_declaration(document)
    while (position := document.find(b"<", position)) >= 0:
        elements += 1
        if elements > MAX_ELEMENTS or voids > _MAX_VOID:
            raise Unreadable(f"XML with more than {MAX_ELEMENTS} elements")
        if document.startswith((b"<!", b"<?"), position):
            position = _past_declaration(document, position, entities)
            continue
        name = _NAME.match(document, position)
        end = _tag_end(document, position) if name else position + 1
        # Lenient parsers go back and forth over every < that begins no tag.
        strays += (name is None) + document.count(b"<", position + 1, end)
        if strays > _MAX_STRAYS:
            raise Unreadable("not XML: thousands of stray <")
        if name is None:
            position = end
            continue
        if name[1].lower() in _VOID:
            voids += 1
        elif document.startswith(b"/", position + 1):
            depth = max(0, depth - 1)
        elif not document.startswith(b"/", end - 1):
            depth += 1
        if depth > MAX_DEPTH:
            raise Unreadable(f"XML nested deeper than {MAX_DEPTH} elements")
        position = end


def _check_declaration(document: bytes) -> None:
    """Raises Unreadable when the XML declaration has no end: feedparser would look for it long."""
    start = document[:_MAX_DECLARATION].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<?") and b"?>" not in start:
        raise Unreadable("an XML declaration that does not end")


def _past_declaration(document: bytes, start: int, entities: "_Entities") -> int:
    """Return where to go on after a comment, CDATA section, instruction or declaration."""
    for opening, closing in ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")):
        if document.startswith(opening, start):
            end = document.find(closing, start + len(opening))
            return len(document) if end < 0 else end + len(closing)
    if document[start : start + 8].upper() == b"<!ENTITY":
        entities.check(start)
    return start + 2


class _Entities:
    """What a document's entities expand to, all together; their uses are counted once for all."""

    def __init__(self, document: bytes) -> None:
        self._document = document
        self._used: Counter[bytes] | None = None
        self._expanded = 0

    def check(self, start: int) -> None:
        """Raise Unreadable when the entity that is declared there, or all so far, may hurt."""
        entity = _ENTITY.match(self._document, start)
        if entity is None:
            raise Unreadable("XML declares an entity that can't be read")
        parameter, name, external, double, single = entity.groups()
        if external:
            raise Unreadable("XML declares an external entity")
        value = double if double is not None else single
        if parameter or _REFERENCE.search(value) or len(value) > _MAX_ENTITY:
            raise Unreadable("XML declares entities that expand into more (an XML bomb)")
        if self._used is None:
            self._used = Counter(_NAMED.findall(self._document))
        self._expanded += len(value) * self._used[name]
        if self._expanded > _MAX_EXPANDED:
            raise Unreadable("XML repeats an entity too often (an XML bomb)")


def _tag_end(document: bytes, start: int) -> int:
    """Return the position of the `>` that ends the tag, not of one within a quoted value."""
    end = document.find(b">", start)
    for _ in range(_MAX_QUOTED):
        if end < 0:
            return len(document)
        if document.count(b'"', start, end) % 2 == 0 or document.count(b"'", start, end) % 2:
            return end
        end = document.find(b">", end + 1)
    return end
