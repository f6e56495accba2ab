"""Markdown as people write it in posts, as the text that its readers see.

Only what hides or doubles words is taken away: comments, pictures (whose alternative text stays),
and the addresses behind labels. Stars, hashes and fences stay: they do no harm, and code means
them.
"""

import re
from collections.abc import Iterator

from maru_ingest.formats import links, text
from maru_ingest.formats.parsed import Attachment
from maru_ingest.formats.platform import attachment

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LINK = re.compile(
    r"(!?)\[([^\[\]\n]{0,500})\]\(<?(https?://[^\s()<>]{1,2000})>?(?: \"[^\"\n]{0,500}\")?\)"
)
_ADDRESS = re.compile(r"<(https?://[^\s<>]{1,2000})>")
_PICTURE = re.compile(r"<img\s[^<>]{0,2000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\b(src|alt)\s*=\s*\"([^\"]{0,2000})\"", re.IGNORECASE)


def plain(written: str) -> str:
    """Return the words of Markdown."""
    shown = _COMMENT.sub("", written) if "<!--" in written else written
    if "](" in shown:
        shown = _LINK.sub(_shown, shown)
    if "<" in shown:
        shown = _ADDRESS.sub(r"\1", _PICTURE.sub("", shown))
    return text.clean(shown)


def pictures(written: str) -> Iterator[Attachment | None]:
    """Yield the pictures that stand in Markdown."""
    for match in _LINK.finditer(written) if "](" in written else ():
        if match[1]:
            yield attachment("image", match[3], match[2])
    for match in _PICTURE.finditer(written) if "<" in written else ():
        named = {name.lower(): value for name, value in _ATTRIBUTE.findall(match[0])}
        yield attachment("image", named.get("src", ""), named.get("alt", ""))


def _shown(match: re.Match[str]) -> str:
    picture, label, url = match.groups()
    return label if picture else links.shown(label, url)
