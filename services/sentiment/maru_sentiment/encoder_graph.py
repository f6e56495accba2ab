"""Makes weights/encoder.onnx, the part of the encoder that ONNX Runtime computes.

`maru train encoder`; needs the development dependencies (onnx). The graph is made of the weights of
the package and of a few texts, from which it reads how large the values get.

For a block of tokens the graph adds up the first convolution layer out of products that the encoder
keeps for each token, and multiplies the second layer in bytes. Values of the first layer are
rounded to 255 steps between two percentiles, and what the few values beyond these change is added
in float. Weights are rounded to 7 bits, one step for each column: two products of 8 bits by 7 fit
16 bits, so processors with and without VNNI compute the same integers
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    GRAPH,
    NEAR,
    ROWS,
    Encoder,
    Weights,
    package_weights,
)

_STEPS = 255
_WEIGHT_STEPS = 64
_TAIL = 0.3
"""Percent of the values on either side that lie outside the steps."""
_MS = "com.microsoft"
_OPERATORS = [helper.make_opsetid("", 17), helper.make_opsetid(_MS, 1)]


@dataclass(frozen=True)
class _Branch:
    """A branch's width, its tokens to the left, and the values that its steps begin and end at."""

    width: int
    left: int
    low: float
    high: float

    @property
    def places(self) -> range:
        return range(-self.left, self.width - self.left)


def write(texts: Sequence[str], folder: Path) -> None:
    """Write the graph; `texts` are some thousand posts in the languages that will come."""
    weights = package_weights()
    wide = [_Branch(width, left, -1e4, 1e4) for width, left in BRANCHES]
    seen = Encoder(_graph(wide, weights, measured=True)).first_layer(texts)
    branches = [
        replace(
            branch,
            low=float(np.percentile(seen[branch.width], _TAIL)),
            high=float(np.percentile(seen[branch.width], 100 - _TAIL)),
        )
        for branch in wide
    ]
    (folder / GRAPH).write_bytes(_graph(branches, weights))


def _graph(branches: Sequence[_Branch], weights: Weights, *, measured: bool = False) -> bytes:
    graph = _Graph()
    for branch in branches:
        graph.branch(branch, weights, measured=measured)
    graph.vectors()
    content: bytes = graph.model().SerializeToString()
    return content


class _Graph:
    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, [len(NEAR), ROWS + 1])
            for name in ("slots", "near")
        ]
        self._outputs: list[onnx.ValueInfoProto] = []

    def branch(self, branch: _Branch, weights: Weights, *, measured: bool) -> None:
        """Add both layers of a branch; `measured` gives out the first."""
        width = branch.width
        step = np.float32((branch.high - branch.low) / _STEPS)
        scale, zero = (
            self._constant(step),
            self._constant(np.uint8(round(-branch.low / step))),
        )
        summed = self._node(
            "Sum", [self._kept(f"products_{width}_{at}", CHANNELS, at) for at in branch.places]
        )
        kept = self._kept(f"inner_{width}", CHANNELS, 0)
        first = self._node("Add", [self._node("Relu", [summed]), kept])
        rounded = self._node("QuantizeLinear", [first, scale, zero])
        near = [self._node("Gather", [rounded, self._row("near", at)]) for at in branch.places]
        second = weights[f"w2_{width}"].astype(np.float32)
        steps = (np.abs(second).max(axis=0) / _WEIGHT_STEPS).astype(np.float32)
        product = self._node(
            "MatMulIntegerToFloat",
            [
                self._node("Concat", near, axis=1),
                self._constant(np.rint(second / steps).astype(np.int8)),
                scale,
                self._constant(steps),
                zero,
                self._constant(np.zeros(CHANNELS, np.int8)),
                self._constant(weights[f"b2_{width}"].astype(np.float32)),
            ],
            domain=_MS,
        )
        whole = self._made_good(first, product, branch)
        after = self._node("Add", [self._node("Relu", [whole]), first])
        self._out(after, f"features_{width}", CHANNELS)
        if measured:
            self._out(first, f"first_{width}", CHANNELS)

    def _made_good(self, first: str, product: str, branch: _Branch) -> str:
        """Add to the product what the values outside the steps change, in float."""
        weights = f"w2_{branch.width}"
        self._inputs.append(
            helper.make_tensor_value_info(
                weights, TensorProto.FLOAT, [branch.width * CHANNELS, CHANNELS]
            )
        )
        low, high = (self._constant(np.float32(at)) for at in (branch.low, branch.high))
        beyond = self._node("Sub", [first, self._node("Clip", [first, low, high])])
        flat = self._node("Reshape", [beyond, self._constant(np.array([-1]))])
        found = self._node("NonZero", [flat])
        found = self._node("Squeeze", [found, self._constant(np.array([0]))])
        size = self._constant(np.int64(CHANNELS))
        rows, channels = self._node("Div", [found, size]), self._node("Mod", [found, size])
        values = self._node("Gather", [flat, found])
        # A token's value is read by the tokens around it; beyond its sentence lies the last row.
        targets = [self._node("Gather", [self._row("near", -at), rows]) for at in branch.places]
        lines = [
            self._node("Add", [channels, self._constant(np.int64(number * CHANNELS))])
            for number in range(branch.width)
        ]
        column = self._constant(np.array([1]))
        changes = self._node(
            "Mul",
            [
                self._node("Gather", [weights, self._joined(lines)]),
                self._node("Unsqueeze", [self._joined([values] * branch.width), column]),
            ],
        )
        places = self._node("Unsqueeze", [self._joined(targets), column])
        return self._node("ScatterND", [product, places, changes], reduction="add")

    def _joined(self, values: Sequence[str]) -> str:
        return self._node("Concat", values, axis=0)

    def vectors(self) -> None:
        """Add the tokens' own vectors."""
        self._out(self._kept("vectors", DIMENSIONS, 0), "tokens", DIMENSIONS)

    def model(self) -> onnx.ModelProto:
        """Return the whole."""
        graph = helper.make_graph(
            self._nodes, "encoder", self._inputs, self._outputs, self._constants
        )
        return helper.make_model(graph, opset_imports=_OPERATORS, ir_version=9)

    def _kept(self, name: str, columns: int, at: int) -> str:
        """Look up what is kept of the tokens `at` places away."""
        self._inputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["kept", columns])
        )
        rows = self._node("Gather", [name, self._row("slots", at)])
        return self._node("Cast", [rows], to=TensorProto.FLOAT)

    def _row(self, name: str, at: int) -> str:
        return self._node("Gather", [name, self._constant(np.int64(at - NEAR.start))])

    def _node(self, kind: str, inputs: Sequence[str], domain: str = "", **options: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(kind, list(inputs), [name], domain=domain or None, **options)
        )
        return name

    def _constant(self, value: npt.NDArray[Any] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _out(self, value: str, name: str, columns: int) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS + 1, columns])
        )
