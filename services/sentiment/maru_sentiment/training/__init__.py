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
from maru_sentiment.dataset import Example, training_examples
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.features import bags, normalise
from maru_sentiment.network import LABELS, MOODS, Network, Weights, are_korean
from maru_sentiment.training import convolution, ngrams
from maru_sentiment.training.lexicon import lexicon, lexicon_examples
from maru_sentiment.training.pieces import learn_pieces, vectors_of_pieces
from maru_sentiment.training.targets import MOOD, YES_OR_NO, Targets, losses, targets_of

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float32]

_HELD_OUT = 0.05
"""Share of the rows that fit the temperatures and nothing else."""
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
    examples = [example for example in learnt_from(data, seed) if example.source != without]
    order = np.random.default_rng(seed).permutation(len(examples))[:limit]
    examples = [examples[place] for place in order]
    targets = targets_of(examples)
    held = np.random.default_rng(seed).random(len(examples)) < _HELD_OUT
    learnt = targets.without(held)
    texts = [normalise(example.text) for example in examples]
    log.info("training.encoding", examples=len(examples))
    encoder = Encoder()
    embeddings = quantise(encoder.encode([example.text for example in examples]))
    pieces = learn_pieces(texts)
    grams, gram_bias = ngrams.fit(bags(texts), learnt, rounds=rounds)
    words = lexicon()
    rest = convolution.fit(
        convolution.Rows.of(texts, embeddings, pieces, words),
        learnt,
        vectors_of_pieces(pieces, encoder, convolution.SIZE),
        epochs=epochs,
        seed=seed,
    )
    scale = np.maximum(np.abs(grams).max(axis=0), 1e-9) / 127
    weights = Weights(
        ngrams=np.rint(grams / scale).astype(np.int8),
        ngram_scale=scale.astype(np.float32),
        ngram_bias=gram_bias.astype(np.float32),
        sharpness=np.ones((2, len(LABELS)), np.float32),
        **rest,
    )
    unseen = [texts[row] for row in np.flatnonzero(held)]
    logits = _logits(Network(weights, pieces, words, "in training"), unseen, embeddings[held])
    sharpness = _sharpness(logits, targets.part(held), are_korean(unseen))
    weights = replace(weights, sharpness=sharpness)
    out.mkdir(parents=True, exist_ok=True)
    return {"network": network.save(out, weights, pieces, words)}


def learnt_from(data: Path, seed: int) -> list[Example]:
    """Read all that the network learns from, of `data`/train and of ours.

    Raises ConfigError when a file of the data is missing.
    """
    return [
        *training_examples(data),
        *synthetic.examples(seed),
        *synthetic.sentences(),
        *synthetic.judgements(),
        *synthetic.moderated(),
        *lexicon_examples(seed),
    ]


def predict_left_out(
    data: Path, source: str, *, seed: int = 0, limit: int | None = None
) -> tuple[list[str], list[str]]:
    """Train on every source but one, and return that one's moods: labelled, and predicted.

    `limit` is as in `train`. Raises ConfigError when no row with a mood is of that source.
    """
    rows = [row for row in training_examples(data) if row.source == source and row.mood in MOODS]
    if not rows:
        raise ConfigError(
            f"No row of the source {source!r} has a mood; sources are {sources_with_moods(data)}"
        )
    with TemporaryDirectory() as folder:
        train(data, Path(folder), seed=seed, without=source, limit=limit)
        predicted = predict(Path(folder), [row.text for row in rows])
    return [str(row.mood) for row in rows], predicted


def sources_with_moods(data: Path) -> list[str]:
    """Name the sources of `data`/train whose rows have moods."""
    return sorted({row.source for row in training_examples(data) if row.mood in MOODS})


def predict(weights: Path, texts: Sequence[str]) -> list[str]:
    """Return the likeliest mood of each text, by a network whose files are in `weights`."""
    embeddings = quantise(Encoder().encode(texts))
    logits = _logits(network.load(weights), [normalise(text) for text in texts], embeddings)
    return [MOODS[at] for at in logits[:, MOOD].argmax(axis=1)]


def _logits(model: Network, texts: Sequence[str], embeddings: npt.NDArray[np.int8]) -> Floats:
    parts = []
    for at in range(0, len(texts), _BATCH):
        batch = texts[at : at + _BATCH]
        parts.append(model.logits(batch, bags(batch), embeddings[at : at + _BATCH]))
    return np.concatenate(parts) if parts else np.empty((0, len(LABELS)), np.float32)


def _sharpness(logits: Floats, targets: Targets, korean: npt.NDArray[np.int64]) -> Floats:
    """Find the factors on each label's logits that fit rows which nothing was learnt from.

    Where no row with Hangul, or without it, knows a label, all rows that know it are asked.
    """
    factors = np.ones((2, len(LABELS)), np.float32)
    columns = [MOOD, *(slice(at, at + 1) for at in range(YES_OR_NO.start, YES_OR_NO.stop))]
    for script in range(len(factors)):
        for of in columns:
            known = np.asarray(targets.weights[:, of].any(axis=1))
            of_script = np.asarray(known & (korean == script))
            rows = of_script if of_script.any() else known
            if rows.any():
                wanted = targets.part(rows, of)
                factors[script, of] = _factor(logits[rows, of], wanted, exclusive=of == MOOD)
    return factors


def _factor(logits: Floats, targets: Targets, *, exclusive: bool) -> float:
    def loss(factor: float) -> float:
        return float(losses(logits * factor, targets, exclusive=exclusive).sum())

    return float(minimize_scalar(loss, bounds=(0.2, 3), method="bounded").x)
