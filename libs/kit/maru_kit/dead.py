"""What an operator does with dead letters, and how history is run again.

Dead letters stay in their topic until its retention ends. What has been done with them stands in
a second topic, so that nothing is listed twice and no letter's text is touched.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from maru_contracts.topics import dead_letters
from maru_kit.bus import Bus, Outgoing, Record
from maru_kit.stream.letters import DeadTopic, original_headers

Progress = Callable[[int, int], None]
"""Called with how many records are done, and how many there are."""

_CHUNK = 500
_SUFFIX = ".dlq"
_ORIGIN = ("partition", "offset")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter without its content. `id` names it in its topic and group.

    `partition` and `offset` are where the original stands in `topic`; `at` is when the log took
    the original, `dead_at` when it was set aside.
    """

    id: int
    topic: str
    group: str
    reason: str
    error: str
    partition: int
    offset: int
    at: datetime
    dead_at: datetime


@dataclass(frozen=True)
class SettledTopic:
    """Which dead letters were replayed or dropped. A mark outlives its letter."""

    topic: str
    group: str
    partitions: int = 1
    retention: timedelta | None = timedelta(days=7)
    compacted: bool = False

    @property
    def name(self) -> str:
        """Its name in the log."""
        return f"{dead_letters(self.topic, self.group)}.settled"


async def dead_topics(bus: Bus) -> list[tuple[str, str]]:
    """Every topic and group that has dead letters, or had."""
    names = [name.removesuffix(_SUFFIX) for name in await bus.topics() if name.endswith(_SUFFIX)]
    return [(topic, group) for topic, _, group in (name.rpartition(".") for name in names)]


async def dead_list(bus: Bus, topic: str, group: str) -> list[DeadLetter]:
    """The dead letters that wait, oldest first; one a message, however often it was set aside."""
    return [_describe(record, group) for record in await _waiting(bus, topic, group)]


async def dead_replay(bus: Bus, topic: str, group: str, ids: Collection[int] | None = None) -> int:
    """Publish the originals again, all or those named, and return how many there were.

    Every group of the topic sees them again and knows them by their ids. A message that fails
    again becomes a new dead letter.
    """
    letters = await _chosen(bus, topic, group, ids)
    for chunk in _chunks(letters):
        await bus.append(topic, [_original(record) for record in chunk])
        await _settle(bus, topic, group, chunk, b"replayed")
    return len(letters)


async def dead_drop(bus: Bus, topic: str, group: str, ids: Collection[int] | None = None) -> int:
    """Give the letters up, all or those named, and return how many there were."""
    letters = await _chosen(bus, topic, group, ids)
    for chunk in _chunks(letters):
        await _settle(bus, topic, group, chunk, b"dropped")
    return len(letters)


async def replay(
    bus: Bus,
    topic: str,
    since: datetime | int | Literal["beginning"],
    progress: Progress | None = None,
) -> int:
    """Publish a topic's records again, to the same topic, and return how many there were.

    `since` is a time, an offset (in every partition) or `beginning`; the end is where the topic
    ends now. Records of one key keep their order.
    """
    ends = await bus.ends(topic)
    start = await _start(bus, topic, since)
    total = sum(max(0, ends[partition] - at) for partition, at in start.items())
    done = 0
    async for records in _read(bus, topic, start, ends):
        await bus.append(topic, [Outgoing(r.key, r.value, r.headers) for r in records])
        done += len(records)
        if progress:
            progress(done, total)
    return done


async def _start(
    bus: Bus, topic: str, since: datetime | int | Literal["beginning"]
) -> dict[int, int]:
    begins = await bus.begins(topic)
    if isinstance(since, datetime):
        return await bus.positions_at(topic, since)
    if since == "beginning":
        return begins
    return {partition: max(begin, since) for partition, begin in begins.items()}


async def _read(
    bus: Bus, topic: str, start: Mapping[int, int], ends: Mapping[int, int]
) -> AsyncIterator[Sequence[Record]]:
    """The records from `start` to before `ends`, in chunks of one partition."""
    for partition, end in ends.items():
        at = start[partition]
        while at < end:
            spans = await bus.read(topic, {partition: at}, max_records=_CHUNK)
            if not spans:
                break
            at = spans[0].next
            yield [record for record in spans[0].records if record.offset < end]


async def _waiting(bus: Bus, topic: str, group: str) -> list[Record]:
    """The letters that are neither replayed nor dropped; the first one of each message."""
    letters, marks = DeadTopic(topic, group), SettledTopic(topic, group)
    await bus.create([letters, marks])
    settled = {_origin(mark) for mark in await _everything(bus, marks.name)}
    waiting: dict[tuple[int, int], Record] = {}
    for letter in await _everything(bus, letters.name):
        if _origin(letter) not in settled:
            waiting.setdefault(_origin(letter), letter)
    return list(waiting.values())


async def _everything(bus: Bus, topic: str) -> list[Record]:
    begins, ends = await bus.begins(topic), await bus.ends(topic)
    return [record async for records in _read(bus, topic, begins, ends) for record in records]


async def _chosen(bus: Bus, topic: str, group: str, ids: Collection[int] | None) -> list[Record]:
    return [r for r in await _waiting(bus, topic, group) if ids is None or r.offset in ids]


async def _settle(
    bus: Bus, topic: str, group: str, letters: Sequence[Record], outcome: bytes
) -> None:
    """Mark the letters by the headers that say where the original stands."""
    marks = [
        Outgoing(
            letter.key,
            outcome,
            tuple((name, value) for name, value in letter.headers if name in _ORIGIN),
        )
        for letter in letters
    ]
    await bus.append(SettledTopic(topic, group).name, marks)


def _describe(record: Record, group: str) -> DeadLetter:
    header = {name: value.decode() for name, value in record.headers}
    return DeadLetter(
        id=record.offset,
        topic=header["topic"],
        group=group,
        reason=header["reason"],
        error=header["error"],
        partition=int(header["partition"]),
        offset=int(header["offset"]),
        at=datetime.fromisoformat(header["at"]),
        dead_at=record.timestamp,
    )


def _origin(record: Record) -> tuple[int, int]:
    """Where the original of a letter, or of a mark, stands."""
    header = dict(record.headers)
    return int(header["partition"]), int(header["offset"])


def _original(letter: Record) -> Outgoing:
    return Outgoing(letter.key, letter.value, original_headers(letter))


def _chunks(records: Sequence[Record]) -> list[Sequence[Record]]:
    return [records[at : at + _CHUNK] for at in range(0, len(records), _CHUNK)]
