"""Learns a linear map under which texts about one thing lie nearer than all others.

Supervised contrastive learning (Khosla et al., NeurIPS 2020): of a handful of texts, each one picks
those of its own group out of the others by their cosines. Only differences within a set of texts
are learnt from, so what sets apart the sets themselves (films, banks, watches) says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

STEPS = 200
BATCH = 400
RATE = 2e-3
TEMPERATURE = 0.15
HOLD = 0.03
"""How strongly the map is held at the one it starts from, by the squares of its changes."""
_DECAYS = (0.9, 0.999)


@dataclass(frozen=True)
class Groups:
    """Texts of one set, and the number of the group that each belongs to.

    `vectors` (versions x texts x in) are of length 1: each text in one or more versions, of which a
    batch takes one. `members` is how many of a group meet in a batch, at most; `weight` how much
    the set counts.
    """

    vectors: Floats
    numbers: npt.NDArray[np.intp]
    members: int
    weight: float


def learnt(start: Floats, sets: Sequence[Groups], seed: int) -> Floats:
    """The map (in x out) that `start` becomes. Adam (Kingma & Ba, 2015), with seeded batches."""
    random = np.random.default_rng(seed)
    found = start.astype(np.float32)
    first, second = np.zeros_like(found), np.zeros_like(found)
    for step in range(1, STEPS + 1):
        slope = 2 * HOLD * (found - start)
        for every in sets:
            chosen = _batch(every, random)
            version = random.integers(len(every.vectors), size=len(chosen))
            rows, numbers = every.vectors[version, chosen], every.numbers[chosen]
            slope += np.float32(every.weight) * slope_of(found, rows, numbers)
        first += (1 - _DECAYS[0]) * (slope - first)
        second += (1 - _DECAYS[1]) * (slope**2 - second)
        spread = np.sqrt(second / (1 - _DECAYS[1] ** step)) + 1e-8
        found = found - RATE / (1 - _DECAYS[0] ** step) * first / spread
    return np.asarray(found, np.float32)


def loss_of(found: Floats, vectors: Floats, numbers: npt.NDArray[np.intp]) -> float:
    """The mean surprise at the group of a text, over texts that have a fellow in the batch."""
    chances, fellows, _, _ = _compared(found, vectors, numbers)
    sizes = fellows.sum(axis=1)
    surprises = -(np.log(chances + np.eye(len(chances))) * fellows).sum(axis=1)
    return float((surprises / np.maximum(sizes, 1)).sum() / max(1, (sizes > 0).sum()))


def slope_of(found: Floats, vectors: Floats, numbers: npt.NDArray[np.intp]) -> Floats:
    """The derivative of `loss_of` by the map."""
    chances, fellows, rows, lengths = _compared(found, vectors, numbers)
    sizes = fellows.sum(axis=1, keepdims=True, dtype=np.float32)
    pulls = chances * (sizes > 0) - fellows / np.maximum(sizes, 1)
    by_rows = (pulls + pulls.T) @ rows / np.float32(TEMPERATURE * max(1, (sizes > 0).sum()))
    along = (by_rows * rows).sum(axis=1, keepdims=True)
    return np.asarray(vectors.T @ ((by_rows - along * rows) / lengths), np.float32)


def _compared(
    found: Floats, vectors: Floats, numbers: npt.NDArray[np.intp]
) -> tuple[Floats, npt.NDArray[np.bool_], Floats, Floats]:
    """Each text's chances of others, who its fellows are, the mapped rows and their lengths."""
    mapped = vectors @ found
    lengths = np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9)
    rows = mapped / lengths
    itself = np.eye(len(rows), dtype=bool)
    nearness = np.where(itself, np.float32(-np.inf), rows @ rows.T / np.float32(TEMPERATURE))
    risen = np.exp(nearness - nearness.max(axis=1, keepdims=True))
    chances = risen / risen.sum(axis=1, keepdims=True)
    return chances, (numbers[:, None] == numbers) & ~itself, rows, lengths


def _batch(every: Groups, random: np.random.Generator) -> npt.NDArray[np.intp]:
    """Up to `BATCH` rows: some members of each of some groups."""
    order = random.permutation(len(every.numbers))
    by_group = order[np.argsort(every.numbers[order], kind="stable")]
    numbers = every.numbers[by_group]
    starts = np.searchsorted(numbers, numbers)
    few = by_group[np.arange(len(numbers)) - starts < every.members]
    ranks = random.permutation(int(numbers.max()) + 1)
    chosen = few[np.argsort(ranks[every.numbers[few]], kind="stable")][:BATCH]
    return np.asarray(chosen, np.intp)
