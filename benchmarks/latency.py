"""Latency from a post's append to the change of its idea, and the memory of the whole system."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from uuid import UUID

import numpy as np

from benchmarks import material
from benchmarks.figures import Figure, below
from benchmarks.services import serving
from benchmarks.stage import Process, Stage, free_port, running
from maru_contracts.ideas import IdeaChanged
from maru_contracts.posts import Post
from maru_contracts.topics import IDEAS_CHANGED, POSTS_COLLECTED, TOPICS
from maru_kit.bus import Bus, open_bus
from maru_kit.stream import publish

_RATE = 200
_TOGETHER = 10
"""Posts in one append."""
_WARM_UP = 3
"""Seconds whose posts do not count."""
_QUIET = 4.0
"""Seconds without a change after which no more are to come."""
_MEMORY_EVERY = 0.25

Moments = dict[UUID, float]


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:
    """Latency and memory of the embedded system, then latency on Kafka and PostgreSQL."""
    seconds = 8 if quick else 30
    home, port = stage.new_folder("embedded"), free_port()
    env = {"MARU_HOME": str(home), "MARU_PORT": str(port), "MARU_LOG_LEVEL": "warning"}
    ready = f"http://127.0.0.1:{port}/readyz"
    with running("up", ["-m", "maru_cli", "up"], env, home, ready=ready) as system:
        await asyncio.sleep(5)
        idle = system.megabytes()
        async with open_bus(f"sqlite:///{home}/log.db") as bus, _watched(system) as memory:
            together = await _latencies(bus, seconds)
    database, folder = await stage.new_database(), stage.new_folder("services")
    names = ("ingest", "sentiment", "ideas", "gateway")
    with (
        stage.kafka() as log,
        serving(*names, folder=folder, log=log, database=database),
    ):
        async with open_bus(log) as bus:
            apart = await _latencies(bus, seconds)
    return [
        *_figures(together, "embedded"),
        *_figures(apart, "Kafka + PostgreSQL"),
        Figure(f"Memory, embedded, at {_RATE} posts/s (peak)", max(memory), "MB", aim=_MEMORY),
        Figure("Memory, embedded, idle", idle, "MB", aim=_MEMORY),
    ]


_MEMORY = below(600, "MB")


def _figures(latencies: Sequence[float], where: str) -> list[Figure]:
    half, most = np.percentile(latencies, [50, 99])
    what = f"Post to idea at {_RATE} posts/s, {where}"
    return [
        Figure(f"{what}, p50", float(half), "s"),
        Figure(f"{what}, p99", float(most), "s", aim=below(2, "s")),
    ]


async def _latencies(bus: Bus, seconds: int) -> list[float]:
    """Seconds from append to change, of the posts that changed an idea."""
    await bus.create(TOPICS)
    begins = await bus.ends(IDEAS_CHANGED.name)
    count = (seconds + _WARM_UP) * _RATE
    posts = material.posts(islice(cycle(material.wishes()), count), prefix=f"steady-{time.time()}")
    sent: Moments = {}
    seen: Moments = {}
    reading = asyncio.create_task(_read(bus, begins, seen))
    try:
        await _send(bus, posts, sent)
        await _settled(seen)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    counted = [post.id for post in posts[_WARM_UP * _RATE :] if post.id in seen]
    if len(counted) < len(posts) // 4:
        raise RuntimeError(f"Only {len(counted)} of {len(posts)} posts came to an idea")
    return [seen[post] - sent[post] for post in counted]


async def _send(bus: Bus, posts: Sequence[Post], sent: Moments) -> None:
    """Append at a steady rate: what is late is not waited for, the next append is on time."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as appends:
        for first in range(0, len(posts), _TOGETHER):
            await asyncio.sleep(begun + first / _RATE - time.perf_counter())
            batch = posts[first : first + _TOGETHER]
            sent.update(dict.fromkeys((post.id for post in batch), time.perf_counter()))
            appends.create_task(publish(bus, POSTS_COLLECTED, batch))


async def _read(bus: Bus, position: Mapping[int, int], seen: Moments) -> None:
    """Note when each post's change can be read."""
    while True:
        spans = await bus.read(IDEAS_CHANGED.name, position, max_records=1_000, wait=0.5)
        now = time.perf_counter()
        for span in spans:
            for record in span.records:
                changed = IdeaChanged.model_validate_json(record.value)
                if changed.post_id is not None:
                    seen.setdefault(changed.post_id, now)
        position = {**position, **{span.partition: span.next for span in spans}}


async def _settled(seen: Moments) -> None:
    """Wait until no more changes come."""
    count = -1
    while count != len(seen):
        count = len(seen)
        await asyncio.sleep(_QUIET)


@asynccontextmanager
async def _watched(system: Process) -> AsyncIterator[list[float]]:
    """Look at a system's memory again and again during the block."""
    found = [system.megabytes()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(_MEMORY_EVERY)
            found.append(system.megabytes())

    watching = asyncio.create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
