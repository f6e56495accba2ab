"""What a product's posts speak of without anybody having defined it: topics found in the stream.

A post joins the nearest topic if that is near enough; otherwise it waits. When enough waiting posts
of enough different voices are near one of them, they found a topic. Now and then topics that grew
together are merged into the older one, and waiting posts are compared with all topics again, which
have become clearer since. Beyond a maximum the topic that was longest without a post retires.

Nothing is decided within a page of posts: topics stand still until its last post has come, so that
one matrix product compares a whole page. Pages are counted from the product's first post, and all
products are whole numbers (see `space`), so the same posts in the same order give the same topics,
whatever the batches, restarts and machines.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import log2
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.discovered import (
    REMEMBERED,
    Placement,
    Said,
    Sums,
    Topic,
    Turn,
    Waiter,
)
from maru_ideas.domain.naming import Background
from maru_ideas.domain.ordinary import EXPECTED, Ordinary, Yardstick
from maru_ideas.domain.space import MEANING, UNIT, Vectors, scaled

_TOPICS = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750024")

FOUND = 5.0
"""Deviations above ordinary (see `ordinary`) at which two waiting posts are near."""
JOIN = 5.5
"""The same for a post and the middle of a topic of one post."""
GROWTH = 0.2
"""Deviations more for each doubling of its posts: the middle of many is near to everything."""
MERGE = 0.65
"""Likeness of two topics (see `Discovery._likeness`) from which on they are one."""
DOUBT = 0.3
"""Added to the likeness, over the root of the fewer posts, while a product's first 256 come: all
topics are small then, and nobody knows well how alike they are."""
LOOSEST = 2.0
"""Posts of one topic are taken to be this many deviations nearer than ordinary ones, at least."""
WAITING = 512
"""Posts that wait; the oldest stop waiting when there are more."""

_FIRST_PAGES = 256
"""Posts of a product until which a page is short: who begins shall not wait for 32 posts."""
_SHORT_PAGE = 8
_PAGE = 32
_REVIEWED_EVERY = 256
_SAME = UNIT * UNIT
_JOINING = np.array([JOIN + GROWTH * log2(max(n, 1)) for n in range(4 * REMEMBERED)])
"""What a topic of so many posts asks for: two that are merged have fewer, with a page of others."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grain:
    """What makes a topic: so many near posts, of so many voices; and how many topics there are."""

    posts: int = 4
    voices: int = 3
    topics: int = 200


@dataclass(frozen=True)
class Kept:
    """What is remembered of a product beside its topics and waiting posts."""

    sequence: int
    founded: int
    yardstick: Yardstick
    bins: npt.NDArray[np.int32]
    ring: Vectors
    spoken: int
    words: npt.NDArray[np.uint16]


class Discovery:
    """All topics of one product, the oldest first, and the posts that wait."""

    def __init__(
        self,
        grain: Grain,
        kept: Kept | None = None,
        topics: Iterable[Topic] = (),
        waiting: Iterable[Waiter] = (),
    ) -> None:
        self._grain = grain
        self._sequence = kept.sequence if kept else 0
        self._topics_founded = kept.founded if kept else 0
        self._yardstick = kept.yardstick if kept else EXPECTED
        self._ordinary = Ordinary(kept.bins, kept.ring) if kept else Ordinary()
        self._background = Background(kept.spoken, kept.words) if kept else Background()
        self.topics: list[Topic] = list(topics)
        self._waiting: list[Waiter] = list(waiting)
        self._waiting_vectors = _stacked([it.vector for it in self._waiting])
        self._middles = _stacked([it.vector for it in self.topics])
        self._stand()

    @property
    def kept(self) -> Kept:
        """What must be stored to go on from here, beside topics and waiting posts."""
        return Kept(
            sequence=self._sequence,
            founded=self._topics_founded,
            yardstick=self._yardstick,
            bins=self._ordinary.bins,
            ring=self._ordinary.ring,
            spoken=self._background.posts,
            words=self._background.rows,
        )

    @property
    def waiting(self) -> Sequence[Waiter]:
        """The posts that wait, the oldest first."""
        return self._waiting

    def forget(self, gone: Collection[UUID]) -> list[Topic]:
        """Let posts that are gone wait no more, and be nobody's example.

        Returns the topics that have fewer examples. What the posts taught stays.
        """
        waits = [it.said.post not in gone for it in self._waiting]
        known = len(self._waiting_vectors)
        self._waiting_vectors = self._waiting_vectors[np.array(waits[:known], bool)]
        self._waiting = [it for it, stays in zip(self._waiting, waits, strict=True) if stays]
        poorer = [topic for topic in self.topics if any(it.post in gone for it in topic.samples)]
        for topic in poorer:
            topic.samples = [it for it in topic.samples if it.post not in gone]
        return poorer

    def take(self, said: Sequence[Said], vectors: Vectors) -> Turn:
        """Place posts, in order; `vectors` are their meanings (see `Space.meaning`)."""
        turn = Turn()
        at = 0
        while at < len(said):
            until = at + self._page_end - self._sequence
            self._read(said[at:until], vectors[at:until], turn)
            at = until
            if self._sequence == self._page_end:
                self._turn_page(turn)
        return turn

    @property
    def _page_length(self) -> int:
        return _SHORT_PAGE if self._page_start < _FIRST_PAGES else _PAGE

    @property
    def _page_end(self) -> int:
        return self._page_start + self._page_length

    def _stand(self) -> None:
        """Set up what stays as it is during the page."""
        length = _SHORT_PAGE if self._sequence < _FIRST_PAGES else _PAGE
        self._page_start = self._sequence // length * length
        sizes = np.array([topic.size for topic in self.topics], np.intp)
        self._needed: Floats = np.rint(
            self._yardstick.middle + self._yardstick.deviation * _JOINING[sizes]
        ).astype(np.float32)

    def _read(self, said: Sequence[Said], vectors: Vectors, turn: Turn) -> None:
        whole = vectors.astype(np.float32)
        self._ordinary.see(whole, self._sequence)
        self._background.see([it.words for it in said])
        places, dots = self._nearest(whole)
        for number, one in enumerate(said):
            sequence = self._sequence + number
            if not one.words:
                continue  # it speaks of nothing: "excellent!"
            waiter = Waiter(sequence, one, vectors[number])
            if places[number] < 0:
                self._waiting.append(waiter)
                turn.began_waiting[one.post] = waiter
            else:
                self._put(self.topics[places[number]], waiter, float(dots[number]), turn)
        self._sequence += len(said)

    def _nearest(self, vectors: Floats) -> tuple[list[int], Floats]:
        """The topic that each post joins, or -1; of equally near ones the oldest."""
        if not self.topics:
            return [-1] * len(vectors), np.zeros(len(vectors), np.float32)
        dots = vectors @ self._middles.T
        margins = dots - self._needed
        best = np.argmax(margins, axis=1)
        rows = np.arange(len(vectors))
        return np.where(margins[rows, best] >= 0, best, -1).tolist(), dots[rows, best]

    def _put(self, topic: Topic, waiter: Waiter, dot: float, turn: Turn) -> None:
        similarity = round(min(1.0, max(0.0, dot / _SAME)), 4)
        topic.add(waiter, similarity)
        turn.place(Placement(waiter.said.post, topic.id, similarity))
        turn.changed[topic.id] = topic

    def _turn_page(self, turn: Turn) -> None:
        self._yardstick = self._ordinary.settle()
        self._background.settle()
        self._settle([at for at, topic in enumerate(self.topics) if topic.joined], turn)
        self._found(turn)
        if self._sequence <= _FIRST_PAGES or self._sequence % _REVIEWED_EVERY == 0:
            self._merge(turn)
            self._reconsider(turn)
        while len(self.topics) > self._grain.topics:
            self._retire(turn)
        turn.stop_waiting(self._waiting[:-WAITING])
        self._waiting = self._waiting[-WAITING:]
        self._waiting_vectors = self._waiting_vectors[-WAITING:]
        self._stand()

    def _settle(self, places: Sequence[int], turn: Turn) -> None:
        """Let what topics took in move their middles, and change their names where it must."""
        if not places:
            return
        moved = [self.topics[at] for at in places]
        for topic in moved:
            topic.settle()
            topic.take_name(self._background)
            turn.changed[topic.id] = topic
        middles = scaled(np.stack([topic.sum for topic in moved]), UNIT)
        for topic, middle in zip(moved, middles, strict=True):
            topic.vector = middle
        self._middles[places] = middles

    def _found(self, turn: Turn) -> None:
        """Found topics among the waiting posts that are near a post of this page."""
        first = bisect_left(self._waiting, self._page_start, key=lambda it: it.sequence)
        if first == len(self._waiting):
            return
        known = len(self._waiting_vectors)
        new = _stacked([waiter.vector for waiter in self._waiting[known:]])
        vectors = self._waiting_vectors = np.concatenate([self._waiting_vectors, new])
        near = vectors[first:] @ vectors.T >= self._yardstick.needed(FOUND)
        free = np.ones(len(self._waiting), bool)
        while (group := self._densest(near & free)) is not None:
            taken = self._gathered(vectors, group, free)
            self._founded([self._waiting[at] for at in taken], turn)
            free[taken] = False
            near[~free[first:]] = False
        if not free.all():
            self._waiting = [it for it, waits in zip(self._waiting, free, strict=True) if waits]
            self._waiting_vectors = vectors[free]

    def _densest(self, near: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp] | None:
        """The most posts near one fresh post that are enough, of enough voices; or None."""
        counts = near.sum(axis=1)
        for row in np.argsort(-counts, kind="stable"):
            if counts[row] < self._grain.posts:
                return None
            group = np.flatnonzero(near[row])
            if len({self._waiting[at].said.voice for at in group}) >= self._grain.voices:
                return group
        return None

    def _gathered(
        self, vectors: Floats, group: npt.NDArray[np.intp], free: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.intp]:
        """The group and all other waiting posts that are near to its middle."""
        middle = scaled(vectors[group].sum(axis=0)[None], UNIT)[0].astype(np.float32)
        needed = self._yardstick.needed(_JOINING[len(group)])
        wanted = (vectors @ middle >= needed) & free
        wanted[group] = True
        return np.flatnonzero(wanted)

    def _founded(self, waiters: Sequence[Waiter], turn: Turn) -> None:
        """Make a topic of a group of posts, or let them join the one that it is alike to."""
        total = np.stack([waiter.vector for waiter in waiters]).sum(axis=0, dtype=np.int32)
        place = self._twin(total, len(waiters))
        if place is None:
            place = len(self.topics)
            vector = scaled(total[None], UNIT)[0]
            first = waiters[0].said.post
            topic = Topic(
                id=uuid5(_TOPICS, str(first)),
                place=self._topics_founded,
                sum=np.zeros(MEANING, np.int32),
                vector=vector,
            )
            self._topics_founded += 1
            self.topics.append(topic)
            self._middles = np.concatenate([self._middles, vector[None].astype(np.float32)])
            turn.founded.add(topic.id)
        middle = self._middles[place]
        for waiter in waiters:
            dot = float(waiter.vector.astype(np.float32) @ middle)
            self._put(self.topics[place], waiter, dot, turn)
        self._settle([place], turn)
        turn.stop_waiting(waiters)

    def _twin(self, total: Sums, size: int) -> int | None:
        """The topic that a group of posts is alike to, or None."""
        if not self.topics:
            return None
        sums, sizes = self._sums()
        group = total[None].astype(np.float64), np.array([size], np.float64)
        likeness = self._likeness(*group, sums, sizes)[0]
        place = int(np.argmax(likeness))
        return place if likeness[place] >= MERGE else None

    def _merge(self, turn: Turn) -> None:
        """Merge topics whose middles lie together, the nearest pair first, into the older one."""
        while len(self.topics) > 1:
            sums, sizes = self._sums()
            likeness = np.triu(self._likeness(sums, sizes, sums, sizes), 1)
            older, younger = divmod(int(np.argmax(likeness)), len(self.topics))
            if likeness[older, younger] < MERGE:
                return
            kept, gone = self.topics[older], self._dropped(younger)
            kept.absorb(gone)
            self._settle([older], turn)
            turn.merge(gone, kept)

    def _reconsider(self, turn: Turn) -> None:
        """Let waiting posts join topics that have become clear since they came."""
        self._stand()
        places, dots = self._nearest(self._waiting_vectors)
        joining = [at for at, place in enumerate(places) if place >= 0]
        if not joining:
            return
        for at in joining:
            self._put(self.topics[places[at]], self._waiting[at], float(dots[at]), turn)
        self._settle(sorted({places[at] for at in joining}), turn)
        turn.stop_waiting(self._waiting[at] for at in joining)
        self._waiting = [it for it, place in zip(self._waiting, places, strict=True) if place < 0]
        self._waiting_vectors = self._waiting_vectors[np.array(places) < 0]

    def _sums(self) -> tuple[Doubles, Doubles]:
        """What `_likeness` needs of all topics."""
        sums = np.stack([topic.sum for topic in self.topics]).astype(np.float64)
        return sums, np.array([max(topic.size, 2) for topic in self.topics], np.float64)

    def _likeness(
        self, sums: Doubles, sizes: Doubles, others: Doubles, other_sizes: Doubles
    ) -> Doubles:
        """How alike groups and others would be, each pair, if they had endless posts (1 is equal).

        The mean similarity of a post of one and a post of the other, over the mean similarities
        within: Spearman's correction for attenuation (1904). The cosine of two middles is less the
        fewer posts they have, so of one subject's topics small ones would not find together.
        """
        tightness = np.outer(self._tightness(sums, sizes), self._tightness(others, other_sizes))
        across = sums @ others.T / np.outer(sizes, other_sizes) - self._yardstick.middle
        likeness = across / tightness
        if self._sequence <= _FIRST_PAGES:
            likeness += DOUBT / np.sqrt(np.minimum.outer(sizes, other_sizes))
        return np.asarray(likeness)

    def _tightness(self, sums: Doubles, sizes: Doubles) -> Doubles:
        """The root of how much nearer than ordinary the posts of each group are to one another."""
        squares = np.einsum("ij,ij->i", sums, sums)
        within = (squares - sizes * _SAME) / (sizes * (sizes - 1))
        loosest = round(LOOSEST * self._yardstick.deviation)
        return np.asarray(np.sqrt(np.maximum(within - self._yardstick.middle, loosest)))

    def _retire(self, turn: Turn) -> None:
        """Let the topic go that was longest without a post; of equals the oldest."""
        topic = self._dropped(min(range(len(self.topics)), key=lambda at: self.topics[at].last))
        turn.changed[topic.id] = topic
        turn.retired.add(topic.id)

    def _dropped(self, place: int) -> Topic:
        self._middles = np.delete(self._middles, place, axis=0)
        return self.topics.pop(place)


def _stacked(vectors: Sequence[Vectors]) -> Floats:
    """Vectors as rows for matrix products."""
    if not vectors:
        return np.zeros((0, MEANING), np.float32)
    return np.stack(vectors).astype(np.float32)
