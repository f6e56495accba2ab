"""Trains the network: `maru train heads`. Needs the development dependencies (scipy, jax, optax).

The n-grams are fitted by L-BFGS on all rows, the convolution and the hidden layer by stochastic
gradients; on one machine the same data and seed give the same weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import structlog
from scipy.optimize import minimize_scalar

from maru_kit.errors import ConfigError
from maru_sentiment import network, synthetic
from maru_sentiment.dataset import training_examples
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.features import bags, normalise
from maru_sentiment.network import LABELS, MOODS, Network, Weights
from maru_sentiment.training import convolution, ngrams
from maru_sentiment.training.lexicon import lexicon_examples
from maru_sentiment.training.pieces import learn_pieces, vectors_of_pieces
from maru_sentiment.training.targets import MOOD, YES_OR_NO, Targets, losses, targets_of

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float32]

_HELD_OUT = 0.05
"""Share of the rows that fit the temperatures and nothing else."""
_NGRAM_SHARE = 0.5
"""How much the n-grams' logits count beside those of the rest.

More than this helps the film reviews that most rows are, and costs on most sources that were not
learnt from.
"""
_BATCH = 1_000


def train(
    data: Path,
    out: Path,
    *,
    seed: int = 0,
    rounds: int = 60,
    epochs: int = 4,
    limit: int | None = None,
    without: str | None = None,
) -> dict[str, str]:
    """Train on `data`/train and write the network's files to `out`.

    `rounds` are those of L-BFGS, `epochs` those of stochastic gradients; `limit` keeps that many
    rows, for a trial; the source `without` is left out. Returns the SHA-256 of the weights. Raises
    ConfigError when a file of the data is missing.
    """
    examples = [
        *training_examples(data),
        *synthetic.examples(seed),
        *synthetic.sentences(),
        *synthetic.judgements(),
        *synthetic.moderated(),
        *lexicon_examples(seed),
    ]
    order = np.random.default_rng(seed).permutation(len(examples))[:limit]
    examples = [examples[place] for place in order if examples[place].source != without]
    targets = targets_of(examples)
    held = np.random.default_rng(seed).random(len(examples)) < _HELD_OUT
    learnt = targets.without(held)
    texts = [normalise(example.text) for example in examples]
    log.info("training.encoding", examples=len(examples))
    encoder = Encoder()
    embeddings = quantise(encoder.encode([example.text for example in examples]))
    pieces = learn_pieces(texts)
    grams, gram_bias = ngrams.fit(bags(texts), learnt, rounds=rounds)
    rest = convolution.fit(
        convolution.Rows.of(texts, embeddings, pieces),
        learnt,
        vectors_of_pieces(pieces, encoder, convolution.SIZE),
        epochs=epochs,
        seed=seed,
    )
    scale = np.maximum(np.abs(grams).max(axis=0), 1e-9) / 127
    weights = Weights(
        ngrams=np.rint(grams / scale).astype(np.int8),
        ngram_scale=(_NGRAM_SHARE * scale).astype(np.float32),
        **{**rest, "bias": rest["bias"] + np.float32(_NGRAM_SHARE) * gram_bias.astype(np.float32)},
    )
    chosen = np.flatnonzero(held)
    model = Network(weights, pieces, "in training")
    logits = _logits(model, [texts[row] for row in chosen], embeddings[chosen])
    factors = _sharpness(logits, targets.part(held))
    out.mkdir(parents=True, exist_ok=True)
    return {"network": network.save(out, _sharpened(weights, factors), pieces)}


def predict_left_out(data: Path, source: str, *, seed: int = 0) -> tuple[list[str], list[str]]:
    """Train on every source but one, and return that one's moods: labelled, and predicted.

    Raises ConfigError when no row with a mood is of that source.
    """
    rows = [row for row in training_examples(data) if row.source == source and row.mood in MOODS]
    if not rows:
        known = sorted({row.source for row in training_examples(data) if row.mood in MOODS})
        raise ConfigError(f"No row of the source {source!r} has a mood; sources are {known}")
    with TemporaryDirectory() as folder:
        train(data, Path(folder), seed=seed, without=source)
        model = network.load(Path(folder))
    embeddings = quantise(Encoder().encode([row.text for row in rows]))
    logits = _logits(model, [normalise(row.text) for row in rows], embeddings)
    predicted = [MOODS[at] for at in logits[:, MOOD].argmax(axis=1)]
    return [str(row.mood) for row in rows], predicted


def _logits(model: Network, texts: Sequence[str], embeddings: npt.NDArray[np.int8]) -> Floats:
    parts = []
    for at in range(0, len(texts), _BATCH):
        batch = texts[at : at + _BATCH]
        parts.append(model.logits(batch, bags(batch), embeddings[at : at + _BATCH]))
    return np.concatenate(parts) if parts else np.empty((0, len(LABELS)), np.float32)


def _sharpness(logits: Floats, targets: Targets) -> Floats:
    """Find the factor on each label's logits that fits rows which nothing was learnt from."""
    factors = np.ones(len(LABELS), np.float32)
    columns = [MOOD, *(slice(at, at + 1) for at in range(YES_OR_NO.start, YES_OR_NO.stop))]
    for of in columns:
        wanted = targets.part(columns=of)
        if wanted.weights.any():
            factors[of] = _factor(logits[:, of], wanted, exclusive=of == MOOD)
    return factors


def _factor(logits: Floats, targets: Targets, *, exclusive: bool) -> float:
    def loss(factor: float) -> float:
        return float(losses(logits * factor, targets, exclusive=exclusive).sum())

    return float(minimize_scalar(loss, bounds=(0.2, 3), method="bounded").x)


def _sharpened(weights: Weights, factors: Floats) -> Weights:
    last = ("ngram_scale", "from_filters", "from_pieces", "from_hidden", "from_vector", "bias")
    return replace(weights, **{name: getattr(weights, name) * factors for name in last})
