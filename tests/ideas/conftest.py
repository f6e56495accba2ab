"""An ideas service without HTTP: its parts on a fresh database and a fresh log."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from maru_contracts.tags import TaggedPost
from maru_ideas.app import SCHEMA, TOPICS, Parts, wired
from maru_ideas.settings import Settings
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from maru_kit.stream import Batch, StreamHealth

TOPIC = "posts.tagged.v1"
OpenParts = Callable[[], Awaitable[Parts]]


@pytest.fixture
async def open_parts(database_url: str, tmp_path: Path) -> AsyncIterator[OpenParts]:
    """Opens the service's parts, as often as there shall be replicas."""
    await migrate(database_url, SCHEMA, "maru_ideas")
    async with AsyncExitStack() as stack:

        async def opened() -> Parts:
            database = await stack.enter_async_context(open_database(database_url, SCHEMA))
            bus = await stack.enter_async_context(open_bus(f"sqlite:///{tmp_path}/log.db"))
            await bus.create(TOPICS)
            return wired(Settings(), database, bus, StreamHealth())

        yield opened


@pytest.fixture
async def parts(open_parts: OpenParts) -> Parts:
    return await open_parts()


async def take(parts: Parts, tagged: Sequence[TaggedPost], *, start: int | None = None) -> None:
    """Hand posts over as one batch, from where the database stands or from `start`."""
    if start is None:
        start = (await parts.positions.load(TOPIC, [0]))[0]
    await parts.intake.take(Batch(TOPIC, 0, start, start + len(tagged), tagged, []))
