"""The log on Apache Kafka. The only place that knows aiokafka.

What Kafka calls a group is here the topic's name and the group's, `<topic>.<group>`: each topic
is shared out by itself, so that one process may read several topics in one group's name.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from maru_kit.bus import (
    MAX_RECORD,
    LogTopic,
    Outgoing,
    Positions,
    Span,
    Subscription,
    refuse_oversized,
)
from maru_kit.errors import ConfigError, Unavailable
from maru_kit.kafka import clients
from maru_kit.kafka.address import servers
from maru_kit.kafka.closing import ended, stop_consumer
from maru_kit.kafka.errors import deadline
from maru_kit.kafka.producing import Appender
from maru_kit.kafka.reading import Readers
from maru_kit.kafka.subscription import KafkaSubscription

_MILLISECOND = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


class KafkaLog:
    """The `Bus` on a Kafka cluster."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._admin = clients.admin(url)
        self._offsets = clients.reader(url)
        self._appender = Appender(url)
        self._readers = Readers(url)
        self._partitions: dict[str, int] = {}

    async def open(self) -> None:
        """Connect. Raises Unavailable."""
        async with deadline(f"connect to {servers(self._url)}"):
            try:
                await self._admin.start()
            except KafkaConnectionError as error:
                reason = await clients.refusal(self._url)
                raise Unavailable(
                    f"Kafka at {servers(self._url)} does not let us in: {reason}"
                ) from error
            await self._offsets.start()

    async def create(self, topics: Iterable[LogTopic]) -> None:
        """See `Bus.create`."""
        async with deadline("create topics"):
            known = set(await self._admin.list_topics())
            missing = [topic for topic in topics if topic.name not in known]
            if missing:
                brokers = len((await self._admin.describe_cluster())["brokers"])
                answer = await self._admin.create_topics(
                    [
                        NewTopic(t.name, t.partitions, min(3, brokers), topic_configs=_settings(t))
                        for t in missing
                    ]
                )
                _refuse_failures(answer.topic_errors)
                await self._until_led([topic.name for topic in missing])

    async def _until_led(self, names: list[str]) -> None:
        """Wait until every partition has a leader: creation is answered before that."""
        while True:
            found = await self._admin.describe_topics(names)
            partitions = [p for topic in found for p in topic["partitions"]]
            if not any(part["error_code"] for part in [*found, *partitions]):
                return
            await asyncio.sleep(0.02)

    async def append(self, topic: str, records: Sequence[Outgoing]) -> None:
        """See `Bus.append`."""
        if records:
            refuse_oversized(records)
            await self._appender.append(topic, await self._count(topic), records)

    def subscribe(
        self, topic: str, group: str, *, instance: str, positions: Positions | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """See `Bus.subscribe`."""
        return self._subscribed(topic, group, instance, positions)

    @asynccontextmanager
    async def _subscribed(
        self, topic: str, group: str, instance: str, positions: Positions | None
    ) -> AsyncIterator[Subscription]:
        await self._count(topic)
        subscription = KafkaSubscription(
            self._url, topic, kafka_group(topic, group), instance, positions
        )
        async with subscription.joined():
            yield subscription

    async def read(
        self, topic: str, start: Mapping[int, int], *, max_records: int, wait: float = 0.0
    ) -> list[Span]:
        """See `Bus.read`."""
        begins, ends = await self.begins(topic), await self.ends(topic)
        behind = any(begins[p] < ends[p] and at != ends[p] for p, at in start.items())
        return await self._readers.read(
            topic, start, behind=behind, max_records=max_records, wait=wait
        )

    async def begins(self, topic: str) -> dict[int, int]:
        """See `Bus.begins`."""
        tps = await self._all(topic)
        async with deadline(f"begin of {topic}"):
            found = await self._offsets.beginning_offsets(tps)
        return {tp.partition: offset for tp, offset in found.items()}

    async def ends(self, topic: str) -> dict[int, int]:
        """See `Bus.ends`."""
        tps = await self._all(topic)
        async with deadline(f"end of {topic}"):
            found = await self._offsets.end_offsets(tps)
        return {tp.partition: offset for tp, offset in found.items()}

    async def positions_at(self, topic: str, when: datetime) -> dict[int, int]:
        """See `Bus.positions_at`."""
        ends = await self.ends(topic)
        milliseconds = -((-int(when.timestamp() * 1_000_000)) // 1000)
        async with deadline(f"positions in {topic}"):
            found = await self._offsets.offsets_for_times(
                dict.fromkeys(await self._all(topic), milliseconds)
            )
        return {
            tp.partition: ends[tp.partition] if at is None else at.offset
            for tp, at in found.items()
        }

    async def committed(self, topic: str, group: str) -> dict[int, int]:
        """See `Bus.committed`."""
        async with deadline(f"positions of {group}"):
            found = await self._admin.list_consumer_group_offsets(kafka_group(topic, group))
        return {
            tp.partition: at.offset
            for tp, at in found.items()
            if tp.topic == topic and at.offset >= 0
        }

    async def members(self, topic: str, group: str) -> int:
        """See `Bus.members`."""
        async with deadline(f"members of {group}"):
            answers = await self._admin.describe_consumer_groups([kafka_group(topic, group)])
        return sum(len(found[5]) for answer in answers for found in answer.groups)

    async def topics(self) -> list[str]:
        """See `Bus.topics`."""
        async with deadline("list topics"):
            names = await self._admin.list_topics()
        return sorted(name for name in names if not name.startswith("__"))

    async def ping(self) -> None:
        """See `Bus.ping`."""
        async with deadline("ping", 3.0):
            await self._admin.describe_cluster()

    async def close(self) -> None:
        """See `Bus.close`."""
        await asyncio.gather(
            self._appender.close(),
            self._readers.close(),
            stop_consumer(self._offsets),
            ended(self._admin.close(), "admin"),
        )

    async def _all(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for partition in range(await self._count(topic))]

    async def _count(self, topic: str) -> int:
        """How many partitions a topic has. Raises ConfigError when there is none."""
        if topic not in self._partitions:
            async with deadline(f"describe {topic}"):
                [found] = await self._admin.describe_topics([topic])
            if found["error_code"]:
                raise ConfigError(f"There is no topic {topic!r} in the log; create it first.")
            self._partitions[topic] = len(found["partitions"])
        return self._partitions[topic]


def kafka_group(topic: str, group: str) -> str:
    """The group id that the broker knows."""
    return f"{topic}.{group}"


def _refuse_failures(errors: Iterable[tuple[Any, ...]]) -> None:
    for name, code, *detail in errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise Unavailable(f"Kafka did not create {name}: {error.__name__} {detail}")


def _settings(topic: LogTopic) -> dict[str, str]:
    """A topic's settings. Segments are cut often enough that the retention is kept to a day."""
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD + clients.OVERHEAD),
    }
    if topic.compacted:
        day = str(_DAY // _MILLISECOND)
        return settings | {"cleanup.policy": "compact", "max.compaction.lag.ms": day}
    if topic.retention is None:
        return settings | {"cleanup.policy": "delete", "retention.ms": "-1"}
    return settings | {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention // _MILLISECOND),
        "segment.ms": str(max(min(topic.retention / 7, _DAY) // _MILLISECOND, 1000)),
    }


@asynccontextmanager
async def open_kafka(url: str) -> AsyncIterator[KafkaLog]:
    """Open the cluster that `url` names (see `address`). Raises ConfigError and Unavailable."""
    bus = KafkaLog(url)
    try:
        await bus.open()
        yield bus
    finally:
        await bus.close()
