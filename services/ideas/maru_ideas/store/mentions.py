"""Counts of posts that mention watched products."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import Mood, Side
from maru_ideas.domain.mentions import Mention
from maru_ideas.tables import mentions
from maru_kit.database import Database

_KEY = ("workspace", "day", "name", "kind", "mood")


async def add(
    connection: AsyncConnection, database: Database, steps: Mapping[Mention, int]
) -> None:
    """Add to the counts, in the order given: writers who share rows take them in one order."""
    if not steps:
        return
    new = database.insert(mentions)
    counted = new.on_conflict_do_update(
        index_elements=[mentions.c[name] for name in _KEY],
        set_={"posts": mentions.c.posts + new.excluded.posts},
    )
    rows = [{**dict(zip(_KEY, mention, strict=True)), "posts": n} for mention, n in steps.items()]
    await connection.execute(counted, rows)


async def between(
    connection: AsyncConnection, workspace: str, first: int, last: int
) -> list[tuple[str, Side, Mood, int]]:
    """Posts by name, kind and mood, from the first day to the last, both counted."""
    query = (
        select(
            mentions.c.name, mentions.c.kind, mentions.c.mood, func.sum(mentions.c.posts).label("n")
        )
        .where(mentions.c.workspace == workspace, mentions.c.day.between(first, last))
        .group_by(mentions.c.name, mentions.c.kind, mentions.c.mood)
    )
    return [
        (row.name, cast("Side", row.kind), cast("Mood", row.mood), int(row.n))
        for row in await connection.execute(query)
    ]
