"""A discovered topic, the posts on their way to it, and what a batch of posts brought about.

The values of `discovery`, which decides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import numpy.typing as npt

from maru_ideas.domain import naming
from maru_ideas.domain.naming import Background
from maru_ideas.domain.space import Vectors

REMEMBERED = 512
"""Posts of a topic that shape its middle; beyond, older ones count half, so it can move on."""
SAMPLES = 12
"""Posts nearest to a topic's middle that are remembered as its examples."""
SAMPLES_OF_ONE = 8
"""Of these, at most so many of one language, so that others have room."""

Sums = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Said:
    """What is looked at of a post; `words` are those that may name a topic."""

    post: UUID
    voice: str
    language: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Waiter:
    """A post on its way to a topic, and its number among the product's posts."""

    sequence: int
    said: Said
    vector: Vectors


@dataclass(frozen=True)
class Placement:
    """A post in a topic, and how near it was to the middle (0 to 1)."""

    post: UUID
    topic: UUID
    similarity: float


@dataclass(frozen=True)
class Sample:
    """A post that speaks of its topic clearly."""

    similarity: float
    post: UUID
    voice: str
    language: str


@dataclass
class Topic:
    """A discovered topic; `place` is its number among those of the product, from 0 on.

    `sum` is that of the last posts' vectors, `size` how many they were when the page began,
    `joined` how many have come since; `vector` stands still during a page. `counts` are of
    `counted` posts. `chosen` are the words of the name, `best` all telling ones. At `named_until`
    posts the name is looked at again. `sampled` says that the samples may be too many.
    """

    id: UUID
    place: int
    sum: Sums
    vector: Vectors
    size: int = 0
    joined: int = 0
    posts: int = 0
    last: int = 0
    counts: naming.Counts = field(default_factory=Counter)
    counted: int = 0
    chosen: tuple[str, ...] = ()
    best: tuple[str, ...] = ()
    named_until: int = 0
    samples: list[Sample] = field(default_factory=list)
    sampled: bool = True

    @property
    def name(self) -> str:
        """The words of the name in one line, or nothing where no word tells the topic."""
        return naming.name(self.chosen)

    def add(self, waiter: Waiter, similarity: float) -> None:
        """Take a post in."""
        said = waiter.said
        self.sum += waiter.vector
        self.joined += 1
        self.posts += 1
        self.last = max(self.last, waiter.sequence)
        self.counts.update(said.words)
        self.counted += 1
        if self._is_clear(similarity, said.language):
            self.samples.append(Sample(similarity, said.post, said.voice, said.language))
            self.sampled = True

    def absorb(self, other: "Topic") -> None:
        """Take in another topic."""
        self.sum += other.sum
        self.joined += other.size + other.joined
        self.posts += other.posts
        self.last = max(self.last, other.last)
        self.counts.update(other.counts)
        self.counted += other.counted
        self.samples.extend(other.samples)
        self.sampled = True
        self.named_until = 0

    def settle(self) -> None:
        """Take up the posts of the page that ends; `vector` is left to `Discovery`."""
        self.size, self.joined = self.size + self.joined, 0
        self.counts = naming.pruned(self.counts)
        if self.sampled:
            self.samples, self.sampled = nearest(self.samples), False
        if self.size >= REMEMBERED:
            self.size //= 2
            self.sum //= 2
        if self.counted >= REMEMBERED:
            self.counted //= 2
            halved = {word: count // 2 for word, count in self.counts.items()}
            self.counts = Counter({word: count for word, count in halved.items() if count})

    def _is_clear(self, similarity: float, language: str) -> bool:
        """Whether fewer samples are nearer than a topic has room for."""
        nearer = [it.language for it in self.samples if it.similarity >= similarity]
        return len(nearer) < SAMPLES and nearer.count(language) < SAMPLES_OF_ONE

    def take_name(self, background: Background) -> None:
        """Name the topic, or name it anew if its name is outdated; not at every post."""
        if self.posts < self.named_until:
            return
        self.named_until = self.posts + max(2, min(128, self.posts // 3))
        ranked = naming.ranked(self.counts, self.counted, background)
        self.best = tuple(ranked[:SAMPLES])
        self.chosen = naming.named(ranked, self.chosen)


@dataclass
class Turn:
    """What a batch of posts brought about, to be stored.

    Ids of topics are final: a post placed in a topic that was merged is in the one that is left.
    """

    placed: dict[UUID, Placement] = field(default_factory=dict)
    changed: dict[UUID, Topic] = field(default_factory=dict)
    founded: set[UUID] = field(default_factory=set)
    merged: dict[UUID, UUID] = field(default_factory=dict)
    retired: set[UUID] = field(default_factory=set)
    began_waiting: dict[UUID, Waiter] = field(default_factory=dict)
    stopped_waiting: set[UUID] = field(default_factory=set)

    def place(self, placement: Placement) -> None:
        """Note that a post is in a topic."""
        self.placed[placement.post] = placement

    def stop_waiting(self, waiters: Iterable[Waiter]) -> None:
        """Note that posts wait no more."""
        for waiter in waiters:
            if self.began_waiting.pop(waiter.said.post, None) is None:
                self.stopped_waiting.add(waiter.said.post)

    def merge(self, gone: Topic, kept: Topic) -> None:
        """Note that a topic is part of another."""
        for older, into in self.merged.items():
            if into == gone.id:
                self.merged[older] = kept.id
        self.merged[gone.id] = kept.id
        for post, placed in self.placed.items():
            if placed.topic == gone.id:
                self.placed[post] = Placement(post, kept.id, placed.similarity)
        self.changed |= {gone.id: gone, kept.id: kept}


def nearest(samples: Sequence[Sample]) -> list[Sample]:
    """The nearest samples, one of each voice and only so many of one language."""
    kept: list[Sample] = []
    of_one: Counter[str] = Counter()
    voices: set[str] = set()
    for sample in sorted(samples, key=lambda it: (-it.similarity, it.post)):
        if sample.voice not in voices and of_one[sample.language] < SAMPLES_OF_ONE:
            kept.append(sample)
            voices.add(sample.voice)
            of_one[sample.language] += 1
    return kept[:SAMPLES]
