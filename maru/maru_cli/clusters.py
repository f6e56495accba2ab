"""`maru eval clusters`, `duplicates` and `discovery`: the real encoder over a labelled file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maru_ideas.evaluation import evaluate_clusters, evaluate_discovery, evaluate_duplicates
from maru_ideas.settings import Settings
from maru_sentiment.encoder import Encoder, quantise


def run(file: Path) -> dict[str, Any]:
    """Group the file's texts and compare with its clusters."""
    return dict(evaluate_clusters(file, _encode(), Settings().closeness))


def duplicates(file: Path) -> dict[str, Any]:
    """Compare the file's pairs and their labels."""
    return dict(evaluate_duplicates(file, _encode()))


def discovery(file: Path, shuffle: int | None = None) -> dict[str, Any]:
    """Discover topics in the file's texts and compare with its own."""
    return dict(evaluate_discovery(file, _encode(), Settings().grain, shuffle))


def _encode() -> Callable[[Sequence[str]], npt.NDArray[np.int8]]:
    encoder = Encoder()
    return lambda texts: quantise(encoder.encode(texts))
