"""Keeps subscriptions at hubs of feeds: asks for those that are due, and measures them."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import structlog

from maru_ingest.service.pushing import Pushing
from maru_kit.errors import Unavailable

log = structlog.get_logger(__name__)

_GAUGES_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Looks for subscriptions that are due, round by round; any number of processes may."""

    pushing: Pushing
    tick_seconds: float = 1.0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; hubs that are being asked then are heard out, which takes seconds."""
        gauges_due = 0.0
        while not stop.is_set():
            try:
                await self.pushing.tend()
                if time.monotonic() >= gauges_due:
                    await self.pushing.measure()
                    gauges_due = time.monotonic() + _GAUGES_EVERY
            except* Unavailable as errors:
                log.warning("subscriber.waits", reason=str(errors.exceptions[0]))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.tick_seconds):
                    await stop.wait()
