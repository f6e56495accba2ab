"""What the author wants: to suggest something, to report a problem, or neither."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from maru_contracts.tags import Intent, IntentLabel, ModelVersion
from maru_sentiment import linear
from maru_sentiment.analyser import Batch

HEAD = "intent"
THRESHOLD = 0.5
"""A post is called a suggestion or a problem from this probability on."""


class IntentHead:
    """Two yes-or-no questions: a post can ask for something and complain at once."""

    def __init__(self) -> None:
        self._head = linear.load(files("maru_sentiment") / "weights", HEAD)

    @property
    def model(self) -> ModelVersion:
        """Which weights these are."""
        return ModelVersion(head=HEAD, name="maru-linear", version=self._head.version)

    def tag(self, batch: Batch) -> Sequence[Intent]:
        """Answer both questions for each text."""
        chances = 1 / (1 + np.exp(-self._head.logits(batch).astype(np.float64)))
        return [_intent(suggestion, problem) for suggestion, problem in chances.tolist()]


def _intent(suggestion: float, problem: float) -> Intent:
    label: IntentLabel = "other"
    if max(suggestion, problem) >= THRESHOLD:
        label = "suggestion" if suggestion >= problem else "problem"
    return Intent(
        label=label,
        probabilities={
            "suggestion": round(suggestion, 4),
            "problem": round(problem, 4),
            "other": round((1 - suggestion) * (1 - problem), 4),
        },
    )
