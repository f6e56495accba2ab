import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from maru_contracts.posts import Channel, Post
from maru_contracts.topics import POSTS_COLLECTED, TOPICS
from maru_ingest.domain import Origin, utc_now
from maru_ingest.service.publishing import DEAD, Publisher
from maru_ingest.store.sources import Source
from maru_kit.bus import Bus, LogTopic, Outgoing, Record, Span, open_bus
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
    """A log in the file that the ingest service itself finds in `tmp_path`."""
    async with open_bus(f"sqlite:///{tmp_path}/log.db") as bus:
        await bus.create([*TOPICS, DEAD])
        yield bus


@dataclass(frozen=True)
class Named:
    name: str
    partitions: int
    retention: timedelta | None
    compacted: bool


class OwnTopics:
    """A log whose topics belong to one test alone, though the broker is shared."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._prefix = f"t{uuid4().hex[:12]}."

    async def create(self, topics: Iterable[LogTopic]) -> None:
        await self._bus.create(
            [Named(self._prefix + t.name, t.partitions, t.retention, t.compacted) for t in topics]
        )

    async def append(self, topic: str, records: Sequence[Outgoing]) -> None:
        await self._bus.append(self._prefix + topic, records)

    async def begins(self, topic: str) -> dict[int, int]:
        return await self._bus.begins(self._prefix + topic)

    async def read(self, topic: str, start: Mapping[int, int], *, max_records: int) -> list[Span]:
        return await self._bus.read(self._prefix + topic, start, max_records=max_records)


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
    position, found = await bus.begins(topic), []
    while spans := await bus.read(topic, position, max_records=10_000):
        position = {**position, **{span.partition: span.next for span in spans}}
        found += [record for span in spans for record in span.records]
    return found


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
