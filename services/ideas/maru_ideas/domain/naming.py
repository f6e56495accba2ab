"""What a discovered topic is called: the words that its posts have and the product's others do not.

A word is counted once a post. Its weight is the topic's part of the log-likelihood ratio (Dunning,
Computational Linguistics 1993): how often the topic has the word, times the logarithm of how much
more often than the product. Frequent words of the topic win, and words of every topic do not.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from itertools import count as numbers_from
from math import log
from zlib import crc32

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.function_words import FUNCTION_WORDS
from maru_ideas.domain.search import PARTICLES
from maru_ideas.domain.search import stem as without_particle
from maru_ideas.domain.terms import normalised

_READ = 400
"""Characters of a post that are looked at: who has a subject comes to it soon."""
_WORDS = 48
_LONGEST = 24
_SHORTEST = 3
"""Letters of a word in an alphabet: no subject has so short a name as "to"."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSAID = re.compile(r"https?://\S+|www\.\S+|\[[a-z]+\]")
"""Links, and what stands for personal data."""
_HANGUL = re.compile(r"[가-힣]")
_RUNS = re.compile(r"[\u4e00-\u9fff]{2,4}|[\u30a0-\u30ff]{2,}|[\u0e00-\u0e7f]{3,}")
"""Words in scripts without spaces, roughly: up to four Han, kana that write foreign words, Thai."""
_UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\u0e00-\u0e7f]")
_VERB = re.compile(
    r"^([가-힣]{2,}?)(?:하|해|했|할|한|함|합|되|돼|됐|된|됨|됩|시키|시켜|당하|당했|입니|이에|이네|예요)"
    r"[가-힣]*$"
)
"""A noun and what makes a verb of it: 환불해주세요, 연결되면."""
_BORROWED = re.compile(r"^([a-z0-9]{2,})([가-힣]+)$")
"""A word of another alphabet and what Korean hangs on it: pdf로, login이."""
_INFLECTED = re.compile(
    r"(?:니다|어요|아요|여요|워요|려요|져요|와요|예요|에요|네요|세요|데요|지요|나요|까요|게요|래요|군요|거든요|"
    r"니까|는데|은데|지만|면서|어서|아서|려고|도록|어도|아도|었는데|았는데|더니|습니|[해돼봐줘]요|으면|려면|하면|다면|는지|은지|을지|었던|았던|죠|쥬|슴|음|어|았어|었어|있|없)$"
)
"""Endings of verbs, which name nothing."""

Counts = Counter[str]
_APOSTROPHE = re.compile(r"['’](?:s|m|d|re|ve|ll)?$|^.*n['’]t$|^[a-z]{1,2}['’]")
"""What is cut: a genitive, "don't" as a whole, a French article (l'écran)."""
_PAIR = " "
"""Stands between two neighbouring words that are counted as one: "dark mode"."""


def words(text: str) -> tuple[str, ...]:
    """The words of a post that may name a topic, each once, and pairs of neighbours."""
    found: dict[str, None] = {}
    before = ""
    for word in _WORD.findall(normalised(_UNSAID.sub(" ", text[:_READ])))[:_WORDS]:
        parts = _stems(word)
        for part in parts:
            found[part] = None
            if before:
                found[f"{before}{_PAIR}{part}"] = None
            before = part
        if not parts:
            before = ""
    return tuple(found)


@lru_cache(maxsize=50_000)
def _stems(word: str) -> tuple[str, ...]:
    if _UNSPACED.search(word):
        return tuple(_RUNS.findall(word))[:8]
    named = stem(word)
    if len(named) > _LONGEST or named.isdigit() or named in FUNCTION_WORDS:
        return ()
    if _HANGUL.search(named):
        return (named,) if len(named) > 1 and not _INFLECTED.search(named) else ()
    return (named,) if len(named) >= _SHORTEST else ()


def stem(word: str) -> str:
    """A word without what Korean hangs on nouns, and without a genitive or an elided article."""
    if not _HANGUL.search(word):
        return _APOSTROPHE.sub("", word)
    if borrowed := _BORROWED.match(word):
        return borrowed[1] if borrowed[2] in PARTICLES else word
    verb = _VERB.match(word)
    return verb[1] if verb else without_particle(word)


class Background:
    """In how many of a product's posts a word is, about: a count-min sketch of constant size.

    Cormode and Muthukrishnan, Journal of Algorithms 2005: never too few, seldom too many.
    """

    WIDTH = 8_192
    MOST = 1 << 15
    """Posts counted before all counts are halved, so that what was long ago weighs little."""

    def __init__(self, posts: int = 0, rows: npt.NDArray[np.uint16] | None = None) -> None:
        self.posts = posts
        self._flat = np.zeros(2 * self.WIDTH, np.uint16)
        if rows is not None:
            self._flat += rows.ravel()

    @property
    def rows(self) -> npt.NDArray[np.uint16]:
        """The counts, each row by another hash of the words."""
        return self._flat.reshape(2, self.WIDTH)

    def see(self, spoken: Sequence[Sequence[str]]) -> None:
        """Count the words of posts, each word once a post."""
        self.posts += len(spoken)
        places = chain.from_iterable(map(_places, chain.from_iterable(spoken)))
        np.add.at(self._flat, np.fromiter(places, np.intp), 1)

    def settle(self) -> None:
        """Let what was long ago weigh less."""
        if self.posts > self.MOST:
            self.posts //= 2
            self._flat //= 2

    def count(self, word: str) -> int:
        """In how many posts a word was."""
        first, second = _places(word)
        return int(min(self._flat[first], self._flat[second]))


@lru_cache(maxsize=50_000)
def _places(word: str) -> tuple[int, int]:
    hashed = crc32(word.encode())
    width = Background.WIDTH
    return hashed % width, width + (hashed >> 16) * 31 % width


KEPT = 128
"""Words that are remembered of a topic, the most frequent ones."""
_SURE = 3.0
"""The weight from which on a word is telling: by chance one of seventy would be."""
_PART = 0.08
"""The part of a topic's posts that a word is in, at least, to name it."""
_OFTEN = 0.25
_FEWEST = 2
_PER_SCRIPT = 2
_IN_NAME = 4
_STILL_FITS = 6
"""A name stays while each of its words is among this many of the best of its script."""
_LONGEST_NAME = 100
_BETWEEN, _BETWEEN_SCRIPTS = ", ", " · "
"""What stands in a name between words of one script, and between scripts."""


def pruned(counts: Counts) -> Counts:
    """The most frequent words alone, once there are twice as many as are kept."""
    if len(counts) <= 2 * KEPT:
        return counts
    best = sorted(counts.items(), key=lambda it: (-it[1], it[0]))[:KEPT]
    return Counter(dict(best))


def ranked(counts: Mapping[str, int], posts: int, background: Background) -> list[str]:
    """A topic's words, the most telling ones first; `posts` is how many posts were counted.

    Where none tells it from the product's other posts, as while there are none, the frequent ones.
    """
    weights: dict[str, float] = {}
    for word, count in counts.items():
        if count >= max(_FEWEST, _PART * posts):
            weight = _weight(count, posts, max(count, background.count(word)), background.posts)
            if weight >= _SURE:
                weights[word] = weight
    if not weights:
        weights = {word: n for word, n in counts.items() if n >= max(_FEWEST, _OFTEN * posts)}
    return _without_parts(sorted(weights, key=lambda it: (-weights[it], it)), counts)


def _weight(count: int, posts: int, everywhere: int, every: int) -> float:
    """How much likelier the topic's posts with the word are in the topic than in the product."""
    ratio = count * (every + 1) / (posts * (everywhere + 1))
    return count * log(ratio)


def _without_parts(best: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """Without words of which half of the uses are in a pair, and pairs of which less are."""
    pairs = {
        word
        for word in best
        if _PAIR in word
        and counts[word] * 2 >= max(counts.get(part, 0) for part in word.split(_PAIR))
    }
    parts = {part for pair in pairs for part in pair.split(_PAIR)}
    return [it for it in best if it in pairs or (_PAIR not in it and it not in parts)]


def script(word: str) -> str:
    """What a word is written in: ko for Hangul, xx for a script without spaces, else aa."""
    if _HANGUL.search(word):
        return "ko"
    return "xx" if _UNSPACED.search(word) else "aa"


def named(best: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """The words of a topic's name: of each script the best two, the best script first.

    The name it had stays while it fits: while each of its words is still among the best of its
    script, and no script has come or gone.
    """
    by_script: dict[str, list[str]] = {}
    for word in best:
        by_script.setdefault(script(word), []).append(word)
    if before and {script(word) for word in before} == set(by_script):
        fitting = {word for of_one in by_script.values() for word in of_one[:_STILL_FITS]}
        if fitting.issuperset(before):
            return tuple(before)
    chosen = [word for of_one in by_script.values() for word in _apart(of_one)]
    return tuple(chosen[:_IN_NAME]) or tuple(before)


def _apart(best: Sequence[str]) -> list[str]:
    """The first two that do not share a beginning: "charge" and "charging" say one thing."""
    chosen: list[str] = []
    for word in best:
        if not any(word[: _alike(word)] == it[: _alike(word)] for it in chosen):
            chosen.append(word)
        if len(chosen) == _PER_SCRIPT:
            break
    return chosen


def _alike(word: str) -> int:
    return 2 if _HANGUL.search(word) else 4


def name(chosen: Sequence[str]) -> str:
    """A topic's name in one line: words of one script after a comma, other scripts after a dot."""
    parts: dict[str, list[str]] = {}
    for word in chosen:
        parts.setdefault(script(word), []).append(word)
    of_scripts = (_BETWEEN.join(of_one) for of_one in parts.values())
    return _BETWEEN_SCRIPTS.join(of_scripts)[:_LONGEST_NAME]


def free(called: str, best: Sequence[str], taken: Collection[str]) -> str:
    """A name that is not taken: as the topic is called, or with its next telling word beside it.

    Where these are taken, too, a number tells it from the others.
    """
    if called not in taken:
        return called
    chosen = [word for of_one in called.split(_BETWEEN_SCRIPTS) for word in of_one.split(_BETWEEN)]
    longer = (name([*chosen, word]) for word in best if word not in chosen)
    numbered = (f"{called[: _LONGEST_NAME - 10]} {number}" for number in numbers_from(2))
    return next(it for it in chain(longer, numbered) if it not in taken)
