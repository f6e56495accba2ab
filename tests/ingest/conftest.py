import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from maru_contracts.posts import Channel, Post
from maru_contracts.topics import POSTS_COLLECTED, TOPICS
from maru_ingest.domain import Origin, utc_now
from maru_ingest.service.publishing import DEAD, Publisher
from maru_ingest.store import Source
from maru_kit.bus import Bus, Record, open_bus
from maru_kit.database import Database, open_database
from maru_kit.migrate import migrate


@pytest.fixture
def shared() -> Path:
    """The folder of fixtures and data that nobody here wrote."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("MARU_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: put the shared fixtures there or set MARU_SHARED")
    return folder


@pytest.fixture
async def ingest_database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}"
    await migrate(url, "ingest", "maru_ingest")
    async with open_database(url, "ingest") as database:
        yield database


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Bus]:
    async with open_bus(f"sqlite:///{tmp_path}/log.db") as bus:
        await bus.create([*TOPICS, DEAD])
        yield bus


@pytest.fixture
def publisher(log: Bus, ingest_database: Database) -> Publisher:
    return Publisher(log, ingest_database)


@pytest.fixture
def an_origin() -> Callable[..., Origin]:
    def make(**changes: object) -> Origin:
        values: dict[str, object] = {
            "source_id": "s1",
            "name": "blog",
            "kind": "feed",
            "workspace": "w",
            "product": "p",
            "channel": Channel.BLOG,
        }
        return Origin(**{**values, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def a_source() -> Callable[..., Source]:
    def make(**changes: object) -> Source:
        values: dict[str, object] = {
            "id": "s1",
            "workspace": "w",
            "product": "p",
            "name": "blog",
            "kind": "feed",
            "channel": Channel.BLOG,
            "created_at": utc_now(),
            "next_poll_at": utc_now(),
        }
        return Source(**{**values, **changes})  # type: ignore[arg-type]

    return make


async def records(bus: Bus, topic: str) -> list[Record]:
    """All that a topic holds, partition by partition."""
    starts = await bus.begins(topic)
    spans = await bus.read(topic, starts, max_records=100_000)
    return [record for span in spans for record in span.records]


@pytest.fixture
def collected(log: Bus) -> Callable[[], object]:
    async def read() -> list[Post]:
        return [
            Post.model_validate_json(record.value)
            for record in await records(log, POSTS_COLLECTED.name)
        ]

    return read


@pytest.fixture
def dead(log: Bus) -> Callable[[], object]:
    async def read() -> list[tuple[str, bytes]]:
        return [
            (dict(record.headers)["error"].decode(), record.value)
            for record in await records(log, DEAD.name)
        ]

    return read
