"""How far a consumer is behind: measured every second, beside the work."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from maru_kit.bus import Bus
from maru_kit.metrics import LAG, OLDEST_SECONDS

_ASLEEP = 5.0
"""Seconds without a measurement after which a standstill counts anew: log or process was away."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is: its next position, and the time of a record not newer than that."""

    position: int
    at: datetime | None


class Gauges:
    """The lag of one group in one topic, and the age of what waits longest."""

    def __init__(self, bus: Bus, topic: str, group: str) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._shown: set[int] = set()
        self._progress: object = None
        self._since = self._measured = time.monotonic()

    async def measure(self, marks: Mapping[int, Mark]) -> float:
        """Set the gauges; return for how many seconds nothing has moved although work waits."""
        begins, ends = await self._bus.begins(self._topic), await self._bus.ends(self._topic)
        lags = {p: ends[p] - max(begins[p], mark.position) for p, mark in marks.items()}
        for partition, lag in lags.items():
            labels = (self._group, self._topic, str(partition))
            LAG.labels(*labels).set(lag)
            OLDEST_SECONDS.labels(*labels).set(_age(marks[partition]) if lag > 0 else 0)
        self.forget(self._shown - lags.keys())
        self._shown = set(lags)
        return self._stalled(any(lag > 0 for lag in lags.values()), marks)

    def forget(self, partitions: Collection[int] | None = None) -> None:
        """Stop showing partitions that are no longer ours; all of them by default."""
        for partition in self._shown if partitions is None else partitions:
            labels = (self._group, self._topic, str(partition))
            LAG.remove(*labels)
            OLDEST_SECONDS.remove(*labels)

    def _stalled(self, waiting: bool, marks: Mapping[int, Mark]) -> float:  # noqa: FBT001
        progress = {partition: mark.position for partition, mark in marks.items()}
        now = time.monotonic()
        asleep = now - self._measured > _ASLEEP
        if not waiting or asleep or progress != self._progress:
            self._progress, self._since = progress, now
        self._measured = now
        return now - self._since


def _age(mark: Mark) -> float:
    if mark.at is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - mark.at).total_seconds())
