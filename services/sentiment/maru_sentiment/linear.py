"""A linear head: logits from hashed n-grams and the sentence vector, in a small file of weights.

logits = bias + (sum of the weights of the text's n-grams) / sqrt(their number) + vector @ matrix,
over a temperature (Guo et al. 2017, "On Calibration of Modern Neural Networks").
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from maru_kit.errors import ConfigError
from maru_sentiment.analyser import Batch

Floats = npt.NDArray[np.float32]

_ROWS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""


@dataclass(frozen=True)
class LinearHead:
    """Trained weights for `labels`; `ngrams` is (buckets, labels), `matrix` (512, labels)."""

    labels: tuple[str, ...]
    ngrams: Floats
    matrix: Floats
    bias: Floats
    version: str

    def logits(self, batch: Batch) -> Floats:
        """Return (n, labels)."""
        sums = np.add.reduceat(self.ngrams[batch.bags.buckets], batch.bags.starts, axis=0)
        spread = np.sqrt(batch.bags.sizes.astype(np.float32))[:, None]
        out = sums / spread + self._from_vectors(batch.embeddings) + self.bias
        return out.astype(np.float32)

    def _from_vectors(self, embeddings: npt.NDArray[np.int8]) -> Floats:
        rows = np.zeros((-(-len(embeddings) // _ROWS) * _ROWS, embeddings.shape[1]), np.float32)
        rows[: len(embeddings)] = embeddings
        rows /= 127
        parts = [rows[at : at + _ROWS] @ self.matrix for at in range(0, len(rows), _ROWS)]
        return np.concatenate(parts)[: len(embeddings)]


def load(folder: Traversable, name: str) -> LinearHead:
    """Read `<name>.npz`, whose SHA-256 and labels stand in `<name>.json`.

    Raises ConfigError when the file is not the one that was described.
    """
    about = json.loads((folder / f"{name}.json").read_text("utf-8"))
    content = (folder / f"{name}.npz").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != about["sha256"]:
        raise ConfigError(
            f"The weights of the head {name} are not those that {name}.json describes: "
            "restore both files, or train them again with `maru train heads`"
        )
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        return LinearHead(
            labels=tuple(about["labels"]),
            ngrams=arrays["ngrams"].astype(np.float32) * arrays["scale"],
            matrix=arrays["matrix"],
            bias=arrays["bias"],
            version=digest[:12],
        )


def save(folder: Path, name: str, head: LinearHead) -> str:
    """Write both files and return the SHA-256. The n-grams' weights are kept as signed bytes."""
    scale = np.abs(head.ngrams).max(axis=0).astype(np.float32) / 127
    content = BytesIO()
    np.savez_compressed(
        content,
        ngrams=np.rint(head.ngrams / scale).astype(np.int8),
        scale=scale,
        matrix=head.matrix.astype(np.float32),
        bias=head.bias.astype(np.float32),
    )
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    (folder / f"{name}.npz").write_bytes(content.getvalue())
    about = {"labels": head.labels, "sha256": digest}
    (folder / f"{name}.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return digest
