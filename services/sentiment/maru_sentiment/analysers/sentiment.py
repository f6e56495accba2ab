"""The mood of a post: negative, neutral or positive, for English and Korean first."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import ModelVersion, Sentiment
from maru_sentiment.analyser import Batch
from maru_sentiment.network import LABELS, MOODS, NAME

HEAD = "sentiment"
_COLUMNS = [LABELS.index(mood) for mood in MOODS]


class SentimentHead:
    """A softmax over the network's three moods."""

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=version)

    def tag(self, batch: Batch) -> Sequence[Sentiment]:
        """Give each text the likeliest mood; `score` is P(positive) - P(negative)."""
        return [_sentiment(row) for row in softmax(batch.logits[:, _COLUMNS]).tolist()]


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn each row into probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def _sentiment(row: Sequence[float]) -> Sentiment:
    negative, neutral, positive = (round(share, 4) for share in row)
    return Sentiment(
        label=MOODS[row.index(max(row))],
        score=round(positive - negative, 4),
        probabilities={"negative": negative, "neutral": neutral, "positive": positive},
    )
