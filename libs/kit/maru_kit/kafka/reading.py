"""Reading Kafka without a group."""

import asyncio
import time
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from maru_kit.bus import Span
from maru_kit.kafka import clients
from maru_kit.kafka.closing import stop_consumer
from maru_kit.kafka.errors import DEADLINE, deadline
from maru_kit.kafka.subscription import to_record

_IDLE = 4
"""Readers that are kept for whoever reads on where they stand."""


class _Reader:
    """A consumer that stands somewhere in a topic."""

    def __init__(self, url: str, topic: str, start: Mapping[int, int]) -> None:
        self.consumer: AIOKafkaConsumer = clients.reader(url)
        self.topic = topic
        self.at = dict(start)

    async def start(self) -> None:
        """Connect, and stand where it was told to."""
        self.consumer.assign([TopicPartition(self.topic, partition) for partition in self.at])
        await self.consumer.start()
        for partition, position in self.at.items():
            self.consumer.seek(TopicPartition(self.topic, partition), position)

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
    """A call that reads on where another ended gets its reader, any other a new one.

    A reader is never moved: the request that it has under way would be waited for first.
    """

    def __init__(self, url: str) -> None:
        self._url = url
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
        await asyncio.gather(*(stop_consumer(reader.consumer) for reader in readers))

    async def _take(self, topic: str, start: Mapping[int, int]) -> _Reader:
        for reader in self._idle:
            if reader.topic == topic and reader.at == start:
                self._idle.remove(reader)
                return reader
        reader = _Reader(self._url, topic, start)
        try:
            async with deadline("start a reader"):
                await reader.start()
        except BaseException:
            await stop_consumer(reader.consumer)
            raise
        return reader

    async def _put_back(self, reader: _Reader, *, usable: bool) -> None:
        if usable:
            self._idle.append(reader)
            if len(self._idle) <= _IDLE:
                return
            reader = self._idle.pop(0)
        await stop_consumer(reader.consumer)
