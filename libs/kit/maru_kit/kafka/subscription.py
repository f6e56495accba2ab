"""One member of a Kafka consumer group."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from maru_kit.bus import Positions, Record, Span
from maru_kit.errors import Fenced, Unavailable
from maru_kit.kafka import clients
from maru_kit.kafka.closing import stop_consumer
from maru_kit.kafka.errors import deadline

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JOINING, _COMMITTING = 30.0, 5.0
_YIELDING = clients.REBALANCE_MS / 1000 - 2
"""Seconds that a rebalance waits for the consumer to commit what it has in hand."""


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """See `Subscription`. Partitions come and go in the background; `fetch` makes it safe.

    When the group rebalances, `assigned()` is empty at once, and the rebalance waits for the
    next `fetch`, which says that everything done has been committed.
    """

    def __init__(
        self, url: str, topic: str, group: str, instance: str, positions: Positions | None
    ) -> None:
        self._consumer = clients.member(url, group, instance)
        self._topic = topic
        self._group = group
        self._positions = positions
        self._generation = 0
        self._assigned: frozenset[int] = frozenset()
        self._unplaced: set[int] = set()
        self._at: dict[int, int] = {}
        self._read_under: dict[int, int] = {}
        self._revoked = asyncio.Event()
        self._revoked.set()
        self._yielded = asyncio.Event()
        self._given = asyncio.Event()

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["KafkaSubscription"]:
        """Be a member; stop being one at the end."""
        self._consumer.subscribe([self._topic], listener=self)
        try:
            async with deadline(f"join {self._group}", _JOINING):
                await self._consumer.start()
            yield self
        finally:
            self._revoked.set()
            self._yielded.set()
            self._assigned = frozenset()
            self._leave_for_good()
            await stop_consumer(self._consumer)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Stop fetching, and hold the rebalance until what is done has been committed."""
        self._yielded.clear()
        self._given.clear()
        self._revoked.set()
        if revoked and self._assigned:
            try:
                async with asyncio.timeout(_YIELDING):
                    await self._yielded.wait()
            except TimeoutError:
                return  # too slow: its commit will be refused

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start anew with what is ours now."""
        self._generation += 1
        self._assigned = frozenset(tp.partition for tp in assigned)
        self._unplaced = set(self._assigned) if self._positions else set()
        self._at.clear()
        self._revoked.clear()
        self._given.set()

    async def fetch(self, *, max_records: int, wait: float) -> list[Span]:
        """See `Subscription.fetch`."""
        until = time.monotonic() + wait
        if self._revoked.is_set():
            self._yielded.set()
            await _within(wait, self._given)
            if self._revoked.is_set():
                return []
        generation = self._generation
        await self._place()
        found = await self._get(max_records, max(0.0, until - time.monotonic()))
        if self._revoked.is_set() or self._generation != generation:
            return []  # they will be read again, by whoever gets the partition
        return [self._span(tp.partition, records) for tp, records in found.items() if records]

    async def commit(self, positions: Mapping[int, int]) -> None:
        """See `Subscription.commit`."""
        if not positions:
            return
        for partition in positions:
            read_under = self._read_under.get(partition, self._generation)
            if partition not in self._assigned or read_under != self._generation:
                raise Fenced(f"Partition {partition} of {self._topic} is no longer ours.")
        offsets = {TopicPartition(self._topic, p): at for p, at in positions.items()}
        async with deadline(f"commit of {self._group}", _COMMITTING):
            try:
                await self._consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:
                raise Fenced(f"{self._group} has been rebalanced: {error}") from error

    def seek(self, partition: int, position: int) -> None:
        """See `Subscription.seek`."""
        if partition in self.assigned():
            self._consumer.seek(TopicPartition(self._topic, partition), position)
            self._at[partition] = position
            self._unplaced.discard(partition)

    def pause(self, partition: int) -> None:
        """See `Subscription.pause`."""
        if partition in self.assigned():
            self._consumer.pause(TopicPartition(self._topic, partition))

    def resume(self, partition: int) -> None:
        """See `Subscription.resume`."""
        if partition in self.assigned():
            self._consumer.resume(TopicPartition(self._topic, partition))

    def assigned(self) -> frozenset[int]:
        """See `Subscription.assigned`."""
        return frozenset() if self._revoked.is_set() else self._assigned

    def _leave_for_good(self) -> None:
        """Have `stop` leave the group: aiokafka lets a static member linger for its session.

        A member that was killed lingers, and is waited for; one that was stopped is not.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001 - has no option for it
        if coordinator is not None:
            coordinator._group_instance_id = None  # noqa: SLF001 - see above

    async def _place(self) -> None:
        """Go to the positions kept elsewhere before anything is fetched."""
        if self._unplaced and self._positions is not None:
            stored = await self._positions.load(self._topic, frozenset(self._unplaced))
            for partition, position in stored.items():
                self.seek(partition, position)

    async def _get(
        self, max_records: int, wait: float
    ) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        """What has come; nothing once a rebalance begins, for aiokafka would wait it out."""
        getting = asyncio.create_task(
            self._consumer.getmany(timeout_ms=int(wait * 1000), max_records=max_records)
        )
        revoked = asyncio.create_task(self._revoked.wait())
        try:
            await asyncio.wait({getting, revoked}, return_when=asyncio.FIRST_COMPLETED)
            return {} if self._revoked.is_set() else await getting
        except KafkaError as error:
            raise Unavailable(
                f"Kafka does not answer (fetch of {self._group}): {error!r}"
            ) from error
        finally:
            for task in (getting, revoked):
                task.cancel()
            await asyncio.gather(getting, revoked, return_exceptions=True)

    def _span(self, partition: int, records: Iterable[ConsumerRecord]) -> Span:
        taken = [to_record(record) for record in records]
        start = self._at.get(partition, taken[0].offset)
        self._at[partition] = taken[-1].offset + 1
        self._read_under[partition] = self._generation
        return Span(partition, start, taken[-1].offset + 1, taken)


def to_record(record: ConsumerRecord) -> Record:
    """A record in Maru's shape."""
    return Record(
        record.topic,
        record.partition,
        record.offset,
        _EPOCH + timedelta(milliseconds=record.timestamp),
        record.key or b"",
        record.value or b"",
        tuple(record.headers),
    )


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
