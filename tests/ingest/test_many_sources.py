"""A thousand sources shared by two processes, one of which dies in the middle."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from pydantic import Field
from structlog.testing import capture_logs

from maru_contracts.posts import Channel, Post
from maru_ingest import domain
from maru_ingest.collector import Collector
from maru_ingest.connector import ConnectorKind, Cursor, Page, SourceSettings, Tools
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.service.publishing import Publisher
from maru_ingest.store.sources import Source, add_source
from maru_kit.bus import Bus
from maru_kit.database import Database, open_database
from maru_kit.migrate import migrate
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key

VAULT = Vault([new_key()])
COUNT = 1_000
INTERVAL = 10.0
LEASE = 2.0
_LONGEST = INTERVAL * 1.1 + LEASE + 5.0  # its jitter, a lease, and what a busy machine may add


class PlotSettings(SourceSettings):
    number: int = Field(description="Which plot")
    interval_seconds: float = Field(default=INTERVAL, description="How often to look")


@dataclass(frozen=True)
class Poll:
    by: str
    begun: float


@dataclass
class Garden:
    """Sources that note who polls them when; each has one post, from its second poll on."""

    polls: dict[int, list[Poll]] = field(default_factory=lambda: defaultdict(list))

    def kind(self, collector: str) -> ConnectorKind:
        return ConnectorKind(
            kind="plot",
            title="Plot",
            summary="For tests",
            settings=PlotSettings,
            channel=Channel.PRESS,
            open=lambda settings, _: Plot(self, collector, settings.number),
            capabilities=frozenset(),
        )


@dataclass
class Plot:
    garden: Garden
    collector: str
    number: int

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        self.garden.polls[self.number].append(Poll(self.collector, time.monotonic()))
        await asyncio.sleep(0.02)
        seen = int(cursor.get("seen", 0))
        rows = [ParsedPost(native_id=f"tag:plot,{self.number}", text="a rose")] if seen else []
        yield Page(rows if seen == 1 else (), {"seen": min(seen + 1, 2)})


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as opened:
        yield opened


async def plant(database: Database) -> dict[str, int]:
    """Add the sources, due one after the other during the first interval; numbers by ids."""
    now = domain.utc_now()
    numbers: dict[str, int] = {}
    async with database.transaction() as connection:
        for number in range(COUNT):
            due = now + timedelta(seconds=INTERVAL * number / COUNT)
            source = Source(
                str(uuid4()), "w", "p", str(number), "plot", Channel.PRESS, now,
                settings={"number": number}, next_poll_at=due,
            )  # fmt: skip
            await add_source(connection, source, VAULT)
            numbers[source.id] = number
    return numbers


def is_repeat(before: Poll, after: Poll, died: float) -> bool:
    """Whether the living polls again what the dead one had in hand, once its lease has run out."""
    return (
        (before.by, after.by) == ("dying", "living")
        and died - LEASE < before.begun < died
        and LEASE / 2 < after.begun - before.begun < INTERVAL
    )


@pytest.mark.slow
async def test_none_of_a_thousand_sources_is_missed_or_polled_twice_when_a_process_dies(
    log: Bus, database: Database, collected: Callable[[], Awaitable[list[Post]]]
) -> None:
    garden, stop = Garden(), asyncio.Event()
    numbers = await plant(database)
    async with open_outbound() as outbound:

        def collecting(name: str) -> asyncio.Task[None]:
            kinds = {"plot": garden.kind(name)}
            publisher = Publisher(log, database)
            collector = Collector(
                publisher,
                kinds,
                Tools(outbound),
                VAULT,
                name,
                tick_seconds=0.1,
                lease_seconds=LEASE,
            )
            return asyncio.create_task(collector.run(stop))

        with capture_logs() as logged:
            dying, living = collecting("dying"), collecting("living")
            await asyncio.sleep(INTERVAL * 1.5)
            dying.cancel()
            died = time.monotonic()
            await asyncio.sleep(INTERVAL * 2)
            ended = time.monotonic()
            stop.set()
            await asyncio.gather(dying, living, return_exceptions=True)

    assert len(garden.polls) == COUNT
    repeated = sum(
        is_repeat(*pair, died) for polls in garden.polls.values() for pair in pairwise(polls)
    )
    assert repeated <= 2 * 32
    # Where a machine is much too busy for its database, the poll is held, and comes again.
    held = {numbers[it["source_id"]] for it in logged if it["event"] == "poll.held"}
    assert len(held) < COUNT / 50
    for polls in (polls for number, polls in garden.polls.items() if number not in held):
        assert ended - polls[-1].begun < _LONGEST
        gaps = [b.begun - a.begun for a, b in pairwise(polls) if not is_repeat(a, b, died)]
        assert all(INTERVAL <= gap < _LONGEST for gap in gaps), gaps
    assert {poll.by for polls in garden.polls.values() for poll in polls} == {"dying", "living"}
    # What the dead one was publishing comes again as the same: nobody counts it twice.
    assert len({(post.id, post.revision) for post in await collected()}) == COUNT
