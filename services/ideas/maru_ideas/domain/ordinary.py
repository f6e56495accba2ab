"""How near a product's posts ordinarily are to one another: the measure of what is unusually near.

Reviews of one app lie further apart than questions to one bank, so no fixed similarity tells what
belongs together in both. What does is the distance from the ordinary pair, in units of how much
ordinary pairs differ. Both are told by the least similar quarter of sampled pairs alone, as if all
were normally distributed: pairs of one subject are above that, even where most posts have it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.space import MEANING, UNIT, Vectors

SAMPLED = 64
"""Posts that others are paired with, kept in a ring."""
STRIDE = 8
"""Of a product's posts each eighth is sampled, so the ring spans its last 512 posts."""
_PRIOR = 500
"""Pairs that the expectation counts for, until others are seen."""
_MOST = 100_000
"""Pairs counted before all counts are halved, so that what was long ago weighs little."""

_BELOW_QUARTER = 0.6745
_BELOW_TWENTIETH = 1.6449
"""Standard deviations that these parts of a normal distribution lie below its middle."""

_BINS = 256
_WIDTH = 128
"""Dot products in one bin: 127 * 127 / 128 of them make up a similarity of 1."""

Bins = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Yardstick:
    """The dot product of an ordinary pair, and by how much such pairs differ."""

    middle: int
    deviation: int

    def needed(self, deviations: float) -> int:
        """The dot product of a pair that is so many deviations nearer than ordinary ones."""
        return round(self.middle + deviations * self.deviation)


EXPECTED = Yardstick(middle=round(0.05 * UNIT * UNIT), deviation=round(0.07 * UNIT * UNIT))
"""Before a product has posts: about as in reviews, petitions and questions to a bank."""


FARTHEST = Yardstick(middle=round(0.18 * UNIT * UNIT), deviation=round(0.09 * UNIT * UNIT))
"""No product's are believed to be more: where all posts have one subject, it shall be found."""


class Ordinary:
    """Counts the similarities of sampled pairs of posts; the same whatever the batches.

    `bins` counts dot products from -128 * 128 on; `ring` holds the sampled posts' vectors.
    """

    def __init__(self, bins: Bins | None = None, ring: Vectors | None = None) -> None:
        self.bins: Bins = np.zeros(_BINS, np.int32) if bins is None else bins.copy()
        self._ring: Floats = np.zeros((0, MEANING), np.float32)
        if ring is not None:
            self._ring = ring.astype(np.float32)

    @property
    def ring(self) -> Vectors:
        """The sampled posts' vectors."""
        return self._ring.astype(np.int8)

    def see(self, vectors: Floats, sequence: int) -> None:
        """Count the pairs of posts and sample; `sequence` numbers the first of them."""
        at = 0
        while at < len(vectors):
            number = sequence + at
            if number % STRIDE == 0:
                self._sample(vectors[at], number // STRIDE)
            until = at + STRIDE - number % STRIDE
            self._count(vectors[at:until])
            at = until

    def settle(self) -> Yardstick:
        """Tell what was ordinary, and let what was long ago weigh less."""
        pairs = int(self.bins.sum())
        if pairs > _MOST:
            self.bins //= 2
        if not pairs:
            return EXPECTED
        quarter, twentieth = self._quantile(0.25), self._quantile(0.05)
        deviation = (quarter - twentieth) / (_BELOW_TWENTIETH - _BELOW_QUARTER)
        middle = quarter + _BELOW_QUARTER * deviation
        part = pairs / (pairs + _PRIOR)
        return Yardstick(
            middle=_blended(part, middle, EXPECTED.middle, FARTHEST.middle),
            deviation=_blended(part, deviation, EXPECTED.deviation, FARTHEST.deviation),
        )

    def _sample(self, vector: Floats, number: int) -> None:
        if len(self._ring) < SAMPLED:
            self._ring = np.concatenate([self._ring, vector[None]])
        else:
            self._ring[number % SAMPLED] = vector

    def _count(self, vectors: Floats) -> None:
        if len(self._ring):
            dots = vectors @ self._ring.T
            places = dots.astype(np.int32).ravel() // _WIDTH + _BINS // 2
            within = np.clip(places, 0, _BINS - 1)  # rounded, a vector is a little off its length
            self.bins += np.bincount(within, minlength=_BINS).astype(np.int32)

    def _quantile(self, share: float) -> float:
        """The dot product below which this share of the pairs lies, evenly spread in each bin."""
        ends = np.cumsum(self.bins)
        wanted = share * int(ends[-1])
        place = int(np.searchsorted(ends, wanted))
        within = (wanted - int(ends[place]) + int(self.bins[place])) / int(self.bins[place])
        return (place - _BINS // 2 + within) * _WIDTH


def _blended(part: float, seen: float, expected: int, most: int) -> int:
    return round(min(part * seen + (1 - part) * expected, most))
