"""Trains the space of comparison (`space.npz`) on labelled texts; `maru train ideas` calls it.

Within-class covariance normalisation: what texts about one subject have in common is kept, what
sets them apart (length, anger, language, the name of the device) is shrunk. Everything is
quantised at the end, so that the shipped numbers give exact results.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from maru_ideas import phrases
from maru_ideas.domain import terms
from maru_ideas.domain.space import MEAN_SCALE, MEANING, SIZE, UNIT, Space, Vectors

Encode = Callable[[Sequence[str]], Vectors]
"""Texts to sentence vectors: 512 signed bytes each, as `TaggedPost.embedding` holds them."""

Matrix = npt.NDArray[np.float64]
SEED = 20261123
RIDGE = 1.0
WORD_SHARE = 0.3
CELLS = 512
FRAMES = 100
"""How often each wording of a wish counts among the texts that tell which words are rare."""
_MAX_RARITY = 255.0

REVIEWS = "train/suggestion-enfr-minibar-garmin-huawei.jsonl"
GROUPED = (
    ("train/cluster-enfr-minibar-garmin.jsonl", "cluster"),
    ("train/topics-en-banking77-train.jsonl", "topic"),
    ("train/topics-en-clinc150-train.jsonl", "topic"),
)
PAIRS = "train/dup-ko-questionpair-train.jsonl"
PETITIONS = "train/ideas-topics-ko-petitions.jsonl"


class Row(TypedDict, total=False):
    """One line of a training file; each file has some of these."""

    title: str
    text: str
    a: str
    b: str
    duplicate: int
    cluster: str
    topic: str


def train(data: Path, encode: Encode) -> Space:
    """Fit the space on the files of `data`/train. The same files give the same space."""
    reviews = [row["text"] for row in _rows(data / REVIEWS)]
    pairs = _rows(data / PAIRS)
    petitions = [f"{row['title']} {row['text']}" for row in _rows(data / PETITIONS)]
    seen, long = _unit(encode(reviews)), _unit(encode(petitions))
    mean = seen.mean(axis=0)
    first, second = (_unit(encode([row[side] for row in pairs])) for side in ("a", "b"))
    noises = [_scatter_of_groups(data / name, label, encode) for name, label in GROUPED]
    noises.append(_scatter_of_pairs(first, second, [row["duplicate"] for row in pairs]))
    noises.append(_scatter_between([seen, long, first]))
    noises += [_scatter_of_phrases(encode)] * 2  # the only set that sets languages side by side
    linear = _whitening(noises, [np.cov(seen.T), np.cov(long.T)])
    frames = list(phrases.frames()) * FRAMES
    counted = [*reviews, *petitions, *(row["a"] for row in pairs), *frames]
    space = Space(
        mean=np.rint(mean * UNIT * MEAN_SCALE).astype(np.int16),
        map=_signed_bytes(linear),
        rarity=_rarity(counted),
        cells=np.empty((0, SIZE), np.int8),
        word_share=WORD_SHARE,
    )
    known = np.rint(np.concatenate([seen, first]) * UNIT).astype(np.int8)
    texts = [*reviews, *(row["a"] for row in pairs)]
    return replace(space, cells=_cells(space.vectors(known, texts)))


def save(space: Space, file: Path) -> None:
    """Write the space where `maru_ideas.domain.space.trained` reads it."""
    np.savez_compressed(file, **vars(space))


def _rows(file: Path) -> list[Row]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _unit(vectors: Vectors) -> Matrix:
    whole = vectors.astype(np.float64)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    return np.asarray(whole / np.maximum(lengths, 1.0))


def _scatter_of_groups(file: Path, label: str, encode: Encode) -> Matrix:
    rows = _rows(file)
    vectors = _unit(encode([row["text"] for row in rows]))
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row[label]].append(number)  # type: ignore[literal-required]
    return _scatter(vectors[members] for members in groups.values() if len(members) > 1)


def _scatter_of_phrases(encode: Encode) -> Matrix:
    groups = list(phrases.groups())
    vectors = _unit(encode([text for group in groups for text in group]))
    ends = np.cumsum([len(group) for group in groups])
    return _scatter(np.split(vectors, ends[:-1]))


def _scatter(groups: Iterable[Matrix]) -> Matrix:
    centred = np.concatenate([group - group.mean(axis=0) for group in groups])
    return np.asarray(centred.T @ centred)


def _scatter_of_pairs(first: Matrix, second: Matrix, same: Sequence[int]) -> Matrix:
    apart = (first - second)[np.array(same) == 1]
    return np.asarray(apart.T @ apart)


def _scatter_between(kinds: Sequence[Matrix]) -> Matrix:
    """What sets kinds of texts apart: reviews in English and French, long petitions, small talk."""
    means = np.stack([kind.mean(axis=0) for kind in kinds])
    return _scatter([means])


def _whitening(noises: Sequence[Matrix], totals: Sequence[Matrix]) -> Matrix:
    """Columns of the map: unit disturbance in each direction, the widest directions kept."""
    total = _fair(totals)
    disturbance = _fair(noises) + total + RIDGE * np.eye(len(total))
    values, directions = np.linalg.eigh(disturbance)
    whitened = directions / np.sqrt(values)
    spread, axes = np.linalg.eigh(whitened.T @ total @ whitened)
    widest = axes[:, np.argsort(spread)[::-1][:MEANING]]
    return np.asarray(whitened @ widest)


def _fair(scatters: Sequence[Matrix]) -> Matrix:
    """The mean of scatter matrices, each brought to the same trace."""
    return np.asarray(np.mean([it * len(it) / np.trace(it) for it in scatters], axis=0))


def _signed_bytes(matrix: Matrix) -> Vectors:
    whole: Vectors = np.rint(matrix * UNIT / np.abs(matrix).max()).astype(np.int8)
    return whole


def _rarity(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Inverse document frequency of each bucket, smoothed, as a byte."""
    frequency = Counter[int]()
    for text in texts:
        frequency.update(set((terms.hashes(text) % terms.BUCKETS).tolist()))
    counts = np.array([frequency[bucket] for bucket in range(terms.BUCKETS)], dtype=np.float64)
    rare = np.log((1 + len(texts)) / (1 + counts))
    scaled: npt.NDArray[np.uint8] = np.rint(rare * _MAX_RARITY / rare.max()).astype(np.uint8)
    return scaled


def _cells(vectors: Vectors) -> Vectors:
    """Spherical k-means (Dhillon & Modha, 2001) with seeded starts."""
    points = _unit(vectors)
    chosen = np.random.default_rng(SEED).choice(len(points), CELLS, replace=False)
    centres = points[chosen]
    for _ in range(15):
        nearest = np.argmax(points @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return _signed_bytes(centres)
