"""Values for the tests of the ideas service: valid by default, every part can be given."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import numpy as np

from maru_contracts.posts import Author, Channel, Post, Rating, post_id
from maru_contracts.tags import (
    Entity,
    Intent,
    IntentLabel,
    ModelVersion,
    Mood,
    Sentiment,
    TaggedPost,
    TopicTag,
    ToxicPart,
)
from maru_ideas.domain.space import MEAN_SCALE, Vectors, trained

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_MOODS: dict[Mood, float] = {"negative": -0.8, "neutral": 0.0, "positive": 0.8}


def an_embedding(subject: int, *, noise: float = 0.15, seed: int = 0) -> Vectors:
    """A sentence vector near to all others of its subject, and far from those of any other."""
    middle = np.random.default_rng(subject).normal(size=512)
    blurred = middle + noise * np.random.default_rng([subject, seed]).normal(size=512)
    offset = 100 * blurred / np.linalg.norm(blurred)
    return np.rint(trained().mean / MEAN_SCALE + offset).astype(np.int8)


def a_tagged(
    native_id: str = "1",
    *,
    text: str | None = None,
    title: str = "",
    subject: int = 1,
    noise: float = 0.15,
    workspace: str = "default",
    product: str = "app",
    source_id: str = "feed",
    channel: Channel = Channel.REVIEW,
    author: str | None = "kim",
    revision: int = 0,
    language: str = "en",
    mood: Mood = "neutral",
    intent: IntentLabel = "suggestion",
    topics: Sequence[str] = (),
    entities: Sequence[str] = (),
    spam: float | None = None,
    toxic: Sequence[str] = (),
    models: str = "1",
    at: datetime = NOON,
    rating: Rating | None = None,
) -> TaggedPost:
    """A tagged post; posts of one `subject` belong to one idea.

    `entities` name watched products: the workspace's own in capitals, others a competitor's.
    `toxic` are parts of title or text.
    """
    vector = an_embedding(subject, noise=noise, seed=Random(native_id).randrange(2**31))
    return TaggedPost(
        post=Post(
            id=post_id(workspace, "test", native_id),
            revision=revision,
            workspace=workspace,
            product=product,
            source_id=source_id,
            channel=channel,
            native_id=native_id,
            url=f"https://example.org/{native_id}",
            author=Author(handle=author, name=f"The {author}") if author else None,
            title=title,
            text=_text(text, subject),
            created_at=at,
            collected_at=at,
            rating=rating,
        ),
        language=language,
        sentiment=Sentiment(
            label=mood,
            score=_MOODS[mood],
            probabilities={label: 0.8 if label == mood else 0.1 for label in _MOODS},
        ),
        intent=Intent(label=intent, probabilities={intent: 0.9}),
        topics=tuple(TopicTag(name=name, score=0.8) for name in topics),
        entities=tuple(
            Entity(
                name=name,
                kind="own" if name.isupper() else "competitor",
                field="text",
                start=place,
                end=place + 1,
            )
            for place, name in enumerate(entities)
        ),
        spam=spam,
        toxicity=0.9 if toxic else None,
        toxic=tuple(_toxic_part(words, title, _text(text, subject)) for words in toxic),
        embedding=b64encode(vector.tobytes()).decode(),
        models=(ModelVersion(head="sentiment", name="test", version=models),),
        tagged_at=at,
    )


def a_tombstone(tagged: TaggedPost) -> TaggedPost:
    """The end of a post, as the tagger passes it on."""
    post = tagged.post.model_copy(
        update={
            "revision": tagged.post.revision + 1,
            "author": None,
            "title": "",
            "text": "",
            "url": None,
            "deleted": True,
        }
    )
    return TaggedPost(
        post=post,
        language="und",
        sentiment=Sentiment(label="neutral", score=0, probabilities={}),
        intent=Intent(label="other", probabilities={}),
        embedding=b64encode(bytes(512)).decode(),
        models=(),
        tagged_at=tagged.tagged_at,
    )


def _text(text: str | None, subject: int) -> str:
    return f"Please add thing{subject}" if text is None else text


def _toxic_part(words: str, title: str, text: str) -> ToxicPart:
    if words in title:
        start = title.index(words)
        return ToxicPart(field="title", start=start, end=start + len(words))
    start = text.index(words)
    return ToxicPart(start=start, end=start + len(words))
