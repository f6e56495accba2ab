"""What people do with sources, and that each is polled by one process at a time."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import Field, SecretStr

from maru_contracts.posts import Channel, Post
from maru_ingest import domain
from maru_ingest.collector import Collector
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Page,
    SourceBroken,
    SourceSettings,
    Tools,
)
from maru_ingest.connectors import kinds
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources, Wanted
from maru_ingest.store import leases
from maru_ingest.store.backfills import Backfill
from maru_ingest.store.leases import Taker
from maru_ingest.store.sources import Source
from maru_kit.errors import Conflict, NotFound, Unprocessable
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.feed import feed_server

VAULT = Vault([new_key()])
Read = Callable[[], Awaitable[list[Post]]]
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class ArchiveSettings(SourceSettings):
    shelf: str = Field(default="a", description="Which shelf")
    key: SecretStr | None = Field(default=None, description="Opens the door")
    interval_seconds: float = Field(default=3_600, description="How often to look")


@dataclass
class Archive:
    """A connector with a post for each day of 2026, ten on a page; `fails` breaks it off once."""

    opened: list[str] = field(default_factory=list)
    polls: int = 0
    together: int = 0
    most_together: int = 0
    slow: float = 0.0
    fails_at: int | None = None
    gone: tuple[str, ...] = ()

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        self.polls += 1
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        try:
            await asyncio.sleep(self.slow)
        finally:
            self.together -= 1
        yield Page(rows=(), cursor={"seen": int(cursor.get("seen", 0)) + 1})

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        first = int(cursor.get("day", 0))
        for start in range(first, 100, 10):
            if start == self.fails_at:
                self.fails_at = None
                raise SourceBroken("The shelf is stuck.")
            days = [_BEGIN + timedelta(days=day) for day in range(start, start + 10)]
            rows = [
                ParsedPost(native_id=f"tag:archive,{day:%Y-%m-%d}", text=f"{day:%d %B}")
                for day in days
                if since <= day < until
            ]
            yield Page(rows, {"day": start + 10}, deleted_if_known=self.gone if start == 90 else ())

    def kind(self) -> ConnectorKind:
        def open_(settings: SourceSettings, _: Tools) -> "Archive":
            assert isinstance(settings, ArchiveSettings)
            self.opened.append(settings.shelf)
            return self

        return ConnectorKind(
            kind="archive",
            title="Archive",
            summary="For tests",
            settings=ArchiveSettings,
            channel=Channel.PRESS,
            open=open_,
            capabilities=frozenset({Capability.BACKFILL}),
        )


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def sources(publisher: Publisher, archive: Archive) -> Sources:
    return Sources(publisher.database, {**kinds(), "archive": archive.kind()}, VAULT)


@asynccontextmanager
async def collecting(
    publisher: Publisher, sources: Sources, *names: str, host: str = "", lease: float = 30.0
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with (
        open_outbound(allow=[host] if host else []) as outbound,
        asyncio.TaskGroup() as group,
    ):
        for name in names or ("i1",):
            tools = Tools(outbound)
            collector = Collector(
                publisher, sources.kinds, tools, VAULT, name, tick_seconds=0.02, lease_seconds=lease
            )
            group.create_task(collector.run(stop))
        try:
            yield
        finally:
            stop.set()


async def add(sources: Sources, kind: str = "archive", **changes: object) -> Source:
    wanted = NewSource("w", "p", "it", kind, None, {})
    return await sources.add(replace(wanted, **changes))  # type: ignore[arg-type]


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
    ends = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


async def backfill_of(sources: Sources, source: Source) -> Backfill | None:
    return (await sources.standing([source.id])).backfills.get(source.id)


async def is_done(sources: Sources, source: Source) -> bool:
    look = await backfill_of(sources, source)
    return look is not None and look.state == "done"


async def test_two_processes_share_the_sources_and_none_is_polled_twice(
    publisher: Publisher, sources: Sources, archive: Archive
) -> None:
    archive.slow = 1.5
    source = await add(sources)
    async with collecting(publisher, sources, "i1", "i2", lease=1.0):
        await until(lambda: _has(sources, source, lambda one: one.last_success_at is not None))

    assert archive.polls == archive.most_together == 1


async def _has(sources: Sources, source: Source, holds: Callable[[Source], bool]) -> bool:
    return holds(await sources.find("w", source.id))


async def test_streams_leave_room_for_polls_however_many_there_are(
    publisher: Publisher, archive: Archive
) -> None:
    listening = Archive(slow=60)
    kinds_ = {
        "archive": archive.kind(),
        "live": replace(listening.kind(), kind="live", stream=True),
    }
    sources = Sources(publisher.database, kinds_, VAULT)
    for number in range(110):
        await add(sources, "live", name=str(number))
    async with collecting(publisher, sources):
        await until(lambda: _is(lambda: listening.polls == 110))
        polled = await add(sources)
        await until(lambda: _has(sources, polled, lambda one: one.last_success_at is not None))

    assert listening.most_together == 110


async def test_what_a_dead_process_held_is_followed_by_another_soon(
    publisher: Publisher, sources: Sources, archive: Archive
) -> None:
    source = await add(sources)
    now = domain.utc_now()
    async with publisher.database.transaction() as connection:
        dead = Taker("dead", [source.kind], now)
        await leases.take(connection, dead, VAULT, until=now + timedelta(seconds=1), limit=1)
    async with collecting(publisher, sources):
        await asyncio.sleep(0.5)
        assert archive.polls == 0
        await until(lambda: _has(sources, source, lambda one: one.last_success_at is not None))

    assert archive.polls == 1


async def test_a_change_ends_the_poll_that_is_under_way_and_its_place_is_not_saved(
    publisher: Publisher, sources: Sources, archive: Archive
) -> None:
    archive.slow = 30
    source = await add(sources)
    async with collecting(publisher, sources, lease=0.6):
        await until(lambda: _is(lambda: archive.polls == 1))
        archive.slow = 0
        await sources.change("w", source.id, Wanted(settings={"shelf": "b"}))
        await until(lambda: _has(sources, source, lambda one: one.cursor == {"seen": 1}))

    assert archive.opened == ["a", "b"]


async def _is(holds: Callable[[], bool]) -> bool:
    return holds()


async def test_what_is_not_named_stays_and_a_secret_that_is_shown_as_stars_too(
    sources: Sources,
) -> None:
    source = await add(sources, settings={"shelf": "c", "key": "s3cret"}, daily_requests=5)

    changed = await sources.change(
        "w", source.id, Wanted(name="new", settings={"key": "**********", "interval_seconds": 60})
    )
    free = await sources.change("w", source.id, Wanted(no_limit=True))

    assert (changed.name, changed.product, changed.daily_requests) == ("new", "p", 5)
    assert changed.settings == {"shelf": "c", "key": "s3cret", "interval_seconds": 60}
    assert free.daily_requests is None


@pytest.mark.parametrize(
    ("settings", "begins_anew"),
    [({"shelf": "b"}, True), ({"interval_seconds": 60}, False), ({"key": "other"}, False)],
)
async def test_a_source_begins_anew_when_it_follows_something_else(
    publisher: Publisher, sources: Sources, settings: dict[str, object], *, begins_anew: bool
) -> None:
    source = await add(sources, settings={"key": "k"})
    async with collecting(publisher, sources):
        await until(lambda: _has(sources, source, lambda one: one.cursor == {"seen": 1}))

    changed = await sources.change("w", source.id, Wanted(settings=settings))

    assert changed.cursor == ({} if begins_anew else {"seen": 1})


async def test_changes_that_make_no_sense_are_refused(sources: Sources) -> None:
    source = await add(sources)
    await add(sources, name="taken")

    with pytest.raises(Conflict, match="taken"):
        await sources.change("w", source.id, Wanted(name="taken"))
    with pytest.raises(Unprocessable, match="shelves"):
        await sources.change("w", source.id, Wanted(settings={"shelves": 1}))
    with pytest.raises(NotFound):
        await sources.change("other", source.id, Wanted(name="x"))
    with pytest.raises(NotFound):
        await sources.reset("other", source.id)


async def test_a_reset_source_brings_what_is_known_once_more(
    publisher: Publisher, sources: Sources, collected: Read
) -> None:
    async with feed_server([("a-1", "dark mode")]) as server:
        source = await add(sources, "feed", settings={"url": server.url()})
        async with collecting(publisher, sources, host=server.host):
            await until(lambda: _has(sources, source, lambda one: one.posts == 1))
            await sources.reset("w", source.id)
            await until(lambda: _has(sources, source, lambda one: one.duplicates == 1))

    assert len(await collected()) == 1


async def test_a_look_back_brings_its_range_goes_on_after_a_failure_and_moves_no_place(
    publisher: Publisher, sources: Sources, archive: Archive, collected: Read
) -> None:
    archive.fails_at = 30
    source = await add(sources)
    since, until_ = _BEGIN + timedelta(days=5), _BEGIN + timedelta(days=45)
    async with collecting(publisher, sources):
        await until(lambda: _has(sources, source, lambda one: one.last_success_at is not None))
        await sources.look_back("w", source.id, since, until_)
        await until(lambda: _stuck(sources, source))
        held = await backfill_of(sources, source)
        await until(lambda: is_done(sources, source))

    look = await backfill_of(sources, source)
    assert held is not None
    assert (held.reason, held.pages, held.posts) == ("The shelf is stuck.", 3, 25)
    assert look is not None
    assert (look.posts, look.reason, look.pages) == (40, "", 10)
    assert len(await collected()) == 40
    assert (await sources.find("w", source.id)).cursor == {"seen": 1}


async def test_a_look_back_ends_what_was_brought_and_notes_nothing_of_others(
    publisher: Publisher, sources: Sources, archive: Archive, collected: Read
) -> None:
    archive.gone = ("tag:archive,2026-01-02", "tag:archive,never-brought")
    source = await add(sources)
    async with collecting(publisher, sources):
        await sources.look_back("w", source.id, _BEGIN, _BEGIN + timedelta(days=3))
        await until(lambda: is_done(sources, source))

    posts = await collected()
    assert [post.deleted for post in posts] == [False, False, False, True]
    assert posts[3].id == posts[1].id


async def _stuck(sources: Sources, source: Source) -> bool:
    look = await backfill_of(sources, source)
    return look is not None and look.failures == 1


async def test_a_look_back_that_makes_no_sense_is_refused(sources: Sources) -> None:
    source = await add(sources)
    feed = await add(sources, "feed", settings={"url": "https://example.com"})
    day = timedelta(days=1)

    with pytest.raises(Unprocessable, match="empty"):
        await sources.look_back("w", source.id, _BEGIN, _BEGIN)
    with pytest.raises(Unprocessable, match="empty"):
        await sources.look_back("w", source.id, domain.utc_now() + day, domain.utc_now() + 2 * day)
    with pytest.raises(Unprocessable, match="older posts"):
        await sources.look_back("w", feed.id, _BEGIN, _BEGIN + day)
    with pytest.raises(NotFound):
        await sources.look_back("other", source.id, _BEGIN, _BEGIN + day)
    with pytest.raises(NotFound):
        await sources.stop_looking_back("w", source.id)


async def test_requests_beyond_the_days_quota_are_not_made(
    publisher: Publisher, sources: Sources
) -> None:
    async with feed_server([("a-1", "dark mode")]) as server:
        source = await add(
            sources,
            "feed",
            settings={"url": server.url(), "interval_seconds": 1},
            daily_requests=2,
        )
        async with collecting(publisher, sources, host=server.host):
            await until(lambda: _has(sources, source, lambda one: one.state == "throttled"))

        (today,) = (await sources.standing([source.id])).days[source.id]

    found = await sources.find("w", source.id)
    assert server.requests["/feed.xml"] == today.requests == 2
    assert today.posts == 1
    assert "used up" in found.reason


@pytest.mark.parametrize(
    ("state", "overdue", "expected"),
    [
        ("active", 0, "healthy"),
        ("active", 119, "healthy"),
        ("active", 451, "late"),
        ("broken", 451, "broken"),
        ("throttled", 0, "throttled"),
        ("paused", 0, "paused"),
    ],
)
def test_a_source_is_late_when_it_has_waited_for_half_its_interval(
    state: domain.State, overdue: int, expected: domain.Health
) -> None:
    interval = timedelta(minutes=15)

    assert domain.health(state, overdue=timedelta(seconds=overdue), interval=interval) == expected


@pytest.mark.parametrize(
    ("state", "overdue", "left", "expected"),
    [
        ("active", 0, timedelta(days=8), "healthy"),
        ("active", 0, timedelta(days=7), "expiring"),
        ("active", 0, -timedelta(days=1), "expiring"),
        ("active", 451, timedelta(days=1), "late"),
        ("broken", 0, -timedelta(days=1), "broken"),
    ],
)
def test_a_source_that_works_is_warned_of_a_week_before_its_credentials_end(
    state: domain.State, overdue: int, left: timedelta, expected: domain.Health
) -> None:
    waited, interval = timedelta(seconds=overdue), timedelta(minutes=15)

    assert domain.health(state, overdue=waited, interval=interval, left=left) == expected


def test_a_source_that_is_being_polled_is_not_overdue() -> None:
    now = domain.utc_now()
    hour = timedelta(hours=1)

    assert domain.overdue(now - hour, None, now=now) == hour
    assert domain.overdue(now - hour, now + hour, now=now) == timedelta()
    assert domain.overdue(now - hour, now - timedelta(minutes=1), now=now) == hour
    assert domain.overdue(now + hour, None, now=now) == timedelta()
