"""Trains the heads: `maru train heads`. Needs the development dependencies (scipy).

Multinomial and binary logistic regression over hashed n-grams and sentence vectors together, by
L-BFGS on the whole data (no sampling, so the same data and seed give the same weights).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_matrix, diags

from maru_sentiment import linear, synthetic
from maru_sentiment.dataset import INTENTS, MOODS, Example, training_examples
from maru_sentiment.encoder import DIMENSIONS, Encoder, quantise
from maru_sentiment.features import BUCKETS, bags, normalise

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float64]

_HELD_OUT = 0.05
"""Share of the rows that fit the temperature and nothing else."""


@dataclass(frozen=True)
class Design:
    """Features of n texts: counts of n-grams over sqrt(number), and vectors."""

    ngrams: csr_matrix
    vectors: npt.NDArray[np.float32]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "Design":
        """Take some of the rows."""
        return Design(self.ngrams[chosen], self.vectors[chosen])


@dataclass(frozen=True)
class Task:
    """What one head learns: targets (n, labels), weights (n, labels; 0 where unknown)."""

    name: str
    labels: tuple[str, ...]
    targets: Floats
    weights: Floats
    exclusive: bool
    ngram_penalty: float
    vector_penalty: float


def train(
    data: Path, out: Path, *, seed: int = 0, rounds: int = 100, limit: int | None = None
) -> dict[str, str]:
    """Train all heads on `data`/train and write their weights to `out`.

    `limit` keeps that many rows of all, for a trial. Returns each head's SHA-256. Raises
    ConfigError when a file of the data is missing.
    """
    examples = training_examples(data) + synthetic.examples(seed)
    order = np.random.default_rng(seed).permutation(len(examples))[:limit]
    examples = [examples[place] for place in order]
    log.info("training.encoding", examples=len(examples))
    design = design_of([example.text for example in examples])
    out.mkdir(parents=True, exist_ok=True)
    return {
        task.name: linear.save(out, task.name, fit(task, design, seed=seed, rounds=rounds))
        for task in (sentiment_task(examples), intent_task(examples))
    }


def design_of(texts: Sequence[str]) -> Design:
    """Compute the features of texts, as the heads will see them."""
    found = bags([normalise(text) for text in texts])
    values = np.repeat(1 / np.sqrt(found.sizes), found.sizes).astype(np.float32)
    pointers = np.append(found.starts, len(found.buckets))
    ngrams = csr_matrix((values, found.buckets, pointers), shape=(len(texts), BUCKETS))
    ngrams.sum_duplicates()
    vectors = quantise(Encoder().encode(texts)).astype(np.float32) / 127
    return Design(ngrams, vectors.astype(np.float32))


def sentiment_task(examples: Sequence[Example]) -> Task:
    """Three moods that exclude one another."""
    targets = np.zeros((len(examples), len(MOODS)))
    for row, example in enumerate(examples):
        if example.mood in MOODS:
            targets[row, MOODS.index(example.mood)] = 1
    known = targets.sum(axis=1)
    weights = (_balance(examples, known) * known)[:, None].repeat(len(MOODS), axis=1)
    return Task("sentiment", MOODS, targets, weights, True, 1.5e-4, 2e-6)  # noqa: FBT003


def intent_task(examples: Sequence[Example]) -> Task:
    """Two questions, each answered by some of the sources only."""
    answers = [[getattr(example, intent) for intent in INTENTS] for example in examples]
    known = np.array([[answer is not None for answer in row] for row in answers], float)
    targets = np.array([[bool(answer) for answer in row] for row in answers], float)
    weights = np.stack([_balance(examples, column) for column in known.T], axis=1) * known
    return Task("intent", INTENTS, targets, weights, False, 1.5e-4, 2e-6)  # noqa: FBT003


def _balance(examples: Sequence[Example], known: Floats) -> Floats:
    """Weigh rows so that a source counts by the square root of its size, on average 1."""
    sources = sorted({example.source for example in examples})
    number = np.array([sources.index(example.source) for example in examples])
    sizes = np.maximum(np.bincount(number, weights=known, minlength=len(sources)), 1)
    weights = (1 / np.sqrt(sizes))[number]
    balanced: Floats = weights * known.sum() / max((weights * known).sum(), 1e-9)
    return balanced


def fit(task: Task, design: Design, *, seed: int, rounds: int) -> linear.LinearHead:
    """Fit one head and its temperature."""
    known = task.weights.sum(axis=1) > 0
    held = known & (np.random.default_rng(seed).random(len(known)) < _HELD_OUT)
    learn = known & ~held
    rows = design.rows(learn)
    emphasis = _emphasis(rows.ngrams)
    rows = Design(rows.ngrams @ diags(emphasis), rows.vectors)
    shape = (BUCKETS + DIMENSIONS + 1, len(task.labels))
    loss = _loss(task, rows, task.targets[learn], task.weights[learn])
    result = minimize(
        lambda flat: loss(flat.reshape(shape)),
        np.zeros(shape[0] * shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "maxcor": 8},
    )
    log.info("training.fitted", head=task.name, loss=float(result.fun), rounds=int(result.nit))
    weights = result.x.reshape(shape)
    weights[:BUCKETS] *= emphasis[:, None]
    scale = _sharpness(task, _logits(weights, design.rows(held)), task.targets[held])
    weights = (weights * scale).astype(np.float32)
    return linear.LinearHead(
        labels=task.labels,
        ngrams=weights[:BUCKETS],
        matrix=weights[BUCKETS:-1],
        bias=weights[-1],
        version="",
    )


def _emphasis(ngrams: csr_matrix) -> Floats:
    """Weigh n-grams by how rare they are (inverse document frequency); 0 for those met once.

    It only helps the optimiser: the factor is part of the weights that are saved.
    """
    met = np.bincount(ngrams.indices, minlength=BUCKETS)
    rarity: Floats = np.where(met > 1, 1 + np.log(ngrams.shape[0] / np.maximum(met, 1)), 0.0)
    return rarity


def _logits(weights: Floats, rows: Design) -> Floats:
    out: Floats = rows.ngrams @ weights[:BUCKETS] + rows.vectors @ weights[BUCKETS:-1] + weights[-1]
    return out


def _chances(logits: Floats, *, exclusive: bool) -> Floats:
    if not exclusive:
        chances: Floats = 1 / (1 + np.exp(-logits))
        return chances
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _loss(
    task: Task, rows: Design, targets: Floats, weights: Floats
) -> Callable[[Floats], tuple[float, Floats]]:
    """Weighted mean cross-entropy plus a ridge penalty, with its gradient."""
    total = weights.max(axis=1).sum()
    backwards = rows.ngrams.T.tocsr()
    penalty = np.full((BUCKETS + DIMENSIONS + 1, 1), task.ngram_penalty)
    penalty[BUCKETS:] = task.vector_penalty
    penalty[-1] = 0

    def value(parameters: Floats) -> tuple[float, Floats]:
        chances = _chances(_logits(parameters, rows), exclusive=task.exclusive)
        entropy = targets * np.log(chances + 1e-12)
        if not task.exclusive:
            entropy += (1 - targets) * np.log(1 - chances + 1e-12)
        slope = weights * (chances - targets) / total
        gradient = np.vstack([backwards @ slope, rows.vectors.T @ slope, slope.sum(axis=0)])
        ridge = penalty * parameters
        loss = -(weights * entropy).sum() / total + 0.5 * (ridge * parameters).sum()
        return float(loss), (gradient + ridge).ravel()

    return value


def _sharpness(task: Task, logits: Floats, targets: Floats) -> float:
    """Find the factor on the logits that fits rows which nothing was learnt from."""

    def loss(scale: float) -> float:
        chances = _chances(logits * scale, exclusive=task.exclusive)
        entropy = targets * np.log(chances + 1e-12)
        if not task.exclusive:
            entropy += (1 - targets) * np.log(1 - chances + 1e-12)
        return float(-entropy.mean())

    return float(minimize_scalar(loss, bounds=(0.2, 3), method="bounded").x)
