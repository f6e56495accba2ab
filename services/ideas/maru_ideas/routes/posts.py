"""Posts with all their tags, for those who are signed in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

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
from maru_ideas.routes.answers import (
    Asking,
    AtDesk,
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
    """A post and its tags; what `TaggedPost` has, without the embedding."""

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


class PostQuery(Paged):
    """Which posts."""

    source_id: Name | None = None
    language: Name | None = None
    sentiment: Mood | None = None
    intent: IntentLabel | None = None
    topic: Name | None = None
    spam: bool | None = None
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
