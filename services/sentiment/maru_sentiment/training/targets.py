"""What the network should answer for each example, and how much each answer counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from maru_sentiment.dataset import Example
from maru_sentiment.network import INTENTS, LABELS, MODERATION, MOODS
from maru_sentiment.scripts import SCRIPTS
from maru_sentiment.synthetic import MODERATED

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]

MOOD = slice(0, len(MOODS))
YES_OR_NO = slice(len(MOODS), len(LABELS))
_EVERY = slice(None)
_FAINT = 0.5
"""How much an answer counts that one hand wrote, or a lexicon knows, beside one that people gave
to what others wrote."""
ASSUMED = 0.3
"""How much all rows count that were taken for no spam, or harmless, unread: beside those of ours.

However many there are: the thresholds of spam and toxicity hold for this share.
"""
_TURNS = 6
"""How often an epoch of stochastic gradients shows each row of the few that know spam and toxicity.
"""


@dataclass(frozen=True)
class Targets:
    """For n examples and the labels: `answers` (n, labels) and `weights` (n, labels).

    A weight is 0 where nobody labelled; over all that is labelled the mean of a column is 1.
    `turns` (n) says how often a row is to be shown, each time for its part of the weight.
    """

    answers: Floats
    weights: Floats
    turns: npt.NDArray[np.int64]

    def without(self, held: Rows) -> "Targets":
        """Let some rows count for nothing."""
        return replace(self, weights=np.where(held[:, None], 0, self.weights))

    def part(self, rows: Rows | slice = _EVERY, columns: slice = _EVERY) -> "Targets":
        """Return some of the rows and some of the labels."""
        answers, weights = self.answers[rows][:, columns], self.weights[rows][:, columns]
        return Targets(answers, weights, self.turns[rows])


def targets_of(examples: Sequence[Example]) -> Targets:
    """Read the labels, and balance sources, answers and languages.

    A source counts by the square root of its size, so do the answers within a source; for moods
    English and Korean count the same in sum.
    """
    answers = np.zeros((len(examples), len(LABELS)))
    known = np.zeros_like(answers, dtype=bool)
    for row, example in enumerate(examples):
        for column, label in enumerate(LABELS):
            answer = _answer(example, label)
            answers[row, column] = bool(answer)
            known[row, column] = answer is not None
    sources = np.unique([example.source for example in examples], return_inverse=True)[1]
    faint = np.array([_FAINT if _is_made(example.source) else 1.0 for example in examples])
    own = np.array([example.source in MODERATED for example in examples])
    hangul = np.array([bool(SCRIPTS["Hangul"].search(example.text)) for example in examples])
    weights = np.zeros_like(answers)
    moods = faint * _balance(sources, answers[:, MOOD].argmax(axis=1), known[:, 0])
    weights[:, MOOD] = _evened(moods, hangul)[:, None]
    for column in range(YES_OR_NO.start, YES_OR_NO.stop):
        found = _balance(sources, answers[:, column], known[:, column])
        if LABELS[column] in MODERATION:
            found = _with_share(found, ~own, ASSUMED)
        else:
            found *= faint
        weights[:, column] = found / max(found.sum() / max(1, known[:, column].sum()), 1e-9)
    return Targets(answers, weights, np.where(own, _TURNS, 1))


def _answer(example: Example, label: str) -> bool | None:
    if label in MOODS:
        return None if example.mood not in MOODS else example.mood == label
    if label in (*INTENTS, *MODERATION):
        answer: bool | None = getattr(example, label)
        return answer
    return None if example.emotions is None else label in example.emotions


def _balance(sources: npt.NDArray[np.int64], answers: Floats, known: Rows) -> Floats:
    """Weigh known rows by one over the roots of the source's size and of the answer's share."""
    weights = np.zeros(len(known))
    for source in np.unique(sources[known]):
        of_source = known & (sources == source)
        there = np.unique(answers[of_source])
        for answer in there:
            rows = of_source & (answers == answer)
            even = of_source.sum() / len(there) / rows.sum()
            weights[rows] = np.sqrt(even / of_source.sum())
    return weights


def _is_made(source: str) -> bool:
    return source.startswith(("own ", "lexicon"))


def _with_share(weights: Floats, rows: Rows, share: float) -> Floats:
    """Scale some rows to this share of what the others count together, if they count at all."""
    rest = weights[~rows].sum()
    if not rest:
        return weights
    return np.where(rows, weights * share * rest / max(weights[rows].sum(), 1e-9), weights)


def _evened(weights: Floats, hangul: Rows) -> Floats:
    """Scale Korean rows and the others to the same sum, and all to a mean of 1."""
    out = np.zeros_like(weights)
    there = [rows for rows in (hangul & (weights > 0), ~hangul & (weights > 0)) if rows.any()]
    for rows in there:
        out[rows] = weights[rows] / weights[rows].sum() * (weights > 0).sum() / len(there)
    return out


def probabilities(logits: npt.NDArray[np.floating], *, exclusive: bool) -> Floats:
    """Turn logits (n, labels) into probabilities: a softmax over a row, or a sigmoid for each."""
    if not exclusive:
        chances: Floats = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return chances
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def losses(logits: npt.NDArray[np.floating], targets: Targets, *, exclusive: bool) -> Floats:
    """Return the weighted cross-entropy of every answer (n, labels)."""
    chances = probabilities(logits, exclusive=exclusive)
    found = -targets.answers * np.log(chances + 1e-12)
    if not exclusive:
        found -= (1 - targets.answers) * np.log(1 - chances + 1e-12)
    weighted: Floats = targets.weights * found
    return weighted
