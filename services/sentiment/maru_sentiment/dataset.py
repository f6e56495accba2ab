"""The rows that the heads learn from and are judged by, as shared/data has them.

See that folder's README for where each file comes from and its licence.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maru_kit.errors import ConfigError

EMOTIONS_OF_KOTE = {
    "joy": (2, 13, 14, 28, 32, 40, 42),
    "trust": (1, 4, 7, 16, 43),
    "fear": (18, 35, 41),
    "surprise": (29, 33, 34, 39),
    "sadness": (5, 10, 19, 25, 27, 30, 36, 38),
    "disgust": (3, 9, 20, 21, 31, 37),
    "anger": (0, 6, 22, 23),
    "anticipation": (8, 15),
}
"""KOTE's 44 emotions, by their number in its paper, under the eight of Plutchik.

See Jeon, Lee and Kim 2022, "User Guide for KOTE: Korean Online Comments Emotions Dataset".
"""


@dataclass(frozen=True)
class Example:
    """One text and what is known of it; what nobody labelled is None."""

    text: str
    source: str
    mood: str | None = None
    suggestion: bool | None = None
    problem: bool | None = None
    emotions: frozenset[str] | None = None
    spam: bool | None = None
    toxicity: bool | None = None


Row = Mapping[str, Any]


def _harmless(mood: str) -> bool | None:
    """What a mood says of toxicity: whoever is glad insults nobody; of other moods nobody knows."""
    return False if mood == "positive" else None


def _mood(row: Row) -> Iterator[Example]:
    mood = row["label"]
    yield Example(row["text"], row["source"], mood, spam=False, toxicity=_harmless(mood))


def _comment(row: Row) -> Iterator[Example]:
    emotions = frozenset(
        emotion
        for emotion, numbers in EMOTIONS_OF_KOTE.items()
        if not frozenset(numbers).isdisjoint(row["emotions"])
    )
    mood = row["label"]
    yield Example(
        row["text"],
        row["source"],
        mood,
        emotions=emotions,
        spam=False,
        toxicity=_harmless(mood),
    )


def _film_review(row: Row) -> Iterator[Example]:
    # A review of a film asks its reader for nothing and reports no fault of a product.
    mood = row["label"]
    yield Example(
        row["text"],
        row["source"],
        mood,
        suggestion=False,
        problem=False,
        spam=False,
        toxicity=_harmless(mood),
    )


def _app_review(row: Row) -> Iterator[Example]:
    yield Example(
        row["text"],
        row["source"],
        suggestion=bool(row["suggestion"]),
        problem=bool(row["problem"]),
        spam=False,
        toxicity=False,
    )


def _petition(row: Row) -> Iterator[Example]:
    yield Example(row["title"], row["source"], suggestion=True, spam=False, toxicity=False)


def _no_suggestion(row: Row) -> Iterator[Example]:
    yield Example(row["text"], row["source"], suggestion=False, spam=False, toxicity=False)


TRAINING: Mapping[str, Callable[[Row], Iterator[Example]]] = {
    "sentiment-ko-nsmc3-train": _film_review,
    "sentiment-ko-kote-val": _comment,
    "sentiment-en-goemotions": _mood,
    "sentiment-en-xed": _mood,
    "sentiment-en-vader-tweets": _mood,
    "sentiment-en-vader-amazon": _mood,
    "sentiment-en-senti4sd-train": _mood,
    "suggestion-enfr-minibar-garmin-huawei": _app_review,
    "ideas-topics-ko-petitions": _petition,
    "topics-en-clinc150-train": _no_suggestion,
}
"""The files of `train/` that are used, and how a row of each is read."""


def rows(path: Path) -> Iterator[Row]:
    """Read a JSON Lines file. Raises ConfigError, saying what is missing, when it is not there."""
    if not path.is_file():
        raise ConfigError(
            f"{path} is missing: training and evaluation read the labelled data from a folder "
            "`shared/data` beside the project; set MARU_SHARED to the folder `shared`, or give "
            "--data"
        )
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def training_examples(folder: Path) -> list[Example]:
    """Read all examples of `folder`/train, in the order of the files and rows."""
    return [
        example
        for name, read in TRAINING.items()
        for row in rows(folder / "train" / f"{name}.jsonl")
        for example in read(row)
        if example.text.strip()
    ]
