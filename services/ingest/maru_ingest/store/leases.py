"""SQL of who polls which source: what is due, taken, kept, and given back with what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.domain import Credentials, State
from maru_ingest.store.sources import Source, add_to_day, stored
from maru_ingest.tables import micros, moment, sources
from maru_kit.vault import Vault

_MAX_REASON = 500

_FOLLOWED = tuple(state for state in get_args(State) if state != "paused")
"""The states of sources that are polled. All of them are named to the database, since "not paused"
would not let it look in the index of states and times."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of one poll: the source's state and when it is due next.

    `reason` is why it failed, for people; empty when it did not. `requests` were made for it, and
    `credentials` are what it learnt of the source's.
    """

    source: Source
    at: datetime
    next_poll_at: datetime
    state: State = "active"
    reason: str = ""
    requests: int = 0
    credentials: Credentials = field(default_factory=Credentials)


@dataclass(frozen=True, slots=True)
class Taker:
    """Who looks for work, of which kinds, at what moment; `busy_with` is left out."""

    instance: str
    kinds: Collection[str]
    now: datetime
    busy_with: Collection[str] = ()


async def are_any_due(connection: AsyncConnection, taker: Taker) -> bool:
    """Whether there is a source to take."""
    return await connection.scalar(select(sources.c.id).where(*_due(taker)).limit(1)) is not None


async def take(
    connection: AsyncConnection, taker: Taker, vault: Vault, *, until: datetime, limit: int
) -> list[Source]:
    """Take sources that are due and nobody else's until then, those that wait longest first.

    What this instance holds and is not busy with is free: it held that before it was started anew.
    Processes that look at the same moment do not wait for one another, and find other sources.
    """
    chosen = (
        select(sources.c.id)
        .where(*_due(taker))
        .order_by(sources.c.next_poll_at, sources.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    taken = await connection.execute(
        update(sources)
        .where(sources.c.id.in_(select(chosen.c.id)))
        .values(
            leased_by=taker.instance, leased_until=micros(until), last_polled_at=micros(taker.now)
        )
        .returning(*sources.c)
    )
    rows = sorted(taken.all(), key=lambda row: (row.next_poll_at, row.id))
    return [stored(row, vault) for row in rows]


async def renew(
    connection: AsyncConnection, held: Collection[Source], *, instance: str, until: datetime
) -> set[str]:
    """Keep sources for this process until then; return those that are still its own."""
    generations = {source.id: source.generation for source in held}
    kept = await connection.execute(
        update(sources)
        .where(
            sources.c.id.in_(generations),
            sources.c.state != "paused",
            sources.c.leased_by == instance,
        )
        .values(leased_until=micros(until))
        .returning(sources.c.id, sources.c.generation)
    )
    return {row.id for row in kept if row.generation == generations[row.id]}


async def still_followed(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Which of these sources still exist and are not paused."""
    if not ids:
        return set()
    query = select(sources.c.id).where(sources.c.id.in_(ids), sources.c.state != "paused")
    return set(await connection.scalars(query))


_NOTE = (
    update(sources)
    .where(
        sources.c.id == bindparam("source"),
        sources.c.generation == bindparam("of_generation"),
        sources.c.leased_by == bindparam("instance"),
    )
    .values(
        state=case((sources.c.state == "paused", "paused"), else_=bindparam("new", type_=String)),
        reason=bindparam("why"),
        failures=(sources.c.failures + 1) * bindparam("failed", type_=Integer),
        last_success_at=func.coalesce(
            bindparam("succeeded_at", type_=sources.c.last_success_at.type),
            sources.c.last_success_at,
        ),
        next_poll_at=bindparam("due"),
        credentials_expire_at=bindparam("expire_at"),
        credentials_checked_at=bindparam("checked_at"),
        leased_by=None,
        leased_until=None,
    )
)


async def note(
    connection: AsyncConnection, polled: Sequence[Polled], *, instance: str, now: datetime
) -> None:
    """Give sources back with what came of their polls; a paused one stays paused.

    Nothing is noted of a source that people have changed meanwhile, or that another process took
    over, but the requests that were made.
    """
    # In the order of ids, so that two processes never wait for each other in a circle.
    ordered = sorted(polled, key=lambda one: one.source.id)
    if ordered:
        await connection.execute(_NOTE, [_row(one, instance) for one in ordered])
    asked = {one.source.id: {"requests": one.requests} for one in ordered if one.requests}
    await add_to_day(connection, asked, now=now)


async def stream_works(
    connection: AsyncConnection,
    source: Source,
    credentials: Credentials,
    *,
    lasts: bool,
    now: datetime,
    trouble: str = "",
) -> None:
    """Note that a stream brings what it should, a good poll without an end as yet.

    Past failures are forgotten once it `lasts`, so that one that breaks again at once is left
    alone for longer. `trouble` is what it can't read meanwhile, empty for nothing.
    """
    await connection.execute(
        update(sources)
        .where(sources.c.id == source.id, sources.c.generation == source.generation)
        .values(
            state=case((sources.c.state == "paused", "paused"), else_="active"),
            reason=_storable(trouble)[:_MAX_REASON],
            failures=0 if lasts else sources.c.failures,
            last_success_at=micros(now),
            credentials_expire_at=micros(credentials.expire_at),
            credentials_checked_at=micros(credentials.checked_at),
        )
    )


async def overdue(
    connection: AsyncConnection, kinds: Collection[str], *, now: datetime, by: timedelta
) -> tuple[int, timedelta]:
    """How many sources have waited for their poll for longer than `by`, and the longest wait."""
    late = func.count().filter(sources.c.next_poll_at < micros(now - by))
    query = select(late, func.min(sources.c.next_poll_at)).where(
        *_waiting(kinds, now),
        or_(sources.c.leased_until.is_(None), sources.c.leased_until < micros(now)),
    )
    count, first = (await connection.execute(query)).one()
    return count, timedelta() if first is None else now - moment(first)


def _due(taker: Taker) -> tuple[ColumnElement[bool], ...]:
    free = or_(
        sources.c.leased_until.is_(None),
        sources.c.leased_until < micros(taker.now),
        sources.c.leased_by == taker.instance,
    )
    return (*_waiting(taker.kinds, taker.now), free, sources.c.id.not_in(taker.busy_with))


def _waiting(kinds: Collection[str], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        sources.c.state.in_(_FOLLOWED),
        sources.c.next_poll_at <= micros(now),
        sources.c.kind.in_(kinds),
    )


def _row(polled: Polled, instance: str) -> dict[str, Any]:
    failed = polled.state != "active"
    return {
        "source": polled.source.id,
        "of_generation": polled.source.generation,
        "instance": instance,
        "new": polled.state,
        "why": _storable(polled.reason)[:_MAX_REASON],
        "failed": int(failed),
        "succeeded_at": None if failed else micros(polled.at),
        "due": micros(polled.next_poll_at),
        "expire_at": micros(polled.credentials.expire_at),
        "checked_at": micros(polled.credentials.checked_at),
    }


def _storable(text: str) -> str:
    """Leave out what no text of a database may hold: one such reason would undo the others."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
