"""Posts with all their tags, for those who are signed in, and what people say of these tags."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from maru_contracts.message import Message, Moment
from maru_contracts.posts import Post
from maru_contracts.tags import (
    Comparison,
    Entity,
    Intent,
    IntentLabel,
    ModelVersion,
    Mood,
    Sentiment,
    Share,
    TopicTag,
    ToxicPart,
)
from maru_ideas.domain.corrections import Correction, Word
from maru_ideas.routes.answers import (
    Asking,
    AtDesk,
    Correct,
    Name,
    Paged,
    Words,
    after,
    answer,
    json_page,
    turned,
)
from maru_ideas.store.posts import PostFilter
from maru_kit.http import Page, encode_cursor, requires

router = APIRouter(tags=["posts"], prefix="/api/v1/posts")


class StoredPost(Message):
    """A post and its tags; what `TaggedPost` has, without the embedding.

    Where a person has corrected them, the tags are that person's; `correction` has the models' own.
    """

    post: Post
    language: str
    sentiment: Sentiment
    intent: Intent
    topics: tuple[TopicTag, ...]
    entities: tuple[Entity, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    spam: Share | None = None
    toxicity: Share | None = None
    toxic: tuple[ToxicPart, ...] = ()
    models: tuple[ModelVersion, ...]
    tagged_at: Moment
    correction: Correction | None = None


class CorrectTags(BaseModel):
    """What a person says of a post's tags, in place of all that was said before.

    What is left out is left to the models. To say what the models say already helps, too: it shows
    where they are right.
    """

    model_config = ConfigDict(extra="forbid")

    mood: Mood | None = None
    intent: IntentLabel | None = None
    topics: Annotated[tuple[Name, ...], Field(max_length=20)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.mood is None and self.intent is None and self.topics is None:
            raise ValueError("give a mood, an intent or topics")
        return self


class PostQuery(Paged):
    """Which posts."""

    source_id: Name | None = None
    language: Name | None = None
    sentiment: Mood | None = None
    intent: IntentLabel | None = None
    topic: Name | None = None
    spam: bool | None = None
    corrected: bool | None = None
    q: Words | None = None


@router.get("", response_model=Page[StoredPost], openapi_extra=requires("reader"))
async def list_posts(
    request: Request, asking: Asking, at: AtDesk, query: Annotated[PostQuery, Query()]
) -> Response:
    """List posts, the newest first."""
    asked = PostFilter(
        source_id=query.source_id,
        language=query.language,
        sentiment=query.sentiment,
        intent=query.intent,
        topic=query.topic,
        spam=query.spam,
        corrected=query.corrected,
        q=query.q,
    )
    start = after(query.cursor, int)
    rows = await at.posts(asking.workspace, asked, after=start, limit=query.limit + 1)
    page, last = turned(rows, query.limit)
    following = encode_cursor(last["created_at"], str(last["id"])) if last else None
    return answer(request, json_page((row["body"] for row in page), next=following))


@router.get("/{post_id}", response_model=StoredPost, openapi_extra=requires("reader"))
async def show_post(request: Request, asking: Asking, at: AtDesk, post_id: UUID) -> Response:
    """Show one post."""
    return answer(request, (await at.post(asking.workspace, post_id)).encode())


@router.put(
    "/{post_id}/correction", response_model=StoredPost, openapi_extra=requires("contributor")
)
async def correct_tags(asking: Asking, at: Correct, post_id: UUID, wanted: CorrectTags) -> Response:
    """Correct a post's tags; its idea follows at once, and no model overwrites it.

    A post that becomes a suggestion or a problem becomes evidence; one that is neither any more
    is taken from behind its idea.
    """
    topics = None if wanted.topics is None else tuple(dict.fromkeys(wanted.topics))
    word = Word(wanted.mood, wanted.intent, topics)
    kept = await at.correct(asking.workspace, post_id, word, by=asking.actor)
    return Response(kept, media_type="application/json")


@router.delete("/{post_id}/correction", status_code=204, openapi_extra=requires("contributor"))
async def take_back_correction(asking: Asking, at: Correct, post_id: UUID) -> Response:
    """Give a post the models' own tags again."""
    await at.take_back(asking.workspace, post_id, by=asking.actor)
    return Response(status_code=204)
