"""The network behind mood, intent, emotions, spam and toxicity, in one small file of weights.

It adds up three readings of a post, each of which sees what the others miss:

- hashed n-grams (`features.py`), linear: spellings, endings, set phrases;
- a convolution over the post's own pieces (Kim 2014, "Convolutional Neural Networks for Sentence
  Classification": the largest value of each filter over the post): short runs of words in any
  inflection, with negations;
- one hidden layer over the sentence vector: the gist, in every language of the encoder.

The pieces are those of a unigram model (Kudo 2018, "Subword Regularization") made from the training
texts; the encoder's own vocabulary lacks too many Korean syllables. Logits are over a temperature
(Guo et al. 2017, "On Calibration of Modern Neural Networks").
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece
from threadpoolctl import ThreadpoolController

from maru_contracts.tags import Emotion, Mood
from maru_kit.errors import ConfigError
from maru_sentiment.features import Bags

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")
INTENTS = ("suggestion", "problem")
EMOTIONS: tuple[Emotion, ...] = (
    "joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation",
)  # fmt: skip
"""Plutchik's eight basic emotions (1980, "A general psychoevolutionary theory of emotion")."""
MODERATION = ("spam", "toxicity")
LABELS = (*MOODS, *INTENTS, *EMOTIONS, *MODERATION)
"""The columns of the network's logits: moods exclude one another, the rest are yes or no."""

SILENCE = np.array([8 if label == "neutral" else -8 for label in LABELS], np.float32)
"""The logits of a text that says nothing: it has no mood, wants nothing, shows nothing."""

NAME = "maru-network"

MAX_PIECES = 256
"""Pieces of a text that the convolution reads; about 200 words."""
MAX_CHARACTERS = 1_024

_UNKNOWN = 1
_ROWS = 256
_TOGETHER = 64
"""Texts whose filters are computed at once: what they take stays small, and in the cache."""
_TEXTS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""


@dataclass(frozen=True)
class Weights:
    """What was learnt, for n-grams, pieces p, filters c and labels l.

    `pieces` (p, e); `filters` (3 * e, c) over the piece before, the piece, and the one behind;
    `hidden` (512, h). Row 0 of `pieces` is zero: no piece.
    """

    ngrams: npt.NDArray[np.int8]
    ngram_scale: Floats
    pieces: Floats
    filters: Floats
    filter_bias: Floats
    from_filters: Floats
    from_pieces: Floats
    hidden: Floats
    hidden_bias: Floats
    from_hidden: Floats
    from_vector: Floats
    bias: Floats


class Network:
    """Trained weights and the pieces' model; `version` tells them from others."""

    def __init__(self, weights: Weights, pieces: bytes, version: str) -> None:
        self._weights = weights
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=pieces)
        self.version = version
        self._threads = ThreadpoolController()
        self._widths = _widths(weights.filters)

    def logits(self, texts: Sequence[str], bags: Bags, embeddings: npt.NDArray[np.int8]) -> Floats:
        """Return (n, `LABELS`), each row a function of its text alone.

        `texts` are normalised, `bags` their n-grams, `embeddings` their vectors as signed bytes.
        """
        if not texts:
            return np.empty((0, len(LABELS)), np.float32)
        with self._threads.limit(limits=1, user_api="blas"):
            pooled = [
                self._pooled(texts[at : at + _TOGETHER]) for at in range(0, len(texts), _TOGETHER)
            ]
            return self._ngrams(bags) + self._dense(np.concatenate(pooled), embeddings)

    def _ngrams(self, bags: Bags) -> Floats:
        # Whole numbers: the sum is exact in any order.
        chosen = self._weights.ngrams[bags.buckets]
        sums = np.add.reduceat(chosen, bags.starts, axis=0, dtype=np.int32)
        spread = np.sqrt(bags.sizes.astype(np.float32))[:, None]
        return (sums / spread * self._weights.ngram_scale).astype(np.float32)

    def _pooled(self, texts: Sequence[str]) -> Floats:
        """Return each filter's largest value over a text, and the sum of its pieces' vectors."""
        w = self._weights
        ids = piece_ids(self._pieces, texts)
        lengths = np.array([len(of) for of in ids])
        # One empty row before each text, and at least one behind the last.
        count = int((lengths + 1).sum()) + 1
        starts = np.cumsum(lengths + 1) - lengths
        rows = np.zeros(-(-count // _ROWS) * _ROWS + 2, np.int64)
        at = np.arange(lengths.sum()) + np.repeat(np.arange(len(ids)) + 1, lengths)
        rows[at] = np.concatenate([np.asarray(of, np.int64) for of in ids])
        vectors = w.pieces[rows]
        filters = np.empty((len(rows) - 2, w.filters.shape[1]), np.float32)
        window = np.empty((_ROWS, w.filters.shape[0]), np.float32)
        before, here, behind = np.split(window, 3, axis=1)
        for start in range(0, len(filters), _ROWS):
            here[:] = vectors[start : start + _ROWS]
            behind[:] = vectors[start + 1 : start + 1 + _ROWS]
            before[1:] = here[:-1]
            before[0] = vectors[start - 1] if start else 0
            for columns, inputs in self._widths:
                block = filters[start : start + _ROWS, columns]
                block[:] = window[:, inputs] @ w.filters[inputs, columns]
        spans = np.stack([starts, starts + lengths], axis=1).ravel()
        largest = np.maximum.reduceat(filters, spans, axis=0)[::2]
        sums = np.add.reduceat(vectors, spans, axis=0)[::2]
        sums /= np.sqrt(lengths + 1)[:, None]
        return np.concatenate([np.maximum(largest + w.filter_bias, 0), sums], axis=1).astype(
            np.float32, copy=False
        )

    def _dense(self, pooled: Floats, embeddings: npt.NDArray[np.int8]) -> Floats:
        w = self._weights
        size = -(-len(pooled) // _TEXTS) * _TEXTS
        rows = np.zeros((size, pooled.shape[1] + embeddings.shape[1]), np.float32)
        rows[: len(pooled), : pooled.shape[1]] = pooled
        rows[: len(pooled), pooled.shape[1] :] = embeddings
        from_pooled = np.concatenate([w.from_filters, w.from_pieces])
        out = np.empty((size, len(w.bias)), np.float32)
        for start in range(0, size, _TEXTS):
            part = rows[start : start + _TEXTS]
            vectors = np.ascontiguousarray(part[:, pooled.shape[1] :]) / np.float32(127)
            hidden = np.maximum(vectors @ w.hidden + w.hidden_bias, 0)
            out[start : start + _TEXTS] = (
                np.ascontiguousarray(part[:, : pooled.shape[1]]) @ from_pooled
                + hidden @ w.from_hidden
                + vectors @ w.from_vector
                + w.bias
            )
        return out[: len(pooled)]


def _widths(filters: Floats) -> list[tuple[slice, slice]]:
    """Group neighbouring filters that read the same pieces: their columns, and their rows.

    A filter over one or two pieces has zeros for the others, which need no products.
    """
    size = filters.shape[0] // 3
    there = np.abs(filters).reshape(3, size, -1).max(axis=1) > 0
    groups: list[tuple[slice, slice]] = []
    begins = np.flatnonzero(np.append(True, (there[:, 1:] != there[:, :-1]).any(axis=0)))
    for begin, end in zip(begins, [*begins[1:], there.shape[1]], strict=True):
        read = np.flatnonzero(there[:, begin]) if there[:, begin].any() else np.array([1])
        groups.append((slice(begin, end), slice(read[0] * size, (read[-1] + 1) * size)))
    return groups


def chances(logits: Floats) -> list[float]:
    """Turn the logits of a yes-or-no label into probabilities."""
    found: list[float] = np.round(1 / (1 + np.exp(-logits.astype(np.float64))), 4).tolist()
    return found


def piece_ids(model: sentencepiece.SentencePieceProcessor, texts: Sequence[str]) -> list[list[int]]:
    """Split normalised texts into pieces; every text has one at least."""
    # Lone surrogates are no UTF-8, which is what sentencepiece reads.
    read = [text[:MAX_CHARACTERS].encode("utf-8", "replace").decode() for text in texts]
    found = model.encode(read)
    return [ids[:MAX_PIECES] or [_UNKNOWN] for ids in found]


def load(folder: Traversable) -> Network:
    """Read `network.npz` and `network.model`, whose SHA-256 stand in `network.json`.

    Raises ConfigError when the files are not those that were described.
    """
    about = json.loads((folder / "network.json").read_text("utf-8"))
    content = {name: (folder / name).read_bytes() for name in ("network.npz", "network.model")}
    digests = {name: hashlib.sha256(of).hexdigest() for name, of in content.items()}
    if digests != about["sha256"] or tuple(about["labels"]) != LABELS:
        raise ConfigError(
            "The network's weights are not those that network.json describes: restore the files "
            "of that name in maru_sentiment/weights, or train them again with `maru train heads`"
        )
    with np.load(BytesIO(content["network.npz"]), allow_pickle=False) as arrays:
        weights = Weights(
            ngrams=arrays["ngrams"],
            pieces=arrays["pieces"] * arrays["piece_scale"],
            **{
                name: arrays[name].astype(np.float32)
                for name in (field.name for field in fields(Weights))
                if name not in {"ngrams", "pieces"}
            },
        )
    version = hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:12]
    return Network(weights, content["network.model"], version)


def save(folder: Path, weights: Weights, pieces: bytes) -> str:
    """Write the three files and return the weights' SHA-256.

    The pieces' vectors are rounded to signed bytes, one step for each column, as the n-grams are
    already; `filters` and `hidden` to half precision.
    """
    step = (np.abs(weights.pieces).max(axis=0) / 127).astype(np.float32)
    content = BytesIO()
    halves = {"filters", "hidden"}
    np.savez_compressed(
        content,
        ngrams=weights.ngrams,
        pieces=np.rint(weights.pieces / step).astype(np.int8),
        piece_scale=step,
        **{
            field.name: getattr(weights, field.name).astype(
                np.float16 if field.name in halves else np.float32
            )
            for field in fields(Weights)
            if field.name not in {"ngrams", "pieces"}
        },
    )
    files = {"network.npz": content.getvalue(), "network.model": pieces}
    digests = {name: hashlib.sha256(of).hexdigest() for name, of in files.items()}
    for name, of in files.items():
        (folder / name).write_bytes(of)
    about = {"labels": LABELS, "sha256": digests}
    (folder / "network.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return digests["network.npz"]
