"""What the author wants: to suggest, to report a problem, to ask, to praise, or none of these."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

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
_LABELS: tuple[IntentLabel, ...] = (*THRESHOLDS, "other")
_INTENTS = TypeAdapter(list[Intent])
"""Makes the tags of a batch at once, in a third of the time that they take one by one."""


class IntentHead:
    """Four yes-or-no questions: a post can ask for something and complain at once.

    Suggestions and problems are the network's; questions and praise are told by rules.
    """

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=f"{version}+{_RULES}")

    def tag(self, batch: Batch, moods: Sequence[Sentiment]) -> Sequence[Intent]:
        """Answer all four for each text, whose mood is the one in `moods`."""
        chances = np.empty((len(batch.texts), len(THRESHOLDS)))
        chances[:, : len(_COLUMNS)] = 1 / (1 + np.exp(-batch.logits[:, _COLUMNS].astype(float)))
        chances[:, len(_COLUMNS) :] = [
            (question(text), praise(text, mood.probabilities["positive"]))
            for text, mood in zip(batch.texts, moods, strict=True)
        ]
        return intents(chances)


def intents(chances: npt.NDArray[np.float64]) -> list[Intent]:
    """Name the intents of posts, of which each has four chances, in the order of `THRESHOLDS`.

    `other` is the chance that none of them holds.
    """
    others = (1 - chances).prod(axis=1, keepdims=True)
    rounded = np.concatenate([chances, others], axis=1).round(4)
    return _INTENTS.validate_python(
        [
            {"label": _label(*row), "probabilities": dict(zip(_LABELS, shares, strict=True))}
            for row, shares in zip(chances.tolist(), rounded.tolist(), strict=True)
        ]
    )


def _label(suggestion: float, problem: float, question: float, praise: float) -> IntentLabel:
    asks = question >= THRESHOLDS["question"]
    if asks and question > max(suggestion, problem):
        return "question"
    wishes, complains = suggestion / THRESHOLDS["suggestion"], problem / THRESHOLDS["problem"]
    if max(wishes, complains) >= 1:
        return "suggestion" if wishes >= complains else "problem"
    if asks:
        return "question"
    return "praise" if praise >= THRESHOLDS["praise"] else "other"
