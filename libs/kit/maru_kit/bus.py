"""The log as every service sees it: append, subscribe, read. Two implementations keep it.

`kafka` (Apache Kafka, through aiokafka) and `sqlite_log` (one file, several processes) pass the
same conformance suite.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from maru_kit.errors import Rejected

MAX_RECORD = 4 * 1024 * 1024
"""Bytes of a record's key and value together that the log takes."""


class LogTopic(Protocol):
    """What the log must know of a topic; `maru_contracts.topics.Topic` is one."""

    @property
    def name(self) -> str:
        """Unique in the log."""

    @property
    def partitions(self) -> int:
        """How many; fixed once the topic exists."""

    @property
    def retention(self) -> timedelta | None:
        """How long records are kept; None keeps them for ever."""

    @property
    def compacted(self) -> bool:
        """Whether only the newest record of each key is kept."""


class Outgoing(NamedTuple):
    """A record on its way into the log. Records with one key keep their order."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the log holds it. `timestamp` is when the log took it (UTC)."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive records of one partition.

    `start` is the position they were fetched from, `next` the position after the last one.
    Offsets in between may be missing: compacted, or older than the retention.
    """

    partition: int
    start: int
    next: int
    records: Sequence[Record] = field(default=())


def refuse_oversized(records: Iterable[Outgoing]) -> None:
    """Raise Rejected when a record is larger than the log takes."""
    for record in records:
        size = len(record.key) + len(record.value)
        if size > MAX_RECORD:
            raise Rejected(f"A record of {size:,} bytes is larger than {MAX_RECORD:,} bytes.")


class Subscription(Protocol):
    """One member of a consumer group, for one task at a time.

    A partition that is to go to another member leaves `assigned()` first, and is let go by the
    next `fetch`: commit what is done before that, and the next owner starts exactly there.
    """

    async def fetch(self, *, max_records: int, wait: float) -> list[Span]:
        """Return what has come, at most `max_records` and one span a partition.

        Waits up to `wait` seconds for the first record; an empty list means that none came, or
        that the assignment has changed. Spans of a partition follow one another until `seek`.
        Raises Unavailable, and Fenced when the log sees that another process has joined under
        this member's instance name.
        """

    async def commit(self, positions: Mapping[int, int]) -> None:
        """Store the group's next positions. Raises Fenced when a partition is no longer ours."""

    def seek(self, partition: int, position: int) -> None:
        """Fetch from `position` next."""

    def pause(self, partition: int) -> None:
        """Fetch nothing of the partition until `resume`, or until it is assigned anew."""

    def resume(self, partition: int) -> None:
        """Fetch the partition again."""

    def assigned(self) -> frozenset[int]:
        """The partitions that this member owns now."""


class Positions(Protocol):
    """Positions kept in the handler's own database, so that effect and offset commit as one."""

    async def load(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        """The next position of each partition; 0 where nothing was stored."""

    async def skip(self, topic: str, partition: int, start: int, next: int) -> None:
        """Move from `start` to `next` without an effect. Raises Fenced when not at `start`."""


class Bus(Protocol):
    """A partitioned, durable log."""

    async def create(self, topics: Iterable[LogTopic]) -> None:
        """Make the topics that do not exist yet; leaves the others as they are."""

    async def append(self, topic: str, records: Sequence[Outgoing]) -> None:
        """Write records and return when the log has acknowledged them all.

        Raises Unavailable when it does not within the deadline; some may have been written.
        Raises Rejected, with nothing written, when a record is larger than MAX_RECORD.
        """

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        instance: str,
        positions: Positions | None = None,
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join a consumer group. `instance` names this member across restarts.

        With `positions`, an assigned partition is read from there and not from the group's own
        committed position. A new group starts at the log's beginning.
        """

    async def read(
        self, topic: str, start: Mapping[int, int], *, max_records: int, wait: float = 0.0
    ) -> list[Span]:
        """Read without a group, from `start` (partition to position)."""

    async def begins(self, topic: str) -> dict[int, int]:
        """The oldest position of each partition."""

    async def ends(self, topic: str) -> dict[int, int]:
        """The position after the newest record of each partition."""

    async def positions_at(self, topic: str, when: datetime) -> dict[int, int]:
        """For each partition, the first position whose record is not older than `when`."""

    async def committed(self, topic: str, group: str) -> dict[int, int]:
        """The group's committed positions; partitions without one are missing."""

    async def members(self, topic: str, group: str) -> int:
        """How many live members the group has."""

    async def topics(self) -> list[str]:
        """The names of all topics."""

    async def ping(self) -> None:
        """Return when the log answers; raises Unavailable when it does not."""

    async def close(self) -> None:
        """Flush and let go of everything. Waits a few seconds at the most."""


@asynccontextmanager
async def open_bus(url: str) -> AsyncIterator[Bus]:
    """Open the log that `url` names, and close it at the end.

    `sqlite:////absolute/path/log.db`, `kafka://host:port[,host:port]`, or `kafka+ssl://` for TLS
    and SASL. Raises ConfigError for any other, Unavailable when a broker does not answer.
    """
    async with _opener(url) as bus:
        yield bus


def _opener(url: str) -> AbstractAsyncContextManager[Bus]:
    if url.startswith(("kafka://", "kafka+ssl://")):
        from maru_kit.kafka import open_kafka

        return open_kafka(url)
    from maru_kit.sqlite_log import open_sqlite_log

    return open_sqlite_log(url)
