"""The terms that workspaces define: watched products and corrections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import Section, TermDefined
from maru_ideas.domain.times import micros, moment
from maru_ideas.tables import terms
from maru_kit.database import Database


@dataclass(frozen=True)
class StoredTerm:
    """A term of one workspace; `meaning` is as in `TermDefined`."""

    name: str
    meaning: str
    aliases: tuple[str, ...]
    updated_at: datetime


async def all_of(
    connection: AsyncConnection, workspace: str, section: Section
) -> Sequence[StoredTerm]:
    """All terms of a section, by name."""
    query = (
        select(terms)
        .where(terms.c.workspace == workspace, terms.c.section == section)
        .order_by(terms.c.name)
    )
    return [
        StoredTerm(row.name, row.meaning, tuple(orjson.loads(row.aliases)), moment(row.updated_at))
        for row in await connection.execute(query)
    ]


async def save(connection: AsyncConnection, database: Database, term: TermDefined) -> None:
    """Write a term, new or changed."""
    new = database.insert(terms).values(
        workspace=term.workspace,
        section=term.section,
        name=term.name,
        meaning=term.meaning,
        aliases=orjson.dumps(term.aliases).decode(),
        updated_at=micros(term.at),
    )
    changed = {name: new.excluded[name] for name in ("meaning", "aliases", "updated_at")}
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[terms.c.workspace, terms.c.section, terms.c.name], set_=changed
        )
    )


async def remove(connection: AsyncConnection, term: TermDefined) -> bool:
    """Delete a term; return whether it was there."""
    gone = await connection.execute(
        delete(terms)
        .where(
            terms.c.workspace == term.workspace,
            terms.c.section == term.section,
            terms.c.name == term.name,
        )
        .returning(terms.c.name)
    )
    return gone.first() is not None
