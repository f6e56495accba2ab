"""The mood of a post: negative, neutral or positive, for English and Korean first."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from maru_contracts.tags import ModelVersion, Mood, Sentiment
from maru_sentiment import linear
from maru_sentiment.analyser import Batch

HEAD = "sentiment"
MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")


class SentimentHead:
    """A softmax over the three moods."""

    def __init__(self) -> None:
        self._head = linear.load(files("maru_sentiment") / "weights", HEAD)

    @property
    def model(self) -> ModelVersion:
        """Which weights these are."""
        return ModelVersion(head=HEAD, name="maru-linear", version=self._head.version)

    def tag(self, batch: Batch) -> Sequence[Sentiment]:
        """Give each text the likeliest mood; `score` is P(positive) - P(negative)."""
        return [_sentiment(row) for row in softmax(self._head.logits(batch)).tolist()]


def softmax(logits: linear.Floats) -> linear.Floats:
    """Turn each row into probabilities."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: linear.Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def _sentiment(row: Sequence[float]) -> Sentiment:
    negative, neutral, positive = (round(share, 4) for share in row)
    return Sentiment(
        label=MOODS[row.index(max(row))],
        score=round(positive - negative, 4),
        probabilities={"negative": negative, "neutral": neutral, "positive": positive},
    )
