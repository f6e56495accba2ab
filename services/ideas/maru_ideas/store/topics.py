"""The topics that workspaces define."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.domain.times import micros, moment
from maru_ideas.tables import topics
from maru_kit.database import Database


@dataclass(frozen=True)
class StoredTopic:
    """A topic of one workspace: its name and a few phrases that speak of it."""

    name: str
    examples: tuple[str, ...]
    updated_at: datetime


async def all_of(connection: AsyncConnection, workspace: str) -> list[StoredTopic]:
    """All topics of a workspace, by name."""
    query = select(topics).where(topics.c.workspace == workspace).order_by(topics.c.name)
    return [
        StoredTopic(row.name, tuple(orjson.loads(row.examples)), moment(row.updated_at))
        for row in await connection.execute(query)
    ]


async def save(
    connection: AsyncConnection, database: Database, workspace: str, topic: StoredTopic
) -> None:
    """Write a topic, new or changed."""
    new = database.insert(topics).values(
        workspace=workspace,
        name=topic.name,
        examples=orjson.dumps(topic.examples).decode(),
        updated_at=micros(topic.updated_at),
    )
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[topics.c.workspace, topics.c.name],
            set_={"examples": new.excluded.examples, "updated_at": new.excluded.updated_at},
        )
    )


async def remove(connection: AsyncConnection, workspace: str, name: str) -> bool:
    """Delete a topic; return whether there was one."""
    gone = delete(topics).where(topics.c.workspace == workspace, topics.c.name == name)
    return (await connection.execute(gone.returning(topics.c.name))).first() is not None
