"""The topics that workspaces define."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.default_topics import DEFAULT_TOPICS
from maru_contracts.tags import TopicDefined
from maru_ideas.domain.times import micros, moment
from maru_ideas.tables import topics
from maru_kit.database import Database


@dataclass(frozen=True)
class StoredTopic:
    """A topic of one workspace: its name, what it is, and a few phrases that speak of it.

    `formerly` and `since` are as in `TopicDefined`. With neither description nor phrases it is a
    topic that was removed.
    """

    name: str
    examples: tuple[str, ...]
    updated_at: datetime | None
    description: str = ""
    formerly: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def is_there(self) -> bool:
        """Whether posts are tagged with it."""
        return bool(self.description or self.examples)


async def current(connection: AsyncConnection, workspace: str) -> list[StoredTopic]:
    """What the workspace's posts are tagged with, by name: its own and the default topics."""
    query = select(topics).where(topics.c.workspace == workspace)
    stored = [_topic(row) for row in (await connection.execute(query)).mappings()]
    worded = {topic.name for topic in stored}
    default = [
        StoredTopic(name, examples, None)
        for name, examples in DEFAULT_TOPICS.items()
        if name not in worded
    ]
    return sorted((it for it in [*stored, *default] if it.is_there), key=lambda it: it.name)


async def save(
    connection: AsyncConnection,
    database: Database,
    topic: TopicDefined,
) -> None:
    """Write a topic, new or changed; a removed one stays without anything that tells it."""
    new = database.insert(topics).values(
        workspace=topic.workspace,
        name=topic.name,
        description=topic.description,
        examples=orjson.dumps(topic.examples).decode(),
        formerly=orjson.dumps(topic.formerly).decode(),
        since=None if topic.since is None else micros(topic.since),
        updated_at=micros(topic.at),
    )
    written = ("description", "examples", "formerly", "since", "updated_at")
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[topics.c.workspace, topics.c.name],
            set_={name: new.excluded[name] for name in written},
        )
    )


def _topic(row: RowMapping) -> StoredTopic:
    return StoredTopic(
        name=row["name"],
        examples=tuple(orjson.loads(row["examples"])),
        updated_at=moment(row["updated_at"]),
        description=row["description"],
        formerly=tuple(orjson.loads(row["formerly"])),
        since=None if row["since"] is None else moment(row["since"]),
    )
