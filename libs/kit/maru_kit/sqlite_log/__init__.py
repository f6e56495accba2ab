"""The log in one SQLite file, for one machine: several processes may use it at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog

from maru_kit.bus import LogTopic, Outgoing, Positions, Span, Subscription, refuse_oversized
from maru_kit.errors import ConfigError, Unavailable
from maru_kit.logs import hide_credentials
from maru_kit.sqlite_log import groups, records
from maru_kit.sqlite_log.file import SqliteFile
from maru_kit.sqlite_log.groups import Member
from maru_kit.sqlite_log.records import TopicRow, to_microseconds
from maru_kit.sqlite_log.subscription import SqliteSubscription

log = structlog.get_logger()

SESSION = 6.0
"""Seconds of silence after which a member's partitions go to the others."""
UPKEEP = 60.0
"""Seconds between two rounds of retention and compaction."""
_BATCH = 1000


class SqliteLog:
    """The `Bus` on one SQLite file."""

    def __init__(self, file: SqliteFile, *, session: float) -> None:
        self._file = file
        self._session = session
        self._topics: dict[str, TopicRow] = {}

    async def create(self, topics: Iterable[LogTopic]) -> None:
        """See `Bus.create`."""
        for topic in topics:
            await self._file.write(partial(records.create, topic=topic))

    async def append(self, topic: str, records_: Sequence[Outgoing]) -> None:
        """See `Bus.append`."""
        if not records_:
            return
        refuse_oversized(records_)
        row = await self._topic(topic)
        now = datetime.now(UTC)
        await self._file.write(partial(records.append, topic=row, records=records_, now=now))

    def subscribe(
        self, topic: str, group: str, *, instance: str, positions: Positions | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """See `Bus.subscribe`."""
        return self._subscribed(topic, group, instance, positions)

    @asynccontextmanager
    async def _subscribed(
        self, topic: str, group: str, instance: str, positions: Positions | None
    ) -> AsyncIterator[Subscription]:
        member = Member(await self._topic(topic), group, instance, session=uuid4().hex)
        subscription = SqliteSubscription(
            self._file, member, positions=positions, session=self._session
        )
        async with subscription.joined():
            yield subscription

    async def read(
        self, topic: str, start: Mapping[int, int], *, max_records: int, wait: float = 0.0
    ) -> list[Span]:
        """See `Bus.read`."""
        row = await self._topic(topic)
        deadline = time.monotonic() + wait
        while True:
            seen = self._file.changes
            look = partial(records.spans, topic=row, start=start, limit=max_records)
            spans = await self._file.read(look)
            left = deadline - time.monotonic()
            if spans or left <= 0:
                return spans
            await self._file.change_after(seen, left)

    async def begins(self, topic: str) -> dict[int, int]:
        """See `Bus.begins`."""
        return await self._file.read(partial(records.begins, topic=await self._topic(topic)))

    async def ends(self, topic: str) -> dict[int, int]:
        """See `Bus.ends`."""
        return await self._file.read(partial(records.ends, topic=await self._topic(topic)))

    async def positions_at(self, topic: str, when: datetime) -> dict[int, int]:
        """See `Bus.positions_at`."""
        row = await self._topic(topic)
        look = partial(records.position_at, when=to_microseconds(when))
        return {
            partition: await self._file.read(partial(look, slot=slot))
            for partition, slot in enumerate(row.slots)
        }

    async def committed(self, topic: str, group: str) -> dict[int, int]:
        """See `Bus.committed`."""
        row = await self._topic(topic)
        return await self._file.read(partial(groups.committed, topic=row, group=group))

    async def members(self, topic: str, group: str) -> int:
        """See `Bus.members`."""
        row = await self._topic(topic)
        oldest = to_microseconds(datetime.now(UTC)) - int(self._session * 1e6)
        return await self._file.read(partial(groups.members, topic=row, group=group, oldest=oldest))

    async def topics(self) -> list[str]:
        """See `Bus.topics`."""
        return await self._file.read(records.names)

    async def ping(self) -> None:
        """See `Bus.ping`."""
        await self._file.read(records.names)

    async def close(self) -> None:
        """See `Bus.close`."""
        await self._file.close()

    async def tidy(self, now: datetime) -> None:
        """Delete what retention and compaction no longer keep, in small transactions."""
        for name in await self.topics():
            topic = await self._topic(name)
            for slot in topic.slots:
                if topic.retention is not None and not topic.compacted:
                    oldest = to_microseconds(now - topic.retention)
                    trim = partial(records.trim, slot=slot, before=oldest, limit=_BATCH)
                    while await self._file.write(trim):
                        pass
                if topic.compacted:
                    compact = partial(records.compact, slot=slot, limit=_BATCH)
                    while await self._file.write(compact):
                        pass

    async def _topic(self, name: str) -> TopicRow:
        if name not in self._topics:
            row = await self._file.read(partial(records.find, name=name))
            if row is None:
                raise ConfigError(f"There is no topic {name!r} in the log; create it first.")
            self._topics[name] = row
        return self._topics[name]


@asynccontextmanager
async def open_sqlite_log(url: str, *, session: float = SESSION) -> AsyncIterator[SqliteLog]:
    """Open the log at `sqlite:////absolute/path`. Raises ConfigError for any other URL."""
    file = SqliteFile(_path(url), records.SCHEMA + groups.SCHEMA)
    await file.open()
    bus = SqliteLog(file, session=session)
    upkeep = asyncio.create_task(_keep_tidy(bus))
    try:
        yield bus
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
        await bus.close()


async def _keep_tidy(bus: SqliteLog) -> None:
    while True:
        await asyncio.sleep(UPKEEP)
        try:
            await bus.tidy(datetime.now(UTC))
        except Unavailable as error:
            log.warning("log.upkeep_missed", reason=str(error))


def _path(url: str) -> Path:
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path.startswith("/"):
        raise ConfigError(
            f"{hide_credentials(url)!r} names no log. Use sqlite:////absolute/path/log.db, "
            "kafka://host:port or kafka+ssl://user:password@host:port."
        )
    return Path(path)
