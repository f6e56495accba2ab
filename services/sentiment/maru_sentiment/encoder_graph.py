"""Makes the graphs weights/encoder*.onnx, the parts of the encoder that ONNX Runtime computes.

`maru train encoder`; needs the development dependencies (onnx). The graphs are made of the weights
of the package and of a few texts, from which it reads how large the values get.

The first makes what the encoder keeps of each token. The one for a block of tokens adds up the
first convolution layer out of these products, multiplies the second layer in bytes, and tells each
token's features. The last turns a sentence's sum of these into its vector.

The package's weights are whole numbers from -127 to 127 times one step for each matrix, so their
bytes are exact. Values of the first layer are rounded to 255 steps between two percentiles. The few
values beyond lie in few channels, which come first in the encoder's order: what is left of them is
carried on into columns of its own, which meet the same weights again. Processors without VNNI add
two neighbours in 16 bits, of which 8 times 8 bits could take more: so the order parts channels with
large weights (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from maru_sentiment.encoder import (
    BRANCHES,
    CHANNELS,
    DIMENSIONS,
    GRAPHS,
    NEAR,
    PARTS,
    ROWS,
    Encoder,
    Weights,
    package_weights,
)
from maru_sentiment.kept import AT_ONCE

_STEPS = 255
_TAIL = 0.05
"""Percent of the values on either side that lie outside the steps."""
_CARRIED, _TIMES = 64, 2
"""Channels whose values beyond the steps are carried on, and how often."""
_HALF = 63
"""Steps of 7 bits on either side of zero."""
_MS = "com.microsoft"
_OPERATORS = [helper.make_opsetid("", 17), helper.make_opsetid(_MS, 1)]


_Matrix = tuple[str, str, str]
"""Names of a matrix in whole numbers, of the step of each column, and of zeros."""


@dataclass(frozen=True)
class _Branch:
    """A branch's width, its tokens to the left, and the values that its steps begin and end at.

    `order` names the package's channels, those with the largest values beyond the steps first.
    """

    width: int
    left: int
    low: float = -1e4
    high: float = 1e4
    order: tuple[int, ...] = tuple(range(CHANNELS))

    @property
    def places(self) -> range:
        return range(-self.left, self.width - self.left)


def write(texts: Sequence[str], folder: Path) -> None:
    """Write the graphs; `texts` are some thousand posts in the languages that will come."""
    wide = [_Branch(width, left) for width, left in BRANCHES]
    seen = Encoder(_graphs(wide, measured=True)).first_layer(texts)
    branches = [_measured(branch, seen[branch.width]) for branch in wide]
    for name, graph in zip(GRAPHS, _graphs(branches), strict=True):
        (folder / name).write_bytes(graph)


def _measured(branch: _Branch, seen: npt.NDArray[np.float32]) -> _Branch:
    low, high = np.percentile(seen, [_TAIL, 100 - _TAIL])
    beyond = np.abs(seen - np.clip(seen, low, high)).max(axis=0)
    order = np.argsort(-beyond, kind="stable")
    weights = np.abs(package_weights()[f"w2_{branch.width}"]).reshape(-1, CHANNELS, CHANNELS)
    largest = weights.max(axis=(0, 2))
    parted = [*_parted(order[:_CARRIED], largest), *_parted(order[_CARRIED:], largest)]
    return replace(branch, low=float(low), high=float(high), order=tuple(parted))


def _parted(channels: npt.NDArray[np.int64], largest: npt.NDArray[np.float32]) -> list[int]:
    """Put the channel with the largest weight beside that with the smallest, and so on."""
    ordered = channels[np.argsort(-largest[channels], kind="stable")]
    half = len(ordered) // 2
    pairs: list[int] = np.stack([ordered[:half], ordered[half:][::-1]], axis=1).ravel().tolist()
    return pairs


def _graphs(branches: Sequence[_Branch], *, measured: bool = False) -> tuple[bytes, bytes, bytes]:
    """Make the graphs of new tokens, of a block of tokens, and of sentences."""
    weights = _in_order(package_weights(), branches)
    first, block, last = _Graph(weights), _Graph(weights), _Graph(weights)
    first.new_tokens()
    block.tokens(branches, measured=measured)
    last.sentences()
    return first.content(), block.content(), last.content()


def _in_order(weights: Weights, branches: Sequence[_Branch]) -> Weights:
    """Return the weights with each branch's channels in its order; the network is the same."""
    whole = ("ln_g", "ln_b", "cnn_W")
    changed = dict(weights) | {name: weights[name].copy() for name in whole}
    for number, branch in enumerate(branches):
        width, order = branch.width, np.array(branch.order)
        for name in ("proj", "proj_b", "ln_g", "ln_b", "b1_", "b2_"):
            changed[f"{name}{width}"] = weights[f"{name}{width}"][..., order]
        rows = (np.arange(width)[:, None] * CHANNELS + order).ravel()
        for name in ("w1_", "w2_"):
            changed[f"{name}{width}"] = weights[f"{name}{width}"][rows][:, order]
        start = DIMENSIONS + number * CHANNELS
        for name in whole:
            changed[name][start : start + CHANNELS] = weights[name][start + order]
    return changed


class _Graph:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def new_tokens(self) -> None:
        """Give out the `PARTS` of a few tokens."""
        w = self._weights
        vectors = self._input("vectors", TensorProto.FLOAT, [AT_ONCE, DIMENSIONS])
        widths = [width for width, _ in BRANCHES]
        gain, shift, bias = (
            self._constant(np.concatenate([w[f"{name}{width}"] for width in widths]))
            for name in ("ln_g", "ln_b", "proj_b")
        )
        rows = self._exact(vectors, self._matrix(*_bytes(*(w[f"proj{width}"] for width in widths))))
        rows = self._node("Add", [rows, bias])
        epsilon = float(w["eps"])
        inner = self._node("LayerNormalization", [rows, gain, shift], epsilon=epsilon)
        parts = [vectors]
        for branch, (width, left) in enumerate(BRANCHES):
            of = self._slice(inner, branch * CHANNELS, (branch + 1) * CHANNELS)
            matrix = np.concatenate(np.split(w[f"w1_{width}"], width), axis=1)
            products = self._exact(of, self._matrix(*_bytes(matrix)))
            added = np.zeros(width * CHANNELS, np.float32)
            added[left * CHANNELS : (left + 1) * CHANNELS] = w[f"b1_{width}"]
            parts += [of, self._node("Add", [products, self._constant(added)])]
        whole = self._node("Cast", [self._node("Concat", parts, axis=1)], to=TensorProto.FLOAT16)
        self._out(whole, [AT_ONCE, len(PARTS) * CHANNELS], TensorProto.FLOAT16)

    def tokens(self, branches: Sequence[_Branch], *, measured: bool) -> None:
        """Give out all features of each token; `measured` adds the first layers."""
        self._input("rows", TensorProto.INT64, [len(PARTS), ROWS + 1])
        self._input("near", TensorProto.INT64, [ROWS + 1, len(NEAR)])
        self._input("kept", TensorProto.FLOAT16, ["kept", CHANNELS])
        kept = iter([self._kept(part) for part in range(len(PARTS))])
        parts = [next(kept), next(kept)]
        parts += [self._branch(branch, kept, measured=measured) for branch in branches]
        self._node("Concat", parts, "features", axis=1)
        self._node("ReduceMean", ["features"], "means", axes=[1], keepdims=0)
        self._out("features", [ROWS + 1, len(self._weights["ln_g"])])
        self._out("means", [ROWS + 1])

    def _branch(self, branch: _Branch, kept: Iterator[str], *, measured: bool) -> str:
        """Add both layers and return the second; `measured` gives out the first."""
        width = branch.width
        inner, *products = islice(kept, 1 + width)
        summed = self._node("Relu", [reduce(self._add, products)])
        first = self._node("Add", [summed, inner], f"first_{width}")
        if measured:
            self._out(first, [ROWS + 1, CHANNELS])
        return self._node("Add", [self._node("Relu", [self._second(first, branch)]), first])

    def _second(self, first: str, branch: _Branch) -> str:
        size = np.float32((branch.high - branch.low) / _STEPS)
        zero = round(-branch.low / float(size))
        steps = (self._constant(size), self._constant(np.uint8(zero)))
        low, high = (self._constant(np.float32(at * size)) for at in (-zero, _STEPS - zero))
        columns = [self._node("QuantizeLinear", [first, *steps])]
        left = self._slice(first, 0, _CARRIED)
        for _ in range(_TIMES):
            left = self._node("Sub", [left, self._node("Clip", [left, low, high])])
            columns.append(self._node("QuantizeLinear", [left, *steps]))
        rounded = self._node("Concat", columns, axis=1)
        places = self._slice(
            "near", *(at - NEAR.start for at in (branch.places[0], branch.places[-1] + 1))
        )
        window = self._node("Gather", [rounded, places])
        flat = self._node("Reshape", [window, self._constant(np.array([ROWS + 1, -1]))])
        matrix, sizes = _bytes(self._weights[f"w2_{branch.width}"])
        rows = matrix.reshape(branch.width, CHANNELS, CHANNELS)
        wide = np.concatenate([rows, *[rows[:, :_CARRIED]] * _TIMES], axis=1).reshape(-1, CHANNELS)
        _raise_if_too_large(wide)
        bias = self._constant(self._weights[f"b2_{branch.width}"])
        return self._product(flat, steps, self._matrix(wide, sizes), bias)

    def sentences(self) -> None:
        """Add the layers over a sentence; `sums` of features are over the root of its length."""
        rows, w = "sentences", self._weights
        roots = self._input("roots", TensorProto.FLOAT, [rows, 1])
        sums = self._input("sums", TensorProto.FLOAT, [rows, len(w["cnn_W"])])
        shift = self._node("Mul", [roots, self._constant(w["ln_b"])])
        sums = self._node("Add", [self._node("Mul", [sums, self._constant(w["ln_g"])]), shift])
        summed = self._exact(sums, self._matrix(*_bytes(w["cnn_W"])))
        mean = self._node("Add", [summed, self._node("Mul", [roots, self._constant(w["cnn_b"])])])
        before, beside = self._halves(self._exact(mean, self._matrix(*_bytes(w["d0"], w["p1"]))))
        after = self._exact(self._node("Relu", [before]), self._matrix(*_bytes(w["d1"])))
        hidden = self._node("Relu", [self._node("Add", [after, beside])])
        before, beside = self._halves(self._exact(hidden, self._matrix(*_bytes(w["d2"], w["p3"]))))
        after = self._exact(self._node("Relu", [before]), self._matrix(*_bytes(w["d3"])))
        vectors = self._node("Tanh", [self._node("Add", [after, beside])])
        lengths = self._node("ReduceL2", [vectors], axes=[1], keepdims=1)
        least = self._constant(np.sqrt(np.float32(w["eps"])))
        lengths = self._node("Max", [lengths, least])
        self._out(self._node("Div", [vectors, lengths]), [rows, DIMENSIONS])

    def _exact(self, rows: str, matrix: _Matrix) -> str:
        """Multiply with rows in twice 7 bits, in steps of each row's own: as exact as in float.

        Bytes of both signs are too large for 16 bits with 8 of a row, and not with 7.
        """
        largest = self._node("ReduceMax", [self._node("Abs", [rows])], axes=[1], keepdims=1)
        size = self._node("Div", [largest, self._constant(np.float32(_HALF))])
        size = self._node("Max", [size, self._constant(np.finfo(np.float32).tiny)])
        values = self._node("Div", [rows, size])
        whole = self._node("Round", [values])
        sums = []
        for part, step in (whole, 1), (self._node("Sub", [values, whole]), 0.5 / _HALF):
            steps = self._constant(np.float32(step)), self._constant(np.uint8(_HALF + 1))
            rounded = self._node("QuantizeLinear", [part, *steps])
            sums.append(self._product(rounded, steps, matrix))
        return self._node("Mul", [self._node("Add", sums), size])

    def _product(self, rounded: str, steps: tuple[str, str], matrix: _Matrix, *bias: str) -> str:
        """Multiply whole numbers, which count `steps` from a zero, by a matrix of them."""
        size, zero = steps
        rows, sizes, zeros = matrix
        inputs = [rounded, rows, size, sizes, zero, zeros, *bias]
        return self._node("MatMulIntegerToFloat", inputs, domain=_MS)

    def _matrix(self, rows: npt.NDArray[np.int8], sizes: npt.NDArray[np.float32]) -> _Matrix:
        zeros = np.zeros(len(sizes), np.int8)
        return self._constant(rows), self._constant(sizes), self._constant(zeros)

    def content(self) -> bytes:
        """Return the whole."""
        graph = helper.make_graph(
            self._nodes, "encoder", self._inputs, self._outputs, self._constants
        )
        model = helper.make_model(graph, opset_imports=_OPERATORS, ir_version=9)
        content: bytes = model.SerializeToString()
        return content

    def _input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def _kept(self, part: int) -> str:
        """Look up one of the `PARTS` for each token."""
        rows = self._node("Gather", ["rows", self._constant(np.int64(part))])
        return self._node("Cast", [self._node("Gather", ["kept", rows])], to=TensorProto.FLOAT)

    def _halves(self, value: str) -> tuple[str, str]:
        """Part the left columns from as many right ones."""
        left, right = f"{value}_left", f"{value}_right"
        self._nodes.append(helper.make_node("Split", [value], [left, right], axis=1))
        return left, right

    def _add(self, left: str, right: str) -> str:
        # ONNX Runtime adds in place; `Sum` would make new rows for each of the values it adds.
        return self._node("Add", [left, right])

    def _slice(self, value: str, start: int, end: int) -> str:
        """Take some columns."""
        bounds = (self._constant(np.array([at])) for at in (start, end, 1))
        return self._node("Slice", [value, *bounds])

    def _node(
        self, kind: str, inputs: Sequence[str], name: str = "", domain: str = "", **options: Any
    ) -> str:
        name = name or f"v{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(kind, list(inputs), [name], domain=domain or None, **options)
        )
        return name

    def _constant(self, value: npt.NDArray[Any] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _out(self, name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))


def _bytes(
    *matrices: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return the bytes that matrices of the package were made of, side by side, and their steps."""
    steps = [np.abs(matrix).max() / np.float32(127) for matrix in matrices]
    rounded = [np.rint(matrix / step) for matrix, step in zip(matrices, steps, strict=True)]
    columns = [matrix.shape[1] for matrix in matrices]
    return np.concatenate(rounded, axis=1).astype(np.int8), np.repeat(np.array(steps), columns)


def _raise_if_too_large(rows: npt.NDArray[np.int8]) -> None:
    for signed in (np.maximum(rows, 0).astype(np.int64), np.maximum(-rows.astype(np.int64), 0)):
        if _STEPS * (signed[::2] + signed[1::2]).max() >= 1 << 15:
            raise ValueError("Two neighbours of the second layer's weights do not fit 16 bits")
