"""Pages of ideas and of their evidence, as both the signed-in and the public routes show them."""

from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import RowMapping

from maru_contracts.ideas import Idea, Status
from maru_contracts.message import Message
from maru_contracts.posts import Author, Channel, Rating
from maru_contracts.tags import IntentLabel, Mood
from maru_ideas.domain.corrections import Correction
from maru_ideas.routes.answers import Name, Paged, Words, after, json_page, turned
from maru_ideas.service.desk import Desk
from maru_ideas.store.listing import IdeaFilter, Sort
from maru_kit.http import Page, encode_cursor


class IdeaQuery(Paged):
    """Which ideas, in which order."""

    status: Status | None = None
    product: Name | None = None
    topic: Name | None = None
    language: Name | None = None
    channel: Channel | None = None
    q: Words | None = None
    sort: Sort = "score"


class IdeaPage(Page[Idea]):
    """Ideas, and how many there are on all pages together."""

    total: int


class Evidence(Message):
    """A post behind an idea. `author` is null on the public board, and so is `correction`."""

    post_id: UUID
    idea_id: UUID
    url: str | None
    channel: Channel
    source_id: str
    author: Author | None
    title: str
    text: str
    language: str
    sentiment: Mood
    intent: IntentLabel
    topics: tuple[str, ...]
    rating: Rating | None = None
    created_at: datetime
    similarity: float
    correction: Correction | None = None


async def ideas_of(at: Desk, workspace: str, query: IdeaQuery, *, public: bool) -> bytes:
    """A page of ideas: stored JSON, put together."""
    asked = IdeaFilter(
        public=public,
        status=query.status,
        product=query.product,
        topic=query.topic,
        language=query.language,
        channel=query.channel,
        q=query.q,
    )
    start = after(query.cursor, float if query.sort == "score" else int, query.sort)
    rows = await at.ideas(workspace, asked, query.sort, after=start, limit=query.limit + 1)
    page, last = turned(rows, query.limit)
    following = encode_cursor(query.sort, last["rank"], str(last["id"])) if last else None
    total = rows[0]["total"] if rows else 0
    return json_page((row["wire"] for row in page), next=following, total=total)


async def evidence_of(at: Desk, workspace: str, idea: UUID, asked: Paged, *, public: bool) -> bytes:
    """A page of the posts behind an idea."""
    start = after(asked.cursor, int)
    rows = await at.evidence(workspace, idea, public=public, after=start, limit=asked.limit + 1)
    page, last = turned(rows, asked.limit)
    following = encode_cursor(last["created_at"], str(last["post_id"])) if last else None
    items = (_shown(row, idea, public=public).model_dump_json() for row in page)
    return json_page(items, next=following)


def _shown(row: RowMapping, idea: UUID, *, public: bool) -> Evidence:
    tagged = orjson.loads(row["body"])
    post = tagged["post"]
    return Evidence.model_validate(
        {
            **post,
            "post_id": post["id"],
            "idea_id": idea,
            "author": None if public else post["author"],
            "language": tagged["language"],
            "sentiment": tagged["sentiment"]["label"],
            "intent": tagged["intent"]["label"],
            "topics": [topic["name"] for topic in tagged["topics"]],
            "similarity": row["similarity"],
            "correction": None if public else tagged.get("correction"),
        }
    )
