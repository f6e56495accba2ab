"""SQL of what came before: posts, rejected rows, webhook messages."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Insert, Row, Table, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.domain import Decision, Seen
from maru_ingest.tables import announcements, deliveries, micros, moment, rejects, seen

_SEEN_TYPES = {
    "id": "TEXT",
    "fingerprint": "TEXT",
    "revision": "INTEGER",
    "owner": "TEXT",
    "collected_at": "BIGINT",
    "edited_at": "BIGINT",
    "announcement": "BIGINT",
}
_SEEN = ", ".join(_SEEN_TYPES)
_PUBLISHED = "NOT EXISTS (SELECT 1 FROM announcements AS a WHERE a.id = seen.announcement)"
# S608 is silenced where a statement is put together from these constants only.
_REMEMBERED = timedelta(days=1)


async def seen_posts(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Seen]:
    """What is known of these posts."""
    statement = text(
        f"SELECT {_SEEN}, {_PUBLISHED} AS published FROM seen "  # noqa: S608
        f"WHERE id IN ({_given(connection, 1)})"
    )
    rows = await connection.execute(statement, {"given": _listed(ids)})
    return {row.id: _seen(row) for row in rows}


async def announce(connection: AsyncConnection, decisions: Sequence[Decision]) -> int:
    """Write down what is about to be published; return the number of this announcement.

    Raises IntegrityError when another process announced one of the new posts meanwhile: decide
    again.
    """
    number = secrets.randbits(63)
    await connection.execute(insert(announcements).values(id=number))
    new = [_values(one.seen, number) for one in decisions if one.was is None]
    if new:
        statement = text(f"INSERT INTO seen ({_SEEN}) {_given(connection, len(_SEEN_TYPES))}")
        await connection.execute(statement, {"given": orjson.dumps(new).decode()})
    for known in (one.seen for one in decisions if one.was is not None):
        values = dict(zip(_SEEN_TYPES, _values(known, number), strict=True))
        await connection.execute(update(seen).where(seen.c.id == known.id).values(values))
    return number


async def acknowledge(connection: AsyncConnection, announcement: int) -> None:
    """Note that the log has all posts of an announcement."""
    await connection.execute(delete(announcements).where(announcements.c.id == announcement))


async def known_rejects(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Which of these bad rows are in the dead letters already."""
    return set(await connection.scalars(select(rejects.c.id).where(rejects.c.id.in_(ids))))


async def add_rejects(
    connection: AsyncConnection, source_id: str, ids: Collection[str], *, now: datetime
) -> None:
    """Remember bad rows; those that are known already stay as they are."""
    if ids:
        rows = [{"id": one, "source_id": source_id, "at": micros(now)} for one in ids]
        await connection.execute(_insert_new(connection, rejects), rows)


async def is_delivered(connection: AsyncConnection, source_id: str, delivery_id: str) -> bool:
    """Whether that webhook message was accepted before."""
    query = select(deliveries.c.at).where(
        deliveries.c.source_id == source_id, deliveries.c.delivery_id == delivery_id
    )
    return await connection.scalar(query) is not None


async def add_delivery(
    connection: AsyncConnection, source_id: str, delivery_id: str, *, now: datetime
) -> None:
    """Remember a webhook message that was accepted, and forget those of more than a day ago."""
    await connection.execute(delete(deliveries).where(deliveries.c.at < micros(now - _REMEMBERED)))
    row = {"source_id": source_id, "delivery_id": delivery_id, "at": micros(now)}
    await connection.execute(_insert_new(connection, deliveries), [row])


def _insert_new(connection: AsyncConnection, table: Table) -> Insert:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return make(table).on_conflict_do_nothing()


def _given(connection: AsyncConnection, columns: int) -> str:
    """Return a SELECT over the parameter `given`, a JSON array of arrays in the order of `_SEEN`.

    One statement with one parameter for a whole batch: SQLite's driver lets go of the
    interpreter's lock once, not once a row (measured: half the time of `executemany` beside a
    busy thread), and PostgreSQL's makes one round trip.
    """
    types = list(_SEEN_TYPES.values())[:columns]
    casts = ", ".join(f"CAST(value->>{place} AS {kind})" for place, kind in enumerate(types))
    if connection.dialect.name == "sqlite":
        return f"SELECT {casts} FROM json_each(:given)"  # noqa: S608
    return f"SELECT {casts} FROM jsonb_array_elements(CAST(:given AS jsonb)) AS given(value)"  # noqa: S608


def _listed(ids: Sequence[str]) -> str:
    return orjson.dumps([(one,) for one in ids]).decode()


def _values(known: Seen, announcement: int) -> tuple[object, ...]:
    return (
        known.id,
        known.fingerprint,
        known.revision,
        known.owner,
        micros(known.collected_at),
        micros(known.edited_at),
        announcement,
    )


def _seen(row: Row[Any]) -> Seen:
    return Seen(
        id=row.id,
        fingerprint=row.fingerprint,
        revision=row.revision,
        owner=row.owner,
        published=bool(row.published),
        collected_at=moment(row.collected_at),
        edited_at=moment(row.edited_at),
    )
