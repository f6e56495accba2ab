"""The topics that workspaces define."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TopicDefined
from maru_ideas.domain.times import micros, moment
from maru_ideas.tables import topics
from maru_kit.database import Database


@dataclass(frozen=True)
class StoredTopic:
    """A topic of one workspace: its name and a few phrases that speak of it.

    Without phrases it is a default topic that was removed.
    """

    name: str
    examples: tuple[str, ...]
    updated_at: datetime | None


async def all_of(connection: AsyncConnection, workspace: str) -> list[StoredTopic]:
    """All topics of a workspace, by name."""
    query = select(topics).where(topics.c.workspace == workspace).order_by(topics.c.name)
    return [
        StoredTopic(row.name, tuple(orjson.loads(row.examples)), moment(row.updated_at))
        for row in await connection.execute(query)
    ]


async def save(
    connection: AsyncConnection,
    database: Database,
    topic: TopicDefined,
) -> None:
    """Write a topic, new or changed; a removed one stays without phrases."""
    new = database.insert(topics).values(
        workspace=topic.workspace,
        name=topic.name,
        examples=orjson.dumps(topic.examples).decode(),
        updated_at=micros(topic.at),
    )
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[topics.c.workspace, topics.c.name],
            set_={"examples": new.excluded.examples, "updated_at": new.excluded.updated_at},
        )
    )
