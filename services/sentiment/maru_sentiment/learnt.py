"""Mood and intent as a workspace's people correct them: in a worker process.

Topics, which are the workspace's own, are in `learnt_topics`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from maru_contracts.tags import Intent, IntentLabel, ModelVersion, Sentiment
from maru_sentiment.analyser import Tags, vectors_of
from maru_sentiment.analysers.intent import intents
from maru_sentiment.learning import Floats, Labelled, LearntHead, Lesson, change, learn
from maru_sentiment.network import MOODS

_RULES = 1
"""Grows with every change to how heads learn."""
_WANTS: tuple[IntentLabel, ...] = ("suggestion", "problem", "question", "praise")
_LEAST = 1e-4
"""The least probability that is told from none: tags are rounded to four digits."""


def learn_head(
    head: Labelled,
    texts: Sequence[str],
    labels: Sequence[str],
    tags: Sequence[Tags],
    models: Sequence[ModelVersion],
) -> LearntHead:
    """Learn a head from corrected texts; `tags` are what is said of them without it.

    `models` are those that made the tags. The same texts, labels and models give the same head.
    """
    base = _base(head, tags, models)
    told = json.dumps([head, base.name, base.version, _RULES, list(texts), list(labels)])
    version = hashlib.sha256(told.encode()).hexdigest()[:8]
    with threadpool_limits(1, user_api="blas"):
        measured, weights = learn(
            _lesson(head, texts, labels, tags),
            labels,
            [_label(head, it) for it in tags],
            lambda logits, _: [it.label for it in _made(head, logits)],
        )
    return LearntHead(
        head=head,
        base=base,
        model=ModelVersion(
            head=head, name=f"{base.name}+corrections", version=f"{base.version}+{version}"
        ),
        measured=measured,
        weights=weights if measured.is_better else None,
    )


def apply(
    tags: Sequence[Tags],
    texts: Sequence[str],
    heads: Sequence[LearntHead],
    models: Sequence[ModelVersion],
) -> list[Tags]:
    """Put the tags of learnt heads in place of those that they stand on.

    A head that stands on another model than the one that made these tags says nothing.
    """
    found = list(tags)
    for learnt in heads:
        head = learnt.head
        if head == "topics" or learnt.weights is None or not found:
            continue
        if _base(head, tags, models) != learnt.base:
            continue
        with threadpool_limits(1, user_api="blas"):
            moved = change(learnt.weights, texts, vectors_of(found))
        said = _made(head, _logits(head, found) + moved)
        found = [_with(it, learnt, tag) for it, tag in zip(found, said, strict=True)]
    return found


def _base(head: Labelled, tags: Sequence[Tags], models: Sequence[ModelVersion]) -> ModelVersion:
    chosen = tags[0].chosen.models if tags else ()
    return next(model for model in (*reversed(chosen), *models) if model.head == head)


def _lesson(
    head: Labelled, texts: Sequence[str], labels: Sequence[str], tags: Sequence[Tags]
) -> Lesson:
    columns: Sequence[str] = MOODS if head == "sentiment" else _WANTS
    return Lesson(
        texts=texts,
        vectors=vectors_of(tags),
        logits=_logits(head, tags),
        wanted=np.array([[float(label == it) for it in columns] for label in labels]),
        exclusive=head == "sentiment",
    )


def _logits(head: Labelled, tags: Sequence[Tags]) -> Floats:
    if head == "sentiment":
        rows = [[it.sentiment.probabilities[mood] for mood in MOODS] for it in tags]
        shares: Floats = np.log(np.clip(rows, _LEAST, 1))
        return shares
    chances = np.clip(
        [[it.intent.probabilities.get(want, 0.0) for want in _WANTS] for it in tags],
        _LEAST,
        1 - _LEAST,
    )
    odds: Floats = np.log(chances / (1 - chances))
    return odds


def _label(head: Labelled, tags: Tags) -> str:
    return tags.sentiment.label if head == "sentiment" else tags.intent.label


def _with(tags: Tags, learnt: LearntHead, tag: Sentiment | Intent) -> Tags:
    chosen = replace(tags.chosen, models=(*tags.chosen.models, learnt.model))
    if isinstance(tag, Sentiment):
        return replace(tags, sentiment=tag, chosen=chosen)
    return replace(tags, intent=tag, chosen=chosen)


def _made(head: Labelled, logits: Floats) -> list[Sentiment | Intent]:
    if head == "sentiment":
        return [_sentiment(row) for row in logits.tolist()]
    return [*intents(1 / (1 + np.exp(-logits)))]


def _sentiment(logits: Sequence[float]) -> Sentiment:
    shares = np.exp(np.array(logits) - max(logits))
    negative, neutral, positive = (round(float(it), 4) for it in shares / shares.sum())
    return Sentiment(
        label=MOODS[logits.index(max(logits))],
        score=round(positive - negative, 4),
        probabilities={"negative": negative, "neutral": neutral, "positive": positive},
    )
