"""Topics as a workspace's people correct them: in a worker process.

Each topic's nearness to a post (see `analysers.topics`) is moved by a linear function of the post's
sentence vector. It is learnt as `learning` says, a logistic regression for each topic: posts that
people say speak of it are for it, posts of which they say that they speak of others, or of none,
against it. What people said before a topic was defined is not against it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from maru_contracts.tags import ModelVersion
from maru_sentiment.analyser import Tags, vectors_of
from maru_sentiment.analysers.topics import HEAD, THRESHOLD, TopicsHead
from maru_sentiment.domain import CorrectedText, Subject, bearers, name_now
from maru_sentiment.learning import Floats, LearntHead, Lesson, change, learn

MOST_TOPICS = 50
"""Topics of a workspace that learn, those that people corrected most: they take 5 seconds more."""
_RULES = 1
"""Grows with every change to how topics learn."""
_SCALE = 20.0
"""How much surer a topic is for each unit of cosine, in logits.

This and the next were chosen among a few on the train and visible files of banking77 and clinc150,
ten topics of each, with 60, 200 and 600 corrections. N-grams beside the vector made it no better.
"""
_OF_VECTOR = 30.0
_NEVER = -500.0
"""The logit of a topic that a person could not know of yet: it learns nothing from that post."""

Yes = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Told:
    """n corrected posts and s topics: how near they are, what people say, and of which (n, s)."""

    names: Sequence[str]
    near: Floats
    likely: Floats
    said: Yes
    known: Yes

    def labels(self, rows: npt.NDArray[np.int64], moved: Floats) -> list[str]:
        """Join the names of the topics that posts have when nearness is moved by (rows, s)."""
        near = np.where(self.known[rows], self.near[rows] + moved, 0)
        chosen = TopicsHead.chosen(near, self.likely[rows] + moved)
        return [self._label(places) for places in chosen]

    def gold(self) -> list[str]:
        """Join the names of the topics that people say."""
        return [self._label(np.flatnonzero(row).tolist()) for row in self.said]

    def _label(self, places: Iterable[int]) -> str:
        return "|".join(sorted(self.names[at] for at in places))


def learn_topics(
    corrected: Sequence[CorrectedText],
    vectors: npt.NDArray[np.int8],
    subjects: Sequence[Subject],
    head: TopicsHead,
) -> LearntHead:
    """Learn topics from posts whose topics people corrected; `head` is that of the subjects.

    The same corrections and subjects give the same head.
    """
    with threadpool_limits(1, user_api="blas"):
        told = _told(corrected, vectors, subjects, head)
        everything = np.arange(len(corrected))
        base = told.labels(everything, np.zeros_like(told.near))
        columns = _columns(told, base)
        lesson = _lesson(corrected, vectors, told, columns)

        def decide(logits: Floats, rows: npt.NDArray[np.int64]) -> list[str]:
            moved = np.zeros((len(rows), len(told.names)))
            moved[:, columns] = (logits - lesson.logits[rows]) / _SCALE
            return told.labels(rows, moved)

        measured, weights = learn(lesson, told.gold(), base, decide)
    version = _version(corrected, subjects, head.model)
    return LearntHead(
        head="topics",
        base=head.model,
        model=ModelVersion(
            head=HEAD,
            name=f"{head.model.name}+corrections",
            version=f"{head.model.version}+{version}",
        ),
        measured=measured,
        weights=weights if measured.is_better else None,
        columns=tuple(told.names[at] for at in columns),
    )


def apply(
    tags: Sequence[Tags], texts: Sequence[str], learnt: LearntHead, head: TopicsHead
) -> list[Tags]:
    """Name the topics of posts as people corrected them; `head` is that of the subjects now.

    A topic that has come since keeps the nearness that it has, one that is gone is gone.
    """
    if learnt.weights is None or learnt.base != head.model or not tags or not head.names:
        return list(tags)
    vectors = vectors_of(tags)
    with threadpool_limits(1, user_api="blas"):
        near, likely = (part.astype(np.float64) for part in head.standing(vectors))
        moved = change(learnt.weights, texts, vectors) / _SCALE
    for at, name in enumerate(learnt.columns):
        if name in head.names:
            near[:, head.names.index(name)] += moved[:, at]
            likely[:, head.names.index(name)] += moved[:, at]
    return [
        replace(
            it,
            topics=topics,
            chosen=replace(it.chosen, models=(*it.chosen.models, learnt.model)),
        )
        for it, topics in zip(tags, head.named(texts, near, likely), strict=True)
    ]


def _told(
    corrected: Sequence[CorrectedText],
    vectors: npt.NDArray[np.int8],
    subjects: Sequence[Subject],
    head: TopicsHead,
) -> _Told:
    near, likely = head.standing(vectors)
    named = bearers(subjects)
    since = {subject.name: subject.since for subject in subjects}
    said = np.zeros(near.shape, bool)
    known = np.zeros(near.shape, bool)
    for row, it in enumerate(corrected):
        names = {name_now(named, name, it.at) for name in it.topics or ()}
        for at, name in enumerate(head.names):
            began = since[name]
            said[row, at] = name in names
            known[row, at] = name in names or began is None or it.at >= began
    return _Told(
        names=head.names,
        near=near.astype(np.float64),
        likely=likely.astype(np.float64),
        said=said,
        known=known,
    )


def _columns(told: _Told, base: Sequence[str]) -> list[int]:
    """Which topics learn: those that people gave to posts, or took away, the most often."""
    had = np.array([[name in label.split("|") for name in told.names] for label in base], bool)
    counts = (told.said | (had & told.known)).sum(axis=0)
    ordered = np.argsort(-counts, kind="stable")[:MOST_TOPICS]
    return sorted(at for at in ordered.tolist() if counts[at])


def _lesson(
    corrected: Sequence[CorrectedText],
    vectors: npt.NDArray[np.int8],
    told: _Told,
    columns: Sequence[int],
) -> Lesson:
    logits = np.where(told.known, _SCALE * (told.near - THRESHOLD), _NEVER)
    return Lesson(
        texts=[it.text for it in corrected],
        vectors=vectors,
        logits=logits[:, columns],
        wanted=told.said[:, columns].astype(np.float64),
        exclusive=False,
        of_words=0.0,
        of_vector=_OF_VECTOR,
    )


def _version(
    corrected: Sequence[CorrectedText], subjects: Sequence[Subject], base: ModelVersion
) -> str:
    told = [
        [base.name, base.version, _RULES],
        [[it.name, it.phrases, it.formerly, str(it.since)] for it in subjects],
        [[it.text, it.topics, str(it.at)] for it in corrected],
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
