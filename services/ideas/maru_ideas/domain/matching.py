"""Which idea a post belongs to: the nearest one of its product, or none.

The answer depends only on the order of the posts: never on the batch, the machine or a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.space import SIZE, UNIT, Floats, Space, Vectors, scaled

_IDEAS = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750003")

SHAPING = 256
"""The first 256 posts shape an idea's vector; later ones count, and no longer move it. So an idea
stays what its people agreed on, and its sum (256 * 127 < 2**15) fits int16."""

LOOKED_AT = 4096
"""How many ideas, at the most, a post is compared with: those in the nearest cells. Up to this
many ideas the search is exact; beyond, the time for a post stays constant."""

Sum = npt.NDArray[np.int16]
_SAME = UNIT * UNIT


@dataclass(frozen=True)
class Closeness:
    """How near is near enough.

    `threshold` for an idea of one post; `across` in place of it for an idea that has no words in
    the post's scripts, because only their meaning can then be alike; `growth` more for each
    doubling of an idea's posts (up to 256), because a big idea's vector is near to everything.
    """

    threshold: float
    across: float
    growth: float

    def needed(self) -> npt.NDArray[np.float32]:
        """The dot product that an idea of 0, 1, … 256 shaping posts asks for, in whole numbers.

        Two rows: for an idea that shares a script with the post, and for one that does not.
        """
        grown = [self.growth * log2(max(n, 1)) for n in range(SHAPING + 1)]
        return np.array(
            [
                [round(_SAME * (base + more)) for more in grown]
                for base in (self.threshold, self.across)
            ],
            dtype=np.float32,
        )


@dataclass(frozen=True)
class Match:
    """The place of an idea on its shelf, and the similarity (0 to 1) that led there."""

    place: int
    similarity: float


def idea_id(founding_post: UUID) -> UUID:
    """The id of the idea that a post founds: the same post always founds the same idea."""
    return uuid5(_IDEAS, str(founding_post))


class Shelf:
    """All ideas of one product, oldest first, ready to be searched."""

    def __init__(self, space: Space, closeness: Closeness) -> None:
        # `_ready` is `_vectors` as the search multiplies them, and there while it looks at all of
        # them (8 MB at most); `_cells` hold from then on.
        self._anchors = space.cells.astype(np.float32)
        self._needed = closeness.needed()
        self.ids: list[UUID] = []
        self._sums = np.zeros((64, SIZE), np.int16)
        self._vectors = np.zeros((64, SIZE), np.int8)
        self._ready: Floats = np.zeros((64, SIZE), np.float32)
        self._shapers = np.zeros(64, np.int16)
        self._scripts = np.zeros(64, np.int16)
        self._cells = np.zeros(64, np.int16)

    def __len__(self) -> int:
        return len(self.ids)

    def nearest(self, vector: Vectors, scripts: int) -> Match | None:
        """The nearest idea that is near enough; of equally near ones the oldest.

        `scripts` are those of the post, as `terms.scripts` tells them.
        """
        if not self.ids:
            return None
        every = len(self.ids) <= LOOKED_AT
        places = slice(len(self.ids)) if every else self.candidates(vector)
        known = self._ready[places] if every else self._vectors[places].astype(np.float32)
        dots = known @ vector.astype(np.float32)
        foreign = (self._scripts[places] & scripts) == 0
        margins = dots - self._needed[foreign.astype(np.intp), self._shapers[places]]
        best = int(np.argmax(margins))
        if margins[best] < 0:
            return None
        place = best if isinstance(places, slice) else int(places[best])
        return Match(place, min(1.0, max(0.0, float(dots[best]) / _SAME)))

    def candidates(self, vector: Vectors) -> npt.NDArray[np.intp]:
        """The places that `nearest` compares: all, or those in the cells nearest to the vector."""
        count = len(self.ids)
        if count <= LOOKED_AT:
            return np.arange(count)
        nearness = self._anchors @ vector.astype(np.float32)
        order = np.argsort(-nearness, kind="stable")
        cells = self._cells[:count]
        sizes = np.bincount(cells, minlength=len(order))[order]
        within = int(np.searchsorted(np.cumsum(sizes), LOOKED_AT, side="right"))
        wanted = np.zeros(len(order), bool)
        wanted[order[: max(within, 1)]] = True
        return np.flatnonzero(wanted[cells])

    def found(self, idea: UUID, vector: Vectors, scripts: int) -> Match:
        """Put a new idea on the shelf; its first post is its vector."""
        self.restore([idea], vector.astype(np.int16)[None, :], [1], [scripts])
        return Match(len(self.ids) - 1, 1.0)

    def join(self, place: int, vector: Vectors, scripts: int) -> None:
        """Let a post shape the idea, while it is among the first."""
        if self._shapers[place] >= SHAPING:
            return
        self._shapers[place] += 1
        self._scripts[place] |= scripts
        self._sums[place] += vector
        self._settle(slice(place, place + 1))

    def restore(
        self, ids: Sequence[UUID], sums: Sum, shapers: Sequence[int], scripts: Sequence[int]
    ) -> None:
        """Append ideas as `sum_of`, `shapers_of` and `scripts_of` gave them, oldest first."""
        start, end = len(self.ids), len(self.ids) + len(ids)
        self._grow(end)
        self.ids.extend(ids)
        self._sums[start:end] = sums
        self._shapers[start:end] = shapers
        self._scripts[start:end] = scripts
        # The first time that not all are looked at, all of them get their cells.
        self._settle(slice(0 if start <= LOOKED_AT < end else start, end))

    def sum_of(self, place: int) -> Sum:
        """The sum of the vectors of the posts that shaped the idea."""
        total: Sum = self._sums[place].copy()
        return total

    def shapers_of(self, place: int) -> int:
        """How many posts shaped the idea."""
        return int(self._shapers[place])

    def scripts_of(self, place: int) -> int:
        """The scripts of the posts that shaped the idea."""
        return int(self._scripts[place])

    def vector_of(self, place: int) -> Vectors:
        """The idea's vector, of length 127."""
        vector: Vectors = self._vectors[place].copy()
        return vector

    def _settle(self, where: slice) -> None:
        self._vectors[where] = scaled(self._sums[where], UNIT)
        vectors = self._vectors[where].astype(np.float32)
        if len(self.ids) <= LOOKED_AT:
            self._ready[where] = vectors
        else:
            self._cells[where] = np.argmax(vectors @ self._anchors.T, axis=1)

    def _grow(self, wanted: int) -> None:
        size = len(self._shapers)
        if wanted <= size:
            return
        more = max(wanted, size * 3 // 2) - size
        self._sums = np.concatenate([self._sums, np.zeros((more, SIZE), np.int16)])
        self._vectors = np.concatenate([self._vectors, np.zeros((more, SIZE), np.int8)])
        if wanted <= LOOKED_AT:
            room = min(more, LOOKED_AT - size)
            self._ready = np.concatenate([self._ready, np.zeros((room, SIZE), np.float32)])
        else:
            self._ready = self._ready[:0]
        self._shapers = np.concatenate([self._shapers, np.zeros(more, np.int16)])
        self._scripts = np.concatenate([self._scripts, np.zeros(more, np.int16)])
        self._cells = np.concatenate([self._cells, np.zeros(more, np.int16)])
