"""Matching: how many posts a second find their idea among many."""

import time
from functools import partial
from uuid import UUID

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import material
from benchmarks.figures import Aim, Figure, in_turns, median
from benchmarks.stage import Stage
from maru_ideas.domain.matching import Shelf
from maru_ideas.domain.space import UNIT, Vectors, scaled, trained
from maru_ideas.settings import Settings
from maru_sentiment.encoder import Encoder, quantise

_SIZES = (1_000, 10_000, 100_000)
_LATIN = 1
_BLUR = 4.0
"""Standard deviation of what makes other posts of real ones; entries have one of 5.6."""


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:  # noqa: ARG001 - needs no server
    """Posts a second at each size; a post that finds no idea founds one, as in the service."""
    threadpool_limits(1, user_api="blas")  # as the service does
    posts, rounds = (200, 1) if quick else (1_000, 3)
    real = _vectors(material.wishes()[:2_000])
    random = np.random.default_rng(7)
    shelves = {size: _shelf(_blurred(real, size, random)) for size in _SIZES}

    async def matched(size: int) -> float:
        return _matched(shelves[size], _blurred(real, posts, random))

    found = await in_turns(rounds, {str(size): partial(matched, size) for size in _SIZES})
    rates = {size: median(found[str(size)]) for size in _SIZES}
    lines = [Figure(f"Matching among {size:,} ideas", rates[size], "posts/s") for size in _SIZES]
    times = _SIZES[-1] // _SIZES[0]
    less = Aim(f"< {times} × (linear)", lambda growth: growth < times)
    growth = rates[_SIZES[0]] / rates[_SIZES[-1]]
    return [*lines, Figure(f"Time for a post at {times} times the ideas", growth, "×", aim=less)]


def _matched(shelf: Shelf, vectors: Vectors) -> float:
    first = len(shelf)
    begun = time.perf_counter()
    for number, vector in enumerate(vectors):
        match = shelf.nearest(vector, _LATIN)
        if match is None:
            shelf.found(UUID(int=first + number), vector, _LATIN)
        else:
            shelf.join(match.place, vector, _LATIN)
    return len(vectors) / (time.perf_counter() - begun)


def _vectors(texts: list[str]) -> Vectors:
    return trained().vectors(quantise(Encoder().encode(texts)), texts)


def _blurred(real: Vectors, count: int, random: np.random.Generator) -> Vectors:
    """Make `count` vectors that lie among the real ones."""
    chosen = real[random.integers(len(real), size=count)]
    noise = np.rint(random.normal(scale=_BLUR, size=chosen.shape))
    return scaled((chosen + noise).astype(np.float32), UNIT)


def _shelf(vectors: Vectors) -> Shelf:
    shelf = Shelf(trained(), Settings().closeness)
    ids = [UUID(int=place) for place in range(len(vectors))]
    shelf.restore(ids, vectors.astype(np.int16), [1] * len(vectors), [_LATIN] * len(vectors))
    return shelf
