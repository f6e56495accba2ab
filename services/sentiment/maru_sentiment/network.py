"""The network behind mood, intent, emotions, spam and toxicity, in one small file of weights.

It adds up three readings of a post, each of which sees what the others miss:

- hashed n-grams (`features.py`), linear: spellings, endings, set phrases;
- a convolution over the post's own pieces (Kim 2014, "Convolutional Neural Networks for Sentence
  Classification": the largest value of each filter over the post): short runs of words in any
  inflection, with negations;
- one hidden layer over the sentence vector and the cues of a lexicon (`cues.py`): the gist, in
  every language of the encoder, and what the words are known to say whoever writes them.

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
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece
from threadpoolctl import ThreadpoolController

from maru_contracts.tags import Emotion, Mood
from maru_kit.errors import ConfigError
from maru_sentiment.cues import Lexicon, cues
from maru_sentiment.features import Bags
from maru_sentiment.kept import AT_ONCE, Kept
from maru_sentiment.scripts import SCRIPTS

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

_FILES = ("network.npz", "network.model", "network.tsv")
"""Weights, pieces, and the lexicon: a word and its valence on each line."""

MAX_PIECES = 256
"""Pieces of a text that the convolution reads; about 200 words."""
MAX_CHARACTERS = 1_024

NGRAM_SHARES = np.array([0.5, 1], np.float32)
"""How much the n-grams' logits count beside those of the rest, without Hangul and with it.

Korean words come in so many forms that spellings tell more than pieces do; in English a larger
share helps the sources that were learnt from, and costs on all others.
"""

_UNKNOWN = 1
_TOGETHER = 32
"""Texts whose filters are computed at once: what they take stays small, and in the cache."""
_CAPACITY = 8_448
"""Pieces whose products are kept, 13 MB: more than `_TOGETHER` texts can have."""
_STEPS = 32_000
"""Steps of a filter's largest value: 16 bits hold it."""
_MEASURED = 1_024
"""Pieces in one product while the steps are measured."""
_TEXTS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""


@dataclass(frozen=True)
class Weights:
    """What was learnt, for n-grams, pieces p, filters c and labels l.

    `pieces` (p, e); `filters` (3 * e, c) over the piece before, the piece, and the one behind;
    `hidden` (512 + `CUES`, h) and `from_vector` (512 + `CUES`, l) read the sentence vector and the
    cues. Row 0 of `pieces` is zero: no piece. `sharpness` (2, l) is one over the temperature of
    texts without Hangul, and of those with it.
    """

    ngrams: npt.NDArray[np.int8]
    ngram_scale: Floats
    ngram_bias: Floats
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
    sharpness: Floats


READ_BY = ("from_filters", "from_hidden", "from_vector")
"""The weights that turn what is read in a text into logits."""


class Network:
    """Trained weights, the pieces' model, the lexicon; `version` tells them from others."""

    def __init__(self, weights: Weights, pieces: bytes, lexicon: Lexicon, version: str) -> None:
        self._weights = weights
        self._lexicon = lexicon
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=pieces)
        self.version = version
        self._threads = ThreadpoolController()
        with self._threads.limit(limits=1, user_api="blas"):
            self._kept = _Pieces(weights)

    def logits(self, texts: Sequence[str], bags: Bags, embeddings: npt.NDArray[np.int8]) -> Floats:
        """Return (n, `LABELS`), each row a function of its text alone.

        `texts` are normalised, `bags` their n-grams, `embeddings` their vectors as signed bytes.
        """
        if not texts:
            return np.empty((0, len(LABELS)), np.float32)
        with self._threads.limit(limits=1, user_api="blas"):
            filters, added, gist = self._read(texts, embeddings)
            korean = are_korean(texts)
            logits = self._ngrams(bags) * NGRAM_SHARES[korean, None]
            logits += added + self._dense(filters, gist)
            logits *= self._weights.sharpness[korean]
            return logits

    def readings(self, texts: Sequence[str], embeddings: npt.NDArray[np.int8]) -> Floats:
        """Return what `READ_BY` multiply, side by side, for training a label upon it."""
        filters, _, gist = self._read(texts, embeddings)
        hidden = np.maximum(gist @ self._weights.hidden + self._weights.hidden_bias, 0)
        return np.concatenate([filters, hidden, gist], axis=1)

    def _read(
        self, texts: Sequence[str], embeddings: npt.NDArray[np.int8]
    ) -> tuple[Floats, Floats, Floats]:
        parts = [
            self._convolved(texts[at : at + _TOGETHER]) for at in range(0, len(texts), _TOGETHER)
        ]
        filters, added = (np.concatenate(part) for part in zip(*parts, strict=True))
        gist = np.concatenate(
            [embeddings / np.float32(127), cues(texts, self._lexicon)], axis=1, dtype=np.float32
        )
        return filters, added, gist

    def _ngrams(self, bags: Bags) -> Floats:
        # Whole numbers: the sum is exact in any order.
        chosen = self._weights.ngrams.take(bags.buckets, axis=0)
        sums = np.add.reduceat(chosen, bags.starts, axis=0, dtype=np.int32)
        spread = np.sqrt(bags.sizes.astype(np.float32))[:, None]
        logits = sums / spread * self._weights.ngram_scale + self._weights.ngram_bias
        return logits.astype(np.float32)

    def _convolved(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what each filter finds in a text, and what its pieces add to its logits."""
        ids = piece_ids(self._pieces, texts)
        lengths = np.array([len(of) for of in ids])
        # One empty row before each text, and one behind the last.
        starts = np.cumsum(lengths + 1) - lengths
        slots = np.zeros(starts[-1] + lengths[-1] + 1, np.int64)
        at = np.arange(lengths.sum()) + np.repeat(np.arange(len(ids)) + 1, lengths)
        slots[at] = self._kept.slots(np.concatenate([np.asarray(of, np.int64) for of in ids]))
        return self._kept.found(slots, starts, lengths)

    def _dense(self, filters: Floats, gist: Floats) -> Floats:
        w = self._weights
        size = -(-len(filters) // _TEXTS) * _TEXTS
        largest, meant = (np.zeros((size, of.shape[1]), np.float32) for of in (filters, gist))
        largest[: len(filters)], meant[: len(gist)] = filters, gist
        out = np.empty((size, len(w.bias)), np.float32)
        for start in range(0, size, _TEXTS):
            rows = slice(start, start + _TEXTS)
            hidden = np.maximum(meant[rows] @ w.hidden + w.hidden_bias, 0)
            out[rows] = largest[rows] @ w.from_filters + hidden @ w.from_hidden
            out[rows] += meant[rows] @ w.from_vector + w.bias
        return out[: len(filters)]


def are_korean(texts: Sequence[str]) -> Ints:
    """Return 1 for each text that has Hangul in it, 0 for the others."""
    return np.array([SCRIPTS["Hangul"].search(text) is not None for text in texts], np.int64)


class _Pieces:
    """What each piece adds to the filters around it and to the logits, in whole numbers.

    A filter is a sum over three pieces: so each piece's products with it are made once and kept.
    Whole numbers add up to the same in any order.
    """

    def __init__(self, weights: Weights) -> None:
        self._pieces = weights.pieces
        places = weights.filters.reshape(3, weights.pieces.shape[1], -1)
        self._columns = [_used(filters) for filters in places]
        parts = [filters[:, of] for filters, of in zip(places, self._columns, strict=True)]
        ends = np.cumsum([part.shape[1] for part in parts]).tolist()
        self._blocks = [slice(*ends) for ends in pairwise([0, *ends])]
        self._labels = slice(ends[-1], None)
        matrix = np.concatenate([*parts, weights.from_pieces], axis=1)
        largest = self._largest(matrix)
        sums = np.zeros(places.shape[2], np.float32)
        for columns, block in zip(self._columns, self._blocks, strict=True):
            sums[columns] += largest[block]
        self._steps, self._label_steps = (
            np.maximum(most, 1e-6) / _STEPS for most in (sums, largest[self._labels])
        )
        steps = [*(self._steps[of] for of in self._columns), self._label_steps]
        self._matrix = matrix / np.concatenate(steps)
        self._bias = weights.filter_bias
        self._rows = np.zeros((_CAPACITY, matrix.shape[1]), np.int16)
        self.slots = Kept(len(weights.pieces), _CAPACITY, self._make).slots

    def found(self, slots: Ints, starts: Ints, lengths: Ints) -> tuple[Floats, Floats]:
        """Read texts that begin at `starts`, with an empty slot before and behind each."""
        rows = self._rows.take(slots, axis=0)
        count = len(rows) - 2
        filters = np.zeros((count, len(self._steps)), np.int16)
        for place, (columns, block) in enumerate(zip(self._columns, self._blocks, strict=True)):
            filters[:, columns] += rows[place : place + count, block]
        largest = np.empty((len(starts), filters.shape[1]), np.int16)
        spans = zip(starts - 1, starts - 1 + lengths, largest, strict=True)
        for begin, end, out in spans:  # `reduceat` takes several times as long
            np.maximum.reduce(filters[begin:end], axis=0, out=out)
        added = np.add.reduceat(rows[:, self._labels], starts - 1, axis=0, dtype=np.int32)
        spread = np.sqrt(lengths + 1)[:, None]
        found: Floats = np.maximum(largest * self._steps + self._bias, 0)
        return found, (added * self._label_steps / spread).astype(np.float32)

    def _largest(self, matrix: Floats) -> Floats:
        """Return the size of the largest product of all pieces with each column."""
        parts = np.array_split(self._pieces, -(-len(self._pieces) // _MEASURED))
        largest: Floats = np.max([np.abs(part @ matrix).max(axis=0) for part in parts], axis=0)
        return largest

    def _make(self, ids: Ints, rows: slice) -> None:
        pieces = np.zeros((AT_ONCE, self._pieces.shape[1]), np.float32)
        pieces[: len(ids)] = self._pieces[ids]
        self._rows[rows] = np.rint(pieces @ self._matrix)[: len(ids)]


def _used(filters: Floats) -> slice:
    """Return the filters that read a place: from the first to the last that is not all zeros."""
    columns = np.flatnonzero(np.abs(filters).max(axis=0))
    return slice(columns[0], columns[-1] + 1) if len(columns) else slice(0, 0)


def chances(logits: Floats) -> list[float]:
    """Turn the logits of a yes-or-no label into probabilities."""
    found: list[float] = np.round(1 / (1 + np.exp(-logits.astype(np.float64))), 4).tolist()
    return found


def piece_ids(model: sentencepiece.SentencePieceProcessor, texts: Sequence[str]) -> list[list[int]]:
    """Split normalised texts into pieces; every text has one at least."""
    # Lone surrogates are no UTF-8, which is what sentencepiece reads.
    read = [text[:MAX_CHARACTERS].encode("utf-8", "replace").decode() for text in texts]
    found = model.encode(read, num_threads=1)
    return [ids[:MAX_PIECES] or [_UNKNOWN] for ids in found]


def load(folder: Traversable) -> Network:
    """Read the network from its files; raises what `read` raises."""
    return Network(*read(folder))


def read(folder: Traversable) -> tuple[Weights, bytes, Lexicon, str]:
    """Read what a network is made of; the SHA-256 of its files stand in `network.json`.

    Raises ConfigError when the files are not those that were described.
    """
    about = json.loads((folder / "network.json").read_text("utf-8"))
    content = {name: (folder / name).read_bytes() for name in _FILES}
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
    return weights, content["network.model"], _lexicon(content["network.tsv"].decode()), version


def _lexicon(table: str) -> Lexicon:
    rows = (line.split("\t") for line in table.splitlines())
    return {word: float(valence) for word, valence in rows}


def save(folder: Path, weights: Weights, pieces: bytes, lexicon: Lexicon) -> str:
    """Write the four files and return the weights' SHA-256.

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
    table = "".join(f"{word}\t{valence:g}\n" for word, valence in lexicon.items())
    files = dict(zip(_FILES, (content.getvalue(), pieces, table.encode()), strict=True))
    digests = {name: hashlib.sha256(of).hexdigest() for name, of in files.items()}
    for name, of in files.items():
        (folder / name).write_bytes(of)
    about = {"labels": LABELS, "sha256": digests}
    (folder / "network.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return digests["network.npz"]
