"""The map under which topics are found, and how rare words are.

Within-class covariance normalisation (Hatch et al., Interspeech 2006): what texts about one subject
have in common is kept, what sets them apart (length, anger, language, the name of the device) is
shrunk.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from maru_ideas import phrases
from maru_ideas.domain import terms
from maru_ideas.domain.space import MEANING
from maru_ideas.training.material import Material, Matrix

RIDGE = 1.0
FRAMES = 100
"""How often each wording of a wish counts among the texts that tell which words are rare."""
_MAX_RARITY = 255.0
_GROUPED = (
    ("train/cluster-enfr-minibar-garmin.jsonl", "cluster"),
    ("train/topics-en-banking77-train.jsonl", "topic"),
    ("train/topics-en-clinc150-train.jsonl", "topic"),
)


def whitening(material: Material) -> Matrix:
    """The map (512 x 256), the widest directions first."""
    seen, long, first = material.seen, material.long, material.first
    same = [row["duplicate"] for row in material.pairs]
    noises = [_scatter_of_groups(material, name, label) for name, label in _GROUPED]
    noises.append(_scatter_of_pairs(first, material.second, same))
    noises.append(_scatter_between([seen, long, first]))
    noises += [_scatter_of_phrases(material)] * 2  # the only set that sets languages side by side
    return _whitening(noises, [np.cov(seen.T), np.cov(long.T)])


def rarity(material: Material) -> npt.NDArray[np.uint8]:
    """Inverse document frequency of each bucket, smoothed, as a byte."""
    frames = list(phrases.frames()) * FRAMES
    return _rarity([*material.reviews, *material.petitions, *material.questions, *frames])


def _scatter_of_groups(material: Material, name: str, label: str) -> Matrix:
    rows = material.rows(name)
    vectors = material.vectors([row["text"] for row in rows])
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row[label]].append(number)  # type: ignore[literal-required]
    return _scatter(vectors[members] for members in groups.values() if len(members) > 1)


def _scatter_of_phrases(material: Material) -> Matrix:
    groups = list(phrases.groups())
    vectors = material.vectors([text for group in groups for text in group])
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


def _rarity(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    frequency = Counter[int]()
    for text in texts:
        frequency.update(set((terms.hashes(text) % terms.BUCKETS).tolist()))
    counts = np.array([frequency[bucket] for bucket in range(terms.BUCKETS)], dtype=np.float64)
    rare = np.log((1 + len(texts)) / (1 + counts))
    scaled: npt.NDArray[np.uint8] = np.rint(rare * _MAX_RARITY / rare.max()).astype(np.uint8)
    return scaled
