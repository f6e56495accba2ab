"""A topic of Kafka, played by the log that keeps its promises in one file.

The two logs pass one suite (`tests/kit/test_bus_conformance.py`); what only a broker shows is in
`tests/ingest/connectors/test_kafka.py`.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from aiohttp import web

from maru_ingest.connector import Tools
from maru_kit.bus import Bus, Outgoing, Span, open_bus
from maru_kit.errors import Unavailable
from upstreams.upstream import Upstream, Written

TOPIC = "reviews"


@dataclass(frozen=True)
class Topic:
    name: str
    partitions: int = 1
    retention: timedelta | None = None
    compacted: bool = False


class KafkaUpstream(Upstream):
    """Somebody's program that appends a record for each post, and another for each change."""

    misbehaves = frozenset({"down"})
    edits = True
    deletes = True

    def __init__(self) -> None:
        super().__init__()
        self._appended: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._open = 0
        self._url = ""

    def settings(self) -> dict[str, Any]:
        return {"topic": TOPIC}

    def routes(self) -> Iterable[web.RouteDef]:
        return []

    def name(self, number: int) -> str:
        return f"review-{number}"

    def equip(self, tools: Tools) -> Tools:
        return replace(tools, own_log="kafka://played", open_log=lambda _: self._opened())

    @property
    def listeners(self) -> int:
        return self._open

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        return self._append(super().write(text, at=at, parent=parent))

    def edit(self, written: Written, text: str) -> None:
        super().edit(written, text)
        self._append(written)

    def delete(self, written: Written) -> None:
        super().delete(written)
        self._appended.put_nowait(Outgoing(written.native_id.encode(), b""))

    def _append(self, written: Written) -> Written:
        row = {
            "id": written.native_id,
            "text": written.text,
            "created_at": written.at.isoformat(),
            "in_reply_to": written.parent,
        }
        self._appended.put_nowait(Outgoing(written.native_id.encode(), json.dumps(row).encode()))
        return written

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        with tempfile.TemporaryDirectory() as folder:
            self._url = f"sqlite:///{folder}/log.db"
            async with open_bus(self._url) as bus:
                await bus.create([Topic(TOPIC)])
                appending = asyncio.create_task(self._keep_appending(bus))
                try:
                    yield self
                finally:
                    appending.cancel()

    async def _keep_appending(self, bus: Bus) -> None:
        while True:
            records = [await self._appended.get()]
            while not self._appended.empty():
                records.append(self._appended.get_nowait())
            await bus.append(TOPIC, records)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator["_Played"]:
        self.asked.append(time.monotonic())
        self._open += 1
        try:
            async with open_bus(self._url) as bus:
                yield _Played(self, bus)
        finally:
            self._open -= 1


@dataclass(frozen=True)
class _Played:
    """What the connector sees of the broker, which can be down."""

    upstream: Upstream
    bus: Bus

    async def begins(self, topic: str) -> dict[int, int]:
        self._check()
        return await self.bus.begins(topic)

    async def ends(self, topic: str) -> dict[int, int]:
        self._check()
        return await self.bus.ends(topic)

    async def read(
        self, topic: str, start: Mapping[int, int], *, max_records: int, wait: float
    ) -> list[Span]:
        self._check()
        return await self.bus.read(topic, start, max_records=max_records, wait=wait)

    def _check(self) -> None:
        if self.upstream.mode == "down":
            raise Unavailable("Kafka does not answer (fetch).")


UPSTREAM = KafkaUpstream
