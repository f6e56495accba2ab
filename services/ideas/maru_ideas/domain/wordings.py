"""Whose words a post has: a copy of what another says, a repost of it, or words of its own.

Texts are compared as sets of overlapping runs of letters (Broder, "On the resemblance and
containment of documents", 1997); posts that may be alike are found by the smallest hashes of
these (bottom-k sketches; Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007).
Everything here is a pure function of two posts, so no order of arrival can change it.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Self
from uuid import UUID

import numpy as np
import numpy.typing as npt

from maru_contracts.posts import Post
from maru_ideas.domain.search import squeezed
from maru_ideas.domain.tally import is_public, written_at
from maru_ideas.domain.times import micros

Hashes = npt.NDArray[np.int64]
Rank = tuple[bool, int, UUID]

COMPARED = 2_000
"""Characters of a text, the first, that are compared."""
RUN = 5
"""Letters of a run by which texts are compared: a changed word spoils few of these."""
RARE = 10
"""Letters of a run by which texts are found: unlike texts share few of these."""
SHORTEST = 160
"""Letters, a syllable of Hangul or a character of Han as two, that a text must have to be a copy:
about 30 words. What is shorter two people may say in the same words, each for themselves."""
HEADED = 20
"""Letters, counted alike, of a title that says which article it is."""
RESEMBLANCE = 0.65
"""The share of their runs that two texts have in common, from which one is a copy."""
CONTAINMENT = 0.9
"""The share of a summary's runs that the article must begin with."""
PREAMBLE = 80
"""Letters that may stand in an article before its summary begins."""
LEAD = 160
"""Letters of the beginning that have a sketch of their own, to find an article by its summary."""
LEAD_PRINTS, PRINTS = 8, 6
SHARED = 2
"""Prints that two posts have in common at the least; fewer are not looked at."""
DAY = 86_400_000_000
WINDOW = 30 * DAY
"""Microseconds between two posts of which one may be a copy of the other's text."""
MONTHS_KEPT = 24
"""Windows before a product's newest text in which others are still compared."""

_DENSE = 0x1100
"""The first letter of Hangul; it and what follows write a word in half the letters."""
_LINK = re.compile(r"https?://\S+|www\.\S+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Words:
    """The letters of a text's beginning, and how long the whole is."""

    letters: str
    length: int

    @classmethod
    def of(cls, text: str) -> Self | None:
        """What of a text is compared; None if it is too short to be a copy."""
        if len(text) < SHORTEST // 2:
            return None
        letters = _letters(text[:COMPARED])
        return cls(letters, len(text)) if _width(letters) >= SHORTEST else None

    @cached_property
    def prints(self) -> frozenset[int]:
        """The hashes by which the text is found: the smallest of its beginning and of the whole."""
        runs = _hashes(self.letters, RARE)
        lead, whole = (np.unique(its) for its in (runs[: LEAD - RARE + 1], runs))
        return frozenset(lead[:LEAD_PRINTS].tolist()) | frozenset(whole[:PRINTS].tolist())

    @cached_property
    def runs(self) -> Hashes:
        """The hashes of the text's runs, each once, ascending."""
        return self.lead(len(self.letters))

    def lead(self, letters: int) -> Hashes:
        """The hashes of the runs that the text begins with."""
        return np.unique(_hashes(self.letters[:letters], RUN))

    def resembles(self, other: "Words") -> bool:
        """Whether two texts are the same but for a few words, a header or a footer."""
        short, long = sorted((self.length, other.length))
        shared = _shared(self.runs, other.runs)
        either = len(self.runs) + len(other.runs) - shared
        return short >= RESEMBLANCE * long and shared >= RESEMBLANCE * either

    def begins(self, other: "Words") -> bool:
        """Whether the other text, which is longer, begins with this one, near enough."""
        lead = other.lead(len(self.letters) + PREAMBLE)
        return _shared(self.runs, lead) >= CONTAINMENT * len(self.runs)


@dataclass(frozen=True)
class Wording:
    """What decides whether a post is a copy. `work` is the post whose words it says it has."""

    post: UUID
    workspace: str
    product: str
    work: UUID
    is_public: bool
    is_reply: bool
    at: int
    title: str
    text: str

    @classmethod
    def of(cls, post: Post) -> Self:
        """A post as it is compared; what is not public is somebody's own, whatever it says.

        A form letter that a hundred customers send is a hundred voices.
        """
        public = is_public(post.channel)
        return cls(
            post=post.id,
            workspace=post.workspace,
            product=post.product,
            work=post.repost_of or post.id,
            is_public=public,
            is_reply=post.in_reply_to is not None,
            at=micros(written_at(post)),
            title=_letters(post.title) if public else "",
            text=post.text if public else "",
        )

    @cached_property
    def words(self) -> Words | None:
        """The text's runs; None where it is not compared."""
        return Words.of(self.text)

    @property
    def is_repost(self) -> bool:
        """Whether somebody passed another's post on."""
        return self.work != self.post

    @property
    def rank(self) -> Rank:
        """Who comes first: posts before reposts, then what was written first."""
        return self.is_repost, self.at, self.post

    @cached_property
    def shelf(self) -> int:
        """A number for the workspace and the product, whose posts are compared with one another."""
        return _number(f"{self.workspace}\x1f{self.product}")

    @property
    def month(self) -> int:
        """The window that the post was written in."""
        return self.at // WINDOW

    @cached_property
    def lineage(self) -> int:
        """The print of the work: what reposts of one post have in common."""
        return _number(f"work\x1f{self.work}")

    def prints(self) -> frozenset[int]:
        """The hashes by which the post is found."""
        found = self.words.prints if self.words else frozenset[int]()
        return found | {self.lineage} if self.is_repost else found

    def has_words_of(self, other: "Wording") -> bool:
        """Whether two posts say the same: `a.has_words_of(b)` is `b.has_words_of(a)`."""
        if self.shelf != other.shelf or self.is_public != other.is_public:
            return False
        if self.work == other.work:
            return True
        if abs(self.at - other.at) > WINDOW or self.words is None or other.words is None:
            return False
        return self.words.resembles(other.words) or self._summarises(other)

    def repeats(self, other: "Wording") -> bool:
        """Whether a post is of the same work in the same letters, so that either finds both."""
        return self.work == other.work and self.words == other.words

    def _summarises(self, other: "Wording") -> bool:
        """Whether one is how the other begins, under the same title; a reply quotes what it likes.

        Without the title, who quotes a text and goes on in words of their own would be no voice.
        """
        if self.is_reply or other.is_reply:
            return False
        if self.title != other.title or _width(self.title) < HEADED:
            return False
        short, long = sorted((self, other), key=lambda it: (len(it.text), it.rank))
        return bool(short.words and long.words and short.words.begins(long.words))


def _letters(text: str) -> str:
    return squeezed(_LINK.sub(" ", text) if "www." in text or "://" in text else text)


def _codes(letters: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(letters.encode("utf-32-le", "replace"), "<u4")


def _width(letters: str) -> int:
    codes = _codes(letters)
    return len(codes) + int(np.count_nonzero(codes >= _DENSE))


def _hashes(letters: str, run: int) -> Hashes:
    """A polynomial of each run's letters modulo 2**64, mixed so that its order says nothing.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    codes = _codes(letters).astype(np.uint64)
    count = len(codes) - run + 1
    found = np.zeros(count, np.uint64)
    for place in range(run):
        found = found * _FACTOR + codes[place : place + count]
    found = (found ^ (found >> np.uint64(30))) * _MIX[0]
    found = (found ^ (found >> np.uint64(27))) * _MIX[1]
    return (found ^ (found >> np.uint64(31))).view(np.int64)


def _shared(one: Hashes, other: Hashes) -> int:
    return len(np.intersect1d(one, other, assume_unique=True))


def _number(name: str) -> int:
    digest = blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
