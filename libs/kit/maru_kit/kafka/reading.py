"""Reading Kafka without a group."""

import asyncio
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from maru_kit.bus import Span
from maru_kit.kafka import clients
from maru_kit.kafka.errors import DEADLINE, deadline, ended
from maru_kit.kafka.subscription import to_record

_IDLE = 8
"""Readers that are kept for the next call."""


class _Reader:
    """A consumer that stands somewhere in a topic."""

    def __init__(self, servers: str) -> None:
        self.consumer: AIOKafkaConsumer = clients.reader(servers)
        self.topic = ""
        self.at: dict[int, int] = {}

    def go_to(self, topic: str, start: Mapping[int, int]) -> None:
        """Stand at `start`; free of charge when it stands there already."""
        if self.topic == topic and self.at == start:
            return
        if self.topic != topic or self.at.keys() != start.keys():
            self.consumer.assign([TopicPartition(topic, partition) for partition in start])
        for partition, position in start.items():
            self.consumer.seek(TopicPartition(topic, partition), position)
        self.topic, self.at = topic, dict(start)

    async def get(self, max_records: int, wait: float) -> list[Span]:
        """What comes within `wait` seconds."""
        found = await self.consumer.getmany(timeout_ms=int(wait * 1000), max_records=max_records)
        spans = []
        for tp, records in found.items():
            if records:
                taken = [to_record(record) for record in records]
                next_ = taken[-1].offset + 1
                spans.append(Span(tp.partition, self.at[tp.partition], next_, taken))
                self.at[tp.partition] = next_
        return spans


class Readers:
    """Readers are handed out one a call; the best placed one first."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._idle: list[_Reader] = []

    async def read(
        self,
        topic: str,
        start: Mapping[int, int],
        *,
        behind: bool,
        max_records: int,
        wait: float,
    ) -> list[Span]:
        """Read from `start`. `behind` says that there is something, however long it takes."""
        reader = await self._take(topic, start)
        done = False
        try:
            async with deadline(f"read {topic}", max(wait, 0) + DEADLINE):
                reader.go_to(topic, start)
                until = time.monotonic() + wait
                while True:
                    left = until - time.monotonic()
                    spans = await reader.get(max_records, 0.5 if behind else max(left, 0))
                    if spans or (left <= 0 and not behind):
                        done = True
                        return spans
        finally:
            await self._put_back(reader, usable=done)

    async def close(self) -> None:
        """Stop all readers."""
        readers, self._idle = self._idle, []
        await asyncio.gather(*(ended(reader.consumer.stop(), "reader") for reader in readers))

    async def _take(self, topic: str, start: Mapping[int, int]) -> _Reader:
        for reader in self._idle:
            if reader.topic == topic and reader.at == start:
                self._idle.remove(reader)
                return reader
        if self._idle:
            return self._idle.pop(0)
        reader = _Reader(self._servers)
        try:
            async with deadline("start a reader"):
                await reader.consumer.start()
        except BaseException:
            await ended(reader.consumer.stop(), "reader")
            raise
        return reader

    async def _put_back(self, reader: _Reader, *, usable: bool) -> None:
        if usable and len(self._idle) < _IDLE:
            self._idle.append(reader)
        else:
            await ended(reader.consumer.stop(), "reader")
