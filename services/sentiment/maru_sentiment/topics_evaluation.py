"""Measures what topics learn from corrections: `maru eval learnt-topics FILE`."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from maru_contracts.tags import TopicTag
from maru_kit.errors import ConfigError
from maru_sentiment.analyser import Tags, vectors_of
from maru_sentiment.dataset import rows
from maru_sentiment.domain import CorrectedText, Subject
from maru_sentiment.evaluation import read_tsv
from maru_sentiment.learning import MOST, NEEDED
from maru_sentiment.learnt_topics import apply, learn_topics
from maru_sentiment.tagger import Tagger

_BATCH = 256

Labelled = Sequence[tuple[str, frozenset[str]]]
"""Texts, and the topics of each."""


def evaluate_learnt_topics(
    file: Path, corrections: Path, topics: Path, *, draw: int | None = None, seed: int = 1
) -> dict[str, Any]:
    """Learn topics from corrections, and compare the topics of a file's texts before and after.

    Beside that: how it is if topics are told by their names alone, without descriptions.

    `topics` is a TSV file of names (label) and descriptions (text), the others are TSV files of
    text and label (names joined by `|`, none is no topic), or JSON Lines of text and topic. Names
    that are not in `topics` are no topic. `draw` takes that many corrections by chance, half of
    them of one of the topics, and as many texts of the file that have no topic as have one. Raises
    ConfigError for files that can't be read.
    """
    texts, names = read_tsv(topics)
    subjects = tuple(Subject(name, (), text) for name, text in zip(names, texts, strict=True))
    told, asked = _read(corrections, names), _read(file, names)
    if draw is not None:
        told, asked = _drawn(told, draw, seed), _drawn(asked, None, seed)
    if len(told) < NEEDED:
        raise ConfigError(f"{corrections} has {len(told)} corrections; it takes {NEEDED} to learn")
    tagger, now = Tagger(), datetime.now(UTC)
    head = tagger.topics(subjects)
    corrected = [CorrectedText(text, None, None, tuple(of), now) for text, of in told[:MOST]]
    vectors = vectors_of(_tagged(tagger, [it.text for it in corrected], ()))
    learnt = learn_topics(corrected, vectors, subjects, head)
    asking = [text for text, _ in asked]
    before = _tagged(tagger, asking, subjects)
    wanted = [of for _, of in asked]
    named = tagger.topics(tuple(Subject(name, (name,)) for name in names))
    measured = learnt.measured
    return {
        "topics": len(subjects),
        "corrections": len(corrected),
        "used": learnt.weights is not None,
        "held_out": {
            "base": round(measured.base, 4),
            "exchanged": round(measured.exchanged, 4),
            "learnt": round(measured.own, 4),
            "p_value": measured.p_value,
        },
        "by_name_alone": _scores(wanted, named.named(asking, *named.standing(vectors_of(before)))),
        "before": _scores(wanted, [it.topics for it in before]),
        "after": _scores(wanted, [it.topics for it in apply(before, asking, learnt, head)]),
    }


def _read(path: Path, names: Collection[str]) -> Labelled:
    if path.suffix == ".jsonl":
        pairs = [(row["text"], row["topic"]) for row in rows(path)]
    else:
        pairs = list(zip(*read_tsv(path), strict=True))
    return [(text, frozenset(label.split("|")) & frozenset(names)) for text, label in pairs]


def _drawn(labelled: Labelled, count: int | None, seed: int) -> Labelled:
    """Draw `count` by chance, half of them with a topic; all that have one if it is None."""
    random = Random(seed)
    having = [it for it in labelled if it[1]]
    others = [it for it in labelled if not it[1]]
    half = len(having) if count is None else count // 2
    return [
        *random.sample(having, min(half, len(having))),
        *random.sample(others, min(half, len(others))),
    ]


def _tagged(tagger: Tagger, texts: Sequence[str], subjects: tuple[Subject, ...]) -> list[Tags]:
    return [
        tags
        for at in range(0, len(texts), _BATCH)
        for tags in tagger.tag(texts[at : at + _BATCH], subjects)
    ]


def _scores(
    wanted: Sequence[frozenset[str]], found: Sequence[tuple[TopicTag, ...]]
) -> dict[str, Any]:
    """Compare topics: `exact` is the share of texts with all of theirs and no other."""
    named = [{tag.name for tag in tags} for tags in found]
    hits = sum(len(a & b) for a, b in zip(wanted, named, strict=True))
    given, there = sum(map(len, named)), sum(map(len, wanted))
    exact = sum(a == b for a, b in zip(wanted, named, strict=True))
    return {
        "n": len(wanted),
        "exact": round(exact / max(1, len(wanted)), 4),
        "precision": round(hits / max(1, given), 4),
        "recall": round(hits / max(1, there), 4),
        "f1": round(2 * hits / max(1, given + there), 4),
    }
