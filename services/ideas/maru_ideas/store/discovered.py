"""What the API reads of discovered topics, and what people do with them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, RowMapping, Update, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.tables import (
    discovered_days,
    discovered_posts,
    discovered_topics,
    posts,
    product_days,
)


@dataclass(frozen=True)
class Period:
    """Days since 1970, both counted, and the first day of the equally long period before."""

    before: int
    first: int
    last: int


@dataclass(frozen=True)
class Volume:
    """A topic's posts in a period, and in the one before."""

    topic: UUID
    product: str
    posts: int
    before: int


@dataclass(frozen=True)
class Discovered:
    """A discovered topic; `samples` are posts that speak of it clearly, the clearest first."""

    id: UUID
    product: str
    status: str
    name: str
    words: tuple[str, ...]
    samples: tuple[UUID, ...]
    dismissed: bool
    adopted_as: str | None


@dataclass(frozen=True)
class Counted:
    """How many posts of a topic are of a day, a mood and a language."""

    topic: UUID
    day: int
    mood: str
    language: str
    posts: int


async def volumes(
    connection: AsyncConnection,
    workspace: str,
    period: Period,
    *,
    product: str | None,
    dismissed: bool,
) -> list[Volume]:
    """All topics that had a post in the period or the one before."""
    days, topics = discovered_days.c, discovered_topics.c
    recent = func.sum(case((days.day >= period.first, days.posts), else_=0))
    query = (
        select(topics.id, topics.product, recent.label("recent"), func.sum(days.posts).label("all"))
        .join(discovered_days, days.topic_id == topics.id)
        .where(
            topics.workspace == workspace,
            topics.dismissed if dismissed else ~topics.dismissed,
            days.day.between(period.before, period.last),
            *_of_product(topics.product, product),
        )
        .group_by(topics.id, topics.product)
    )
    return [
        Volume(row.id, row.product, int(row.recent), int(row.all) - int(row.recent))
        for row in await connection.execute(query)
    ]


async def every(
    connection: AsyncConnection, workspace: str, period: Period, *, product: str | None
) -> dict[str, tuple[int, int]]:
    """All posts of each product in the period, and in the one before."""
    days = product_days.c
    recent = func.sum(case((days.day >= period.first, days.posts), else_=0))
    query = (
        select(days.product, recent.label("recent"), func.sum(days.posts).label("all"))
        .where(
            days.workspace == workspace,
            days.day.between(period.before, period.last),
            *_of_product(days.product, product),
        )
        .group_by(days.product)
    )
    return {
        row.product: (int(row.recent), int(row.all) - int(row.recent))
        for row in await connection.execute(query)
    }


async def find(
    connection: AsyncConnection, workspace: str, ids: Collection[UUID]
) -> dict[UUID, Discovered]:
    """Topics by id; one that was merged is the topic that it became part of."""
    topics = discovered_topics.c
    merged = select(topics.id, topics.merged_into).where(
        topics.workspace == workspace, topics.id.in_(ids)
    )
    wanted = {row.id: row.merged_into or row.id for row in await connection.execute(merged)}
    query = select(discovered_topics).where(
        topics.workspace == workspace, topics.id.in_(set(wanted.values()))
    )
    found = {row["id"]: _topic(row) for row in (await connection.execute(query)).mappings()}
    return {asked: found[topic] for asked, topic in wanted.items()}


async def counts(
    connection: AsyncConnection, topics: Collection[UUID], first: int, last: int
) -> list[Counted]:
    """The posts of topics from the first day to the last, both counted, by day."""
    days = discovered_days.c
    query = (
        select(discovered_days)
        .where(days.topic_id.in_(topics), days.day.between(first, last), days.posts > 0)
        .order_by(days.day)
    )
    return [
        Counted(row.topic_id, row.day, row.mood, row.language, row.posts)
        for row in await connection.execute(query)
    ]


async def first_days(connection: AsyncConnection, topics: Collection[UUID]) -> dict[UUID, int]:
    """The day of each topic's earliest post."""
    days = discovered_days.c
    query = (
        select(days.topic_id, func.min(days.day).label("first"))
        .where(days.topic_id.in_(topics), days.posts > 0)
        .group_by(days.topic_id)
    )
    return {row.topic_id: row.first for row in await connection.execute(query)}


async def bodies(
    connection: AsyncConnection, workspace: str, ids: Collection[UUID]
) -> dict[UUID, str]:
    """Posts as JSON, those of them that are there."""
    query = select(posts.c.id, posts.c.body).where(
        posts.c.workspace == workspace, posts.c.id.in_(ids)
    )
    return {row.id: row.body for row in await connection.execute(query)}


async def page(
    connection: AsyncConnection,
    workspace: str,
    topic: UUID,
    *,
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Up to `limit` posts of a topic (`post_id`, `created_at`, `body`), the newest first."""
    found = discovered_posts.c
    query = (
        select(found.post_id, found.created_at, posts.c.body)
        .join(posts, posts.c.id == found.post_id)
        .where(found.topic_id == topic, posts.c.workspace == workspace)
    )
    if after is not None:
        last, post = after
        query = query.where(
            found.created_at <= last, or_(found.created_at < last, found.post_id < post)
        )
    query = query.order_by(found.created_at.desc(), found.post_id.desc()).limit(limit)
    return (await connection.execute(query)).mappings().all()


async def dismiss(
    connection: AsyncConnection, workspace: str, topic: UUID, *, dismissed: bool
) -> None:
    """Keep a topic out of the list, or let it in again."""
    await connection.execute(_one(workspace, topic).values(dismissed=dismissed))


async def adopt(
    connection: AsyncConnection, workspace: str, topic: UUID, name: str, *, before: str | None
) -> bool:
    """Remember which of its own topics the workspace made of it; `before` is what it was till now.

    False if somebody else adopted it meanwhile.
    """
    mine = _one(workspace, topic).where(discovered_topics.c.adopted_as.is_not_distinct_from(before))
    return (await connection.execute(mine.values(adopted_as=name))).rowcount == 1


async def renamed(connection: AsyncConnection, workspace: str, name: str, to: str) -> None:
    """Remember that a topic which the workspace adopted is called otherwise."""
    adopted = update(discovered_topics).where(
        discovered_topics.c.workspace == workspace, discovered_topics.c.adopted_as == name
    )
    await connection.execute(adopted.values(adopted_as=to))


def _one(workspace: str, topic: UUID) -> Update:
    return update(discovered_topics).where(
        discovered_topics.c.workspace == workspace, discovered_topics.c.id == topic
    )


def _of_product(column: ColumnElement[str], product: str | None) -> Sequence[ColumnElement[bool]]:
    return () if product is None else (column == product,)


def _topic(row: RowMapping) -> Discovered:
    samples = orjson.loads(row["state"])["samples"]
    return Discovered(
        id=row["id"],
        product=row["product"],
        status=row["status"],
        name=row["name"],
        words=tuple(orjson.loads(row["words"])),
        samples=tuple(UUID(post) for _, post, *_ in samples),
        dismissed=row["dismissed"],
        adopted_as=row["adopted_as"],
    )
