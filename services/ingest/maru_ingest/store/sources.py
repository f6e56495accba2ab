"""SQL of sources: what they are and how they fare; who polls them is in `leases`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import (
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.domain import Credentials, Origin, State
from maru_ingest.tables import (
    backfills,
    deliveries,
    micros,
    moment,
    rejects,
    seen,
    source_days,
    sources,
)
from maru_kit.vault import Vault

_REST = 5_000_000  # microseconds
_NOTHING = "{}"
"""Settings that hold nothing stay in the clear: those of imports, which have no key at hand."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source. `settings` and `secret` hold secrets in the clear, which are stored sealed."""

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
    leased_until: datetime | None = None
    daily_requests: int | None = None
    generation: int = 0
    grant_name: str | None = None
    credentials_expire_at: datetime | None = None
    credentials_checked_at: datetime | None = None

    def credentials(self) -> Credentials:
        """What is known of how long its credentials last."""
        return Credentials(self.credentials_expire_at, self.credentials_checked_at)

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
            generation=self.generation,
        )


@dataclass(frozen=True, slots=True)
class Day:
    """What a source brought on one day (UTC), and how often it was asked."""

    date: date
    posts: int
    rejected: int
    requests: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of some posts."""

    published: int = 0
    duplicates: int = 0
    rejected: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.published + other.published,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
            self.deleted + other.deleted,
        )


async def products(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """The products of these sources, by source."""
    if not ids:
        return {}
    query = select(sources.c.id, sources.c.product).where(sources.c.id.in_(ids))
    return {row.id: row.product for row in await connection.execute(query)}


async def add_source(connection: AsyncConnection, source: Source, vault: Vault) -> None:
    """Store a new source. Raises IntegrityError when its kind and name are taken."""
    await connection.execute(
        insert(sources).values(
            id=source.id,
            workspace=source.workspace,
            product=source.product,
            name=source.name,
            kind=source.kind,
            channel=source.channel.value,
            **_sealed(source, vault),
            state=source.state,
            daily_requests=source.daily_requests,
            created_at=micros(source.created_at),
            next_poll_at=micros(source.next_poll_at),
        )
    )


async def source_by_id(
    connection: AsyncConnection, source_id: str, vault: Vault, *, workspace: str | None = None
) -> Source | None:
    """The source with that id, in `workspace` unless that is None."""
    query = select(sources).where(sources.c.id == source_id)
    if workspace is not None:
        query = query.where(sources.c.workspace == workspace)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else stored(row, vault)


async def sources_of(
    connection: AsyncConnection,
    workspace: str,
    vault: Vault,
    *,
    after: tuple[int, str] | None,
    limit: int,
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
    return [stored(row, vault) for row in await connection.execute(query)]


async def remove_source(connection: AsyncConnection, source_id: str) -> None:
    """Forget a source. Its posts stay known, and any other source may edit them from now on.

    What it said was gone of posts that nobody had brought binds no other source.
    """
    await connection.execute(
        delete(seen).where(seen.c.owner == source_id, seen.c.fingerprint == "")
    )
    await connection.execute(update(seen).where(seen.c.owner == source_id).values(owner=None))
    await connection.execute(delete(rejects).where(rejects.c.source_id == source_id))
    await connection.execute(delete(deliveries).where(deliveries.c.source_id == source_id))
    await connection.execute(delete(source_days).where(source_days.c.source_id == source_id))
    await connection.execute(delete(backfills).where(backfills.c.source_id == source_id))
    await connection.execute(delete(sources).where(sources.c.id == source_id))


async def change_source(
    connection: AsyncConnection, changed: Source, vault: Vault, *, next_poll_at: datetime | None
) -> None:
    """Store a source as people want it from now on, and its cursor.

    Whoever polls it at this moment loses it and saves nothing more of its place. Raises
    IntegrityError when its name is taken.
    """
    await connection.execute(
        update(sources)
        .where(sources.c.id == changed.id)
        .values(
            name=changed.name,
            product=changed.product,
            channel=changed.channel.value,
            **_sealed(changed, vault),
            daily_requests=changed.daily_requests,
            cursor=orjson.dumps(changed.cursor).decode(),
            generation=sources.c.generation + 1,
            credentials_expire_at=micros(changed.credentials_expire_at),
            credentials_checked_at=micros(changed.credentials_checked_at),
            failures=0,
            next_poll_at=micros(next_poll_at),
            leased_by=None,
            leased_until=None,
        )
    )


async def set_state(
    connection: AsyncConnection, source_id: str, state: State, *, next_poll_at: datetime | None
) -> None:
    """Pause or resume a source; a resumed one starts without past failures."""
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id)
        .values(state=state, reason="", failures=0, next_poll_at=micros(next_poll_at))
    )


async def save_progress(
    connection: AsyncConnection,
    source_id: str,
    counts: Counts,
    *,
    now: datetime,
    cursor: Mapping[str, Any] | None = None,
    generation: int = 0,
) -> None:
    """Count what was published, and store the cursor unless it is None.

    A source that people have changed since that generation keeps the cursor that it has.
    """
    values: dict[str, Any] = {
        "posts": sources.c.posts + counts.published,
        "duplicates": sources.c.duplicates + counts.duplicates,
        "rejected": sources.c.rejected + counts.rejected,
    }
    if counts.published:
        values["last_post_at"] = micros(now)
    if cursor is not None:
        values["cursor"] = case(
            (sources.c.generation == generation, orjson.dumps(cursor).decode()),
            else_=sources.c.cursor,
        )
    await connection.execute(update(sources).where(sources.c.id == source_id).values(**values))
    if counts.published or counts.rejected:
        day = {"posts": counts.published, "rejected": counts.rejected}
        await add_to_day(connection, {source_id: day}, now=now)


async def add_to_day(
    connection: AsyncConnection, counts: Mapping[str, Mapping[str, int]], *, now: datetime
) -> None:
    """Add to what is counted of sources today, the same columns of each."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = make(source_days)
    names = next(iter(counts.values()), {})
    added = {name: source_days.c[name] + new.excluded[name] for name in names}
    if added:
        await connection.execute(
            new.on_conflict_do_update(index_elements=["source_id", "day"], set_=added),
            [
                {"source_id": key, "day": domain.day_of(now), **counts[key]}
                for key in sorted(counts)
            ],
        )


async def days(
    connection: AsyncConnection, ids: Collection[str], *, since: int
) -> dict[str, list[Day]]:
    """What each of these sources brought on the days from `since` on, oldest first."""
    query = (
        select(source_days)
        .where(source_days.c.source_id.in_(ids), source_days.c.day >= since)
        .order_by(source_days.c.day)
    )
    found: dict[str, list[Day]] = {}
    for row in await connection.execute(query):
        day = Day(domain.date_of(row.day), row.posts, row.rejected, row.requests)
        found.setdefault(row.source_id, []).append(day)
    return found


async def poll_soon(connection: AsyncConnection, source_id: str, *, now: datetime) -> None:
    """Have a source polled now if that was planned for later; a paused one stays paused.

    At least five seconds lie between two polls, whoever asks for them how often.
    """
    rested = sources.c.last_polled_at + _REST
    soonest = case((rested > micros(now), rested), else_=micros(now))
    await connection.execute(
        update(sources)
        .where(sources.c.id == source_id, sources.c.next_poll_at > soonest)
        .values(next_poll_at=soonest)
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
    return counted, moment(oldest)


async def expiring(connection: AsyncConnection, kinds: Collection[str], *, before: datetime) -> int:
    """How many sources that are followed have credentials that end before then."""
    query = select(func.count()).where(
        sources.c.kind.in_(kinds),
        sources.c.state != "paused",
        sources.c.credentials_expire_at < micros(before),
    )
    return (await connection.execute(query)).scalar_one()


async def seal_again(connection: AsyncConnection, vault: Vault, *, limit: int) -> int:
    """Seal secrets that are in the clear or under an older key; return how many rows were read.

    Rows that change meanwhile stay, since they are sealed by whoever changes them. Raises
    ConfigError when one can't be opened.
    """
    mark = f"{vault.mark}%"
    query = (
        select(sources.c.id, sources.c.settings, sources.c.secret)
        .where(
            or_(
                and_(sources.c.settings.not_like(mark), sources.c.settings != _NOTHING),
                sources.c.secret.not_like(mark),
            )
        )
        .limit(limit)
    )
    rows = (await connection.execute(query)).all() if vault.mark else []
    for row in rows:
        again = {
            name: vault.seal(vault.open(text, _place(row.id, name)), _place(row.id, name))
            for name, text in (("settings", row.settings), ("secret", row.secret))
            if text not in (None, _NOTHING)
        }
        await connection.execute(
            update(sources)
            .where(sources.c.id == row.id, sources.c.settings == row.settings)
            .values(**again)
        )
    return len(rows)


def _sealed(source: Source, vault: Vault) -> dict[str, str | None]:
    settings = orjson.dumps(source.settings).decode()
    secret = source.secret
    is_empty = settings == _NOTHING
    return {
        "settings": settings if is_empty else vault.seal(settings, _place(source.id, "settings")),
        "secret": None if secret is None else vault.seal(secret, _place(source.id, "secret")),
    }


def _place(source_id: str, column: str) -> str:
    return f"sources/{source_id}/{column}"


def stored(row: Row[Any], vault: Vault) -> Source:
    """Return the source of a row, its secrets opened."""
    return Source(
        id=row.id,
        workspace=row.workspace,
        product=row.product,
        name=row.name,
        kind=row.kind,
        channel=Channel(row.channel),
        settings=orjson.loads(vault.open(row.settings, _place(row.id, "settings"))),
        secret=None if row.secret is None else vault.open(row.secret, _place(row.id, "secret")),
        state=row.state,
        reason=row.reason,
        failures=row.failures,
        cursor=orjson.loads(row.cursor),
        posts=row.posts,
        duplicates=row.duplicates,
        rejected=row.rejected,
        created_at=moment(row.created_at),
        last_polled_at=moment(row.last_polled_at),
        last_success_at=moment(row.last_success_at),
        last_post_at=moment(row.last_post_at),
        next_poll_at=moment(row.next_poll_at),
        leased_until=moment(row.leased_until),
        daily_requests=row.daily_requests,
        generation=row.generation,
        grant_name=row.grant_name,
        credentials_expire_at=moment(row.credentials_expire_at),
        credentials_checked_at=moment(row.credentials_checked_at),
    )
