"""When a source's credentials end: learnt by its connector, shown and counted before it happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from maru_ingest.api import Source as Shown
from maru_ingest.api import show_source
from maru_ingest.collector import Collector
from maru_ingest.connector import Tools
from maru_ingest.connectors import kinds
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources, Wanted
from maru_ingest.store.sources import Source
from maru_kit.http import Caller
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.facebook import FacebookUpstream

VAULT = Vault([new_key()])


@dataclass
class Stage:
    """A page of Facebook that is followed."""

    upstream: FacebookUpstream
    sources: Sources
    source: Source

    def ends_in(self, days: float) -> datetime:
        ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        self.upstream.ends = {"expires_at": 0, "data_access_expires_at": int(ends.timestamp())}
        return ends

    async def until(self, holds: Callable[[Source], bool]) -> Source:
        ends = time.monotonic() + 30
        while not holds(found := await self.sources.find("w", self.source.id)):
            assert time.monotonic() < ends, found
            await asyncio.sleep(0.02)
        return found

    async def shown(self) -> Shown:
        by = Caller(workspace="w", actor="key", role="reader")
        return await show_source(self.source.id, by, self.sources)


@pytest.fixture
async def stage(publisher: Publisher) -> AsyncIterator[Stage]:
    sources = Sources(publisher.database, kinds(), VAULT)
    async with FacebookUpstream().serving() as upstream:
        wanted = NewSource("w", "", "page", "facebook", None, upstream.settings())
        yield Stage(upstream, sources, await sources.add(wanted))


@asynccontextmanager
async def collecting(stage: Stage, publisher: Publisher) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with open_outbound(allow=[stage.upstream.host]) as outbound, asyncio.TaskGroup() as group:
        tools = Tools(outbound, deadline=30.0)
        following = Collector(publisher, kinds(), tools, VAULT, "i1", tick_seconds=0.02)
        group.create_task(following.run(stop))
        try:
            yield
        finally:
            stop.set()


async def test_a_source_says_when_its_token_ends_and_is_counted_a_week_before(
    stage: Stage, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maru_ingest.collector._GAUGES_EVERY", 0.05)
    ends = stage.ends_in(3)
    async with collecting(stage, publisher):
        await stage.until(lambda one: one.last_success_at is not None)
        shown = await stage.shown()
        deadline = time.monotonic() + 30
        while REGISTRY.get_sample_value("maru_ingest_expiring_sources") != 1:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    assert shown.credentials_expire_at == ends
    assert (shown.health, shown.state) == ("expiring", "active")


async def test_one_that_lasts_is_healthy_and_not_counted(
    stage: Stage, publisher: Publisher
) -> None:
    ends = stage.ends_in(30)
    async with collecting(stage, publisher):
        await stage.until(lambda one: one.last_success_at is not None)

    shown = await stage.shown()
    assert (shown.health, shown.credentials_expire_at) == ("healthy", ends)


async def test_new_credentials_are_asked_about_anew(stage: Stage, publisher: Publisher) -> None:
    stage.ends_in(3)
    async with collecting(stage, publisher):
        await stage.until(lambda one: one.last_success_at is not None)
    later = stage.ends_in(60)
    changed = await stage.sources.change(
        "w", stage.source.id, Wanted(settings={"verify_token": "other words"})
    )
    async with collecting(stage, publisher):
        found = await stage.until(lambda one: one.credentials_expire_at is not None)

    assert changed.credentials_expire_at is None
    assert found.credentials_expire_at == later


async def test_a_poll_that_fails_forgets_no_end(stage: Stage, publisher: Publisher) -> None:
    ends = stage.ends_in(3)
    async with collecting(stage, publisher):
        await stage.until(lambda one: one.last_success_at is not None)
        stage.upstream.mode = "refused"
        await stage.until(lambda one: one.state == "broken")

    shown = await stage.shown()
    assert (shown.health, shown.credentials_expire_at) == ("broken", ends)
