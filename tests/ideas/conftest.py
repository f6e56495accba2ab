"""An ideas service on a fresh database and a fresh log: its parts, or its API without consumers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from maru_contracts.tags import TaggedPost
from maru_ideas.app import SCHEMA, TOPICS, Parts, create_app, wired
from maru_ideas.settings import Settings
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from maru_kit.settings import Common
from maru_kit.stream import Batch, StreamHealth

TOPIC = "posts.tagged.v1"
OWNER = {"X-Maru-Workspace": "default", "X-Maru-Actor": "mia", "X-Maru-Role": "owner"}
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


@pytest.fixture
def caller() -> dict[str, str]:
    """The headers by which the gateway says who asks; a module may have another caller."""
    return OWNER


@pytest.fixture
async def client(
    database_url: str, tmp_path: Path, caller: dict[str, str]
) -> AsyncIterator[httpx.AsyncClient]:
    """The service's API without its consumers; `parts_of` gives its parts."""
    common = Common(
        home=tmp_path, database_url=database_url, bus_url=f"sqlite:///{tmp_path}/log.db"
    )
    app = create_app(Settings(common=common), work=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://ideas", headers=caller
        ) as http,
    ):
        http.parts = app.state.parts  # type: ignore[attr-defined]  # what the tests need of it
        yield http


def parts_of(client: httpx.AsyncClient) -> Parts:
    """The parts of the service that a client asks."""
    parts: Parts = client.parts  # type: ignore[attr-defined]  # see the fixture
    return parts
