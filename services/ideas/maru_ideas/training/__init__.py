"""Trains the space of comparison (`space.npz`) on labelled texts; `maru train ideas` calls it.

Everything is quantised, so that the shipped numbers give exact results.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.space import MEAN_SCALE, SIZE, UNIT, Space, Vectors
from maru_ideas.training import topics
from maru_ideas.training.ideas import Learnt, learn
from maru_ideas.training.material import Encode, Material, Matrix, signed_bytes, unit

SEED = 20261123
WORD_SHARE = 0.25
ASKING_SHARE = 0.04
CELLS = 512


@dataclass(frozen=True)
class Ground:
    """What topics are found by, and what ideas are learnt on top of: see `Space`."""

    mean: npt.NDArray[np.int16]
    topics: Vectors
    rarity: npt.NDArray[np.uint8]


def train(data: Path, encode: Encode, kept: Space | None = None) -> Space:
    """Fit the space on the files of `data`/train. The same files give the same space.

    What topics are found by is taken over from `kept`, if it is given, so that the discovered
    topics of running workspaces stay true.
    """
    material = Material(data, encode)
    ground = Ground(kept.mean, kept.topics, kept.rarity) if kept else _ground(material)
    found = learn(material, ground.mean / (UNIT * MEAN_SCALE), ground.topics, SEED)
    space = _space(ground, found)
    embeddings = np.concatenate([material.seen, material.first])
    texts = [*material.reviews, *material.questions]
    vectors = space.vectors(np.rint(embeddings * UNIT).astype(np.int8), texts)
    return replace(space, cells=_cells(vectors))


def save(space: Space, file: Path) -> None:
    """Write the space where `maru_ideas.domain.space.trained` reads it."""
    np.savez_compressed(file, **vars(space))


def _ground(material: Material) -> Ground:
    mean = np.rint(material.seen.mean(axis=0) * UNIT * MEAN_SCALE).astype(np.int16)
    by_topics = signed_bytes(topics.whitening(material))
    return Ground(mean, by_topics, topics.rarity(material))


def _space(ground: Ground, found: Learnt) -> Space:
    return Space(
        mean=ground.mean,
        ideas=found.ideas,
        topics=ground.topics,
        asking=found.asking,
        even=found.even,
        plain=found.plain,
        rarity=ground.rarity,
        cells=np.empty((0, SIZE), np.int8),
        word_share=WORD_SHARE,
        asking_share=ASKING_SHARE,
    )


def _cells(vectors: Vectors) -> Vectors:
    """Spherical k-means (Dhillon & Modha, 2001) with seeded starts."""
    points = unit(vectors)
    chosen = np.random.default_rng(SEED).choice(len(points), CELLS, replace=False)
    centres: Matrix = points[chosen]
    for _ in range(15):
        nearest = np.argmax(points @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return signed_bytes(centres)
