"""`maru eval clusters`: the real encoder and the real matching over a labelled file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maru_ideas.evaluation import evaluate_clusters
from maru_ideas.settings import Settings
from maru_sentiment.encoder import Encoder, quantise


def run(file: Path) -> dict[str, Any]:
    """Group the file's texts and compare with its clusters."""
    encoder = Encoder()

    def encode(texts: Sequence[str]) -> npt.NDArray[np.int8]:
        return quantise(encoder.encode(texts))

    return dict(evaluate_clusters(file, encode, Settings().closeness))
