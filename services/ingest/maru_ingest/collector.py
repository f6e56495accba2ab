"""Follows the sources: finds those that are due, polls them side by side, and notes how it went."""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from maru_ingest import domain
from maru_ingest.connector import ConnectorKind, SourceBroken, SourceBusy, Tools
from maru_ingest.metrics import OLDEST_SUCCESS, POLL_SECONDS, POLLS, SOURCES
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import sources
from maru_ingest.store.sources import Source
from maru_kit.errors import Unavailable

log = structlog.get_logger(__name__)

_LEASE_SPARE = timedelta(seconds=30)
_GAUGES_EVERY = 10.0
_HOLD_SECONDS = 2.0
_MAX_DUE = 100


@dataclass
class Collector:
    """Polls every source when it is due, at most `concurrency` at a time; streams run beside.

    A source that fails is left alone for a while that grows, and says why; it disturbs no other.
    While the log or the database do not answer, nobody is blamed and no cursor moves.
    """

    publisher: Publisher
    kinds: Mapping[str, ConnectorKind]
    tools: Tools
    instance: str
    concurrency: int = 8
    tick_seconds: float = 0.5
    poll_seconds: float = 300.0
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, float] = {}
        self._followed = {name: kind for name, kind in self.kinds.items() if kind.open is not None}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then let go of what is under way, which the next start repeats."""
        gauges_due = 0.0
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                try:
                    await self._tick(group)
                    if time.monotonic() >= gauges_due:
                        await self._set_gauges()
                        gauges_due = time.monotonic() + _GAUGES_EVERY
                except Unavailable as error:
                    log.warning("collector.waits", reason=str(error))
                await _sleep(self.tick_seconds, stop)
            for task in self._running.values():
                task.cancel()

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        async with self.publisher.database.reading() as connection:
            due = await sources.due_sources(
                connection,
                self._followed.keys(),
                now=domain.utc_now(),
                instance=self.instance,
                limit=_MAX_DUE,
            )
            live = await sources.live_sources(connection, self._running.keys())
        for source_id, task in self._running.items():
            if source_id not in live:
                task.cancel()
        now = time.monotonic()
        for source in due:
            if source.id not in self._running and self._held.get(source.id, now) <= now:
                self._start(source, group)

    def _start(self, source: Source, group: asyncio.TaskGroup) -> None:
        self._held.pop(source.id, None)
        task = group.create_task(self._follow(source), name=f"source {source.id}")
        self._running[source.id] = task
        task.add_done_callback(lambda _: self._running.pop(source.id, None))

    async def _follow(self, source: Source) -> None:
        """Poll one source and note the outcome; nothing but cancellation leaves this method."""
        kind = self._followed[source.kind]
        try:
            if kind.stream:
                await self._poll(source, kind, None)
            else:
                async with self._slots:
                    await self._poll(source, kind, self.poll_seconds)
        except Unavailable as error:
            self._held[source.id] = time.monotonic() + self.dice.uniform(0.5, 1.0) * _HOLD_SECONDS
            log.warning("poll.held", source_id=source.id, reason=str(error))

    async def _poll(self, source: Source, kind: ConnectorKind, seconds: float | None) -> None:
        if not await self._lease(source):
            return
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                hint = await self._take_pages(source, kind)
        except (SourceBusy, SourceBroken) as error:
            await self._note_failure(source, str(error), getattr(error, "retry_after", 0.0))
        except Unavailable:
            raise
        except TimeoutError:
            await self._note_failure(source, f"The poll took longer than {seconds:g} s.", 0.0)
        except Exception as error:
            # The edge of a plug-in: whatever is wrong in it stays with its source.
            log.exception("poll.broke", source_id=source.id, kind=source.kind)
            await self._note_failure(source, f"An error in the connector: {error!r}", 0.0)
        else:
            await self._note_success(source, kind, hint)
        POLL_SECONDS.labels(source.kind).observe(time.monotonic() - begun)

    async def _lease(self, source: Source) -> bool:
        now = domain.utc_now()
        until = now + timedelta(seconds=self.poll_seconds) + _LEASE_SPARE
        async with self.publisher.database.transaction() as connection:
            return await sources.lease(
                connection, source.id, instance=self.instance, now=now, until=until
            )

    async def _take_pages(self, source: Source, kind: ConnectorKind) -> timedelta | None:
        """Publish page by page; return how long the source asks to be left alone."""
        assert kind.open is not None  # noqa: S101 - `_followed` holds no others
        connector = kind.open(kind.settings.model_validate(source.settings), self.tools)
        origin = source.origin()
        hint = None
        async with aclosing(connector.pages(source.cursor)) as pages:
            async for page in pages:
                hint = page.next_due
                await self.publisher.publish(
                    origin, page.rows, deleted=page.deleted, cursor=page.cursor
                )
                if kind.stream and not await self._lease(source):
                    break
        return hint

    async def _note_success(
        self, source: Source, kind: ConnectorKind, hint: timedelta | None
    ) -> None:
        settings = kind.settings.model_validate(source.settings)
        now = domain.utc_now()
        due = now + domain.next_due(kind.interval(settings), hint, dice=self.dice)
        async with self.publisher.database.transaction() as connection:
            await sources.poll_succeeded(connection, source.id, now=now, next_poll_at=due)
        POLLS.labels(source.kind, "ok").inc()

    async def _note_failure(self, source: Source, reason: str, retry_after: float) -> None:
        wait = domain.backoff(source.failures + 1, retry_after=retry_after, dice=self.dice)
        async with self.publisher.database.transaction() as connection:
            await sources.poll_failed(
                connection, source.id, reason, next_poll_at=domain.utc_now() + wait
            )
        POLLS.labels(source.kind, "failed").inc()
        log.warning("poll.failed", source_id=source.id, kind=source.kind, wait=wait.total_seconds())

    async def _set_gauges(self) -> None:
        async with self.publisher.database.reading() as connection:
            states, oldest = await sources.health(connection, self._followed.keys())
        for state in ("active", "paused", "broken"):
            SOURCES.labels(state).set(states.get(state, 0))
        OLDEST_SUCCESS.set((domain.utc_now() - oldest).total_seconds() if oldest else 0.0)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
