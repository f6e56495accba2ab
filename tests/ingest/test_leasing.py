"""Sources are taken, kept and given back many at a time, and each as if it were alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta

import pytest

from maru_ingest import domain
from maru_ingest.service.leasing import Leases
from maru_ingest.store import leases, sources
from maru_ingest.store.leases import Polled
from maru_ingest.store.sources import Source
from maru_kit.database import Database, open_database
from maru_kit.migrate import migrate
from maru_kit.vault import Vault, new_key

VAULT = Vault([new_key()])
KINDS = ("feed",)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as opened:
        yield opened


async def add(
    database: Database, make: Callable[..., Source], *names: str, due: datetime | None = None
) -> None:
    async with database.transaction() as connection:
        for name in names:
            source = make(id=name, name=name, next_poll_at=due or domain.utc_now())
            await sources.add_source(connection, source, VAULT)


async def found(database: Database, name: str) -> Source:
    async with database.reading() as connection:
        source = await sources.source_by_id(connection, name, VAULT)
    assert source is not None
    return source


def of(database: Database, instance: str, *, seconds: float = 30.0) -> Leases:
    return Leases(database, VAULT, instance, seconds)


async def take(held: Leases, *, busy_with: Collection[str] = (), limit: int = 100) -> list[str]:
    return [one.id for one in await held.take(KINDS, busy_with=busy_with, limit=limit)]


async def test_processes_that_look_at_once_take_other_sources(
    database: Database, a_source: Callable[..., Source]
) -> None:
    names = [f"s{number:02}" for number in range(40)]
    await add(database, a_source, *names)

    taken = await asyncio.gather(*(take(of(database, f"i{n}"), limit=10) for n in range(4)))
    rest = await take(of(database, "i9"))

    assert sorted([name for some in taken for name in some] + rest) == names


async def test_what_waits_longest_is_taken_first_and_what_is_busy_not_again(
    database: Database, a_source: Callable[..., Source]
) -> None:
    now = domain.utc_now()
    for number, name in enumerate(("last", "middle", "first")):
        await add(database, a_source, name, due=now - number * _HOUR)
    held = of(database, "i1")

    assert await take(held, limit=2) == ["first", "middle"]
    assert await take(held, busy_with={"first", "middle"}) == ["last"]
    assert await take(of(database, "i1")) == ["first", "middle", "last"]  # started anew
    assert await take(of(database, "i2")) == []


async def test_polls_that_end_at_once_are_all_written_down(
    database: Database, a_source: Callable[..., Source]
) -> None:
    await add(database, a_source, *(f"s{number}" for number in range(50)))
    held = of(database, "i1")
    taken = await held.take(KINDS, busy_with=(), limit=50)
    now = domain.utc_now()

    await asyncio.gather(
        *(
            held.give_back(Polled(one, now, now + _HOUR, requests=2))
            if one.id != "s7"
            else held.give_back(Polled(one, now, now + _HOUR, "broken", "no\x00 \ud800"))
            for one in taken
        )
    )

    good, bad = await found(database, "s3"), await found(database, "s7")
    assert (good.state, good.failures, good.last_success_at) == ("active", 0, now)
    assert (bad.state, bad.failures, bad.last_success_at) == ("broken", 1, None)
    assert bad.reason == "no ?"
    assert (good.next_poll_at, good.leased_until) == (now + _HOUR, None)
    async with database.reading() as connection:
        days = await sources.days(connection, ["s3", "s7"], since=domain.day_of(now))
    assert {name: [day.requests for day in some] for name, some in days.items()} == {"s3": [2]}


async def test_what_a_poll_learnt_of_credentials_is_written_down_and_counted(
    database: Database, a_source: Callable[..., Source]
) -> None:
    await add(database, a_source, "soon", "later", "never", "paused")
    held = of(database, "i1")
    now = domain.utc_now()
    ends = {"soon": now + 6 * _DAY, "later": now + 8 * _DAY, "paused": now + _DAY}
    for one in await held.take(KINDS, busy_with=(), limit=4):
        told = domain.Credentials(ends.get(one.id), now)
        await held.give_back(Polled(one, now, now, credentials=told))
    async with database.transaction() as connection:
        await sources.set_state(connection, "paused", "paused", next_poll_at=None)

    before = now + domain.EXPIRING
    async with database.transaction() as connection:
        counted = [await sources.expiring(connection, KINDS, before=before)]
        stream = await sources.source_by_id(connection, "later", VAULT)
        assert stream is not None
        told = domain.Credentials(now + 5 * _DAY, now)
        await leases.stream_works(connection, stream, told, lasts=True, now=now)
        counted.append(await sources.expiring(connection, KINDS, before=before))

    assert counted == [1, 2]
    assert (await found(database, "soon")).credentials().checked_at == now
    assert (await found(database, "never")).credentials_expire_at is None
    assert (await found(database, "later")).credentials_expire_at == now + 5 * _DAY


async def test_what_a_stream_cannot_read_is_told_while_it_works(
    database: Database, a_source: Callable[..., Source]
) -> None:
    await add(database, a_source, "s")
    stream, told = await found(database, "s"), domain.Credentials()
    reasons = []

    for trouble in ("Channel 1: Missing Access", ""):
        async with database.transaction() as connection:
            await leases.stream_works(
                connection, stream, told, lasts=False, trouble=trouble, now=domain.utc_now()
            )
        reasons.append((await found(database, "s")).reason)

    assert reasons == ["Channel 1: Missing Access", ""]


async def test_whoever_is_cancelled_while_it_writes_for_others_loses_nothing_of_theirs(
    database: Database, a_source: Callable[..., Source]
) -> None:
    await add(database, a_source, *(f"s{number}" for number in range(20)))
    held = of(database, "i1")
    now = domain.utc_now()
    polls = [
        asyncio.create_task(held.give_back(Polled(one, now, now + _HOUR)))
        for one in await held.take(KINDS, busy_with=(), limit=20)
    ]
    await asyncio.sleep(0)
    polls[0].cancel()

    outcomes = await asyncio.gather(*polls, return_exceptions=True)

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None] * 19
    for number in range(20):
        assert (await found(database, f"s{number}")).last_success_at == now


async def test_a_source_that_another_took_over_or_people_changed_is_kept_no_longer(
    database: Database, a_source: Callable[..., Source]
) -> None:
    await add(database, a_source, "changed", "kept", "late")
    held = of(database, "i1", seconds=0.0)
    taken = {one.id: one for one in await held.take(KINDS, busy_with=(), limit=3)}
    await asyncio.sleep(0.01)
    assert await take(of(database, "i2"), busy_with={"changed", "kept"}) == ["late"]
    async with database.transaction() as connection:
        await sources.change_source(connection, taken["changed"], VAULT, next_poll_at=None)

    lost = await held.renew()
    now = domain.utc_now()
    await held.give_back(Polled(taken["late"], now, now + _HOUR))

    assert lost == {"changed", "late"}
    assert (await found(database, "late")).last_success_at is None


async def test_sources_that_wait_are_counted_until_somebody_polls_them(
    database: Database, a_source: Callable[..., Source]
) -> None:
    now = domain.utc_now()
    await add(database, a_source, "a", due=now - _HOUR)
    await add(database, a_source, "b", due=now - timedelta(seconds=5))
    await add(database, a_source, "c", due=now + _HOUR)

    async def overdue() -> tuple[int, timedelta]:
        async with database.reading() as connection:
            return await leases.overdue(connection, KINDS, now=now, by=timedelta(minutes=1))

    before = await overdue()
    await take(of(database, "i1"), limit=1)

    assert before == (1, _HOUR)
    assert await overdue() == (0, timedelta(seconds=5))
