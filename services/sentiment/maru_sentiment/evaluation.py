"""Measures the heads on labelled files: `maru eval sentiment FILE.tsv` and its neighbours.

Precision, recall and F1 are the usual ones for each label; the macro figures are plain means over
the labels that occur in the file. The calibration error is the expected one (Naeini, Cooper and
Hauskrecht 2015) over 15 bins of equal width: how far, on average, a probability is from the share
of posts for which it holds.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from maru_contracts.tags import (
    SPAM_FROM,
    TOXIC_FROM,
    IntentLabel,
    Mood,
    PiiKind,
    Sentiment,
)
from maru_kit.errors import ConfigError
from maru_sentiment.analyser import Tags
from maru_sentiment.analysers.intent import THRESHOLDS
from maru_sentiment.analysers.language import LANGUAGES, UNKNOWN, LanguageHead
from maru_sentiment.analysers.topics import head_for
from maru_sentiment.dataset import rows
from maru_sentiment.domain import Subject
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.pii import Span, find
from maru_sentiment.tagger import Tagger

YesOrNo = Literal["intent", "problem", "question", "praise", "spam", "toxicity"]
Kind = Literal["sentiment", "language"] | YesOrNo

_BATCH = 512
_BINS = 15
_WRONG = 50
_LABELS: Mapping[Kind, frozenset[str]] = {
    "sentiment": frozenset({"negative", "neutral", "positive"}),
    "intent": frozenset({"suggestion", "other"}),
    "problem": frozenset({"problem", "other"}),
    "question": frozenset({"question", "other"}),
    "praise": frozenset({"praise", "other"}),
    "spam": frozenset({"spam", "other"}),
    "toxicity": frozenset({"toxic", "other"}),
    "language": LANGUAGES | {UNKNOWN},
}

REPORT: Sequence[tuple[str, Kind, str]] = (
    ("sentiment-en-goemotions-test", "sentiment", "label"),
    ("sentiment-en-senti4sd-test", "sentiment", "label"),
    ("sentiment-en-dynasent-r1-dev", "sentiment", "label"),
    ("sentiment-en-dynasent-r2-dev", "sentiment", "label"),
    ("sentiment-en-vader-nyt", "sentiment", "label"),
    ("sentiment-ko-nsmc3-dev", "sentiment", "label"),
    ("suggestion-enfr-minibar-samsung", "intent", "suggestion"),
    ("suggestion-enfr-minibar-samsung", "problem", "problem"),
)
"""What `report` measures: a file of `visible/`, the kind of label, and the label's field."""


def evaluate(kind: Kind, file: Path) -> dict[str, Any]:
    """Tag the texts of a TSV file (columns `text` and `label`) and compare.

    Raises ConfigError for a missing file or column and for a label that the head does not know.
    """
    texts, labels = read_tsv(file, _LABELS[kind])
    return measure(kind, texts, labels)


def report(data: Path) -> list[tuple[str, Kind, dict[str, Any]]]:
    """Measure all of `REPORT`; return the file, the kind of label and the figures of each."""
    return [
        (name, kind, measure(kind, *_labelled(data / "visible" / f"{name}.jsonl", kind, field)))
        for name, kind, field in REPORT
    ]


def _labelled(path: Path, kind: Kind, field: str) -> tuple[list[str], list[str]]:
    pairs = [(row["text"], _label(kind, row[field])) for row in rows(path)]
    known = [(text, label) for text, label in pairs if label in _LABELS[kind]]
    return [text for text, _ in known], [label for _, label in known]


def _label(kind: Kind, value: object) -> str:
    if kind == "sentiment":
        return str(value)
    yes = "problem" if kind == "problem" else "suggestion"
    return yes if value else "other"


def read_tsv(
    file: Path, known: frozenset[str] | None = None, *, label: str = "label"
) -> tuple[list[str], list[str]]:
    """Read the columns `text` and `label`; quotes mean nothing in the file."""
    if not file.is_file():
        raise ConfigError(f"{file} is not there: name a TSV file with a header line")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            header = next(table, [])
            if "text" not in header or label not in header:
                raise ConfigError(f"{file} has the columns {header}; it needs `text` and `{label}`")
            places = header.index("text"), header.index(label)
            pairs = list(_pairs(file, table, *places, known))
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


TOPICS: Mapping[str, str] = {
    "topics-en-banking77-test": "topics-en-banking77-train",
    "topics-en-clinc150-val": "topics-en-clinc150-train",
}
"""The files of `visible/` with topics, and the files of `train/` with their examples."""


def evaluate_topics(file: Path, examples: Path) -> dict[str, Any]:
    """Name the topic of each text of a TSV file, as the topics' `examples` (a TSV file, too) teach.

    Both have the columns text and label. Raises ConfigError for a file that can't be read.
    """
    return measure_topics(read_tsv(examples), read_tsv(file))


def report_topics(data: Path) -> dict[str, dict[str, Any]]:
    """Measure every file of `TOPICS`."""
    return {
        name: measure_topics(
            _pairs_of(data / "train" / f"{examples}.jsonl"),
            _pairs_of(data / "visible" / f"{name}.jsonl"),
        )
        for name, examples in TOPICS.items()
    }


def _pairs_of(path: Path) -> tuple[list[str], list[str]]:
    read = [(row["text"], row["topic"]) for row in rows(path)]
    return [text for text, _ in read], [topic for _, topic in read]


def measure_topics(
    examples: tuple[Sequence[str], Sequence[str]], wanted: tuple[Sequence[str], Sequence[str]]
) -> dict[str, Any]:
    """Learn topics from examples, and compare the likeliest topic of each text with its label."""
    encoder = Encoder()
    of: dict[str, list[str]] = {}
    for text, topic in zip(*examples, strict=True):
        of.setdefault(topic, []).append(text)
    subjects = [Subject(topic, tuple(texts)) for topic, texts in of.items()]
    head = head_for(subjects, lambda texts: quantise(encoder.encode(texts)))
    texts, labels = wanted
    found = scores(labels, head.likeliest(quantise(encoder.encode(texts))))
    return {"examples": len(examples[0]), "topics": len(subjects), **found}


_MARKED = re.compile(r"⟦(\w+)\|([^⟧]*)⟧")


def evaluate_pii(file: Path) -> dict[str, Any]:
    """Look for personal data in the texts of a TSV file whose column `text` marks what is there.

    A find is marked as `⟦phone|010-1234-5678⟧`. One counts as right when its kind is right and its
    letters and digits are those marked, no more and no less. Returns precision and recall over all
    finds, those of each kind, and up to 50 texts that were judged wrongly. Raises ConfigError for a
    file that can't be read.
    """
    texts, _ = read_tsv(file, label="text")
    wanted: list[tuple[int, Span]] = []
    found: list[tuple[int, Span]] = []
    wrong: list[dict[str, Any]] = []
    for number, marked in enumerate(texts):
        text, spans = _unmarked(marked)
        seen = [_core(text, span) for span in find(text)]
        wanted += [(number, span) for span in spans]
        found += [(number, span) for span in seen]
        if set(seen) != set(spans) and len(wrong) < _WRONG:
            wrong.append(
                {"text": marked, "found": [f"{at.kind}|{text[at.start : at.end]}" for at in seen]}
            )
    kinds = sorted({span.kind for _, span in wanted} | {span.kind for _, span in found})
    return {
        "n": len(texts),
        **_spans_scores(set(wanted), set(found)),
        "kinds": {
            kind: _spans_scores(
                {it for it in wanted if it[1].kind == kind},
                {it for it in found if it[1].kind == kind},
            )
            for kind in kinds
        },
        "wrong": wrong,
    }


def _unmarked(marked: str) -> tuple[str, list[Span]]:
    text, spans, at = "", [], 0
    for match in _MARKED.finditer(marked):
        text += marked[at : match.start()]
        spans.append(Span(len(text), len(text) + len(match[2]), cast(PiiKind, match[1])))
        text += match[2]
        at = match.end()
    text += marked[at:]
    return text, [_core(text, span) for span in spans]


def _core(text: str, span: Span) -> Span:
    """Leave out what stands at either end and is no letter or digit."""
    start, end = span.start, span.end
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return Span(start, end, span.kind)


def _spans_scores(wanted: set[tuple[int, Span]], found: set[tuple[int, Span]]) -> dict[str, Any]:
    hits = len(wanted & found)
    return {
        "precision": round(hits / len(found), 4) if found else 1.0,
        "recall": round(hits / len(wanted), 4) if wanted else 1.0,
        "there": len(wanted),
    }


def measure(kind: Kind, texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Tag texts and compare with their labels."""
    if kind == "language":
        head = LanguageHead()
        return scores(labels, [head.language(text) for text in texts])
    tags = _tagged(texts)
    if kind != "sentiment":
        return _yes_or_no(labels, *_answers(kind, tags))
    moods = [tag.sentiment for tag in tags]
    found = scores(labels, [mood.label for mood in moods])
    found["binary_accuracy"] = _binary_accuracy(labels, moods)
    found["calibration_error"] = calibration_error(
        [max(mood.probabilities.values()) for mood in moods],
        [mood.label == label for mood, label in zip(moods, labels, strict=True)],
    )
    return found


def _tagged(texts: Sequence[str]) -> list[Tags]:
    tagger = Tagger()
    return [
        tag
        for at in range(0, len(texts), _BATCH)
        for tag in tagger.tag(texts[at : at + _BATCH], ())
    ]


def mistakes(file: Path) -> dict[str, Any]:
    """Find the posts of a TSV file whose mood was missed most surely, by what was taken for what.

    Of all that is wrong the 50 with the surest wrong answer are told, the largest group first.
    Raises ConfigError like `evaluate`.
    """
    texts, labels = read_tsv(file, _LABELS["sentiment"])
    moods = [tag.sentiment for tag in _tagged(texts)]
    wrong = [
        (mood.probabilities[mood.label], label, mood.label, text)
        for text, label, mood in zip(texts, labels, moods, strict=True)
        if mood.label != label
    ]
    groups: dict[tuple[str, Mood], list[dict[str, Any]]] = {}
    for chance, label, found, text in sorted(wrong, key=lambda it: -it[0])[:_WRONG]:
        groups.setdefault((label, found), []).append({"probability": chance, "text": text})
    counts = Counter((label, found) for _, label, found, _ in wrong)
    return {
        "n": len(texts),
        "wrong": len(wrong),
        "groups": [
            {"label": label, "taken_for": found, "wrong": counts[label, found], "worst": worst}
            for (label, found), worst in sorted(groups.items(), key=lambda it: -counts[it[0]])
        ],
    }


def _answers(kind: YesOrNo, tags: Sequence[Tags]) -> tuple[str, float, list[float]]:
    """Return the label that means yes, the probability that it takes, and each text's."""
    if kind == "spam":
        return "spam", SPAM_FROM, [tag.spam for tag in tags]
    if kind == "toxicity":
        return "toxic", TOXIC_FROM, [tag.toxicity for tag in tags]
    yes: IntentLabel = "suggestion" if kind == "intent" else kind
    return yes, THRESHOLDS[yes], [tag.intent.probabilities[yes] for tag in tags]


def _yes_or_no(
    labels: Sequence[str], yes: str, least: float, chances: Sequence[float]
) -> dict[str, Any]:
    found = scores(labels, [yes if chance >= least else "other" for chance in chances])
    found["calibration_error"] = calibration_error(chances, [label == yes for label in labels])
    return found


def evaluate_aspects(file: Path) -> dict[str, Any]:
    """Compare the aspects of a TSV file's texts with its column `aspects` (`term: mood; …`).

    A term is found if it is the same but for case; `mood_accuracy` is over the terms that were
    found. Raises ConfigError for a file that can't be read.
    """
    return measure_aspects(*read_tsv(file, label="aspects"))


def measure_aspects(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Look for aspects in texts and compare; a label is as in `evaluate_aspects`."""
    found = [
        {aspect.term.lower(): str(aspect.label) for aspect in tags.aspects}
        for tags in _tagged(texts)
    ]
    gold = [_gold_aspects(label) for label in labels]
    both = [(a[term], b[term]) for a, b in zip(gold, found, strict=True) for term in a if term in b]
    named, there = sum(map(len, found)), sum(map(len, gold))
    return {
        "n": len(gold),
        "terms": there,
        "precision": round(len(both) / max(1, named), 4),
        "recall": round(len(both) / max(1, there), 4),
        "f1": round(2 * len(both) / max(1, named + there), 4),
        "mood_accuracy": round(sum(a == b for a, b in both) / max(1, len(both)), 4),
    }


def _gold_aspects(label: str) -> dict[str, str]:
    pairs = [pair.rsplit(":", 1) for pair in label.lower().split(";") if pair.strip()]
    if wrong := [pair for pair in pairs if len(pair) != 2]:  # noqa: PLR2004 - a term and a mood
        raise ConfigError(f"{wrong} is no aspect: write `term: mood`, and `;` between two")
    return {term.strip(): mood.strip() for term, mood in pairs}


def calibration_error(chances: Sequence[float], held: Sequence[bool]) -> float:
    """Compare probabilities with how often what they stand for held."""
    bins = np.minimum((np.array(chances) * _BINS).astype(int), _BINS - 1)
    surplus = np.bincount(bins, weights=np.array(chances) - np.array(held), minlength=_BINS)
    return round(float(np.abs(surplus).sum()) / max(1, len(chances)), 4)


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
