"""SQL of what came before: posts, rejected rows, webhook messages."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Insert, Row, Table, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.domain import Decision, Gone, Named, Origin, Removal, Seen
from maru_ingest.tables import announcements, deliveries, micros, moment, rejects, seen

_KNOWN = (
    "id, fingerprint, revision, owner, collected_at, edited_at, deleted_at, "
    "NOT EXISTS (SELECT 1 FROM announcements AS a WHERE a.id = seen.announcement) AS published"
)
_EACH = {
    "sqlite": "json_each(:given)",
    "postgresql": "jsonb_array_elements(CAST(:given AS jsonb)) AS given(value)",
}
"""The rows of the parameter `given`, a JSON array of arrays. S608 is silenced where a statement is
put together from these constants only.

One statement with one parameter for a whole batch: SQLite's driver lets go of the interpreter's
lock once, not once a row, and PostgreSQL's makes one round trip.
"""
_REMEMBERED = timedelta(days=1)


def new_announcement() -> int:
    """A number for what one transaction announces."""
    return secrets.randbits(63)


async def announce(
    connection: AsyncConnection,
    origin: Origin,
    posts: Collection[Named],
    *,
    number: int,
    now: datetime,
) -> dict[str, Seen]:
    """Write down those posts that were never seen before, each of which is given once.

    Returns what is known of the other posts. Another process that announces one of the new posts
    at this moment waits, and then sees it as known.
    """
    rows = [(it.id, it.fingerprint, micros(it.post.edited_at)) for it in posts]
    return await _add(connection, rows, owner=origin.source_id, number=number, now=now)


async def announce_gone(
    connection: AsyncConnection,
    origin: Origin,
    gone: Collection[Gone],
    *,
    number: int,
    now: datetime,
) -> dict[str, Seen]:
    """Write down deletions of posts that were never seen, each of which is given once.

    Returns what is known of the other posts, as `announce` does.
    """
    owner = None if origin.pushed else origin.source_id
    rows: list[tuple[str, str, int | None]] = [(it.id, "", None) for it in gone]
    return await _add(connection, rows, owner=owner, number=number, now=now, deleted_at=now)


async def _add(
    connection: AsyncConnection,
    rows: list[tuple[str, str, int | None]],
    *,
    owner: str | None,
    number: int,
    now: datetime,
    deleted_at: datetime | None = None,
) -> dict[str, Seen]:
    # Sorted, so that two processes wait for each other and never deadlock.
    rows.sort()
    added = await connection.execute(
        text(
            "INSERT INTO seen "  # noqa: S608
            "(id, fingerprint, revision, owner, collected_at, edited_at, deleted_at, announcement) "
            "SELECT value->>0, value->>1, 0, CAST(:owner AS TEXT), CAST(:now AS BIGINT), "
            "CAST(value->>2 AS BIGINT), CAST(:deleted AS BIGINT), CAST(:number AS BIGINT) "
            f"FROM {_each(connection)} WHERE true ON CONFLICT DO NOTHING"
        ),
        {
            "given": orjson.dumps(rows).decode(),
            "owner": owner,
            "now": micros(now),
            "deleted": micros(deleted_at),
            "number": number,
        },
    )
    if added.rowcount == len(rows):
        return {}
    known = await connection.execute(
        text(
            f"SELECT {_KNOWN} FROM seen "  # noqa: S608
            f"WHERE id IN (SELECT value->>0 FROM {_each(connection)}) "
            "AND (announcement IS NULL OR announcement <> CAST(:number AS BIGINT))"
        ),
        {"given": orjson.dumps([row[:1] for row in rows]).decode(), "number": number},
    )
    return {row.id: _seen(row) for row in known}


async def there(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Which of these posts were seen."""
    found = await connection.scalars(
        text(f"SELECT id FROM seen WHERE id IN (SELECT value->>0 FROM {_each(connection)})"),  # noqa: S608
        {"given": orjson.dumps([[one] for one in ids]).decode()},
    )
    return set(found)


async def keep(
    connection: AsyncConnection, number: int, changed: Sequence[Decision | Removal]
) -> None:
    """Write down that the log has not acknowledged these posts yet, and the edits among them."""
    await connection.execute(insert(announcements).values(id=number))
    edited = [
        {"known": one.seen.id, **_edit(one.seen), "announcement": number}
        for one in changed
        if one.was is not None
    ]
    if edited:
        await connection.execute(update(seen).where(seen.c.id == bindparam("known")), edited)


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


def _each(connection: AsyncConnection) -> str:
    return _EACH[connection.dialect.name]


def _edit(known: Seen) -> dict[str, object]:
    return {
        "fingerprint": known.fingerprint,
        "revision": known.revision,
        "owner": known.owner,
        "collected_at": micros(known.collected_at),
        "edited_at": micros(known.edited_at),
        "deleted_at": micros(known.deleted_at),
    }


def _seen(row: Row[Any]) -> Seen:
    return Seen(
        id=row.id,
        fingerprint=row.fingerprint,
        revision=row.revision,
        owner=row.owner,
        published=bool(row.published),
        collected_at=moment(row.collected_at),
        edited_at=moment(row.edited_at),
        deleted_at=moment(row.deleted_at),
    )
