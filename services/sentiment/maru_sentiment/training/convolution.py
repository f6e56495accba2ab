"""Fits the convolution and the hidden layer, together, by stochastic gradients in JAX.

While it learns, one of the two readings is now and then left out of a post, so that each can
answer alone: the convolution is the better one on sources that it knows, the vector carries over
to others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
import sentencepiece
import structlog

from maru_sentiment.cues import CUES, Lexicon, cues
from maru_sentiment.network import EMOTIONS, INTENTS, LABELS, piece_ids
from maru_sentiment.training.targets import MOOD, YES_OR_NO, Targets

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float32]
Parameters = dict[str, jax.Array]
Batch = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""Ids of pieces, vectors with cues, answers, weights."""

SIZE = 64
"""Dimensions of a piece's vector."""
_WIDTHS = (1, 2, 3)
_FILTERS = 128
"""Filters of each width."""
_HIDDEN = 256
_BATCH = 256
_SORTED_TOGETHER = 40
"""Batches whose rows are sorted by length before they are cut, so that little of them is empty."""
_STEP = 16
_RATE, _DECAY, _WARM_UP = 2e-3, 1e-2, 200
_KEPT_PIECES, _KEPT_FILTERS, _KEPT_HIDDEN, _KEPT_VECTOR = 0.8, 0.5, 0.5, 0.9
_SCALE = 4.0
"""Vectors of length 1 have small values: as large as this, they learn at the pace of the rest."""
_GIST = 512 + CUES
_ALONE = 0.25
"""Share of the posts that have one reading only, for each of the two."""
_SMOOTHING = 0.05
_EMOTIONS_COUNT = 8.0
"""One row in fifty has emotions: they count for more, or nothing is learnt of them."""
_AVERAGE = 0.998
"""The weights that are kept are a running mean of those of the steps (Polyak and Juditsky 1992)."""


@dataclass(frozen=True)
class Rows:
    """Texts as the network sees them: ids of pieces, vectors as signed bytes, and cues."""

    ids: Sequence[npt.NDArray[np.int32]]
    embeddings: npt.NDArray[np.int8]
    cues: Floats

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        embeddings: npt.NDArray[np.int8],
        pieces: bytes,
        lexicon: Lexicon,
    ) -> "Rows":
        """Split normalised texts into pieces, and look for cues."""
        model = sentencepiece.SentencePieceProcessor(model_proto=pieces)
        ids = [np.array(ids, np.int32) for ids in piece_ids(model, texts)]
        return cls(ids, embeddings, cues(texts, lexicon))

    def batch(self, chosen: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], Floats]:
        """Return ids, padded with 0 to a multiple of 16 columns, and vectors with cues.

        Vectors have length `_SCALE`, so that they learn at the pace of the rest.
        """
        longest = max(len(self.ids[row]) for row in chosen)
        padded = np.zeros((len(chosen), -(-longest // _STEP) * _STEP), np.int32)
        for place, row in enumerate(chosen):
            padded[place, : len(self.ids[row])] = self.ids[row]
        vectors = self.embeddings[chosen] * np.float32(_SCALE / 127)
        return padded, np.concatenate([vectors, self.cues[chosen]], axis=1)


def fit(
    rows: Rows, targets: Targets, start: Floats, *, epochs: int, seed: int
) -> Mapping[str, Floats]:
    """Learn from the rows that have a weight; `start` (pieces, SIZE) are the pieces' vectors.

    Returns the arrays of `network.Weights` but those of the n-grams.
    """
    chance = np.random.default_rng(seed)
    key = jax.random.key(seed)
    learn = np.flatnonzero(targets.weights.any(axis=1))
    learn = np.repeat(learn, targets.turns[learn])
    parameters = _beginning(start, key)
    steps = max(1, epochs * (len(learn) // _BATCH))
    optimiser = optax.adamw(
        optax.warmup_cosine_decay_schedule(0, _RATE, min(_WARM_UP, steps // 2), steps),
        weight_decay=_DECAY,
    )
    state = optimiser.init(parameters)
    average = parameters

    @jax.jit
    def step(
        parameters: Parameters,
        state: optax.OptState,
        average: Parameters,
        batch: Batch,
        key: jax.Array,
    ) -> tuple[Parameters, optax.OptState, Parameters, jax.Array]:
        loss, gradient = jax.value_and_grad(_loss)(parameters, batch, key)
        updates, state = optimiser.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        average = jax.tree.map(
            lambda old, new: _AVERAGE * old + (1 - _AVERAGE) * new, average, parameters
        )
        return parameters, state, average, loss

    for epoch in range(epochs):
        losses = []
        for chosen in _batches(rows, learn, chance):
            key, now = jax.random.split(key)
            batch = (
                *rows.batch(chosen),
                targets.answers[chosen].astype(np.float32),
                (targets.weights[chosen] / targets.turns[chosen, None]).astype(np.float32),
            )
            parameters, state, average, loss = step(parameters, state, average, batch, now)
            losses.append(loss)
        log.info("training.epoch", epoch=epoch, loss=float(np.mean(losses)))
    return _exported(average)


def _beginning(start: Floats, key: jax.Array) -> Parameters:
    keys = iter(jax.random.split(key, 8))
    labels = len(LABELS)
    pooled = len(_WIDTHS) * _FILTERS

    def spread(shape: tuple[int, ...], scale: float) -> jax.Array:
        return jax.random.normal(next(keys), shape) * scale

    return {
        "pieces": jnp.asarray(start),
        **{
            f"filters_{width}": spread((width, SIZE, _FILTERS), (2 / (width * SIZE)) ** 0.5)
            for width in _WIDTHS
        },
        "filter_bias": jnp.zeros(pooled),
        "from_filters": spread((pooled, labels), 0.01),
        "from_pieces": spread((SIZE, labels), 0.01),
        "hidden": spread((_GIST, _HIDDEN), _SCALE / 512**0.5),
        "hidden_bias": jnp.zeros(_HIDDEN),
        "from_hidden": spread((_HIDDEN, labels), 0.01),
        "from_vector": jnp.zeros((_GIST, labels)),
        "bias": jnp.zeros(labels),
    }


def _logits(
    parameters: Parameters, ids: jax.Array, vectors: jax.Array, key: jax.Array
) -> jax.Array:
    """Read posts as `network.Network` does, with parts left out by chance."""
    keys = iter(jax.random.split(key, 5))

    def kept(values: jax.Array, share: float, shape: tuple[int, ...] | None = None) -> jax.Array:
        return values * jax.random.bernoulli(next(keys), share, shape or values.shape) / share

    there = (ids > 0)[..., None].astype(jnp.float32)
    pieces = parameters["pieces"][ids] * there
    pieces = kept(pieces, _KEPT_PIECES, (*ids.shape, 1))
    largest = []
    for width in _WIDTHS:
        around = jnp.pad(pieces, ((0, 0), ((width - 1) // 2, width // 2), (0, 0)))
        filters = parameters[f"filters_{width}"]
        values = sum(around[:, at : at + ids.shape[1]] @ filters[at] for at in range(width))
        largest.append(jnp.where(there > 0, values, -jnp.inf).max(axis=1))
    pooled = jax.nn.relu(jnp.concatenate(largest, axis=1) + parameters["filter_bias"])
    sums = pieces.sum(axis=1) / jnp.sqrt(there.sum(axis=1) + 1)
    joined = kept(jnp.concatenate([pooled, sums], axis=1), _KEPT_FILTERS)
    read = joined @ jnp.concatenate([parameters["from_filters"], parameters["from_pieces"]])
    vectors = kept(vectors, _KEPT_VECTOR)
    hidden = jax.nn.relu(vectors @ parameters["hidden"] + parameters["hidden_bias"])
    gist = kept(hidden, _KEPT_HIDDEN) @ parameters["from_hidden"]
    gist += vectors @ parameters["from_vector"]
    alone = jax.random.uniform(next(keys), (len(ids), 1))
    read = jnp.where(alone < _ALONE, 0, read)
    gist = jnp.where(alone > 1 - _ALONE, 0, gist)
    return read + gist + parameters["bias"]


def _loss(parameters: Parameters, batch: Batch, key: jax.Array) -> jax.Array:
    ids, vectors, answers, weights = batch
    logits = _logits(parameters, ids, vectors, key)
    moods = optax.smooth_labels(answers[:, MOOD], _SMOOTHING)
    mood = optax.softmax_cross_entropy(logits[:, MOOD], moods) * weights[:, 0]
    smooth = answers[:, YES_OR_NO] * (1 - _SMOOTHING) + _SMOOTHING / 2
    rest = optax.sigmoid_binary_cross_entropy(logits[:, YES_OR_NO], smooth)
    rest *= weights[:, YES_OR_NO]
    emotions = slice(len(INTENTS), len(INTENTS) + len(EMOTIONS))
    others = jnp.concatenate([rest[:, : emotions.start], rest[:, emotions.stop :]], axis=1)
    found: jax.Array = mood.mean() + others.mean(axis=0).sum()
    found += rest[:, emotions].mean() * _EMOTIONS_COUNT
    return found


def _batches(
    rows: Rows, learn: npt.NDArray[np.int64], chance: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    order = chance.permutation(learn)
    for start in range(0, len(order), _BATCH * _SORTED_TOGETHER):
        part = order[start : start + _BATCH * _SORTED_TOGETHER]
        part = part[np.argsort([len(rows.ids[row]) for row in part], kind="stable")]
        starts = np.arange(0, max(1, len(part) - _BATCH + 1), _BATCH)
        for at in chance.permutation(starts):
            yield part[at : at + _BATCH]


def _exported(parameters: Parameters) -> Mapping[str, Floats]:
    found = {name: np.array(values, np.float32) for name, values in parameters.items()}
    wide = np.zeros((max(_WIDTHS), SIZE, len(_WIDTHS) * _FILTERS), np.float32)
    for number, width in enumerate(_WIDTHS):
        left = 1 - (width - 1) // 2
        columns = slice(number * _FILTERS, (number + 1) * _FILTERS)
        wide[left : left + width, :, columns] = found.pop(f"filters_{width}")
    found["filters"] = wide.reshape(-1, wide.shape[2])
    for name in ("hidden", "from_vector"):
        found[name][:512] *= _SCALE
    found["pieces"][0] = 0
    return found
