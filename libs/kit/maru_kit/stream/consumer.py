"""The loop that every service runs: fetch, decode, handle, commit."""

import asyncio
import faulthandler
import time
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

import structlog

from maru_contracts.message import Message
from maru_contracts.topics import Topic
from maru_kit.bus import Bus, Positions, Record, Span
from maru_kit.crash import crash_point
from maru_kit.errors import Fenced, MaruError, Rejected, Unavailable
from maru_kit.metrics import (
    IN_HAND,
    MESSAGES_DEAD,
    MESSAGES_IN,
    MESSAGES_REJECTED,
    PROCESSING_SECONDS,
    RETRIES,
)
from maru_kit.stream.gauges import Gauges, Mark
from maru_kit.stream.health import StreamHealth
from maru_kit.stream.lanes import TRIES, Lane, Work, pause, work_for
from maru_kit.stream.letters import DeadTopic, detail, letter, reason
from maru_kit.stream.messages import Handler

M = TypeVar("M", bound=Message)

log = structlog.get_logger()

COMMIT_EVERY = 1.0
"""Seconds between commits; what was done since the last one is done again after a kill."""
LAST_COMMIT = 3.0
"""Seconds for the commit on the way out."""
MEASURE_EVERY = 1.0


class Stuck(MaruError):
    """A consumer has work and makes no progress; a new process may."""


class Consumer(Generic[M]):
    """One member of a group, from joining to leaving. Made and run by `consume`."""

    def __init__(
        self,
        bus: Bus,
        topic: Topic[M],
        group: str,
        handler: Handler[M],
        *,
        instance: str,
        stop: asyncio.Event,
        batch_size: int,
        batch_wait: float,
        positions: Positions | None,
        health: StreamHealth,
        patience: float,
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._handler = handler
        self._instance = instance
        self._stop = stop
        self._batch_size = batch_size
        self._batch_wait = batch_wait
        self._positions = positions
        self._health = health
        self._patience = patience
        self._dead = DeadTopic(topic.name, group)
        self._labels = (group, topic.name)
        self._name = f"{group} from {topic.name}"
        self._log = log.bind(group=group, topic=topic.name)
        self._lanes: dict[int, Lane[M]] = {}
        self._marks: dict[int, Mark] = {}
        self._to_commit: dict[int, int] = {}
        self._committed_at = 0.0
        self._failures = 0

    async def run(self) -> None:
        """Consume until `stop`. A log that does not answer is waited for."""
        self._health.report(self._name, "joining")
        try:
            while not self._stop.is_set():
                try:
                    await self._run_joined()
                except Unavailable as error:
                    await self._wait_out(error)
        finally:
            self._health.clear(self._name)
            IN_HAND.labels(*self._labels).set(0)

    async def _run_joined(self) -> None:
        await self._bus.create([self._dead])
        async with self._bus.subscribe(
            self._topic.name, self._group, instance=self._instance, positions=self._positions
        ) as subscription:
            self._subscription = subscription
            try:
                await _first_of(self._consume(), self._measure())
            finally:
                await self._commit_at_last()

    async def _consume(self) -> None:
        while not self._stop.is_set():
            try:
                await self._run_once()
            except Unavailable as error:
                await self._wait_out(error)
            else:
                self._note_well()

    async def _run_once(self) -> None:
        """Go on with what is in hand, commit, and fetch more."""
        for lane in [*self._lanes.values()]:
            if lane.todo and lane.due <= time.monotonic():
                await self._advance(lane)
        await self._commit_if_due()
        for span in await self._fetch():
            crash_point("after_fetch_before_handler")
            lane = self._lanes.setdefault(span.partition, Lane(span.partition))
            # Work still in hand is of an earlier assignment: the partition has been read anew.
            lane.todo.clear()
            lane.todo.append(work_for(self._topic, span))
            self._marks[span.partition] = Mark(span.start, span.records[0].timestamp)
        self._show_depth()

    async def _fetch(self) -> list[Span]:
        waiting = [lane.due - time.monotonic() for lane in self._lanes.values() if lane.todo]
        wait = max(0.0, min([self._batch_wait, *waiting]))
        return await self._subscription.fetch(max_records=self._batch_size, wait=wait)

    async def _advance(self, lane: Lane[M]) -> None:
        """Work through a lane until it is empty or must wait; only then is it fetched again."""
        while lane.todo and lane.due <= time.monotonic() and not self._stop.is_set():
            try:
                await self._set_unreadable_aside(lane)
                if lane.due <= time.monotonic():
                    await self._handle(lane)
            except Fenced as error:
                await self._start_over(lane, error)
            except Unavailable as error:
                self._postpone(lane, str(error))
        if lane.todo:
            self._subscription.pause(lane.partition)
        else:
            self._subscription.resume(lane.partition)
            self._health.clear(self._lane_name(lane))

    async def _set_unreadable_aside(self, lane: Lane[M]) -> None:
        unreadable = lane.todo[0].unreadable
        while unreadable:
            record, error = unreadable[0]
            if not lane.diversions.allow(failed=False):
                if not lane.divide(record.offset):
                    self._hold(lane, error)
                return
            await self._divert(lane, record, error)
            unreadable.popleft()

    async def _handle(self, lane: Lane[M]) -> None:
        work = lane.todo[0]
        if not work.batch.messages:
            await self._pass_over(lane, work)
            return
        try:
            with PROCESSING_SECONDS.labels(*self._labels).time():
                await self._handler(work.batch)
        except (Fenced, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - every error has its outcome
            await self._handle_failure(lane, work, error)
        else:
            crash_point("after_handler_before_commit")
            MESSAGES_IN.labels(*self._labels).inc(len(work.batch.messages))
            lane.diversions.passed(len(work.batch.messages))
            self._done(lane, work)

    async def _handle_failure(self, lane: Lane[M], work: Work[M], error: Exception) -> None:
        rejected = isinstance(error, Rejected)
        if len(work.batch.messages) > 1:
            RETRIES.labels(*self._labels).inc()
            self._log.warning("stream.batch_failed", error=detail(error))
            lane.split()
        elif not rejected and lane.fails + 1 < TRIES:
            lane.fails += 1
            self._postpone(lane, detail(error))
        elif not lane.diversions.allow(failed=not rejected):
            self._hold(lane, error)
        else:
            await self._divert(lane, work.batch.records[0], error)
            await self._pass_over(lane, work)

    async def _divert(self, lane: Lane[M], record: Record, error: Exception) -> None:
        """Set a record aside. Raises Unavailable when the log does not take the dead letter."""
        await self._bus.append(self._dead.name, [letter(record, error)])
        crash_point("after_dead_letter")
        lane.diversions.diverted(failed=reason(error) == "failed")
        MESSAGES_IN.labels(*self._labels).inc()
        MESSAGES_DEAD.labels(*self._labels).inc()
        MESSAGES_REJECTED.labels(*self._labels, reason(error)).inc()
        self._log.warning(
            "stream.set_aside",
            partition=record.partition,
            offset=record.offset,
            reason=reason(error),
            error=detail(error),
        )

    async def _pass_over(self, lane: Lane[M], work: Work[M]) -> None:
        """Move on without an effect."""
        if self._positions is not None:
            batch = work.batch
            await self._positions.skip(batch.topic, batch.partition, batch.start, batch.next)
        self._done(lane, work)

    def _done(self, lane: Lane[M], work: Work[M]) -> None:
        batch = work.batch
        self._to_commit[lane.partition] = batch.next
        at = batch.records[-1].timestamp if batch.records else self._marks[lane.partition].at
        self._marks[lane.partition] = Mark(batch.next, at)
        lane.finish()

    def _postpone(self, lane: Lane[M], why: str) -> None:
        RETRIES.labels(*self._labels).inc()
        lane.postpone(time.monotonic())
        if lane.tries >= TRIES:
            self._health.report(self._lane_name(lane), why)
        self._log.warning("stream.retry", partition=lane.partition, tries=lane.tries, error=why)

    def _hold(self, lane: Lane[M], error: Exception) -> None:
        """Stop a partition in which too much fails, rather than set everything aside."""
        lane.tries = max(lane.tries, TRIES)
        self._postpone(lane, f"too many messages fail; {detail(error)}")

    async def _start_over(self, lane: Lane[M], error: Fenced) -> None:
        """Another process was faster: drop what is in hand and read from what is stored."""
        self._log.warning("stream.fenced", partition=lane.partition, error=str(error))
        position = lane.todo[0].batch.start
        if self._positions is not None:
            stored = await self._positions.load(self._topic.name, [lane.partition])
            position = stored[lane.partition]
        self._forget(lane.partition)
        self._subscription.seek(lane.partition, position)

    def _forget(self, partition: int) -> None:
        self._to_commit.pop(partition, None)
        self._marks.pop(partition, None)
        lane = self._lanes.pop(partition, None)
        if lane:
            lane.todo.clear()
            self._health.clear(self._lane_name(lane))

    async def _commit_if_due(self) -> None:
        """Commit about once a second, and at once what another member waits for."""
        leaving = self._marks.keys() - self._subscription.assigned()
        if leaving or time.monotonic() - self._committed_at >= COMMIT_EVERY:
            await self._commit()
        for partition in leaving:
            self._forget(partition)

    async def _commit(self) -> None:
        self._committed_at = time.monotonic()
        while self._to_commit:
            partition, position = next(iter(self._to_commit.items()))
            try:
                await self._subscription.commit({partition: position})
            except Fenced as error:
                self._log.warning("stream.fenced", partition=partition, error=str(error))
                self._forget(partition)
            if self._to_commit.get(partition) == position:
                del self._to_commit[partition]

    async def _commit_at_last(self) -> None:
        """What cannot be committed now will be done again, which handlers bear."""
        try:
            async with asyncio.timeout(LAST_COMMIT):
                await self._commit()
        except (Unavailable, TimeoutError) as error:
            self._log.warning("stream.not_committed", error=str(error))

    async def _measure(self) -> None:
        """Keep the gauges fresh, and watch for a standstill that nothing explains."""
        gauges = Gauges(self._bus, self._topic.name, self._group)
        try:
            while True:
                await asyncio.sleep(MEASURE_EVERY)
                try:
                    await self._mark_unread()
                    stalled = await gauges.measure(dict(self._marks))
                except Unavailable as error:
                    self._log.debug("stream.not_measured", error=str(error))
                    continue
                if stalled > self._patience and self._health.ready:
                    faulthandler.dump_traceback()
                    raise Stuck(f"{self._name}: no progress for {stalled:.0f} s, and work waits.")
        finally:
            gauges.forget()

    async def _mark_unread(self) -> None:
        """Mark where the partitions stand of which nothing has come yet."""
        unread = self._subscription.assigned() - self._marks.keys()
        if not unread:
            return
        if self._positions is not None:
            stored = await self._positions.load(self._topic.name, unread)
        else:
            stored = await self._bus.committed(self._topic.name, self._group)
        for partition in unread - self._marks.keys():
            position = stored.get(partition, 0)
            self._marks[partition] = Mark(position, None)
            if self._positions is not None and position:
                # A process killed between its effect and the commit has left the log behind.
                self._to_commit.setdefault(partition, position)

    async def _wait_out(self, error: Unavailable) -> None:
        """Back off while the log does not answer; `stop` ends the wait."""
        self._health.report(self._name, str(error))
        self._log.warning("stream.unavailable", error=str(error))
        self._failures += 1
        try:
            async with asyncio.timeout(pause(self._failures)):
                await self._stop.wait()
        except TimeoutError:
            return

    def _note_well(self) -> None:
        if self._failures or not self._health.ready:
            self._failures = 0
            self._health.clear(self._name)

    def _show_depth(self) -> None:
        IN_HAND.labels(*self._labels).set(sum(lane.depth for lane in self._lanes.values()))

    def _lane_name(self, lane: Lane[M]) -> str:
        return f"{self._name}, partition {lane.partition}"


async def _first_of(work: Coroutine[Any, Any, None], watch: Coroutine[Any, Any, None]) -> None:
    """Run both until one ends, and end as it did."""
    tasks = [asyncio.create_task(work), asyncio.create_task(watch)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
