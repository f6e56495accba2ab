"""One member of a consumer group on the SQLite log."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import structlog

from maru_kit.bus import Positions, Span
from maru_kit.errors import Fenced, Unavailable
from maru_kit.sqlite_log import groups, records
from maru_kit.sqlite_log.file import SqliteFile
from maru_kit.sqlite_log.groups import Member, Seat

log = structlog.get_logger()


class Look(NamedTuple):
    """What one read transaction saw."""

    generation: int
    spans: list[Span]


class SqliteSubscription:
    """Reads the partitions that this member holds, and commits how far it is.

    Membership is settled inside `fetch` only, so that nothing moves under a handler's feet.
    """

    def __init__(
        self, file: SqliteFile, member: Member, *, positions: Positions | None, session: float
    ) -> None:
        self._file = file
        self._member = member
        self._positions = positions
        self._session = session
        self._generation = -1
        self._seats: dict[int, Seat] = {}
        self._surplus: frozenset[int] = frozenset()
        self._at: dict[int, int] = {}
        self._paused: set[int] = set()
        self._read_under: dict[int, int] = {}
        self._failure: Exception | None = None

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["SqliteSubscription"]:
        """Be a member; leave at the end."""
        await self._file.write(partial(groups.join, member=self._member, now=_now()))
        beating = asyncio.create_task(self._keep_beating())
        try:
            yield self
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self._leave()

    async def fetch(self, *, max_records: int, wait: float) -> list[Span]:
        """See `Subscription.fetch`."""
        deadline = time.monotonic() + wait
        if self._surplus:
            await self._settle()
        while True:
            if self._failure:
                raise self._failure
            seen = self._file.changes
            look = await self._file.read(partial(self._look, limit=max_records))
            if look.generation != self._generation:
                await self._settle()
                if self._surplus:
                    return []
            elif look.spans or time.monotonic() >= deadline:
                self._hand_out(look.spans)
                return look.spans
            else:
                await self._file.change_after(seen, deadline - time.monotonic())

    async def commit(self, positions: Mapping[int, int]) -> None:
        """See `Subscription.commit`."""
        held = {partition: seat.epoch for partition, seat in self._seats.items()}
        try:
            await self._file.write(
                partial(
                    groups.commit,
                    member=self._member,
                    positions=dict(positions),
                    epochs={**held, **self._read_under},
                )
            )
        except Fenced:
            self._generation = -1
            raise

    def seek(self, partition: int, position: int) -> None:
        """See `Subscription.seek`."""
        if partition in self._seats:
            self._at[partition] = position

    def pause(self, partition: int) -> None:
        """See `Subscription.pause`."""
        self._paused.add(partition)

    def resume(self, partition: int) -> None:
        """See `Subscription.resume`."""
        self._paused.discard(partition)

    def assigned(self) -> frozenset[int]:
        """See `Subscription.assigned`."""
        return frozenset(self._seats) - self._surplus

    def _look(self, db: Connection, limit: int) -> Look:
        start = {p: at for p, at in self._at.items() if p not in self._paused}
        spans = records.spans(db, self._member.topic, start, limit)
        return Look(groups.generation(db, self._member), spans)

    def _hand_out(self, spans: list[Span]) -> None:
        """Move on, and let the partitions that were served wait behind the others."""
        for span in spans:
            self._read_under[span.partition] = self._seats[span.partition].epoch
            del self._at[span.partition]
            self._at[span.partition] = span.next

    async def _settle(self) -> None:
        """Let the surplus go, take our share, and start new partitions where they stand."""
        now = _now()
        share = await self._file.write(
            partial(
                groups.share,
                member=self._member,
                let_go=self._surplus,
                now=now,
                oldest=now - int(self._session * 1e6),
            )
        )
        fresh = {
            partition: seat
            for partition, seat in share.seats.items()
            if partition not in self._seats or self._seats[partition].epoch != seat.epoch
        }
        starts = await self._starts(fresh)
        self._generation, self._seats = share.generation, dict(share.seats)
        self._surplus = share.surplus
        self._paused &= share.seats.keys() - fresh.keys()
        self._at = {p: at for p, at in self._at.items() if p in share.seats} | starts

    async def _starts(self, fresh: Mapping[int, Seat]) -> dict[int, int]:
        if not fresh:
            return {}
        if self._positions is not None:
            return dict(await self._positions.load(self._member.topic.name, fresh))
        begins = await self._file.read(partial(records.begins, topic=self._member.topic))
        return {
            partition: begins[partition] if seat.committed is None else seat.committed
            for partition, seat in fresh.items()
        }

    async def _leave(self) -> None:
        try:
            await self._file.write(partial(groups.leave, member=self._member))
        except Unavailable as error:  # the others will notice the silence
            log.warning("log.not_left", group=self._member.group, reason=str(error))

    async def _keep_beating(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._session / 4)
                await self._beat()
        except Exception as error:  # noqa: BLE001 - `fetch` raises it where it is heard
            self._failure = error

    async def _beat(self) -> None:
        now = _now()
        oldest = now - int(self._session * 1e6)
        try:
            await self._file.write(
                partial(groups.beat, member=self._member, now=now, oldest=oldest)
            )
        except Unavailable as error:
            log.warning("log.heartbeat_missed", group=self._member.group, reason=str(error))


def _now() -> int:
    return time.time_ns() // 1000
