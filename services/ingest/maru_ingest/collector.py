"""Follows the sources: finds those that are due, polls them side by side, and notes how it went."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, cast, get_args

import structlog

from maru_ingest import domain
from maru_ingest.connector import (
    Backfilling,
    Budget,
    Connector,
    ConnectorKind,
    CredentialsRefused,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.metrics import (
    EXPIRING,
    OLDEST_SUCCESS,
    OVERDUE,
    OVERDUE_SECONDS,
    POLL_SECONDS,
    POLLS,
    SOURCES,
)
from maru_ingest.service.granting import Granting
from maru_ingest.service.leasing import Leases
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.pushing import Pushing
from maru_ingest.store import backfills, leases, sources, subscriptions
from maru_ingest.store.backfills import Backfill
from maru_ingest.store.leases import Polled
from maru_ingest.store.sources import Source
from maru_kit.errors import Unavailable
from maru_kit.vault import Vault

log = structlog.get_logger(__name__)

_Key = tuple[Literal["poll", "backfill"], str]
"""What is under way, and of which source."""

_GAUGES_EVERY = 10.0
_HOLD_SECONDS = 2.0
_LIFE_SECONDS = 60.0
_MAX_STREAMS = 100
"""Streams that are begun in one look."""
_MAX_LOOKS = 10
_TAKEN_FOR_A_SLOT = 2
"""Sources that are taken for each that can be polled at once, so that none waits for a look."""
_LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Use:
    """What one poll counts, and learns of the credentials that it asks with."""

    budget: Budget
    credentials: domain.Credentials


@dataclass(slots=True)
class _Life:
    """When it was noted last that a stream works, whether it has for a while, and its trouble."""

    noted: float | None = None
    lasts: bool = False
    trouble: str = ""


@dataclass
class Collector:
    """Polls every source when it is due, at most `concurrency` at a time; streams run beside.

    Whoever polls a source holds a lease on it, which is renewed while that goes on and runs out
    after `lease_seconds` when the process dies; so no source is polled twice, and none is
    orphaned. A source that fails is left alone for a while that grows, and says why; it disturbs
    no other. While the log or the database do not answer, nobody is blamed and no cursor moves.
    `pushing` is told which hubs sources offer; while one pushes, its source is polled less often.
    """

    publisher: Publisher
    kinds: Mapping[str, ConnectorKind]
    tools: Tools
    vault: Vault
    instance: str
    concurrency: int = 32
    tick_seconds: float = 0.5
    poll_seconds: float = 300.0
    lease_seconds: float = 30.0
    pushing: Pushing | None = None
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._running: dict[_Key, asyncio.Task[None]] = {}
        self._held: dict[_Key, float] = {}
        self._followed = {name: kind for name, kind in self.kinds.items() if kind.open is not None}
        self._streams = {name for name, kind in self._followed.items() if kind.stream}
        self._leases = Leases(
            self.publisher.database, self.vault, self.instance, self.lease_seconds
        )
        self._granting = Granting(self.publisher.database, self.vault)
        self._polling = 0
        self._wants_more = False
        self._has_room = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then let go of what is under way, which the next start repeats."""
        gauges_due = 0.0
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep(), name="leases")
            while not stop.is_set():
                try:
                    await self._tick(group)
                    if time.monotonic() >= gauges_due:
                        await self._set_gauges()
                        gauges_due = time.monotonic() + _GAUGES_EVERY
                except Unavailable as error:
                    log.warning("collector.waits", reason=str(error))
                    self._has_room.clear()
                await _sleep(self.tick_seconds, stop, self._has_room)
            for task in (keeper, *self._running.values()):
                task.cancel()

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        """Let go of what is followed no longer, and begin what is due, as far as there is room."""
        self._has_room.clear()
        async with self.publisher.database.reading() as connection:
            looks = await backfills.due(
                connection, now=domain.utc_now(), instance=self.instance, limit=_MAX_LOOKS
            )
            live = await leases.still_followed(connection, {key[1] for key in self._running})
        for key, task in self._running.items():
            if key[1] not in live:
                task.cancel()
        room = _TAKEN_FOR_A_SLOT * self.concurrency - self._polling
        await self._begin(group, self._streams, _MAX_STREAMS)
        begun = await self._begin(group, self._followed.keys() - self._streams, room)
        self._wants_more = begun >= room
        for look in looks:
            self._start(group, ("backfill", look.source_id), partial(self._look_back, look))

    async def _begin(self, group: asyncio.TaskGroup, kinds: Collection[str], limit: int) -> int:
        """Begin up to `limit` polls that are due; return how many."""
        taken = await self._leases.take(kinds, busy_with=self._busy(), limit=limit)
        for source in taken:
            self._start(group, ("poll", source.id), partial(self._follow, source))
        return len(taken)

    def _busy(self) -> set[str]:
        """The sources that are polled at this moment, or left alone for one."""
        now = time.monotonic()
        self._held = {key: until for key, until in self._held.items() if until > now}
        return {name for what, name in (*self._running, *self._held) if what == "poll"}

    def _start(
        self, group: asyncio.TaskGroup, key: _Key, work: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        if key in self._running or self._held.get(key, 0.0) > time.monotonic():
            return
        task = group.create_task(work(), name=" ".join(key))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _keep(self) -> None:
        """Keep the leases of all polls; one that has lost its own is cancelled."""
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            with suppress(Unavailable):
                for name in await self._leases.renew():
                    if (task := self._running.get(("poll", name))) is not None:
                        task.cancel()

    def _hold(self, key: _Key, error: Unavailable) -> None:
        """Leave something alone for a moment, since the log or the database do not answer."""
        self._held[key] = time.monotonic() + self.dice.uniform(0.5, 1.0) * _HOLD_SECONDS
        log.warning("poll.held", source_id=key[1], reason=str(error))

    async def _follow(self, source: Source) -> None:
        """Poll one source and note the outcome; nothing but cancellation leaves this method."""
        kind = self._followed[source.kind]
        try:
            if kind.stream:
                await self._poll(source, kind, None)
            else:
                await self._poll_in_turn(source, kind)
        except Unavailable as error:
            self._hold(("poll", source.id), error)
        finally:
            self._leases.drop(source)

    async def _poll_in_turn(self, source: Source, kind: ConnectorKind) -> None:
        self._polling += 1
        try:
            async with self._slots:
                await self._poll(source, kind, self.poll_seconds)
        finally:
            self._polling -= 1
            if self._wants_more and self._polling <= self.concurrency:
                self._has_room.set()

    async def _poll(self, source: Source, kind: ConnectorKind, seconds: float | None) -> None:
        begun, life = time.monotonic(), _Life()
        use = await self._use(source)
        try:
            async with asyncio.timeout(seconds):
                hint = await self._take_pages(source, kind, use, life)
        except (SourceBusy, SourceBroken) as error:
            await self._note_failure(source, error, use, lasted=life.lasts)
        except Unavailable:
            raise
        except TimeoutError:
            late = SourceBroken(f"The poll took longer than {seconds:g} s.")
            await self._note_failure(source, late, use)
        except Exception as error:
            # The edge of a plug-in: whatever is wrong in it stays with its source.
            log.exception("poll.broke", source_id=source.id, kind=source.kind)
            bug = SourceBroken(f"An error in the connector: {error!r}")
            await self._note_failure(source, bug, use, lasted=life.lasts)
        else:
            await self._note_success(source, kind, hint, use)
        POLL_SECONDS.labels(source.kind).observe(time.monotonic() - begun)

    def _leased(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.lease_seconds)

    @asynccontextmanager
    async def _kept(self, renew: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """Keep a lease while the block runs; whoever has lost it is cancelled."""
        owner = asyncio.current_task()
        assert owner is not None  # noqa: S101 - every poll is a task

        async def keep() -> None:
            while True:
                await asyncio.sleep(self.lease_seconds / 3)
                with suppress(Unavailable):
                    if not await renew():
                        owner.cancel()
                        return

        keeper = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _use(self, source: Source) -> _Use:
        return _Use(await self._budget(source), source.credentials())

    async def _budget(self, source: Source) -> Budget:
        if source.daily_requests is None:
            return Budget()
        today = domain.day_of(domain.utc_now())
        async with self.publisher.database.reading() as connection:
            days = await sources.days(connection, [source.id], since=today)
        return Budget(source.daily_requests - sum(day.requests for day in days.get(source.id, ())))

    def _open(self, source: Source, kind: ConnectorKind, use: _Use) -> Connector:
        assert kind.open is not None  # noqa: S101 - `_followed` holds no others
        settings = kind.settings.model_validate(source.settings)
        tools = replace(
            self.tools,
            budget=use.budget,
            grants=self._granting.of(source),
            credentials=use.credentials,
        )
        return kind.open(settings, tools)

    async def _take_pages(
        self, source: Source, kind: ConnectorKind, use: _Use, life: _Life
    ) -> timedelta | None:
        """Publish page by page; return how long the source asks to be left alone."""
        origin = source.origin()
        hint, saved = None, source.cursor
        async with aclosing(self._open(source, kind, use).pages(source.cursor)) as pages:
            async for page in pages:
                hint = page.next_due
                known = await self.publisher.known(origin, page.deleted_if_known)
                deleted = [*page.deleted, *known]
                # Nine in ten looks find nothing new: there is nothing to write then.
                if page.rows or deleted or page.cursor != saved:
                    await self.publisher.publish(
                        origin, page.rows, deleted=deleted, cursor=page.cursor
                    )
                    saved = page.cursor
                if self.pushing is not None and page.push is not None:
                    await self.pushing.offered(source, page.push)
                if kind.stream:
                    await self._note_life(source, use, life, page.trouble)
        return hint

    async def _note_life(self, source: Source, use: _Use, life: _Life, trouble: str) -> None:
        """Note once a minute that a stream works, since its poll goes on and never ends well.

        And at once when it has another trouble than before.
        """
        now = time.monotonic()
        is_due = life.noted is None or now >= life.noted + _LIFE_SECONDS
        if is_due:
            life.lasts = life.noted is not None
            life.noted = now
        if is_due or trouble != life.trouble:
            life.trouble = trouble
            async with self.publisher.database.transaction() as connection:
                await leases.stream_works(
                    connection,
                    source,
                    use.credentials,
                    lasts=life.lasts,
                    trouble=trouble,
                    now=domain.utc_now(),
                )

    async def _note_success(
        self, source: Source, kind: ConnectorKind, hint: timedelta | None, use: _Use
    ) -> None:
        interval = kind.interval(kind.settings.model_validate(source.settings))
        now = domain.utc_now()
        async with self.publisher.database.reading() as connection:
            if await subscriptions.is_alive(connection, source.id, now=now):
                interval = domain.safe_interval(interval)
        due = now + domain.next_due(interval, hint, dice=self.dice)
        polled = Polled(source, now, due, requests=use.budget.used, credentials=use.credentials)
        await self._leases.give_back(polled)
        POLLS.labels(source.kind, "ok").inc()

    async def _note_failure(
        self,
        source: Source,
        error: SourceBusy | SourceBroken,
        use: _Use,
        *,
        lasted: bool = False,
    ) -> None:
        now = domain.utc_now()
        failures = 0 if lasted else source.failures
        wait = self._wait(failures + 1, error)
        state: domain.State = "throttled" if _asks_for_silence(error) else "broken"
        await self._leases.give_back(
            Polled(
                source,
                now,
                now + wait,
                state,
                reason=str(error),
                requests=use.budget.used,
                credentials=use.credentials,
            )
        )
        POLLS.labels(source.kind, "failed").inc()
        log.warning("poll.failed", source_id=source.id, kind=source.kind, wait=wait.total_seconds())

    def _wait(self, failures: int, error: SourceBusy | SourceBroken) -> timedelta:
        asked = error.retry_after if isinstance(error, SourceBusy) else 0.0
        if isinstance(error, CredentialsRefused):
            asked = domain.MAX_BACKOFF.total_seconds()
        return domain.backoff(failures, retry_after=asked, dice=self.dice)

    async def _look_back(self, look: Backfill) -> None:
        """Go on with a look back for as long as a poll may take, and note how far it came."""
        try:
            async with self._slots:
                await self._take_history(look)
        except Unavailable as error:
            self._hold(("backfill", look.source_id), error)

    async def _take_history(self, look: Backfill) -> None:
        database = self.publisher.database
        async with database.reading() as connection:
            source = await sources.source_by_id(connection, look.source_id, self.vault)
        if source is None or not await self._lease_look(look):
            return
        kind = self._followed[source.kind]
        use = await self._use(source)
        failed: SourceBusy | SourceBroken | None = None
        try:
            async with self._kept(partial(self._lease_look, look)):
                is_done = await self._turn_pages(source, kind, look, use)
        except (SourceBusy, SourceBroken) as error:
            is_done, failed = False, error
        except Unavailable:
            raise
        except Exception as error:
            log.exception("backfill.broke", source_id=source.id, kind=source.kind)
            is_done, failed = False, SourceBroken(f"An error in the connector: {error!r}")
        now = domain.utc_now()
        async with database.transaction() as connection:
            asked = {source.id: {"requests": use.budget.used}} if use.budget.used else {}
            await sources.add_to_day(connection, asked, now=now)
            if is_done:
                await backfills.end(connection, look)
            else:
                wait = self._wait(look.failures + 1, failed) if failed else timedelta()
                reason = str(failed) if failed else ""
                await backfills.hold(connection, look, reason, next_at=now + wait)

    async def _lease_look(self, look: Backfill) -> bool:
        now = domain.utc_now()
        async with self.publisher.database.transaction() as connection:
            return await backfills.lease(
                connection, look, instance=self.instance, now=now, until=self._leased(now)
            )

    async def _turn_pages(
        self, source: Source, kind: ConnectorKind, look: Backfill, use: _Use
    ) -> bool:
        """Publish page by page; return whether the look back has come to its end."""
        origin = source.origin()
        ends = time.monotonic() + self.poll_seconds
        connector = cast("Backfilling", self._open(source, kind, use))
        async with aclosing(connector.history(look.since, look.until, look.cursor)) as pages:
            async for page in pages:
                known = await self.publisher.known(origin, page.deleted_if_known)
                deleted = [*page.deleted, *known]
                counts = await self.publisher.publish(origin, page.rows, deleted=deleted)
                async with self.publisher.database.transaction() as connection:
                    await backfills.turn_page(
                        connection, look, cursor=page.cursor, posts=counts.published
                    )
                if time.monotonic() >= ends:
                    return False
        return True

    async def _set_gauges(self) -> None:
        kinds, now = self._followed.keys(), domain.utc_now()
        async with self.publisher.database.reading() as connection:
            states, oldest = await sources.health(connection, kinds)
            late, longest = await leases.overdue(connection, kinds, now=now, by=_LATE)
            ending = await sources.expiring(connection, kinds, before=now + domain.EXPIRING)
        for state in get_args(domain.State):
            SOURCES.labels(state).set(states.get(state, 0))
        OLDEST_SUCCESS.set((now - oldest).total_seconds() if oldest else 0.0)
        EXPIRING.set(ending)
        OVERDUE.set(late)
        OVERDUE_SECONDS.set(longest.total_seconds())


def _asks_for_silence(error: SourceBusy | SourceBroken) -> bool:
    return isinstance(error, SourceBusy) and error.retry_after > 0


async def _sleep(seconds: float, *until: asyncio.Event) -> None:
    """Sleep, or until one of these happens."""
    waits = [asyncio.ensure_future(event.wait()) for event in until]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
