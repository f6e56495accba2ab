"""Ten thousand sources on one ingest process: from cold, then interval after interval."""

import asyncio
import math
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from benchmarks.feed_farm import Farm, feed_farm
from benchmarks.figures import Figure, below
from benchmarks.services import serving
from benchmarks.stage import Stage
from maru_contracts.posts import Channel
from maru_ingest.settings import Settings
from maru_ingest.store.leases import overdue
from maru_ingest.store.sources import Source, add_source
from maru_ingest.tables import sources
from maru_kit.database import Database, open_database
from maru_kit.migrate import migrate
from maru_kit.vault import Vault, new_key

_BARE = "bare aiohttp client, same addresses, same concurrency"
_LOOK_EVERY = 4.0
"""Seconds between two looks at when each source is due; no interval is as short."""
_PATIENCE = 600.0
_CAUGHT_UP = timedelta(seconds=2)
"""How long a source waits at most when the process is not behind."""
_AS_USED = 300.0
"""The interval, in seconds, that ten thousand sources are said to be followed at."""

Dues = dict[int, list[float]]
"""When each feed was due, in seconds since 1970."""


@dataclass(frozen=True)
class _Run:
    """What one process did: from cold, then in a window of `seconds`."""

    cold: float
    polls: int
    seconds: float
    late: Sequence[float]
    missed: int
    cpu: float
    megabytes: float
    lag: float


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:
    """Polls, lateness and cost, embedded and as in production."""
    count, interval = (500, 10.0) if quick else (10_000, 120.0)
    concurrency = Settings.model_fields["concurrency"].default
    async with feed_farm(count, interval) as farm:
        bare = await _bare(farm, concurrency)
    folder = stage.new_folder("collecting")
    embedded = await _run(f"sqlite:///{folder}/log.db", f"sqlite:///{folder}", stage, farm)
    with stage.kafka() as log:
        apart = await _run(log, await stage.new_database(), stage, farm)
    return [
        *_figures(embedded, farm, bare, "embedded"),
        *_figures(apart, farm, bare, "Kafka + PostgreSQL"),
    ]


def _figures(run: _Run, farm: Farm, bare: float, where: str) -> list[Figure]:
    half, most = np.percentile(run.late, [50, 99])
    name = f"{farm.count:,} sources, {where}"
    every = f"every {farm.interval:.0f} s"
    share = run.cpu / run.polls * farm.count / _AS_USED * 100
    return [
        Figure(f"{name}, from cold", run.cold, "polls/s", _BARE, bare, run.cold / bare),
        Figure(f"{name}, {every}", run.polls / run.seconds, "polls/s"),
        Figure(f"{name}, {every}, missed", run.missed, "polls", aim=below(1, "polls")),
        Figure(f"{name}, {every}, late, p50", float(half), "s"),
        Figure(f"{name}, {every}, late, p99", float(most), "s", aim=below(farm.interval / 10, "s")),
        Figure(f"{name}, processor time of a poll", run.cpu / run.polls * 1000, "ms"),
        Figure(f"{name}, every {_AS_USED:.0f} s it would need", share, "% of a core"),
        Figure(f"{name}, memory", run.megabytes, "MB"),
        Figure(f"{name}, {every}, event loop late, p99 at most", run.lag, "s"),
    ]


async def _bare(farm: Farm, concurrency: int) -> float:
    """Fetch every address once; return how many a second."""
    left = iter(range(farm.count))
    connector = aiohttp.TCPConnector(limit=concurrency, limit_per_host=2)

    async def fetch(session: aiohttp.ClientSession) -> None:
        for feed in left:
            async with session.get(farm.url(feed)) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=connector) as session:
        begun = time.perf_counter()
        await asyncio.gather(*(fetch(session) for _ in range(concurrency)))
        return farm.count / (time.perf_counter() - begun)


async def _run(log: str, database: str, stage: Stage, like: Farm) -> _Run:
    key = new_key()
    await migrate(database, "ingest", "maru_ingest")
    async with (
        feed_farm(like.count, like.interval) as farm,
        open_database(database, "ingest") as opened,
    ):
        await _add(opened, farm, Vault([key]))
        allowed = "[" + ",".join(f'"{host}"' for host in farm.hosts) + "]"
        with serving(
            "ingest",
            folder=stage.new_folder("ingest"),
            log=log,
            database=database,
            MARU_SERVICE_TOKEN=key,
            MARU_INGEST_SECRET_KEYS=f'["{key}"]',
            MARU_INGEST_ALLOW_HOSTS=allowed,
        ) as urls:
            cold = await _cold(farm)
            await _settled(opened)
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=urls["ingest"], headers=headers) as client:
                return await _window(farm, opened, client, cold)


async def _add(database: Database, farm: Farm, vault: Vault) -> None:
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        for feed in range(farm.count):
            source = Source(
                id=str(uuid4()),
                workspace="default",
                product="app",
                name=str(feed),
                kind="feed",
                channel=Channel.BLOG,
                created_at=now,
                next_poll_at=now,
                settings={"url": farm.url(feed), "interval_seconds": farm.interval},
            )
            await add_source(connection, source, vault)


async def _cold(farm: Farm) -> float:
    """Wait until every feed was asked; return how many a second."""
    async with asyncio.timeout(_PATIENCE):
        while len(farm.asked) < farm.count:
            await asyncio.sleep(0.05)
    firsts = [moments[0] for moments in farm.asked.values()]
    return farm.count / (max(firsts) - min(firsts))


async def _settled(database: Database) -> None:
    """Wait until those that came due again meanwhile are polled, too."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            now = datetime.now(UTC)
            async with database.reading() as connection:
                count, _ = await overdue(connection, ["feed"], now=now, by=_CAUGHT_UP)
            if not count:
                return
            await asyncio.sleep(1)


async def _window(farm: Farm, database: Database, client: httpx.AsyncClient, cold: float) -> _Run:
    """Measure an interval and a bit, in which every source is due once at least."""
    before = await _metrics(client)
    begun = time.time()
    asked = sum(map(len, farm.asked.values()))
    seconds = farm.interval * 1.25
    async with _watched(database) as dues:
        await asyncio.sleep(seconds)
    ended = time.time()
    polls = sum(map(len, farm.asked.values())) - asked
    after = await _metrics(client)
    late, missed = _lateness(farm, dues, begun, ended)
    return _Run(
        cold,
        polls,
        ended - begun,
        late,
        missed,
        after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"],
        after["process_resident_memory_bytes"] / 1e6,
        _lag(before, after),
    )


@asynccontextmanager
async def _watched(database: Database) -> AsyncIterator[Dues]:
    """Note when each source is due, again and again during the block."""
    dues: Dues = defaultdict(list)

    async def watch() -> None:
        while True:
            async with database.reading() as connection:
                query = select(sources.c.name, sources.c.next_poll_at)
                for name, due in await connection.execute(query):
                    moments = dues[int(name)]
                    if not moments or moments[-1] < due / 1e6:
                        moments.append(due / 1e6)
            await asyncio.sleep(_LOOK_EVERY)

    watching = asyncio.create_task(watch())
    try:
        yield dues
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _lateness(farm: Farm, dues: Dues, begun: float, ended: float) -> tuple[list[float], int]:
    """How late each poll of the window was, and how many were not made at all.

    A source that is still due at the end counts as missed once it is late by a tenth of its
    interval.
    """
    late, missed = [], 0
    for feed, moments in dues.items():
        asked = farm.asked[feed]
        for due in moments:
            if not begun <= due <= ended:
                continue
            at = bisect_right(asked, due)
            if at < len(asked):
                late.append(asked[at] - due)
            elif ended - due > farm.interval / 10:
                missed += 1
    return late, missed


async def _metrics(client: httpx.AsyncClient) -> dict[str, float]:
    """The service's own figures; a histogram's buckets by name and bound."""
    text = (await client.get("/metrics")).raise_for_status().text
    return {
        sample.name + sample.labels.get("le", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _lag(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The bound that 99 of 100 samples of the event loop's lag stay below."""
    name = "maru_loop_lag_seconds_bucket"
    bounds = sorted(float(key.removeprefix(name)) for key in after if key.startswith(name))
    count = dict.fromkeys(bounds, 0.0)
    for key, value in after.items():
        if key.startswith(name):
            count[float(key.removeprefix(name))] = value - before.get(key, 0.0)
    return next(bound for bound in bounds if count[bound] >= 0.99 * count[math.inf])
