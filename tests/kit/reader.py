"""A member of a group in a process of its own.

reader.py consume URL TOPIC GROUP INSTANCE    says each text that it has handled
reader.py hold URL TOPIC GROUP INSTANCE       fetches once, says so, and commits when told to
"""

import asyncio
import sys

import structlog

from kit.notes import Note, a_topic
from maru_kit.bus import Bus, open_bus
from maru_kit.errors import Fenced
from maru_kit.stream import Batch, consume


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _consume(bus: Bus, topic: str, group: str, instance: str) -> None:
    async def say(batch: Batch[Note]) -> None:
        for note in batch.messages:
            _say(note.text)

    stop = asyncio.Event()
    await consume(bus, a_topic(name=topic), group, say, instance=instance, stop=stop)


async def _hold(bus: Bus, topic: str, group: str, instance: str) -> None:
    async with bus.subscribe(topic, group, instance=instance) as subscription:
        spans = []
        while not spans:
            spans = await subscription.fetch(max_records=1000, wait=1.0)
        _say("fetched")
        await asyncio.to_thread(sys.stdin.readline)
        try:
            await subscription.commit({span.partition: span.next for span in spans})
            _say("committed")
        except Fenced:
            _say("fenced")


async def _main() -> None:
    mode, url, topic, group, instance = sys.argv[1:]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with open_bus(url) as bus:
        await {"consume": _consume, "hold": _hold}[mode](bus, topic, group, instance)


if __name__ == "__main__":
    asyncio.run(_main())
