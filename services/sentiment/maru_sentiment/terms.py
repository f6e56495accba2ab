"""Finds a workspace's terms in a text: whole words, in one pass for all terms (Aho-Corasick).

Case and width do not count (NFKC and case folding). A name in letters that are written with spaces
is found only where a word begins and ends. Behind a Korean name may stand what Korean hangs on
nouns (a particle, 들, the copula), but no other syllable: 애플 is found in 애플은, not in
애플파이. The space within a Korean name is free: 갤럭시 워치 is 갤럭시워치.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice, pairwise

import ahocorasick

from maru_contracts.tags import Mood, Section, Side, TermDefined, section_of

RULES = 1
"""Grows with every change to what is found here or to what `comparing` says."""

_MOST_HITS = 10_000
"""Places of one text that are looked at, which keeps the time for a hostile text bounded."""

_PIECE = 2
"""Syllables that must stand on both sides of a space which the definition does not have:
이 마트 ("this mart") is not 이마트."""


@dataclass(frozen=True)
class Term:
    """Words that a workspace wants found; `meaning` is as in `TermDefined`."""

    name: str
    meaning: Side | Mood
    aliases: tuple[str, ...] = ()

    @property
    def section(self) -> Section:
        """Where it belongs."""
        return section_of(self.meaning)

    @property
    def side(self) -> Side:
        """Whose a watched product is."""
        return "own" if self.meaning == "own" else "competitor"


@dataclass(frozen=True)
class Found:
    """A term at `start` to `end` of the text as it was given."""

    term: Term
    start: int
    end: int


class Finder:
    """One workspace's terms, ready to be searched for."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._terms = sorted(terms, key=lambda it: (it.name, it.meaning))
        spelled: dict[str, list[Term]] = {}
        for term in self._terms:
            for spelling in dict.fromkeys(_spellings(term)):
                spelled.setdefault(spelling, []).append(term)
        self._automaton = ahocorasick.Automaton()
        for spelling, of in spelled.items():
            self._automaton.add_word(spelling, (len(spelling), tuple(of)))
        self._automaton.make_automaton()

    @property
    def version(self) -> str:
        """The same for the same rules and terms, another for others."""
        said = "\x1e".join(
            "\x1f".join((it.name, it.meaning, *it.aliases)) for it in self._terms
        ).encode("utf-8", "replace")
        return f"{RULES}-{blake2b(said, digest_size=6).hexdigest()}"

    def find(self, text: str) -> tuple[list[Found], list[Found]]:
        """Where watched products and where corrected terms stand, in order of place.

        Those of one section do not overlap: the one that begins first is taken, of these the
        longest, of these the first by name.
        """
        if not self._terms:
            return [], []
        folded = _folded(text)
        hits = [
            (at + 1 - length, at + 1, term)
            for at, (length, terms) in islice(self._automaton.iter(folded), _MOST_HITS)
            if _is_word(folded, at + 1 - length, at + 1)
            for term in terms
        ]
        if not hits:
            return [], []
        hits.sort(key=lambda hit: (hit[0], -hit[1], hit[2].name, hit[2].meaning))
        places = _places(text, folded)
        found = [
            Found(term, places[start][0], places[end - 1][1]) if places else Found(term, start, end)
            for start, end, term in hits
        ]
        return (
            list(_apart(it for it in found if it.term.section == "watch")),
            list(_apart(it for it in found if it.term.section == "corrections")),
        )


def terms_of(definitions: Iterable[TermDefined]) -> dict[str, list[Term]]:
    """Work out each workspace's terms from all definitions, oldest first.

    A later definition of a name in one section replaces an earlier one. A workspace that has
    removed all its terms has an empty list.
    """
    newest = {(it.workspace, it.section, it.name): it for it in definitions}
    spaces: dict[str, list[Term]] = {}
    for it in newest.values():
        own = spaces.setdefault(it.workspace, [])
        if not it.removed:
            own.append(Term(it.name, it.meaning, it.aliases))
    return spaces


def _apart(found: Iterable[Found]) -> Iterator[Found]:
    end = 0
    for it in found:
        if it.start >= end:
            yield it
            end = it.end


# Spellings.

_HANGUL = "가-힣"
_BETWEEN = re.compile(rf"(?<=[{_HANGUL}]) (?=[{_HANGUL}])")
_SYLLABLES = re.compile(rf"[{_HANGUL}]+")
_WHITE = re.compile(r"\s+")
_KEPT = {ord(line): " " for line in "\n\r\t"} | {
    jamo: jamo + 0xC000 for jamo in range(0x3131, 0x318F)
}
"""What NFKC shall not see: it would make 애플큐 of 애플ㅋㅠ. Jamo move to the private area."""


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text.translate(_KEPT)).casefold()


def _spellings(term: Term) -> Iterator[str]:
    for name in (term.name, *term.aliases):
        folded = _WHITE.sub(" ", _folded(name)).strip()
        if folded:
            yield folded
            closed = _BETWEEN.sub("", folded)
            yield closed
            yield from _opened(closed)


def _opened(name: str) -> Iterator[str]:
    """The name with one space more between Hangul."""
    for run in _SYLLABLES.finditer(name):
        for at in range(run.start() + _PIECE, run.end() - _PIECE + 1):
            yield f"{name[:at]} {name[at:]}"


# Places in the text as it was given.


def _places(text: str, folded: str) -> Sequence[tuple[int, int]]:
    """For each character of the folded text, where in the text it comes from.

    Empty where every character is in its own place, as in most texts.
    """
    given = text.translate(_KEPT)
    if len(text) == len(folded) and unicodedata.is_normalized("NFKC", given):
        return ()
    return [
        (start, end)
        for start, end in pairwise([*_clusters(given), len(given)])
        for _ in _folded(given[start:end])
    ]


_JOINS = re.compile("[\u1161-\u11ff\ud7b0-\ud7fb\uff9e\uff9f\uffc2-\uffdc]")
"""Vowels and finals of Hangul in pieces, and voicing marks: many join what stands before them."""


def _clusters(text: str) -> Iterator[int]:
    """Where what composes to one character begins."""
    start = 0
    for at, character in enumerate(text):
        joins = unicodedata.category(character)[0] == "M" or (
            _JOINS.match(character) and len(_folded(text[start : at + 1])) == 1
        )
        if at == 0 or not joins:
            start = at
            yield at


# Word borders.

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u309f\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Hiragana and Han are written without spaces between words."""


def _script(character: str) -> str:
    """What a word is made of throughout: Hangul, Katakana, letters and digits of other kinds."""
    if "가" <= character <= "힣":
        return "Hangul"
    if "\u30a0" <= character <= "\u30ff":
        return "Katakana"
    if _UNSPACED.match(character):
        return ""
    return "word" if character.isalnum() or character == "_" else ""


def _is_word(text: str, start: int, end: int) -> bool:
    first, last = _script(text[start]), _script(text[end - 1])
    if start > 0 and first and _script(text[start - 1]) == first:
        return False
    if end == len(text) or not last:
        return True
    if last == "Hangul":
        return _ends_noun(text, end)
    return _script(text[end]) != last


_CASES = (
    "에서부터|에게서|한테서|으로부터|로부터|에서|에게|한테|께서|부터|까지|보다|처럼|만큼|마냥|밖에|대로"
    "|하고|마다|조차|마저|같이|께|에|의|도|만|뿐|용|급|측|판"
)
_MORE = "은|는|도|만|의|요|선|야|이야|이라도|라도"
_IS = "(?:입니다|이에요|이예요|예요|에요|이네요|네요|이죠|죠|이지만|지만|인데|인가요|임|이었|였)"
_AFTER_CONSONANT = "은|이|을|과|이랑|이나|이란|이라는|이라고|이라도|이든|이든지|이며|아"
_AFTER_VOWEL = "는|가|를|와|랑|나|란|라는|라고|라도|든|든지|며|야"
_TAILS = {
    ending: re.compile(
        rf"(?:{_IS}[{_HANGUL}]{{0,2}}|(?:{own}|{_CASES}|{by})?(?:{_MORE})?)(?![{_HANGUL}])"
    )
    for ending, own, by in (
        ("consonant", _AFTER_CONSONANT, "으로|으로써|으로서"),
        ("ㄹ", _AFTER_CONSONANT, "로|로써|로서"),
        ("vowel", _AFTER_VOWEL, "로|로써|로서"),
    )
}
_TAIL_OF_THEM = re.compile(
    rf"들(?:{_IS}[{_HANGUL}]{{0,2}}|(?:{_AFTER_CONSONANT}|{_CASES}|로)?(?:{_MORE})?)(?![{_HANGUL}])"
)


def _ends_noun(text: str, end: int) -> bool:
    """Whether what stands behind a Korean name is nothing, or what may hang on a noun."""
    final = (ord(text[end - 1]) - ord("가")) % 28
    ending = "vowel" if not final else "ㄹ" if final == 8 else "consonant"  # noqa: PLR2004 - ㄹ
    return bool(_TAILS[ending].match(text, end) or _TAIL_OF_THEM.match(text, end))
