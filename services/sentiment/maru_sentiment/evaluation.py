"""Measures the heads on labelled files: `maru eval sentiment|intent|language FILE.tsv`.

Precision, recall and F1 are the usual ones for each label; the macro figures are plain means over
the labels that occur in the file.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from maru_contracts.tags import Intent, Sentiment
from maru_kit.errors import ConfigError
from maru_sentiment.analysers.intent import SUGGESTION
from maru_sentiment.analysers.language import LANGUAGES, UNKNOWN, LanguageHead
from maru_sentiment.dataset import rows
from maru_sentiment.tagger import Tagger

Kind = Literal["sentiment", "intent", "language"]

_BATCH = 512
_LABELS: Mapping[Kind, frozenset[str]] = {
    "sentiment": frozenset({"negative", "neutral", "positive"}),
    "intent": frozenset({"suggestion", "other"}),
    "language": LANGUAGES | {UNKNOWN},
}

REPORT: Mapping[str, tuple[Kind, str]] = {
    "sentiment-en-goemotions-test": ("sentiment", "label"),
    "sentiment-en-senti4sd-test": ("sentiment", "label"),
    "sentiment-en-dynasent-r1-dev": ("sentiment", "label"),
    "sentiment-en-dynasent-r2-dev": ("sentiment", "label"),
    "sentiment-en-vader-nyt": ("sentiment", "label"),
    "sentiment-ko-nsmc3-dev": ("sentiment", "label"),
    "suggestion-enfr-minibar-samsung": ("intent", "suggestion"),
}
"""The files of `visible/` that `report` measures: the kind of head, and the label's field."""


def evaluate(kind: Kind, file: Path) -> dict[str, Any]:
    """Tag the texts of a TSV file (columns `text` and `label`) and compare.

    Raises ConfigError for a missing file or column and for a label that the head does not know.
    """
    texts, labels = read_tsv(file, _LABELS[kind])
    return measure(kind, texts, labels)


def report(data: Path) -> dict[str, dict[str, Any]]:
    """Measure every file of `REPORT`."""
    return {
        name: measure(kind, *_labelled(data / "visible" / f"{name}.jsonl", kind, field))
        for name, (kind, field) in REPORT.items()
    }


def _labelled(path: Path, kind: Kind, field: str) -> tuple[list[str], list[str]]:
    pairs = [(row["text"], _label(kind, row[field])) for row in rows(path)]
    known = [(text, label) for text, label in pairs if label in _LABELS[kind]]
    return [text for text, _ in known], [label for _, label in known]


def _label(kind: Kind, value: object) -> str:
    if kind == "sentiment":
        return str(value)
    return "suggestion" if value else "other"


def read_tsv(file: Path, known: frozenset[str] | None = None) -> tuple[list[str], list[str]]:
    """Read the columns `text` and `label` (or the last one); quotes mean nothing in the file."""
    if not file.is_file():
        raise ConfigError(f"{file} is not there: name a TSV file with a header line")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(table, [])
            if "text" not in header or "label" not in header:
                raise ConfigError(f"{file} has the columns {header}; it needs `text` and `label`")
            text, label = header.index("text"), header.index("label")
            pairs = list(_pairs(file, table, text, label, known))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file} is no TSV file in UTF-8: {error}") from error
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _pairs(
    file: Path,
    table: Iterator[list[str]],
    text: int,
    label: int,
    known: frozenset[str] | None,
) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(table, start=2):
        if not row:
            continue
        if len(row) <= max(text, label):
            raise ConfigError(f"{file}, line {number}: {len(row)} columns, fewer than the header")
        found = row[label].strip()
        if known is not None and found not in known:
            raise ConfigError(
                f"{file}, line {number}: the label {found!r} is none of {sorted(known)}"
            )
        yield row[text], found


def measure(kind: Kind, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Tag texts and compare with their labels."""
    if kind == "language":
        head = LanguageHead()
        return scores(labels, [head.language(text) for text in texts])
    tagger = Tagger()
    tags = [
        tag
        for at in range(0, len(texts), _BATCH)
        for tag in tagger.tag(texts[at : at + _BATCH], ())
    ]
    if kind == "intent":
        return scores(labels, [_asks(tag.intent) for tag in tags])
    found = scores(labels, [tag.sentiment.label for tag in tags])
    found["binary_accuracy"] = _binary_accuracy(labels, [tag.sentiment for tag in tags])
    return found


def _asks(intent: Intent) -> str:
    return "suggestion" if intent.probabilities["suggestion"] >= SUGGESTION else "other"


def _binary_accuracy(labels: Sequence[str], moods: Sequence[Sentiment]) -> float | None:
    """Judge the rows labelled negative or positive by the larger of these two probabilities."""
    right = [
        (mood.probabilities["positive"] > mood.probabilities["negative"]) == (label == "positive")
        for label, mood in zip(labels, moods, strict=True)
        if label != "neutral"
    ]
    return round(sum(right) / len(right), 4) if right else None


def scores(gold: Sequence[str], found: Sequence[str]) -> dict[str, Any]:
    """Compare labels: n, macro_recall, macro_f1, accuracy, and the figures of each label."""
    labels = {label: _label_scores(label, gold, found) for label in sorted(set(gold))}
    count = max(1, len(labels))
    right = sum(a == b for a, b in zip(gold, found, strict=True))
    return {
        "n": len(gold),
        "macro_recall": round(sum(label["recall"] for label in labels.values()) / count, 4),
        "macro_f1": round(sum(label["f1"] for label in labels.values()) / count, 4),
        "accuracy": round(right / max(1, len(gold)), 4),
        "labels": {
            label: {name: round(value, 4) for name, value in figures.items()}
            for label, figures in labels.items()
        },
    }


def _label_scores(label: str, gold: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    pairs = list(zip(gold, found, strict=True))
    hits = sum(a == b == label for a, b in pairs)
    named = sum(b == label for _, b in pairs)
    there = sum(a == label for a, _ in pairs)
    precision, recall = hits / named if named else 0.0, hits / there if there else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "n": there}
