"""What the author wants: to suggest, to report a problem, to ask, to praise, or none of these."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from maru_contracts.tags import Intent, IntentLabel, ModelVersion, Sentiment
from maru_sentiment.analyser import Batch
from maru_sentiment.network import INTENTS, LABELS, NAME
from maru_sentiment.purposes import praise, question

HEAD = "intent"
_COLUMNS = [LABELS.index(intent) for intent in INTENTS]
_RULES = 2
"""Grows with every change to the rules here or in `purposes`."""

THRESHOLDS: Mapping[IntentLabel, float] = {
    "suggestion": 0.3, "problem": 0.5, "question": 0.5, "praise": 0.5,
}  # fmt: skip
"""A post is called a suggestion, a problem and so on from these probabilities on.

People word a wish in more ways than a training set holds, so on an app that the head has not seen
0.3 gives the best F1 (each of two apps left out in turn: 0.59 there, 0.57 at 0.5); for problems it
hardly matters.
"""


class IntentHead:
    """Four yes-or-no questions: a post can ask for something and complain at once.

    Suggestions and problems are the network's; questions and praise are told by rules.
    """

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=f"{version}+{_RULES}")

    def tag(self, batch: Batch, moods: Sequence[Sentiment]) -> Sequence[Intent]:
        """Answer all four for each text, whose mood is the one in `moods`."""
        chances = 1 / (1 + np.exp(-batch.logits[:, _COLUMNS].astype(np.float64)))
        return [
            intent_of(
                {
                    "suggestion": suggestion,
                    "problem": problem,
                    "question": question(text),
                    "praise": praise(text, mood.probabilities["positive"]),
                }
            )
            for (suggestion, problem), text, mood in zip(
                chances.tolist(), batch.texts, moods, strict=True
            )
        ]


def intent_of(chances: dict[IntentLabel, float]) -> Intent:
    """Name the intent of four chances; `other` is that none of them holds."""
    other = math.prod(1 - chance for chance in chances.values())
    return Intent(
        label=_label(chances),
        probabilities={
            label: round(chance, 4) for label, chance in (chances | {"other": other}).items()
        },
    )


def _label(chances: Mapping[IntentLabel, float]) -> IntentLabel:
    sureness = {label: chances[label] / least for label, least in THRESHOLDS.items()}
    asks = sureness["question"] >= 1
    if asks and chances["question"] > max(chances["suggestion"], chances["problem"]):
        return "question"
    if max(sureness["suggestion"], sureness["problem"]) >= 1:
        return "suggestion" if sureness["suggestion"] >= sureness["problem"] else "problem"
    if asks:
        return "question"
    return "praise" if sureness["praise"] >= 1 else "other"
