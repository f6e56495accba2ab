"""Appending to Kafka: whole batches for each partition, acknowledged by all replicas."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from maru_kit.bus import Outgoing
from maru_kit.kafka import clients
from maru_kit.kafka.closing import stop_producer
from maru_kit.kafka.errors import deadline


class Appender:
    """One idempotent producer, replaced when it has failed for good."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def append(self, topic: str, partitions: int, records: Sequence[Outgoing]) -> None:
        """Write records and wait until all are acknowledged. Raises Unavailable."""
        async with deadline(f"append to {topic}"):
            producer = await self._started()
            try:
                await self._send(producer, topic, partitions, records)
            except KafkaError:
                await self._give_up(producer)
                raise

    async def close(self) -> None:
        """Wait for what is under way, a few seconds at the most."""
        if self._producer is not None:
            await stop_producer(self._producer)
            self._producer = None

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = clients.producer(self._servers)
                try:
                    await producer.start()
                except BaseException:
                    await stop_producer(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, partitions: int, records: Sequence[Outgoing]
    ) -> None:
        groups: dict[int, list[Outgoing]] = {}
        for record in records:
            groups.setdefault(partition_of(record.key, partitions), []).append(record)
        await asyncio.gather(
            *(
                _send_partition(producer, topic, partition, group)
                for partition, group in groups.items()
            )
        )

    async def _give_up(self, producer: AIOKafkaProducer) -> None:
        """A batch failed for good: later ones would fail too, their sequence is broken."""
        if self._producer is producer:
            self._producer = None
            await stop_producer(producer)


async def _send_partition(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Outgoing]
) -> None:
    acknowledged = [
        await producer.send_batch(batch, topic, partition=partition)
        for batch in _batches(producer, records)
    ]
    await asyncio.gather(*acknowledged)


def _batches(producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> Iterator[Any]:
    batch = producer.create_batch()
    for record in records:
        if not _put(batch, record):
            yield batch
            batch = producer.create_batch()
            _put(batch, record)
    batch.close()
    yield batch


def _put(batch: Any, record: Outgoing) -> bool:
    """Whether the batch had room; a batch that is empty always has."""
    headers = list(record.headers)
    metadata = batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
    return metadata is not None


@lru_cache(4096)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that every Kafka client's default partitioner gives to `key`."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
