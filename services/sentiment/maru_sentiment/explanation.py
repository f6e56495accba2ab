"""Which words moved the tags of a text: each is left out in turn, and the rest tagged again.

This is occlusion (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks"):
it holds for every head alike, whatever it computes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maru_contracts.tags import Aspect
from maru_sentiment.analyser import Tags

MAX_PARTS = 100
"""Parts that are left out in turn; in a longer text a part is several words in a row."""
MAX_WORDS = 10
_LEAST = 0.005
"""A weight from which on a part is told."""
_WORD = re.compile(r"\S+")

Tag = tuple[str, str]
"""A head, and its label."""


@dataclass(frozen=True)
class Part:
    """Characters `start` up to `end` of a text."""

    start: int
    end: int


@dataclass(frozen=True)
class Moved:
    """A part, and by how much the probability of a tag falls when it is left out."""

    part: Part
    weight: float


@dataclass(frozen=True)
class Explained:
    """A tag, its probability or score, and the parts that moved it most, those for it first."""

    tag: Tag
    probability: float
    parts: tuple[Moved, ...]


def parts_of(text: str) -> list[Part]:
    """Split a text into at most `MAX_PARTS` parts: its words, or runs of as many words each."""
    words = [match.span() for match in _WORD.finditer(text)]
    size = max(1, -(-len(words) // MAX_PARTS))
    runs = [words[at : at + size] for at in range(0, len(words), size)]
    return [Part(run[0][0], run[-1][1]) for run in runs]


def without_each(text: str, parts: Sequence[Part]) -> list[str]:
    """Return the text without each part."""
    return [text[: part.start] + text[part.end :] for part in parts]


def explain(tags: Tags, parts: Sequence[Part], without: Sequence[Tags]) -> list[Explained]:
    """Explain the tags of a text; `without` are those of the text without each part.

    The likeliest mood, the four intents, spam and toxicity are always explained, emotions, topics
    and aspects that were given too. A tag that is no longer given without a part counts as 0 there.
    """
    chances = _chances(tags)
    others = [_chances(other) for other in without]
    wanted = [
        ("sentiment", tags.sentiment.label),
        *(("intent", intent) for intent in ("suggestion", "problem", "question", "praise")),
        ("spam", "spam"),
        ("toxicity", "toxic"),
        *(("emotions", emotion.name) for emotion in tags.emotions),
        *(("topics", topic.name) for topic in tags.topics),
        *(("aspects", _named(aspect)) for aspect in tags.aspects),
    ]
    return [
        Explained(tag, chances[tag], _most_moving(tag, chances[tag], parts, others))
        for tag in wanted
    ]


def _chances(tags: Tags) -> Mapping[Tag, float]:
    return {
        **{("sentiment", mood): chance for mood, chance in tags.sentiment.probabilities.items()},
        **{("intent", intent): chance for intent, chance in tags.intent.probabilities.items()},
        ("spam", "spam"): tags.spam,
        ("toxicity", "toxic"): tags.toxicity,
        **{("emotions", emotion.name): emotion.score for emotion in tags.emotions},
        **{("topics", topic.name): topic.score for topic in tags.topics},
        **{("aspects", _named(aspect)): abs(aspect.score) for aspect in tags.aspects},
    }


def _named(aspect: Aspect) -> str:
    return f"{aspect.term}: {aspect.label}"


def _most_moving(
    tag: Tag, chance: float, parts: Sequence[Part], others: Sequence[Mapping[Tag, float]]
) -> tuple[Moved, ...]:
    moved = [
        Moved(part, round(chance - other.get(tag, 0.0), 4))
        for part, other in zip(parts, others, strict=True)
    ]
    told = sorted((it for it in moved if abs(it.weight) >= _LEAST), key=lambda it: -abs(it.weight))
    return tuple(sorted(told[:MAX_WORDS], key=lambda it: -it.weight))
