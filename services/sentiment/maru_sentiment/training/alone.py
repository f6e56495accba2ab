"""Teaches one label what it gets wrong, and nothing else: `maru train heads --only spam`.

Spam and toxicity are learnt from posts of ours, which become more. What other labels are read by
stays as it is, to the bit: only the label's own weights move, those of its n-grams and those on
what the network reads (`Network.readings`). They move as little as it takes to bring those of our
rows right that are not surely so, and are held where they are on all other rows: by the square of
how far a logit moves, as in "Learning without Forgetting" (Li and Hoiem 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import structlog
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from maru_sentiment import network
from maru_sentiment.dataset import Example
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.features import BUCKETS, Bags, bags, normalise
from maru_sentiment.network import LABELS, NGRAM_SHARES, Network, Weights, are_korean
from maru_sentiment.synthetic import SPAM, TOXICITY
from maru_sentiment.training import learnt_from
from maru_sentiment.training.targets import ASSUMED, probabilities

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float64]
Alone = Literal["spam", "toxicity"]

_SOURCES = {"spam": SPAM, "toxicity": TOXICITY}
_SURE = 0.9
"""Rows whose right answer has this probability are held, the others move."""
_YES, _NO = 0.97, 0.1
"""Probabilities towards which rows move.

These and the penalty were chosen among some twenty on the held-out files of spam.
"""
_PENALTY = 3e-4
_SPELLINGS = 40.0
"""How freely n-grams move: what the network reads is larger, and would move alone."""


@dataclass(frozen=True)
class _Lesson:
    """n rows of which the label is known.

    `read` (n, r) and `spelled` (n, BUCKETS) are what its weights multiply, times the temperature;
    `logits` are what it says, `wanted` what it should; `moving` and `held` what each row counts.
    """

    read: Floats
    spelled: csr_matrix
    logits: Floats
    wanted: Floats
    moving: Floats
    held: Floats


def train_alone(
    data: Path,
    there: Path,
    out: Path,
    label: Alone,
    *,
    seed: int = 0,
    rounds: int = 60,
    others: int = 5_000,
) -> dict[str, str]:
    """Teach a label upon the network whose files are in `there`; write its files to `out`.

    `rounds` are those of L-BFGS, `others` the rows of other sources that are held. Returns the
    SHA-256 of the weights. Raises ConfigError when a file of the data or of the network is missing.
    """
    weights, pieces, words, _ = network.read(there)
    column = LABELS.index(label)
    rows = _drawn(learnt_from(data, seed), label, others, seed)
    lesson = _lesson(rows, label, weights, Network(weights, pieces, words, "in training"))
    moved = _moved(lesson, rounds)
    out.mkdir(parents=True, exist_ok=True)
    return {"network": network.save(out, _with_moved(weights, column, moved), pieces, words)}


def _drawn(examples: Sequence[Example], label: Alone, others: int, seed: int) -> list[Example]:
    """Return all rows of ours and some of the others, of which the label is known."""
    known = [example for example in examples if getattr(example, label) is not None]
    ours = [example for example in known if example.source == _SOURCES[label]]
    rest = [example for example in known if example.source != _SOURCES[label]]
    chosen = np.random.default_rng(seed).permutation(len(rest))[:others]
    return [*ours, *(rest[place] for place in np.sort(chosen))]


def _lesson(rows: Sequence[Example], label: Alone, weights: Weights, model: Network) -> _Lesson:
    column = LABELS.index(label)
    texts, found = [normalise(row.text) for row in rows], [row.text for row in rows]
    vectors, of_texts = quantise(Encoder().encode(found)), bags(texts)
    logits = model.logits(texts, of_texts, vectors)[:, column].astype(np.float64)
    sharp = weights.sharpness[are_korean(texts), column].astype(np.float64)[:, None]
    shares = NGRAM_SHARES[are_korean(texts)][:, None]
    yes = np.array([bool(getattr(row, label)) for row in rows])
    ours = np.array([row.source == _SOURCES[label] for row in rows])
    chances = probabilities(logits, exclusive=False)
    moving = ours & (np.where(yes, chances, 1 - chances) < _SURE)
    counts = np.where(ours, 1 / max(1, ours.sum()), ASSUMED / max(1, (~ours).sum()))
    counts /= counts.sum()
    log.info("training.alone", ours=int(ours.sum()), moving=int(moving.sum()))
    return _Lesson(
        read=model.readings(texts, vectors) * sharp,
        spelled=_counted(of_texts).multiply(shares * sharp * _SPELLINGS).tocsr(),
        logits=logits,
        wanted=np.where(yes, np.maximum(chances, _YES), np.minimum(chances, _NO)),
        moving=np.where(moving, counts, 0),
        held=np.where(moving, 0, counts),
    )


def _counted(of: Bags) -> csr_matrix:
    values = np.repeat(1 / np.sqrt(of.sizes), of.sizes)
    pointers = np.append(of.starts, len(of.buckets))
    counts = csr_matrix((values, of.buckets, pointers), shape=(len(of.sizes), BUCKETS))
    counts.sum_duplicates()
    return counts


def _moved(lesson: _Lesson, rounds: int) -> Floats:
    """How far the weights move: on what is read, and behind them those of the n-grams (BUCKETS)."""
    met = np.flatnonzero(np.bincount(lesson.spelled.indices, minlength=BUCKETS) > 1)
    spelled = lesson.spelled[:, met].tocsr()
    backwards, size = spelled.T.tocsr(), lesson.read.shape[1]

    def value(move: Floats) -> tuple[float, Floats]:
        further = lesson.read @ move[:size] + spelled @ move[size:]
        logits = lesson.logits + further
        missed = np.logaddexp(0, logits) - lesson.wanted * logits
        slope = lesson.moving * (probabilities(logits, exclusive=False) - lesson.wanted)
        slope += lesson.held * further
        gradient = np.concatenate([lesson.read.T @ slope, backwards @ slope]) + _PENALTY * move
        loss = lesson.moving @ missed + 0.5 * lesson.held @ further**2
        return float(loss + 0.5 * _PENALTY * move @ move), gradient

    start = np.zeros(size + len(met))
    result = minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds})
    found = np.zeros(size + BUCKETS)
    found[:size] = result.x[:size]
    found[size + met] = result.x[size:] * _SPELLINGS
    return found


def _with_moved(weights: Weights, column: int, moved: Floats) -> Weights:
    parts = {name: getattr(weights, name).copy() for name in network.READ_BY}
    ends = np.cumsum([len(part) for part in parts.values()])
    for part, move in zip(parts.values(), np.split(moved, ends)[:-1], strict=True):
        part[:, column] += move
    ngrams, steps = weights.ngrams.copy(), weights.ngram_scale.copy()
    grams = ngrams[:, column] * steps[column] + moved[ends[-1] :]
    steps[column] = max(np.abs(grams).max(), 1e-9) / 127
    ngrams[:, column] = np.rint(grams / steps[column])
    return replace(weights, **parts, ngrams=ngrams, ngram_scale=steps)
