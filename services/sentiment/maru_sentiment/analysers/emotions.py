"""The emotions of a post, by Plutchik's eight; learnt from Korean comments alone."""

from collections.abc import Sequence

import numpy as np

from maru_contracts.tags import EmotionTag, ModelVersion
from maru_sentiment.analyser import Batch
from maru_sentiment.network import EMOTIONS, LABELS, NAME

HEAD = "emotions"
THRESHOLD = 0.5
"""The probability from which on a post has an emotion."""
_COLUMNS = [LABELS.index(emotion) for emotion in EMOTIONS]


class EmotionsHead:
    """Eight yes-or-no questions: a post can be glad and surprised."""

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=version)

    def tag(self, batch: Batch) -> Sequence[tuple[EmotionTag, ...]]:
        """Name the emotions of each text, the surest first."""
        chances = 1 / (1 + np.exp(-batch.logits[:, _COLUMNS].astype(np.float64)))
        return [_named(row) for row in chances.tolist()]


def _named(row: Sequence[float]) -> tuple[EmotionTag, ...]:
    found = [
        EmotionTag(name=emotion, score=round(chance, 4))
        for emotion, chance in zip(EMOTIONS, row, strict=True)
        if chance >= THRESHOLD
    ]
    return tuple(sorted(found, key=lambda emotion: -emotion.score))
