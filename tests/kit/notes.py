"""A message of no product, topics for it, and processes that read it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO
from uuid import uuid4

from maru_contracts.message import Message
from maru_contracts.topics import Topic
from maru_kit.bus import Bus, Outgoing, Span

_READER = Path(__file__).with_name("reader.py")


class Note(Message):
    """Something written down."""

    key: str
    text: str


def a_topic(
    *,
    partitions: int = 4,
    retention: timedelta | None = timedelta(days=1),
    compacted: bool = False,
    name: str | None = None,
) -> Topic[Note]:
    """A topic of its own for each test: the Kafka broker is shared."""
    return Topic(
        name=name or f"notes.taken-{uuid4().hex[:12]}.v1",
        message=Note,
        key=lambda note: note.key,
        producer="test",
        consumers=("test",),
        partitions=partitions,
        retention=retention,
        compacted=compacted,
    )


def notes(count: int, keys: int = 20) -> list[Note]:
    """Notes `0`, `1`, … that take turns in their keys."""
    return [Note(key=f"k{number % keys}", text=str(number)) for number in range(count)]


def plain(*texts: str, key: str = "k") -> list[Outgoing]:
    """Records that are no messages."""
    return [Outgoing(key.encode(), text.encode()) for text in texts]


def texts(spans: list[Span]) -> list[str]:
    """The values of all records."""
    return [record.value.decode() for span in spans for record in span.records]


async def everything(bus: Bus, topic: str) -> list[str]:
    """The values of all that is in a topic, partition after partition."""
    found: list[str] = []
    ends = await bus.ends(topic)
    for partition, at in (await bus.begins(topic)).items():
        position = at
        while position < ends[partition]:
            spans = await bus.read(topic, {partition: position}, max_records=1000)
            found += texts(spans)
            position = spans[0].next
    return found


async def until(fact: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until `fact` holds; fail when it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            holds = fact()
            if holds is True or (not isinstance(holds, bool) and await holds):
                return
            await asyncio.sleep(0.02)


class Child:
    """A reader in a process of its own; it says what it does, one line each."""

    def __init__(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        self.process = process
        self._log = log

    def lines(self) -> list[str]:
        """What it has said so far (a line that is being written is not told yet)."""
        return Path(self._log.name).read_text().split("\n")[:-1]

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def child(tmp_path: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run `reader.py` with the arguments until the end of the block, or until it ends."""
    with (tmp_path / f"{uuid4().hex}.out").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(_READER), *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_READER.parents[1]), **(env or {})},
        )
        try:
            yield Child(process, log)
        finally:
            process.kill()
            process.communicate()
