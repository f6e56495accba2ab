"""How a head learns from corrections, and whether it has become better by it: pure functions.

The learnt head adds to the logits z of the head that is there: z + W'x, where x is a text's
sentence vector and its hashed n-grams ("feature hashing", Weinberger et al. 2009, with signs), each
n-gram weighted by how rare it is among the corrected texts. W minimises the cross-entropy of the
corrections plus |W|^2 / 2, so that where nothing was corrected nothing changes: W = 0 is the head
that is there. It is found among sums of the corrected texts' x (the kernel form of logistic
regression) by accelerated gradient steps (Nesterov 1983) under a fixed bound of the curvature
(Boehning 1992, "Multinomial logistic regression algorithm"): the same corrections give the same
weights.

How good it is, is told by cross-validation: each correction is held out once, and compared with
what the head says that learnt from the others. Of two heads the better one is told by McNemar's
exact test on the held-out corrections (McNemar 1947). People correct what is wrong, so corrections
alone make any other head look good; hence the learnt head must beat a second rival, too: the head
that is there with its labels exchanged as the corrections exchange them most often.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import ModelVersion
from maru_sentiment.features import BUCKETS, Bags, bags, normalise

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

Labelled = Literal["sentiment", "intent"]
"""The heads that learn and have the same labels in all workspaces."""
Learning = Labelled | Literal["topics"]
HEADS: tuple[Learning, ...] = ("sentiment", "intent", "topics")
"""The heads that learn."""

NEEDED = 30
"""Corrections of a head from which it learns. Fewer show no difference, however good it is."""
MOST = 1_000
"""Corrections that a head learns from, the newest ones: they take about 3 seconds and 100 MB."""
FOLDS = 5
SURE = 0.01
"""The p-value below which a head is better beyond chance. People correct one post after another,
and each time it is asked again, so it is stricter than the usual 0.05."""

COLUMNS = 1 << 14
"""Columns into which n-grams are hashed."""
_SIGN = 19
"""The bit of a bucket that tells the sign of its column."""
_OF_WORDS, _OF_VECTOR = 10.0, 2.0
"""How freely n-grams and the sentence vector may speak: the variances of their weights.

Chosen among a few on five labelled files, with 60, 200 and 800 corrections of each.
"""
_STEPS = 100
_ROWS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""

Decide = Callable[[Floats, npt.NDArray[np.int64]], list[str]]
"""From logits of texts, and the texts' rows in the lesson, to labels."""


@dataclass(frozen=True)
class Weights:
    """What was learnt: `rarity` (columns), `words` (columns, k), `vector` (512, k).

    There are no columns where n-grams were not looked at.
    """

    rarity: Singles
    words: Singles
    vector: Singles


@dataclass(frozen=True)
class Lesson:
    """n corrected texts: what the head that is there says of them, and what people say.

    `vectors` (n, 512) are signed bytes; `logits` and `wanted` (n, k), `wanted` 0 or 1. `exclusive`
    is whether one of the k holds (softmax) or each of them may (sigmoid). `of_words` and
    `of_vector` say how freely n-grams and the sentence vector may speak: the variances of their
    weights; n-grams are not looked at if theirs is 0.
    """

    texts: Sequence[str]
    vectors: npt.NDArray[np.int8]
    logits: Floats
    wanted: Floats
    exclusive: bool
    of_words: float = _OF_WORDS
    of_vector: float = _OF_VECTOR


@dataclass(frozen=True)
class Measured:
    """Accuracies over n held-out corrections, and the larger p-value of both comparisons.

    `base` is the head that is there, `exchanged` the same with its labels exchanged, `own` the
    learnt one.
    """

    n: int
    base: float
    exchanged: float
    own: float
    p_value: float

    @property
    def is_better(self) -> bool:
        """Whether the learnt head is better than both others beyond chance."""
        return self.p_value < SURE and self.own > max(self.base, self.exchanged)


@dataclass(frozen=True)
class LearntHead:
    """What came of a workspace's corrections of one head.

    `base` is the model that it stands on and was compared with; `weights` are None if it is not
    better. `columns` names what the weights' columns are of, where that is the workspace's own.
    """

    head: Learning
    base: ModelVersion
    model: ModelVersion
    measured: Measured
    weights: Weights | None
    columns: tuple[str, ...] = ()


def learn(
    lesson: Lesson, gold: Sequence[str], base: Sequence[str], decide: Decide
) -> tuple[Measured, Weights]:
    """Learn from all corrections, and measure with each of them held out.

    `gold` and `base` are the labels that people and the head that is there give.
    """
    rarity, hashed = _hashed(lesson.texts) if lesson.of_words else _no_words(len(lesson.texts))
    units = _units(lesson.vectors)
    kernel = lesson.of_words * (hashed @ hashed.T).astype(np.float64)
    kernel += lesson.of_vector * (units @ units.T)
    folds = np.array([_fold(text) for text in lesson.texts])
    own, exchanged = list(base), list(base)
    for fold in range(FOLDS):
        out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(out) or not len(rest):
            continue
        part = _coefficients(kernel[np.ix_(rest, rest)], lesson, rest)
        said = decide(lesson.logits[out] + kernel[np.ix_(out, rest)] @ part, out)
        rule = _exchange([(base[at], gold[at]) for at in rest.tolist()])
        for at, label in zip(out.tolist(), said, strict=True):
            own[at], exchanged[at] = label, rule.get(base[at], base[at])
    coefficients = _coefficients(kernel, lesson, np.arange(len(kernel)))
    weights = Weights(
        rarity=rarity,
        words=np.float32(lesson.of_words) * (hashed.T @ coefficients.astype(np.float32)),
        vector=(lesson.of_vector * (units.T @ coefficients)).astype(np.float32),
    )
    return _measured(gold, base, exchanged, own), weights


def change(weights: Weights, texts: Sequence[str], vectors: npt.NDArray[np.int8]) -> Floats:
    """Return (n, k), what is added to the logits; each row a function of its text alone."""
    if not texts:
        return np.empty((0, weights.words.shape[1]))
    if not len(weights.rarity):
        return _of_vectors(weights, vectors)
    owners, columns, values = _columns(bags([normalise(text) for text in texts]))
    values *= weights.rarity[columns]
    lengths = np.sqrt(np.bincount(owners, values**2, minlength=len(texts)))
    scaled = values / np.maximum(lengths, 1e-9)[owners]
    of_words = [
        np.bincount(owners, scaled * of_one[columns], minlength=len(texts))
        for of_one in weights.words.T
    ]
    return np.stack(of_words, axis=1) + _of_vectors(weights, vectors)


def mcnemar(gold: Sequence[str], first: Sequence[str], second: Sequence[str]) -> float:
    """How likely the first is this much better or worse than the second by chance: two-sided.

    Only what one of them has right and the other wrong counts; by chance each is right as often.
    """
    pairs = [(a == g, b == g) for g, a, b in zip(gold, first, second, strict=True)]
    ahead, behind = pairs.count((True, False)), pairs.count((False, True))
    parted = ahead + behind
    tail = sum(comb(parted, at) for at in range(min(ahead, behind) + 1))
    return min(1.0, float(2 * tail / 2**parted))


def _measured(
    gold: Sequence[str], base: Sequence[str], exchanged: Sequence[str], own: Sequence[str]
) -> Measured:
    def right(said: Sequence[str]) -> float:
        return sum(a == b for a, b in zip(said, gold, strict=True)) / len(gold)

    return Measured(
        n=len(gold),
        base=right(base),
        exchanged=right(exchanged),
        own=right(own),
        p_value=max(mcnemar(gold, own, base), mcnemar(gold, own, exchanged)),
    )


def _exchange(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What each label of the base is corrected to most often; itself where that is a tie."""
    rule: dict[str, str] = {}
    ordered = sorted(Counter(pairs).items(), key=lambda it: (it[1], it[0][0] == it[0][1], it[0]))
    for (label, to), _ in ordered:
        rule[label] = to
    return rule


def _fold(text: str) -> int:
    """Where a text is held out: always the same, and with all that are written like it."""
    digest = hashlib.sha256(normalise(text).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:4]) % FOLDS


def _coefficients(kernel: Floats, lesson: Lesson, rows: npt.NDArray[np.int64]) -> Floats:
    """Return (n, k): how much of each corrected text is in the weights.

    In the basis of the kernel's eigenvectors every step has its own width.
    """
    logits, wanted = lesson.logits[rows], lesson.wanted[rows]
    chances = _softmax if lesson.exclusive else _sigmoid
    values, basis = np.linalg.eigh(kernel)
    values = np.maximum(values, 0)[:, None]
    width = 1 / ((0.5 if lesson.exclusive else 0.25) * values + 1)
    here = before = np.zeros_like(logits)
    pace = 1.0
    for _ in range(_STEPS):
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = here + (pace - 1) / faster * (here - before)
        pace, before = faster, here
        slope = basis.T @ (chances(logits + basis @ (values * ahead)) - wanted) + ahead
        here = ahead - width * slope
    found: Floats = basis @ here
    return found


def _softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return chances


def _sigmoid(logits: Floats) -> Floats:
    chances: Floats = 1 / (1 + np.exp(-logits))
    return chances


def _hashed(texts: Sequence[str]) -> tuple[Singles, Singles]:
    """Return how rare each column is, and (n, columns): each text's n-grams at length 1."""
    owners, columns, values = _columns(bags([normalise(text) for text in texts]))
    found = np.zeros((len(texts), COLUMNS), np.float32)
    found[owners, columns] = values
    spread = np.count_nonzero(found, axis=0)
    # What one text alone has tells nothing of others.
    rarity = np.where(spread > 1, np.log(len(texts) / np.maximum(spread, 1)), 0).astype(np.float32)
    found *= rarity
    lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
    found /= np.maximum(lengths, np.float32(1e-9))[:, None]
    return rarity, found


def _no_words(count: int) -> tuple[Singles, Singles]:
    return np.zeros(0, np.float32), np.zeros((count, 0), np.float32)


def _columns(
    found: Bags,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return owner, column and value: the signs of the n-grams of a text, each once, added up."""
    owners = np.repeat(np.arange(len(found.sizes)), found.sizes)
    owners, buckets = np.divmod(np.unique(owners * BUCKETS + found.buckets), BUCKETS)
    signs = np.where(buckets >> _SIGN, 1.0, -1.0)
    places, which = np.unique(owners * COLUMNS + buckets % COLUMNS, return_inverse=True)
    values: Floats = np.bincount(which, weights=signs).astype(np.float64)
    owners, columns = np.divmod(places, COLUMNS)
    return owners, columns, values


def _units(vectors: npt.NDArray[np.int8]) -> Floats:
    wide = vectors.astype(np.float64)
    units: Floats = wide / np.maximum(np.sqrt((wide**2).sum(axis=1, keepdims=True)), 1)
    return units


def _of_vectors(weights: Weights, vectors: npt.NDArray[np.int8]) -> Floats:
    count = len(vectors)
    rows = np.zeros((-(-count // _ROWS) * _ROWS, vectors.shape[1]))
    rows[:count] = _units(vectors)
    wide = weights.vector.astype(np.float64)
    parts = [rows[at : at + _ROWS] @ wide for at in range(0, len(rows), _ROWS)]
    return np.concatenate(parts)[:count]
