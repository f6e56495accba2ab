"""SQL of looks back: what range of time a source is read for, and how far that has come."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.tables import backfills, micros, moment, sources

BackfillState = Literal["running", "done"]
_MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Backfill:
    """A look back from `since` (inclusive) to `until` (exclusive).

    `posts` counts those that were new. `reason` says why the last attempt failed, empty after a
    good one.
    """

    source_id: str
    since: datetime
    until: datetime
    asked_at: datetime
    next_at: datetime
    state: BackfillState = "running"
    reason: str = ""
    failures: int = 0
    cursor: Mapping[str, Any] = field(default_factory=dict)
    pages: int = 0
    posts: int = 0


async def begin(connection: AsyncConnection, wanted: Backfill) -> None:
    """Store a new look back, in place of the source's last one."""
    await connection.execute(delete(backfills).where(backfills.c.source_id == wanted.source_id))
    await connection.execute(
        insert(backfills).values(
            source_id=wanted.source_id,
            since=micros(wanted.since),
            until=micros(wanted.until),
            state=wanted.state,
            asked_at=micros(wanted.asked_at),
            next_at=micros(wanted.next_at),
        )
    )


async def cancel(connection: AsyncConnection, source_id: str) -> bool:
    """Forget a source's look back; False when there is none."""
    gone = await connection.execute(delete(backfills).where(backfills.c.source_id == source_id))
    return gone.rowcount == 1


async def of_sources(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Backfill]:
    """The last look back of each of these sources that had one."""
    query = select(backfills).where(backfills.c.source_id.in_(ids))
    return {row.source_id: _backfill(row) for row in await connection.execute(query)}


async def due(
    connection: AsyncConnection, *, now: datetime, instance: str, limit: int
) -> list[Backfill]:
    """Looks back that are under way, to be gone on with now, and in nobody else's hands."""
    query = (
        select(backfills)
        .join(sources, sources.c.id == backfills.c.source_id)
        .where(
            backfills.c.state == "running",
            backfills.c.next_at <= micros(now),
            sources.c.state != "paused",
            or_(
                backfills.c.leased_until.is_(None),
                backfills.c.leased_until < micros(now),
                backfills.c.leased_by == instance,
            ),
        )
        .order_by(backfills.c.next_at)
        .limit(limit)
    )
    return [_backfill(row) for row in await connection.execute(query)]


async def lease(
    connection: AsyncConnection, wanted: Backfill, *, instance: str, now: datetime, until: datetime
) -> bool:
    """Take a look back, or keep it, until then; False when it is another's, ended or replaced."""
    result = await connection.execute(
        update(backfills)
        .where(
            backfills.c.source_id == wanted.source_id,
            backfills.c.asked_at == micros(wanted.asked_at),
            backfills.c.state == "running",
            or_(
                backfills.c.leased_until.is_(None),
                backfills.c.leased_until < micros(now),
                backfills.c.leased_by == instance,
            ),
        )
        .values(leased_by=instance, leased_until=micros(until))
    )
    return result.rowcount == 1


async def turn_page(
    connection: AsyncConnection, looked: Backfill, *, cursor: Mapping[str, Any], posts: int
) -> None:
    """Save how far a look back has come; one that was replaced meanwhile stays as it is."""
    await _update(
        connection,
        looked,
        cursor=orjson.dumps(cursor).decode(),
        pages=backfills.c.pages + 1,
        posts=backfills.c.posts + posts,
        reason="",
        failures=0,
    )


async def end(connection: AsyncConnection, looked: Backfill) -> None:
    """Note that a look back has come to its end."""
    await _update(connection, looked, state="done", reason="", leased_by=None, leased_until=None)


async def hold(
    connection: AsyncConnection, looked: Backfill, reason: str, *, next_at: datetime
) -> None:
    """Go on later; a reason counts as a failure."""
    await _update(
        connection,
        looked,
        reason=reason[:_MAX_REASON],
        failures=backfills.c.failures + 1 if reason else 0,
        next_at=micros(next_at),
        leased_by=None,
        leased_until=None,
    )


async def _update(connection: AsyncConnection, looked: Backfill, **values: Any) -> None:
    await connection.execute(
        update(backfills)
        .where(
            backfills.c.source_id == looked.source_id,
            backfills.c.asked_at == micros(looked.asked_at),
        )
        .values(**values)
    )


def _backfill(row: Row[Any]) -> Backfill:
    return Backfill(
        source_id=row.source_id,
        since=moment(row.since),
        until=moment(row.until),
        asked_at=moment(row.asked_at),
        next_at=moment(row.next_at),
        state=row.state,
        reason=row.reason,
        failures=row.failures,
        cursor=orjson.loads(row.cursor),
        pages=row.pages,
        posts=row.posts,
    )
