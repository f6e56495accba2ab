"""Collected posts in, tagged posts out, in the same order."""

import time
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

import structlog

from maru_contracts.posts import Post
from maru_contracts.tags import (
    Aspect,
    Intent,
    ModelVersion,
    Pii,
    Sentiment,
    TaggedPost,
    ToxicPart,
)
from maru_contracts.topics import POSTS_TAGGED
from maru_kit.bus import Bus
from maru_kit.stream import Batch, publish
from maru_sentiment import corrections, metrics
from maru_sentiment.analyser import Tags
from maru_sentiment.definitions import Definitions
from maru_sentiment.domain import joined, of_subjects
from maru_sentiment.inference import Inference
from maru_sentiment.marking import NO_MARKS, marked, model_of
from maru_sentiment.redaction import redacted
from maru_sentiment.retraining import Retraining
from maru_sentiment.shadow import Shadows

log = structlog.get_logger(__name__)

_NOWHERE = b64encode(bytes(512)).decode()
"""The embedding of a post without words, which is near to nothing."""


class Posts:
    """Tags batches of posts and publishes them; what it publishes twice has the same ids."""

    def __init__(
        self,
        bus: Bus,
        inference: Inference,
        definitions: Definitions,
        shadows: Shadows,
        retraining: Retraining,
        *,
        redact: bool,
    ) -> None:
        self._bus = bus
        self._inference = inference
        self._definitions = definitions
        self._shadows = shadows
        self._retraining = retraining
        self._failing: set[tuple[str, str]] = set()
        self._redact = redact

    async def on_posts(self, batch: Batch[Post]) -> None:
        """Tag a batch; returns when the log has acknowledged all of it."""
        tagged: list[TaggedPost] = []
        kinds = groupby(batch.messages, key=lambda post: (post.deleted, post.workspace))
        for (deleted, workspace), posts in kinds:
            if deleted:
                tagged += map(_ended, posts)
            else:
                tagged += await self._tagged(workspace, list(posts))
        await publish(self._bus, POSTS_TAGGED, tagged)
        for post in tagged:
            if post.post.deleted:
                continue
            metrics.POSTS_TAGGED.labels(
                post.language, post.sentiment.label, post.intent.label
            ).inc()

    async def _tagged(self, workspace: str, posts: Sequence[Post]) -> list[TaggedPost]:
        began = time.perf_counter()
        cleaned = [redacted(post) if self._redact else _as_it_is(post) for post in posts]
        texts = [analysed_text(post) for post, _ in cleaned]
        finder = self._definitions.finder(workspace)
        hints = [post.lang_hint for post in posts]
        subjects = self._definitions.subjects(workspace)
        choices = self._definitions.choices(workspace)
        learnt = await self._retraining.heads(workspace)
        all_tags = await corrections.tag(
            self._inference,
            texts,
            subjects,
            hints,
            finder=finder,
            choices=choices,
            learnt=learnt,
        )
        self._shadows.take(workspace, choices, texts, all_tags)
        self._tell_failures(all_tags)
        marks = [marked(finder, post) if finder else NO_MARKS for post, _ in cleaned]
        own = (
            *of_subjects(self._inference.models, subjects),
            *([model_of(finder)] if finder else []),
        )
        metrics.INFERENCE_SECONDS.observe(time.perf_counter() - began)
        now = datetime.now(UTC)
        return [
            TaggedPost(
                post=post,
                language=tags.language,
                sentiment=tags.sentiment,
                intent=tags.intent,
                emotions=tags.emotions,
                topics=tags.topics,
                aspects=_in_fields(post, tags.aspects),
                pii=pii,
                entities=mark.entities,
                comparisons=mark.comparisons,
                spam=tags.spam,
                toxicity=tags.toxicity,
                toxic=_toxic_in_fields(post, tags.toxic),
                embedding=tags.embedding,
                models=_models(own, tags.chosen.models),
                tagged_at=now,
            )
            for (post, pii), tags, mark in zip(cleaned, all_tags, marks, strict=True)
        ]

    def _tell_failures(self, tags: Sequence[Tags]) -> None:
        for model, reason in (failure for it in tags for failure in it.chosen.failures):
            metrics.MODEL_FAILURES.labels(model).inc()
            if (model, reason) not in self._failing:
                self._failing.add((model, reason))
                log.warning("models.unusable", model=model, reason=reason, tagged_by="Maru's own")


def _ended(post: Post) -> TaggedPost:
    """A post that is gone, with the tags of nothing: it passes in its turn, past the models."""
    return TaggedPost(
        post=post,
        language="und",
        sentiment=Sentiment(label="neutral", score=0, probabilities={}),
        intent=Intent(label="other", probabilities={}),
        embedding=_NOWHERE,
        models=(),
        tagged_at=datetime.now(UTC),
    )


def _models(
    own: tuple[ModelVersion, ...], chosen: tuple[ModelVersion, ...]
) -> tuple[ModelVersion, ...]:
    instead = {model.head: model for model in chosen}
    return tuple(instead.get(model.head, model) for model in own)


def _as_it_is(post: Post) -> tuple[Post, tuple[Pii, ...]]:
    return post, ()


def _in_fields(post: Post, aspects: tuple[Aspect, ...]) -> tuple[Aspect, ...]:
    """Turn places in the analysed text into places in the post's title or text."""
    before = len(analysed_text(post)) - len(post.text)
    return tuple(
        aspect.model_copy(update={"field": "title"})
        if aspect.start < before
        else aspect.model_copy(update={"start": aspect.start - before, "end": aspect.end - before})
        for aspect in aspects
    )


def _toxic_in_fields(post: Post, parts: tuple[ToxicPart, ...]) -> tuple[ToxicPart, ...]:
    """Do the same for toxic parts; what stands in both title and text is marked in both."""
    before, title = len(analysed_text(post)) - len(post.text), len(post.title)
    found = []
    for part in parts:
        if part.start < title:
            found.append(ToxicPart(field="title", start=part.start, end=min(part.end, title)))
        if part.end > before:
            found.append(ToxicPart(start=max(part.start, before) - before, end=part.end - before))
    return tuple(found)


def analysed_text(post: Post) -> str:
    """Join title and text, unless the text begins with its title."""
    return joined(post.title, post.text)
