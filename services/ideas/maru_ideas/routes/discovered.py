"""Topics that were discovered in the workspace's posts: read, adopted, dismissed."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from maru_contracts.message import Moment
from maru_contracts.posts import Channel
from maru_contracts.tags import Mood
from maru_ideas.routes.answers import Asking, Paged, after, answer, json_page, turned
from maru_ideas.routes.answers import Name as Product
from maru_ideas.routes.posts import StoredPost
from maru_ideas.routes.topics import Topic, TopicName
from maru_ideas.service.finds import Find, Finds, Sort
from maru_ideas.store.topics import StoredTopic
from maru_kit.errors import BadRequest
from maru_kit.http import Page, encode_cursor, requires

router = APIRouter(tags=["discovered topics"], prefix="/api/v1/discovered-topics")

_DAYS = timedelta(days=29)


class Period(BaseModel):
    """From the first day to the last, both counted, in UTC."""

    first: date | None = Field(None, description="29 days before the last if it is not given.")
    last: date | None = Field(None, description="Today if it is not given.")

    def days(self) -> tuple[date, date]:
        """The first day and the last. Raises BadRequest when they are swapped."""
        last = self.last or datetime.now(UTC).date()
        first = self.first or max(date.min + _DAYS, last) - _DAYS
        if first > last:
            raise BadRequest(f"The period ends ({last}) before it begins ({first}): swap the days")
        return first, last


class DiscoveredQuery(Period):
    """Which topics, in which order."""

    product: Product | None = None
    sort: Sort = Field(
        "volume",
        description="`growth`: those first that are most above their share of the period before.",
    )
    dismissed: bool = Field(default=False, description="List those that were dismissed instead.")
    limit: int = Field(20, ge=1, le=100, description="How many.")


class DayCount(BaseModel):
    """Posts of one day (UTC)."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    posts: int


class SamplePost(BaseModel):
    """A post that speaks of the topic clearly."""

    id: UUID
    url: str | None
    channel: Channel
    source_id: str
    title: str
    text: str
    language: str
    sentiment: Mood
    created_at: Moment


class DiscoveredTopic(BaseModel):
    """What posts speak of without anybody having defined it, in a period."""

    id: UUID
    product: str
    name: str = Field(
        description="Its most telling words, of each script; empty where no word is telling"
    )
    words: tuple[str, ...] = Field(description="More telling words, the most telling first")
    posts: int = Field(description="Posts in the period")
    share: float = Field(description="Their part of all posts of the product in the period")
    before: int = Field(description="Posts in the period before, which is as long")
    growth: float | None = Field(description="`posts` over `before`; null where that is 0")
    rising: bool = Field(
        description="Whether it grew faster than the product, and by more than chance"
    )
    first_seen: date | None = Field(description="The day of its earliest post")
    days: tuple[DayCount, ...] = Field(description="Days of the period that have posts")
    mood: dict[Mood, int]
    languages: dict[str, int] = Field(description="Posts by language, the most frequent first")
    samples: tuple[SamplePost, ...]
    retired: bool = Field(description="Posts join it no more: others were spoken of since")
    dismissed: bool
    adopted_as: str | None = Field(description="The topic that the workspace made of it")


class DiscoveredTopics(BaseModel):
    """The topics that had a post in the period."""

    first: date
    last: date
    topics: tuple[DiscoveredTopic, ...]


class Adoption(BaseModel):
    """What the workspace's own topic is called."""

    model_config = ConfigDict(extra="forbid")

    name: TopicName | None = Field(
        None,
        description="If it is not given, the discovered topic's name; where another topic has "
        "that, with the next of its words beside it. A given name that another topic has is "
        "refused (409).",
    )


def finds(request: Request) -> Finds:
    """What the application has set up."""
    found: Finds = request.app.state.parts.finds
    return found


AtFinds = Annotated[Finds, Depends(finds)]


@router.get("", openapi_extra=requires("reader"))
async def list_discovered_topics(
    asking: Asking, at: AtFinds, query: Annotated[DiscoveredQuery, Query()]
) -> DiscoveredTopics:
    """List what posts spoke of in the period, the most spoken of or the fastest growing first."""
    first, last = query.days()
    found = await at.ranked(
        asking.workspace,
        first,
        last,
        product=query.product,
        sort=query.sort,
        dismissed=query.dismissed,
        limit=query.limit,
    )
    return DiscoveredTopics(first=first, last=last, topics=tuple(_shown(it) for it in found))


@router.get("/{topic_id}", openapi_extra=requires("reader"))
async def show_discovered_topic(
    asking: Asking, at: AtFinds, topic_id: UUID, period: Annotated[Period, Query()]
) -> DiscoveredTopic:
    """Show one discovered topic; of one that was merged, the topic that it is part of."""
    return _shown(await at.find(asking.workspace, topic_id, *period.days()))


@router.get("/{topic_id}/posts", response_model=Page[StoredPost], openapi_extra=requires("reader"))
async def list_discovered_posts(
    request: Request, asking: Asking, at: AtFinds, topic_id: UUID, page: Annotated[Paged, Query()]
) -> Response:
    """List the posts of a discovered topic, the newest first."""
    start = after(page.cursor, int)
    rows = await at.posts(asking.workspace, topic_id, after=start, limit=page.limit + 1)
    shown, last = turned(rows, page.limit)
    following = encode_cursor(last["created_at"], str(last["post_id"])) if last else None
    return answer(request, json_page((row["body"] for row in shown), next=following))


@router.post("/{topic_id}/adoption", response_model=Topic, openapi_extra=requires("owner"))
async def adopt_discovered_topic(
    asking: Asking, at: AtFinds, topic_id: UUID, wanted: Adoption
) -> StoredTopic:
    """Make it a topic of the workspace's own; posts that come from now on are tagged with it.

    The answer says what it is called.
    """
    return await at.adopt(asking.workspace, topic_id, wanted.name)


@router.put("/{topic_id}/dismissal", status_code=204, openapi_extra=requires("owner"))
async def dismiss_discovered_topic(asking: Asking, at: AtFinds, topic_id: UUID) -> Response:
    """Keep it out of the list; posts about it go on joining it, so it is not found again."""
    await at.dismiss(asking.workspace, topic_id, dismissed=True)
    return Response(status_code=204)


@router.delete("/{topic_id}/dismissal", status_code=204, openapi_extra=requires("owner"))
async def restore_discovered_topic(asking: Asking, at: AtFinds, topic_id: UUID) -> Response:
    """Let a dismissed topic into the list again."""
    await at.dismiss(asking.workspace, topic_id, dismissed=False)
    return Response(status_code=204)


def _shown(found: Find) -> DiscoveredTopic:
    topic = found.topic
    return DiscoveredTopic(
        id=topic.id,
        product=topic.product,
        name=topic.name,
        words=topic.words,
        posts=found.posts,
        share=found.share,
        before=found.before,
        growth=found.growth,
        rising=found.rising,
        first_seen=found.first_seen,
        days=tuple(DayCount.model_validate(it) for it in found.days),
        mood=dict(found.mood),
        languages=dict(found.languages),
        samples=tuple(_sample(orjson.loads(body)) for body in found.samples),
        retired=topic.status == "retired",
        dismissed=topic.dismissed,
        adopted_as=topic.adopted_as,
    )


def _sample(tagged: dict[str, Any]) -> SamplePost:
    return SamplePost.model_validate(
        {
            **{name: tagged["post"][name] for name in _OF_POST},
            "language": tagged["language"],
            "sentiment": tagged["sentiment"]["label"],
        }
    )


_OF_POST = ("id", "url", "channel", "source_id", "title", "text", "created_at")
