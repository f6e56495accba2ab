"""What a consumer has in hand for one partition, and the rules for when it goes wrong."""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Generic, TypeVar

from maru_contracts.message import Message
from maru_contracts.topics import Topic
from maru_kit.bus import Record, Span
from maru_kit.stream.messages import Batch, Unreadable, decode

M = TypeVar("M", bound=Message)

TRIES = 5
"""Calls of a handler for one message before it is set aside; together they wait under a second."""
WINDOW, DIVERTED = 1000, 50
"""Of a partition's last WINDOW messages at most DIVERTED are set aside."""
FAILED_IN_A_ROW = 5
"""Messages in a row that may be set aside for failing without having been rejected."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


def pause(tries: int) -> float:
    """Seconds before the next try: exponential backoff with full jitter."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 20)))


class Diversions:
    """Guards the dead letters of one partition against a flood.

    One message that keeps failing between others that pass is that message's fault; many are
    the fault of code, schema or environment, and must wait for its repair.
    """

    def __init__(self) -> None:
        self._passed: deque[bool] = deque(maxlen=WINDOW)
        self._failed_in_a_row = 0

    def allow(self, *, failed: bool) -> bool:
        """Whether one more may be set aside; `failed` when it was tried and not rejected."""
        if failed and self._failed_in_a_row >= FAILED_IN_A_ROW:
            return False
        return self._passed.count(False) < DIVERTED

    def diverted(self, *, failed: bool) -> None:
        """Count one that was set aside."""
        self._passed.append(False)
        self._failed_in_a_row += failed

    def passed(self, count: int) -> None:
        """Count messages that were processed."""
        self._passed.extend([True] * count)
        self._failed_in_a_row = 0


@dataclass(slots=True)
class Work(Generic[M]):
    """A batch, and the records in its range that must be set aside before it moves on."""

    batch: Batch[M]
    unreadable: deque[tuple[Record, Unreadable]] = field(default_factory=deque)


class Lane(Generic[M]):
    """One partition: the work in hand, in order, and when to go on with it.

    `tries` counts what went wrong with the first piece for whatever reason, `fails` what may be
    its own fault.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.todo: deque[Work[M]] = deque()
        self.diversions = Diversions()
        self.tries = 0
        self.fails = 0
        self.due = 0.0

    def postpone(self, now: float) -> None:
        """Try again later, each time later than the time before."""
        self.due = now + pause(self.tries)
        self.tries += 1

    def finish(self) -> None:
        """The first piece of work is done."""
        self.todo.popleft()
        self.tries = self.fails = 0

    def split(self) -> None:
        """Go on with the messages of the first piece one at a time."""
        self.todo.extendleft(reversed(_alone(self.todo.popleft().batch)))
        self.tries = self.fails = 0

    def divide(self, offset: int) -> bool:
        """Go on with what stands before `offset` in the first piece, if there is any."""
        work = self.todo[0]
        count = sum(record.offset < offset for record in work.batch.records)
        if count:
            before, after = _cut(work.batch, count, offset)
            self.todo[0] = Work(after, work.unreadable)
            self.todo.appendleft(Work(before))
        return count > 0

    @property
    def depth(self) -> int:
        """Records in hand."""
        return sum(len(work.batch.messages) + len(work.unreadable) for work in self.todo)


def work_for(topic: Topic[M], span: Span) -> Work[M]:
    """Read a span: its messages as one batch, the rest as unreadable."""
    messages: list[M] = []
    records: list[Record] = []
    unreadable: deque[tuple[Record, Unreadable]] = deque()
    for record in span.records:
        try:
            messages.append(decode(topic, record))
            records.append(record)
        except Unreadable as error:
            unreadable.append((record, error))
    batch = Batch(topic.name, span.partition, span.start, span.next, messages, records)
    return Work(batch, unreadable)


def _cut(batch: Batch[M], count: int, position: int) -> tuple[Batch[M], Batch[M]]:
    """The batch up to `position`, with its first `count` messages, and the rest of it."""
    before, after = slice(count), slice(count, None)
    return (
        replace(
            batch,
            next=position,
            messages=batch.messages[before],
            records=batch.records[before],
        ),
        replace(
            batch,
            start=position,
            messages=batch.messages[after],
            records=batch.records[after],
        ),
    )


def _alone(batch: Batch[M]) -> Sequence[Work[M]]:
    """One batch for each message, that together cover the same range without a gap."""
    cuts = [batch.start, *(record.offset + 1 for record in batch.records[:-1]), batch.next]
    return [
        Work(Batch(batch.topic, batch.partition, start, next_, [message], [record]))
        for (start, next_), message, record in zip(
            pairwise(cuts), batch.messages, batch.records, strict=True
        )
    ]
