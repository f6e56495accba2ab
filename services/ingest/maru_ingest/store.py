"""All SQL of the ingest service. Every function runs within its caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import (
    Insert,
    Row,
    Table,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.posts import Channel
from maru_ingest.domain import Decision, Origin, Seen, State
from maru_ingest.tables import deliveries, rejects, seen, sources

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_REASON = 500
_SEEN_TYPES = {
    "id": "TEXT",
    "fingerprint": "TEXT",
    "revision": "INTEGER",
    "owner": "TEXT",
    "published": "INTEGER",
    "collected_at": "BIGINT",
    "edited_at": "BIGINT",
}
_SEEN = ", ".join(_SEEN_TYPES)
# S608 is silenced where a statement is put together from these constants only.
_REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it is stored. `settings` and `secret` hold secrets in the clear."""

    id: str
    workspace: str
    product: str
    name: str
    kind: str
    channel: Channel
    created_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    secret: str | None = None
    state: State = "active"
    reason: str = ""
    failures: int = 0
    cursor: Mapping[str, Any] = field(default_factory=dict)
    posts: int = 0
    duplicates: int = 0
    rejected: int = 0
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    last_post_at: datetime | None = None
    next_poll_at: datetime | None = None

    def origin(self, *, pushed: bool = False) -> Origin:
        """What this source's posts must know of it; see `Origin` for `pushed`."""
        return Origin(
            source_id=self.id,
            name=self.name,
            kind=self.kind,
            workspace=self.workspace,
            product=self.product,
            channel=self.channel,
            pushed=pushed,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of some posts."""

    published: int = 0
    duplicates: int = 0
    rejected: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.published + other.published,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
        )


async def add_source(connection: AsyncConnection, source: Source) -> None:
    """Store a new source. Raises IntegrityError when its kind and name are taken."""
    await connection.execute(
        insert(sources).values(
            id=source.id,
            workspace=source.workspace,
            product=source.product,
            name=source.name,
            kind=source.kind,
            channel=source.channel.value,
            settings=orjson.dumps(source.settings).decode(),
            secret=source.secret,
            state=source.state,
            created_at=micros(source.created_at),
            next_poll_at=micros(source.next_poll_at),
        )
    )


async def source_by_id(
    connection: AsyncConnection, source_id: str, *, workspace: str | None = None
) -> Source | None:
    """The source with that id, in `workspace` unless that is None."""
    query = select(sources).where(sources.c.id == source_id)
    if workspace is not None:
        query = query.where(sources.c.workspace == workspace)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _source(row)


async def sources_of(
    connection: AsyncConnection, workspace: str, *, after: tuple[int, str] | None, limit: int
) -> list[Source]:
    """A workspace's sources, oldest first.

    `after` is the creation time (microseconds since 1970) and id of the last one of a page.
    """
    query = select(sources).where(sources.c.workspace == workspace)
    if after is not None:
        created, last = after
        query = query.where(
            or_(
                sources.c.created_at > created,
                (sources.c.created_at == created) & (sources.c.id > last),
            )
        )
    query = query.order_by(sources.c.created_at, sources.c.id).limit(limit)
    return [_source(row) for row in await connection.execute(query)]


async def remove_source(connection: AsyncConnection, source_id: str) -> None:
    """Forget a source. Its posts stay known, and any other source may edit them from now on."""
    await connection.execute(update(seen).where(seen.c.owner == source_id).values(owner=None))
    await connection.execute(delete(rejects).where(rejects.c.source_id == source_id))
    await connection.execute(delete(deliveries).where(deliveries.c.source_id == source_id))
    await connection.execute(delete(sources).where(sources.c.id == source_id))


async def set_state(
    connection: AsyncConnection, source_id: str, state: State, *, next_poll_at: datetime | None
) -> None:
    """Pause or resume a source; a resumed one starts without past failures."""
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(state=state, reason="", failures=0, next_poll_at=micros(next_poll_at))
    )


async def due_sources(
    connection: AsyncConnection,
    kinds: Collection[str],
    *,
    now: datetime,
    instance: str,
    limit: int,
) -> list[Source]:
    """Sources of these kinds that are to be polled now and that nobody else is polling."""
    query = (
        select(sources)
        .where(
            sources.c.state != "paused",
            sources.c.kind.in_(kinds),
            sources.c.next_poll_at <= micros(now),
            _is_free(now, instance),
        )
        .order_by(sources.c.next_poll_at, sources.c.id)
        .limit(limit)
    )
    return [_source(row) for row in await connection.execute(query)]


async def lease(
    connection: AsyncConnection, source_id: str, *, instance: str, now: datetime, until: datetime
) -> bool:
    """Take a source for this process until then.

    False when it is another's, paused, or no longer due (it was polled since it was looked up).
    """
    result = await connection.execute(
        update(sources)
        .where(
            sources.c.id == source_id,
            sources.c.state != "paused",
            sources.c.next_poll_at <= micros(now),
            _is_free(now, instance),
        )
        .values(leased_by=instance, leased_until=micros(until), last_polled_at=micros(now))
    )
    return result.rowcount == 1


async def live_sources(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Which of these sources still exist and are not paused."""
    query = select(sources.c.id).where(sources.c.id.in_(ids), sources.c.state != "paused")
    return set(await connection.scalars(query))


async def save_progress(
    connection: AsyncConnection,
    source_id: str,
    counts: Counts,
    *,
    now: datetime,
    cursor: Mapping[str, Any] | None = None,
) -> None:
    """Count what was published, and store the cursor unless it is None."""
    values: dict[str, Any] = {
        "posts": sources.c.posts + counts.published,
        "duplicates": sources.c.duplicates + counts.duplicates,
        "rejected": sources.c.rejected + counts.rejected,
    }
    if counts.published:
        values["last_post_at"] = micros(now)
    if cursor is not None:
        values["cursor"] = orjson.dumps(cursor).decode()
    await connection.execute(update(sources).where(sources.c.id == source_id).values(**values))


async def poll_succeeded(
    connection: AsyncConnection, source_id: str, *, now: datetime, next_poll_at: datetime | None
) -> None:
    """Note a good poll: a broken source is active again, a paused one stays paused."""
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(
            state=case((sources.c.state == "paused", "paused"), else_="active"),
            reason="",
            failures=0,
            last_success_at=micros(now),
            next_poll_at=micros(next_poll_at),
            leased_by=None,
            leased_until=None,
        )
    )


async def poll_failed(
    connection: AsyncConnection, source_id: str, reason: str, *, next_poll_at: datetime
) -> None:
    """Note a failed poll with its reason, which people read."""
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(
            state=case((sources.c.state == "paused", "paused"), else_="broken"),
            reason=reason[:_MAX_REASON],
            failures=sources.c.failures + 1,
            next_poll_at=micros(next_poll_at),
            leased_by=None,
            leased_until=None,
        )
    )


async def release(connection: AsyncConnection, source_id: str, *, instance: str) -> None:
    """Give a source back without a verdict."""
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id, sources.c.leased_by == instance)
        .values(leased_by=None, leased_until=None)
    )


async def health(
    connection: AsyncConnection, kinds: Collection[str]
) -> tuple[dict[str, int], datetime | None]:
    """How many sources are in each state, and the oldest last success of the polled ones.

    A source that never succeeded counts from its creation.
    """
    by_state = select(sources.c.state, func.count().label("number")).group_by(sources.c.state)
    counted = {row.state: row.number for row in await connection.execute(by_state)}
    oldest = await connection.scalar(
        select(func.min(func.coalesce(sources.c.last_success_at, sources.c.created_at))).where(
            sources.c.kind.in_(kinds), sources.c.state != "paused"
        )
    )
    return counted, _moment(oldest)


async def seen_posts(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Seen]:
    """What is known of these posts."""
    statement = text(f"SELECT {_SEEN} FROM seen WHERE id IN ({_given(connection, 1)})")  # noqa: S608
    rows = await connection.execute(statement, {"given": _listed(ids)})
    return {row.id: _seen(row) for row in rows}


async def announce(connection: AsyncConnection, decisions: Sequence[Decision]) -> None:
    """Write down what is about to be published.

    Raises IntegrityError when another process announced one of the new posts meanwhile: decide
    again.
    """
    new = [_values(one.seen) for one in decisions if one.was is None]
    if new:
        statement = text(f"INSERT INTO seen ({_SEEN}) {_given(connection, len(_SEEN_TYPES))}")
        await connection.execute(statement, {"given": orjson.dumps(new).decode()})
    edited = [one.seen for one in decisions if one.was is not None and one.was is not one.seen]
    for known in edited:
        values = dict(zip(_SEEN_TYPES, _values(known), strict=True))
        await connection.execute(update(seen).where(seen.c.id == known.id).values(values))


async def acknowledge(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Note that the log has these posts."""
    statement = text(f"UPDATE seen SET published = 1 WHERE id IN ({_given(connection, 1)})")  # noqa: S608
    await connection.execute(statement, {"given": _listed(ids)})


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


def _is_free(now: datetime, instance: str) -> Any:
    return or_(
        sources.c.leased_until.is_(None),
        sources.c.leased_until < micros(now),
        sources.c.leased_by == instance,
    )


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


def _values(known: Seen) -> tuple[object, ...]:
    return (
        known.id,
        known.fingerprint,
        known.revision,
        known.owner,
        int(known.published),
        micros(known.collected_at),
        micros(known.edited_at),
    )


def _seen(row: Row[Any]) -> Seen:
    return Seen(
        id=row.id,
        fingerprint=row.fingerprint,
        revision=row.revision,
        owner=row.owner,
        published=bool(row.published),
        collected_at=_EPOCH + timedelta(microseconds=row.collected_at),
        edited_at=_moment(row.edited_at),
    )


def _source(row: Row[Any]) -> Source:
    return Source(
        id=row.id,
        workspace=row.workspace,
        product=row.product,
        name=row.name,
        kind=row.kind,
        channel=Channel(row.channel),
        settings=orjson.loads(row.settings),
        secret=row.secret,
        state=row.state,
        reason=row.reason,
        failures=row.failures,
        cursor=orjson.loads(row.cursor),
        posts=row.posts,
        duplicates=row.duplicates,
        rejected=row.rejected,
        created_at=_EPOCH + timedelta(microseconds=row.created_at),
        last_polled_at=_moment(row.last_polled_at),
        last_success_at=_moment(row.last_success_at),
        last_post_at=_moment(row.last_post_at),
        next_poll_at=_moment(row.next_poll_at),
    )


def micros(moment: datetime | None) -> int | None:
    """Return a moment as the tables hold it: microseconds since 1970."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
