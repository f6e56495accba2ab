"""What the author wants: to suggest something, to report a problem, or neither."""

from collections.abc import Sequence

import numpy as np

from maru_contracts.tags import Intent, IntentLabel, ModelVersion
from maru_sentiment.analyser import Batch
from maru_sentiment.network import INTENTS, LABELS, NAME

HEAD = "intent"
_COLUMNS = [LABELS.index(intent) for intent in INTENTS]
SUGGESTION, PROBLEM = 0.3, 0.5
"""A post is called a suggestion or a problem from these probabilities on.

People word a wish in more ways than a training set holds, so on an app that the head has not seen
0.3 gives the best F1 (each of two apps left out in turn: 0.59 there, 0.57 at 0.5); for problems it
hardly matters.
"""


class IntentHead:
    """Two yes-or-no questions: a post can ask for something and complain at once."""

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=version)

    def tag(self, batch: Batch) -> Sequence[Intent]:
        """Answer both questions for each text."""
        chances = 1 / (1 + np.exp(-batch.logits[:, _COLUMNS].astype(np.float64)))
        return [_intent(suggestion, problem) for suggestion, problem in chances.tolist()]


def _intent(suggestion: float, problem: float) -> Intent:
    label: IntentLabel = "other"
    surer = max(suggestion / SUGGESTION, problem / PROBLEM)
    if surer >= 1:
        label = "suggestion" if suggestion / SUGGESTION == surer else "problem"
    return Intent(
        label=label,
        probabilities={
            "suggestion": round(suggestion, 4),
            "problem": round(problem, 4),
            "other": round((1 - suggestion) * (1 - problem), 4),
        },
    )
