"""SQL of subscriptions: what hubs were asked to push to us, and what they said."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.tables import micros, moment, subscriptions
from maru_kit.vault import Vault

SubscriptionState = Literal["pending", "active", "denied", "leaving"]
"""`pending` until a hub confirms, `active` until its lease ends, `leaving` until it forgets us."""

_MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic at one of some hubs, pushed to `callback`, whose last part is `token`.

    `secret`, by which pushes are signed, is sealed for `secret_place(token)`.

    `url` is where the feed was found. `failures` counts how often a hub was asked since it last
    confirmed something, which also says which of the hubs is meant. At `next_at` it is asked again.
    """

    token: str
    source_id: str
    callback: str
    hubs: Sequence[str]
    topic: str
    url: str
    secret: str
    next_at: datetime
    state: SubscriptionState = "pending"
    reason: str = ""
    failures: int = 0
    lease_until: datetime | None = None
    last_push_at: datetime | None = None

    @property
    def hub(self) -> str:
        """The hub that was asked last; before the first time, the one that comes first."""
        return self.hubs[max(self.failures - 1, 0) % len(self.hubs)]


def secret_place(token: str) -> str:
    """Where a subscription's secret is stored, to which its sealing is bound."""
    return f"subscriptions/{token}/secret"


async def add(connection: AsyncConnection, wanted: Subscription) -> None:
    """Store a new subscription. Raises IntegrityError when its source has one."""
    await connection.execute(
        insert(subscriptions).values(
            token=wanted.token,
            source_id=wanted.source_id,
            callback=wanted.callback,
            hubs=orjson.dumps(list(wanted.hubs)).decode(),
            topic=wanted.topic,
            url=wanted.url,
            secret=wanted.secret,
            state=wanted.state,
            next_at=micros(wanted.next_at),
        )
    )


async def by_token(connection: AsyncConnection, source_id: str, token: str) -> Subscription | None:
    """The subscription whose callback has that path."""
    query = select(subscriptions).where(
        subscriptions.c.token == token, subscriptions.c.source_id == source_id
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _subscription(row)


async def of_sources(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Subscription]:
    """The subscription that each of these sources wants, of those that have one."""
    query = select(subscriptions).where(
        subscriptions.c.source_id.in_(ids), subscriptions.c.state != "leaving"
    )
    return {row.source_id: _subscription(row) for row in await connection.execute(query)}


async def is_alive(connection: AsyncConnection, source_id: str, *, now: datetime) -> bool:
    """Whether a hub has promised to push a source's posts now."""
    query = select(subscriptions.c.token).where(
        subscriptions.c.source_id == source_id,
        subscriptions.c.state == "active",
        subscriptions.c.lease_until > micros(now),
    )
    return (await connection.execute(query)).first() is not None


async def due(connection: AsyncConnection, *, now: datetime, limit: int) -> list[Subscription]:
    """Subscriptions whose hub is to be asked now, the longest due first."""
    query = (
        select(subscriptions)
        .where(subscriptions.c.next_at <= micros(now))
        .order_by(subscriptions.c.next_at)
        .limit(limit)
    )
    return [_subscription(row) for row in await connection.execute(query)]


async def claim(connection: AsyncConnection, was: Subscription, asked: Subscription) -> bool:
    """Note that a hub is being asked; False when somebody else was quicker."""
    result = await connection.execute(
        update(subscriptions)
        .where(
            subscriptions.c.token == was.token,
            subscriptions.c.state == was.state,
            subscriptions.c.failures == was.failures,
            subscriptions.c.next_at == micros(was.next_at),
        )
        .values(
            state=asked.state,
            failures=asked.failures,
            lease_until=micros(asked.lease_until),
            next_at=micros(asked.next_at),
        )
    )
    return result.rowcount == 1


async def note_refusal(
    connection: AsyncConnection,
    asked: Subscription,
    reason: str,
    *,
    state: SubscriptionState,
    next_at: datetime,
) -> None:
    """Note why a hub did not take what it was asked, unless it has confirmed it meanwhile."""
    await connection.execute(
        update(subscriptions)
        .where(
            subscriptions.c.token == asked.token,
            subscriptions.c.state == asked.state,
            subscriptions.c.failures == asked.failures,
        )
        .values(state=state, reason=reason[:_MAX_REASON], next_at=micros(next_at))
    )


async def confirm(
    connection: AsyncConnection,
    confirmed: Subscription,
    *,
    lease_until: datetime,
    next_at: datetime,
) -> None:
    """Note that a hub pushes from now on until then; the hub that did so comes first."""
    others = [hub for hub in confirmed.hubs if hub != confirmed.hub]
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.token == confirmed.token, subscriptions.c.state != "leaving")
        .values(
            state="active",
            reason="",
            failures=0,
            hubs=orjson.dumps([confirmed.hub, *others]).decode(),
            lease_until=micros(lease_until),
            next_at=micros(next_at),
        )
    )


async def deny(
    connection: AsyncConnection, denied: Subscription, reason: str, *, next_at: datetime
) -> None:
    """Note that a hub does not push, or not any more."""
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.token == denied.token, subscriptions.c.state != "leaving")
        .values(
            state="denied",
            reason=reason[:_MAX_REASON],
            lease_until=None,
            next_at=micros(next_at),
        )
    )


async def leave(connection: AsyncConnection, source_id: str, *, now: datetime) -> None:
    """Have a source want no pushes any more; its hub is told so soon."""
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.source_id == source_id, subscriptions.c.state != "leaving")
        .values(state="leaving", reason="", failures=0, next_at=micros(now))
    )


async def replace_offer(
    connection: AsyncConnection, known: Subscription, *, hubs: Sequence[str], url: str
) -> None:
    """Store which hubs a feed offers now, and where it was found."""
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.token == known.token)
        .values(hubs=orjson.dumps(list(hubs)).decode(), url=url)
    )


async def note_push(connection: AsyncConnection, token: str, *, now: datetime) -> None:
    """Note that a hub has sent something that was of use."""
    await connection.execute(
        update(subscriptions).where(subscriptions.c.token == token).values(last_push_at=micros(now))
    )


async def forget(connection: AsyncConnection, token: str) -> None:
    """Forget a subscription that a hub has ended, or that no hub will answer for."""
    await connection.execute(delete(subscriptions).where(subscriptions.c.token == token))


async def seal_again(connection: AsyncConnection, vault: Vault, *, limit: int) -> int:
    """Seal secrets that are in the clear or under an older key; return how many.

    Raises ConfigError when one can't be opened.
    """
    query = (
        select(subscriptions.c.token, subscriptions.c.secret)
        .where(subscriptions.c.secret.not_like(f"{vault.mark}%"))
        .limit(limit)
    )
    rows = (await connection.execute(query)).all() if vault.mark else []
    for row in rows:
        place = secret_place(row.token)
        await connection.execute(
            update(subscriptions)
            .where(subscriptions.c.token == row.token)
            .values(secret=vault.seal(vault.open(row.secret, place), place))
        )
    return len(rows)


async def states(connection: AsyncConnection) -> dict[str, int]:
    """How many subscriptions are in each state."""
    query = select(subscriptions.c.state, func.count().label("number")).group_by(
        subscriptions.c.state
    )
    return {row.state: row.number for row in await connection.execute(query)}


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        token=row.token,
        source_id=row.source_id,
        callback=row.callback,
        hubs=orjson.loads(row.hubs),
        topic=row.topic,
        url=row.url,
        secret=row.secret,
        state=row.state,
        reason=row.reason,
        failures=row.failures,
        next_at=moment(row.next_at),
        lease_until=moment(row.lease_until),
        last_push_at=moment(row.last_push_at),
    )
