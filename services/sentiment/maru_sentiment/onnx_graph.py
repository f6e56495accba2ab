"""A classifier as an ONNX graph, run by ONNX Runtime on one thread.

The files are those that `optimum-cli export onnx` writes; of several graphs one in bytes is taken.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from maru_kit.errors import ConfigError

NAMES = ("model_quantized.onnx", "model_int8.onnx", "model.onnx")
GRAPHS = tuple(f"{place}{name}" for name in NAMES for place in ("", "onnx/"))
"""Where a graph may be in a model's folder; the first that is there counts, one in bytes before."""

_CLASSES_OF_TOKENS = 3
"""Dimensions of the logits of a model that classifies tokens: text, token, class."""


class Graph:
    """A graph that is loaded; `version` is a hash of it and of the weights that lie beside it."""

    def __init__(self, session: onnxruntime.InferenceSession, version: str) -> None:
        self._session = session
        self._inputs = [wanted.name for wanted in session.get_inputs()]
        self.of_tokens = len(session.get_outputs()[0].shape) == _CLASSES_OF_TOKENS
        self.version = version

    def logits(self, encoded: Mapping[str, Sequence[int]]) -> npt.NDArray[np.float32]:
        """Give the logits of one text: (classes,), or (tokens, classes)."""
        nothing = [0] * len(encoded["input_ids"])
        feeds = {name: np.array([encoded.get(name, nothing)], np.int64) for name in self._inputs}
        (logits,) = self._session.run(None, feeds)[:1]
        return np.asarray(logits[0], np.float32)


def find(folder: Path) -> Path | None:
    """Find the graph of a folder; None when there is none."""
    return next((folder / name for name in GRAPHS if (folder / name).is_file()), None)


def open_graph(path: Path) -> Graph:
    """Load a graph; raises ConfigError when ONNX Runtime can't run it."""
    try:
        session = onnxruntime.InferenceSession(
            path, _one_thread(), providers=["CPUExecutionProvider"]
        )
    except (
        Exception
    ) as error:  # ONNX Runtime raises a dozen kinds of its own, without a common root
        raise ConfigError(f"{path} is no graph that ONNX Runtime can run: {error}") from error
    return Graph(session, _version(path))


def _version(path: Path) -> str:
    # Exporters put the weights of large graphs beside them: model.onnx_data, model.onnx.data.
    whole = hashlib.sha256()
    for file in sorted(path.parent.glob(f"{path.name}*")):
        with file.open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()[:12]


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options
