"""Words, phrases and hashtags that are looked for in posts whose platform does not look for us."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from maru_ingest.formats import untyped
from maru_ingest.formats.untyped import Object

TERM = re.compile(r'"([^"]*)"|(\S+)')
"""A phrase in quotes, or a word."""


def fold(text: str) -> str:
    """Return text in the form in which words are compared."""
    return unicodedata.normalize("NFC", text.casefold())


@dataclass(frozen=True, slots=True)
class Search:
    """What a post must hold; `written` is how it was given and how a platform is asked."""

    written: str
    tags: frozenset[str]
    words: tuple[re.Pattern[str], ...]
    needle: str

    @classmethod
    def of(cls, written: str) -> "Search":
        """Read a line of words, phrases and hashtags."""
        terms = [fold(phrase or word) for phrase, word in TERM.findall(written)]
        bare = [term.removeprefix("#") for term in terms]
        parts = [part for term in bare for part in re.findall(r"\w+", term)]
        return cls(
            written,
            frozenset(term[1:] for term in terms if term.startswith("#")),
            tuple(_whole(term) for term in terms if not term.startswith("#")),
            max(parts, key=len, default=""),
        )

    def may_hold(self, folded: str) -> bool:
        """Whether a message is worth a closer look; one that holds this search always is."""
        return self.needle in folded or "\\u" in folded  # any letter may be written by its number

    def holds(self, record: Object) -> bool:
        """Whether a post holds all that is looked for."""
        if self.tags and not self.tags <= set(_tags(record)):
            return False
        text = fold(untyped.string(record, "text"))
        return all(word.search(text) for word in self.words)


def _whole(term: str) -> re.Pattern[str]:
    before = "(?<![a-z0-9])" if term[:1].isascii() and term[:1].isalnum() else ""
    after = "(?![a-z0-9])" if term[-1:].isascii() and term[-1:].isalnum() else ""
    return re.compile(before + re.escape(term) + after)


def _tags(record: Object) -> Iterator[str]:
    said = [*untyped.sequence(record, "tags")]
    for facet in untyped.mappings(record, "facets"):
        said += [untyped.at(each, "tag") for each in untyped.sequence(facet, "features")]
    return (fold(tag).removeprefix("#") for tag in said if isinstance(tag, str))
