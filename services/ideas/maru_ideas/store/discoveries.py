"""What the discovery of topics remembers of each product, and what it found."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import numpy as np
import orjson
from sqlalchemy import bindparam, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.domain.discovered import Said, Sample, Topic, Waiter
from maru_ideas.domain.discovery import Kept
from maru_ideas.domain.naming import Background
from maru_ideas.domain.ordinary import Yardstick
from maru_ideas.domain.space import MEANING
from maru_ideas.tables import (
    discovered_days,
    discovered_posts,
    discovered_topics,
    discoveries,
    product_days,
    waiting_posts,
)
from maru_kit.database import Database

ShelfName = tuple[str, str]
"""Workspace and product."""

Day = tuple[UUID, int, str, str]
"""Topic, day since 1970, mood and language: what is counted apart."""

ProductDay = tuple[str, str, int]
"""Workspace, product and day."""

Status = Literal["alive", "merged", "retired"]

_SUM = np.dtype("<i4")
_WORDS = np.dtype("<u2")
_DAY = ("topic_id", "day", "mood", "language")
_PRODUCT_DAY = ("workspace", "product", "day")


@dataclass(frozen=True)
class Found:
    """That a post is in a discovered topic. `at` is when it was written."""

    post_id: UUID
    topic_id: UUID
    similarity: float
    at: int


@dataclass(frozen=True)
class Changed:
    """A topic as it is now, and what became of it."""

    shelf: ShelfName
    topic: Topic
    status: Status
    merged_into: UUID | None


async def kept(connection: AsyncConnection, name: ShelfName) -> Kept | None:
    """What is remembered of a product beside topics and waiting posts; None of a new one."""
    workspace, product = name
    query = select(discoveries).where(
        discoveries.c.workspace == workspace, discoveries.c.product == product
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return Kept(
        sequence=row.sequence,
        founded=row.founded,
        yardstick=Yardstick(row.middle, row.deviation),
        bins=np.frombuffer(row.bins, _SUM).astype(np.int32),
        ring=np.frombuffer(row.ring, np.int8).reshape(-1, MEANING),
        spoken=row.spoken,
        words=np.frombuffer(zlib.decompress(row.words), _WORDS).reshape(2, Background.WIDTH),
    )


async def living(connection: AsyncConnection, name: ShelfName) -> list[Topic]:
    """The topics that posts can join, the oldest first."""
    workspace, product = name
    query = (
        select(discovered_topics)
        .where(
            discovered_topics.c.workspace == workspace,
            discovered_topics.c.product == product,
            discovered_topics.c.status == "alive",
        )
        .order_by(discovered_topics.c.place)
    )
    return [_topic(row) for row in await connection.execute(query)]


async def waiting(connection: AsyncConnection, name: ShelfName) -> list[Waiter]:
    """The posts that wait, the oldest first."""
    workspace, product = name
    query = (
        select(waiting_posts)
        .where(waiting_posts.c.workspace == workspace, waiting_posts.c.product == product)
        .order_by(waiting_posts.c.sequence)
    )
    return [
        Waiter(
            sequence=row.sequence,
            said=Said(row.post_id, row.voice, row.language, tuple(orjson.loads(row.words))),
            vector=np.frombuffer(row.vector, np.int8),
        )
        for row in await connection.execute(query)
    ]


async def keep(
    connection: AsyncConnection, database: Database, remembered: Mapping[ShelfName, Kept]
) -> None:
    """Write what is remembered of products."""
    rows = [
        {
            "workspace": workspace,
            "product": product,
            "sequence": it.sequence,
            "founded": it.founded,
            "middle": it.yardstick.middle,
            "deviation": it.yardstick.deviation,
            "spoken": it.spoken,
            "bins": it.bins.astype(_SUM).tobytes(),
            "ring": it.ring.tobytes(),
            "words": zlib.compress(it.words.astype(_WORDS).tobytes(), 1),
        }
        for (workspace, product), it in sorted(remembered.items())
    ]
    if not rows:
        return
    new = database.insert(discoveries)
    key = ("workspace", "product")
    changed = {name: new.excluded[name] for name in rows[0] if name not in key}
    upsert = new.on_conflict_do_update(
        index_elements=[discoveries.c[name] for name in key], set_=changed
    )
    await connection.execute(upsert, rows)


async def save(connection: AsyncConnection, database: Database, topics: Iterable[Changed]) -> None:
    """Write topics, new or changed; what people did with them stays."""
    rows = [_row(changed) for changed in topics]
    if not rows:
        return
    new = database.insert(discovered_topics)
    key = ("id", "workspace", "product", "place")
    changed = {column: new.excluded[column] for column in rows[0] if column not in key}
    upsert = new.on_conflict_do_update(index_elements=[discovered_topics.c.id], set_=changed)
    await connection.execute(upsert, rows)


async def merge(
    connection: AsyncConnection, database: Database, merged: Mapping[UUID, UUID]
) -> None:
    """Move posts and counts of topics to those that they became part of."""
    days, found, topics = discovered_days.c, discovered_posts.c, discovered_topics.c
    for gone, left in merged.items():
        moved = literal(left, days.topic_id.type)
        new = database.insert(discovered_days).from_select(
            [*_DAY, "posts"],
            select(moved, days.day, days.mood, days.language, days.posts).where(
                days.topic_id == gone
            ),
        )
        await connection.execute(
            new.on_conflict_do_update(
                index_elements=[days[column] for column in _DAY],
                set_={"posts": days.posts + new.excluded.posts},
            )
        )
        await connection.execute(delete(discovered_days).where(days.topic_id == gone))
        await connection.execute(
            update(discovered_posts).where(found.topic_id == gone).values(topic_id=left)
        )
        adopted = select(topics.adopted_as).where(topics.id == gone).scalar_subquery()
        await connection.execute(
            update(discovered_topics)
            .where(topics.id == left, topics.adopted_as.is_(None))
            .values(adopted_as=adopted)
        )
        await connection.execute(
            update(discovered_topics).where(topics.merged_into == gone).values(merged_into=left)
        )


async def topics_of(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, UUID]:
    """For each post that is in a discovered topic, in which."""
    if not ids:
        return {}
    query = select(discovered_posts.c.post_id, discovered_posts.c.topic_id).where(
        discovered_posts.c.post_id.in_(ids)
    )
    return {row.post_id: row.topic_id for row in await connection.execute(query)}


async def place(connection: AsyncConnection, placed: Sequence[Found]) -> None:
    """Put posts into topics."""
    rows = [
        {
            "post_id": it.post_id,
            "topic_id": it.topic_id,
            "similarity": it.similarity,
            "created_at": it.at,
        }
        for it in placed
    ]
    if rows:
        await connection.execute(insert(discovered_posts), rows)


async def date(connection: AsyncConnection, written: Mapping[UUID, int]) -> None:
    """Note when posts that are in topics were written, in microseconds since 1970."""
    found = discovered_posts.c
    rows = [{"post": post, "at": at} for post, at in written.items()]
    if rows:
        dated = (
            update(discovered_posts)
            .where(found.post_id == bindparam("post"))
            .values(created_at=bindparam("at"))
        )
        await connection.execute(dated, rows)


async def remove(connection: AsyncConnection, ids: Collection[UUID]) -> None:
    """Let posts be in no topic, and wait for none."""
    await connection.execute(delete(discovered_posts).where(discovered_posts.c.post_id.in_(ids)))
    await connection.execute(delete(waiting_posts).where(waiting_posts.c.post_id.in_(ids)))


async def count(
    connection: AsyncConnection,
    database: Database,
    topics: Mapping[Day, int],
    products: Mapping[ProductDay, int],
) -> None:
    """Add to the counts of topics and of products, in the order given."""
    for table, key, steps in (
        (discovered_days, _DAY, topics),
        (product_days, _PRODUCT_DAY, products),
    ):
        rows = [
            {**dict(zip(key, counted, strict=True)), "posts": step}
            for counted, step in steps.items()
        ]
        if rows:
            new = database.insert(table)
            counted_up = new.on_conflict_do_update(
                index_elements=[table.c[column] for column in key],
                set_={"posts": table.c.posts + new.excluded.posts},
            )
            await connection.execute(counted_up, rows)


async def wait(
    connection: AsyncConnection,
    began: Iterable[tuple[ShelfName, Waiter]],
    stopped: Collection[UUID],
) -> None:
    """Let posts wait, and others wait no more."""
    if stopped:
        await connection.execute(delete(waiting_posts).where(waiting_posts.c.post_id.in_(stopped)))
    rows = [
        {
            "post_id": waiter.said.post,
            "workspace": workspace,
            "product": product,
            "sequence": waiter.sequence,
            "voice": waiter.said.voice,
            "language": waiter.said.language,
            "words": orjson.dumps(waiter.said.words).decode(),
            "vector": waiter.vector.tobytes(),
        }
        for (workspace, product), waiter in began
    ]
    if rows:
        await connection.execute(insert(waiting_posts), rows)


def _row(changed: Changed) -> dict[str, Any]:  # a table's row: its values have many types
    topic = changed.topic
    state = {
        "size": topic.size,
        "joined": topic.joined,
        "posts": topic.posts,
        "last": topic.last,
        "counts": topic.counts,
        "counted": topic.counted,
        "chosen": topic.chosen,
        "named_until": topic.named_until,
        "samples": [(it.similarity, str(it.post), it.voice, it.language) for it in topic.samples],
    }
    return {
        "id": topic.id,
        "workspace": changed.shelf[0],
        "product": changed.shelf[1],
        "place": topic.place,
        "status": changed.status,
        "merged_into": changed.merged_into,
        "name": topic.name,
        "words": orjson.dumps(topic.best).decode(),
        "state": orjson.dumps(state).decode(),
        "sum": topic.sum.astype(_SUM).tobytes(),
        "vector": topic.vector.tobytes(),
    }


def _topic(row: Any) -> Topic:  # a row has its columns as attributes
    state = orjson.loads(row.state)
    return Topic(
        id=row.id,
        place=row.place,
        sum=np.frombuffer(row.sum, _SUM).astype(np.int32),
        vector=np.frombuffer(row.vector, np.int8),
        size=state["size"],
        joined=state["joined"],
        posts=state["posts"],
        last=state["last"],
        counts=Counter(state["counts"]),
        counted=state["counted"],
        chosen=tuple(state["chosen"]),
        best=tuple(orjson.loads(row.words)),
        named_until=state["named_until"],
        samples=[
            Sample(similarity, UUID(post), voice, language)
            for similarity, post, voice, language in state["samples"]
        ],
    )
