"""Learns the map under which posts meet ideas, and what tells wishes from faults."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maru_ideas import phrases
from maru_ideas.domain.space import MEAN_SCALE, MEANING, UNIT, Vectors
from maru_ideas.training import contrast
from maru_ideas.training.contrast import Groups
from maru_ideas.training.material import Material, Matrix, Row, signed_bytes, unit

REPORTED = "visible/cluster-enfr-minibar-huawei.jsonl"
"""Its texts are among the reviews that say what is asked; figures are reported on it, so they are
left out."""
_CLUSTERS = "train/cluster-enfr-minibar-garmin.jsonl"
_TOPICS = ("train/topics-en-banking77-train.jsonl", "train/topics-en-clinc150-train.jsonl")
_ALL, _SOME = 40, 5
"""How many texts of a group meet in a batch: all of a small set, some of a big one."""
_SMALL, _HELPER = 1.0, 0.5
_OWN_WEIGHT = 0.3
"""Our own sentences are many and alike: each counts less than a review."""
_RIDGE = 0.3
_NEWTON = 12


@dataclass(frozen=True)
class Learnt:
    """The parts of `Space` that are learnt here."""

    ideas: Vectors
    asking: Vectors
    even: int
    plain: int


def learn(material: Material, mean: Matrix, topics: Vectors, seed: int) -> Learnt:
    """Learn from all sets, with the widest directions of the map of topics to start from."""
    start = topics[:, : MEANING - 1].astype(np.float32)
    start /= np.linalg.norm(start, axis=0).mean()
    ideas = contrast.learnt(start, list(_sets(material, mean)), seed)
    asking, bias = _asking(material, mean)
    # The sum is of centred embeddings in eighths and of weights that are 127 at most.
    units = UNIT * MEAN_SCALE * UNIT / np.abs(asking).max()
    return Learnt(
        signed_bytes(ideas), signed_bytes(asking), round(-bias * units), max(1, round(units))
    )


def _sets(material: Material, mean: Matrix) -> Iterable[Groups]:
    alike = np.array([row["duplicate"] == 1 and row["a"] != row["b"] for row in material.pairs])
    yield _clusters(material, mean)
    for name in _TOPICS:
        rows = material.rows(name)
        vectors = material.vectors([row["text"] for row in rows])
        yield _groups(vectors, mean, _numbers([row["topic"] for row in rows]), _SOME, _HELPER)
    yield _worded(material, mean)
    yield _paired(material.first[alike], material.second[alike], mean)
    yield _paired(material.titles, material.long, mean)


def _clusters(material: Material, mean: Matrix) -> Groups:
    """Reviews that people grouped by idea, as they are and twice beside other sentences."""
    rows = material.rows(_CLUSTERS)
    texts = [row["text"] for row in rows]
    beside = material.asides.beside([*texts, *texts])
    numbers = _numbers([row["cluster"] for row in rows])
    return _groups(material.vectors([*texts, *beside]), mean, numbers, _ALL, _SMALL)


def _worded(material: Material, mean: Matrix) -> Groups:
    """Our own wishes and faults, as they are and beside other sentences."""
    groups = list(phrases.groups())
    texts = [text for group in groups for text in group]
    vectors = material.vectors([*texts, *material.asides.beside(texts)])
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return _groups(vectors, mean, numbers, _SOME, _HELPER)


def _paired(first: Matrix, second: Matrix, mean: Matrix) -> Groups:
    """Two texts of one thing each."""
    numbers = np.tile(np.arange(len(first)), 2)
    return _groups(np.concatenate([first, second]), mean, numbers, 2, _HELPER)


def _groups(
    vectors: Matrix, mean: Matrix, numbers: npt.NDArray[np.intp], members: int, weight: float
) -> Groups:
    """`vectors` are one or more versions of all texts, one version after the other."""
    centred = unit(vectors - mean).astype(np.float32)
    return Groups(centred.reshape(-1, len(numbers), centred.shape[1]), numbers, members, weight)


def _numbers(labels: list[str]) -> npt.NDArray[np.intp]:
    return np.unique(labels, return_inverse=True)[1]


def _asking(material: Material, mean: Matrix) -> tuple[Matrix, float]:
    """Weights and bias of the log-odds of a wish against a fault, of centred vectors."""
    reported = {_key(row) for row in material.rows(REPORTED)}
    rows = material.review_rows
    kept = np.array(
        [row["suggestion"] + row["problem"] == 1 and _key(row) not in reported for row in rows]
    )
    wishes, faults = material.vectors(phrases.wishes()), material.vectors(phrases.faults())
    asked = np.array([row["suggestion"] for row in rows])[kept]
    yes = np.concatenate([asked, np.ones(len(wishes)), np.zeros(len(faults))])
    own = np.full(len(wishes) + len(faults), _OWN_WEIGHT)
    weights = np.concatenate([np.ones(len(asked)), own])
    for label in (0, 1):  # wishes are fewer than faults in reviews, and need not be elsewhere
        weights[yes == label] *= len(yes) / (2 * (yes == label).sum())
    return _log_odds(np.concatenate([material.seen[kept], wishes, faults]) - mean, yes, weights)


def _key(row: Row) -> str:
    return " ".join(row["text"].split())[:80].lower()


def _log_odds(vectors: Matrix, yes: Matrix, weights: Matrix) -> tuple[Matrix, float]:
    """Logistic regression with a ridge, by Newton's method."""
    rows = np.concatenate([unit(vectors), np.ones((len(vectors), 1))], axis=1)
    ridge = np.full(rows.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    found = np.zeros(rows.shape[1])
    for _ in range(_NEWTON):
        chances = 1 / (1 + np.exp(-(rows @ found)))
        slope = rows.T @ (weights * (chances - yes)) + ridge * found
        bend = (rows * (weights * chances * (1 - chances))[:, None]).T @ rows + np.diag(ridge)
        found -= np.linalg.solve(bend, slope)
    return found[:-1], float(found[-1])
