"""Publishing and consuming: three outcomes, order, and what a kill costs."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from kit.notes import Note, a_topic, child, notes, plain, until
from maru_contracts.topics import Topic, dead_letters
from maru_kit.bus import Bus, Outgoing, Positions, Record, open_bus
from maru_kit.errors import Fenced, Rejected, Unavailable
from maru_kit.stream import Batch, Handler, StreamHealth, Stuck, consume, publish

G = "reader"


class Seen:
    """A handler that remembers, and that fails where it is told to."""

    def __init__(self, failures: Mapping[str, Exception] | None = None) -> None:
        self.texts: list[str] = []
        self.calls = 0
        self.failures = dict(failures or {})

    async def __call__(self, batch: Batch[Note]) -> None:
        self.calls += 1
        for note in batch.messages:
            if note.text in self.failures:
                raise self.failures[note.text]
        self.texts += [note.text for note in batch.messages]


class Store:
    """Effects and positions that commit together, as a handler's database does."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.at: dict[int, int] = {}
        self.skipped: list[tuple[int, int]] = []

    async def load(self, _: str, partitions: Iterable[int]) -> Mapping[int, int]:
        return {partition: self.at.get(partition, 0) for partition in partitions}

    async def skip(self, _: str, partition: int, start: int, next: int) -> None:
        self._move(partition, start, next)
        self.skipped.append((start, next))

    async def __call__(self, batch: Batch[Note]) -> None:
        if any(note.text == "bad" for note in batch.messages):
            raise Rejected("bad")
        self._move(batch.partition, batch.start, batch.next)
        self.texts += [note.text for note in batch.messages]

    def _move(self, partition: int, start: int, next_: int) -> None:
        if self.at.get(partition, 0) != start:
            raise Fenced(f"{partition} is at {self.at.get(partition, 0)}, not at {start}")
        self.at[partition] = next_


@asynccontextmanager
async def consuming(
    bus: Bus,
    topic: Topic[Note],
    handler: Handler[Note],
    *,
    instance: str = "a",
    batch_size: int = 200,
    positions: Positions | None = None,
    health: StreamHealth | None = None,
) -> AsyncIterator[None]:
    """Consume during the block; stop and drain at its end."""
    stop = asyncio.Event()
    running = asyncio.create_task(
        consume(
            bus,
            topic,
            G,
            handler,
            instance=instance,
            stop=stop,
            batch_size=batch_size,
            positions=positions,
            health=health,
        )
    )
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def dead(bus: Bus, topic: Topic[Note]) -> list[Record]:
    spans = await bus.read(dead_letters(topic.name, G), {0: 0}, max_records=1000)
    return [record for span in spans for record in span.records]


async def test_every_message_is_handled_once_and_in_the_order_of_its_key(bus: Bus) -> None:
    topic = a_topic()
    await bus.create([topic])
    order: dict[str, list[int]] = {}

    async def note_order(batch: Batch[Note]) -> None:
        for note in batch.messages:
            order.setdefault(note.key, []).append(int(note.text))

    async with consuming(bus, topic, note_order):
        await publish(bus, topic, notes(300, keys=10))
        await until(lambda: sum(map(len, order.values())) >= 300)

    assert order == {f"k{key}": list(range(key, 300, 10)) for key in range(10)}
    assert sum((await bus.committed(topic.name, G)).values()) == 300


async def test_a_batch_spans_from_where_the_last_one_ended(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(25))
    ranges: list[tuple[int, int]] = []

    async def note_range(batch: Batch[Note]) -> None:
        ranges.append((batch.start, batch.next))

    async with consuming(bus, topic, note_range, batch_size=10):
        await until(lambda: bool(ranges) and ranges[-1][1] == 25)

    assert ranges[0][0] == 0
    assert all(left[1] == right[0] for left, right in pairwise(ranges))


@pytest.mark.parametrize(
    ("value", "headers", "reason", "error"),
    [
        (b"{not json", (), "unreadable", "message: json_invalid"),
        (b'{"key": "k", "text": 7}', (), "unreadable", "text: string_type"),
        (b"\xff\xfe", (), "unreadable", "message: json_invalid"),
        (b'{"key": "k", "text": "t"}', (("schema", b"notes.v9"),), "schema", "notes.v9"),
    ],
)
async def test_what_cannot_be_read_becomes_a_dead_letter_and_the_rest_goes_on(
    bus: Bus, value: bytes, headers: tuple[tuple[str, bytes], ...], reason: str, error: str
) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    seen = Seen()
    await publish(bus, topic, notes(2))
    await bus.append(topic.name, [Outgoing(b"k", value, headers)])
    await publish(bus, topic, notes(2))

    async with consuming(bus, topic, seen):
        await until(lambda: len(seen.texts) == 4)

    [letter] = await dead(bus, topic)
    told = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k", value)
    assert told["reason"] == reason.encode()
    assert error in told["error"].decode()
    assert (told["topic"], told["partition"], told["offset"]) == (
        topic.name.encode(), b"0", b"2",
    )  # fmt: skip
    assert await bus.committed(topic.name, G) == {0: 5}


async def test_an_error_of_the_reader_quotes_nothing_of_the_message(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain('{"key": "k", "text": ["secret"]}'))
    await publish(bus, topic, [Note(key="k", text="secret")])
    seen = Seen({"secret": ValueError("secret")})

    async with consuming(bus, topic, seen):
        await until(lambda: _dead_count(bus, topic, 2))

    for letter in await dead(bus, topic):
        assert b"secret" not in dict(letter.headers)["error"]


async def _dead_count(bus: Bus, topic: Topic[Note], count: int) -> bool:
    if dead_letters(topic.name, G) not in await bus.topics():
        return False
    return len(await dead(bus, topic)) == count


async def test_one_rejected_message_is_set_aside_and_its_batch_is_done(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(10))
    seen = Seen({"4": Rejected("four is no number")})

    async with consuming(bus, topic, seen):
        await until(lambda: len(seen.texts) == 9)

    assert seen.texts == [str(number) for number in range(10) if number != 4]
    [letter] = await dead(bus, topic)
    assert dict(letter.headers)["error"] == b"four is no number"
    assert dict(letter.headers)["schema"] == topic.name.encode()


async def test_a_message_that_always_fails_delays_its_neighbours_by_less_than_a_second(
    bus: Bus,
) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(10))
    seen = Seen({"4": KeyError("x")})

    async with consuming(bus, topic, seen):
        await until(lambda: len(seen.texts) >= 4)
        await until(lambda: len(seen.texts) == 9, 1.5)

    [letter] = await dead(bus, topic)
    assert dict(letter.headers)["reason"] == b"failed"
    assert b"KeyError at " in dict(letter.headers)["error"]


async def test_a_batch_that_fails_once_is_tried_again_and_nothing_is_set_aside(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(10))
    seen = Seen({"4": RuntimeError("once")})

    async def once(batch: Batch[Note]) -> None:
        try:
            await seen(batch)
        finally:
            seen.failures.clear()

    async with consuming(bus, topic, once):
        await until(lambda: len(seen.texts) == 10)

    assert seen.texts == [str(number) for number in range(10)]
    assert await dead(bus, topic) == []


async def test_what_is_unavailable_is_waited_for(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(10))
    seen = Seen({"0": Unavailable("the database is down")})
    health = StreamHealth()

    async with consuming(bus, topic, seen, health=health):
        await until(lambda: "the database is down" in health.reason)
        assert not health.ready
        seen.failures.clear()
        await until(lambda: len(seen.texts) == 10)
        await until(lambda: health.ready)

    assert seen.texts == [str(number) for number in range(10)]
    assert await dead(bus, topic) == []


async def test_when_all_fail_the_stream_is_held_and_goes_on_after_the_repair(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(60))
    seen = Seen({str(number): RuntimeError("bug") for number in range(60)})
    health = StreamHealth()

    async with consuming(bus, topic, seen, health=health):
        await until(lambda: "too many messages fail" in health.reason)
        held = await dead(bus, topic)
        assert len(held) <= 5
        seen.failures.clear()
        await until(lambda: len(seen.texts) + len(held) == 60)
        await until(lambda: health.ready)

    assert len(await dead(bus, topic)) == len(held)


async def test_a_flood_of_unreadable_records_is_held(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(100))
    await bus.append(topic.name, plain(*["junk"] * 300))
    health = StreamHealth()
    seen = Seen()

    async with consuming(bus, topic, seen, health=health):
        await until(lambda: "too many messages fail" in health.reason)

    assert len(seen.texts) == 100
    assert len(await dead(bus, topic)) <= 100


async def test_a_held_partition_does_not_hold_the_others(bus: Bus) -> None:
    topic = a_topic(partitions=4)
    await bus.create([topic])
    await publish(bus, topic, [Note(key="sick", text="bad") for _ in range(30)])
    seen = Seen({"bad": RuntimeError("bug")})
    health = StreamHealth()

    async with consuming(bus, topic, seen, health=health):
        await until(lambda: not health.ready and "too many" in health.reason)
        sick = next(iter(p for p, end in (await bus.ends(topic.name)).items() if end))
        await publish(bus, topic, notes(100, keys=40))
        healthy = sum(end for p, end in (await bus.ends(topic.name)).items() if p != sick)
        await until(lambda: len(seen.texts) == healthy, 5)


async def test_a_dead_letter_that_cannot_be_written_stops_the_partition(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain("junk"))
    await publish(bus, topic, notes(3))
    seen = Seen()
    health = StreamHealth()
    closed = _NoDeadLetters(bus, topic)

    async with consuming(closed, topic, seen, health=health):  # type: ignore[arg-type]
        await until(lambda: "no room" in health.reason)
        assert seen.texts == []
        closed.full = False
        await until(lambda: len(seen.texts) == 3)

    assert len(await dead(bus, topic)) == 1


class _NoDeadLetters:
    """A log that refuses dead letters while it is full."""

    def __init__(self, bus: Bus, topic: Topic[Note]) -> None:
        self._bus = bus
        self._dead = dead_letters(topic.name, G)
        self.full = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus, name)

    async def append(self, topic: str, records: list[Outgoing]) -> None:
        if self.full and topic == self._dead:
            raise Unavailable("no room")
        await self._bus.append(topic, records)


async def test_stop_finishes_the_batch_in_hand_and_commits_it(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(100))
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen = Seen()

    async def slow(batch: Batch[Note]) -> None:
        begun.set()
        await go_on.wait()
        await seen(batch)

    stop = asyncio.Event()
    running = asyncio.create_task(
        consume(bus, topic, G, slow, instance="a", stop=stop, batch_size=30)
    )
    await begun.wait()
    stop.set()
    await asyncio.sleep(0.1)
    go_on.set()
    await asyncio.wait_for(running, 5)

    assert await bus.committed(topic.name, G) == {0: len(seen.texts)}
    assert 0 < len(seen.texts) <= 30


async def test_a_kill_between_effect_and_commit_loses_nothing(bus_url: str, tmp_path: Path) -> None:
    topic = a_topic()
    async with open_bus(bus_url) as bus:
        await bus.create([topic])
        await publish(bus, topic, notes(60))
        crash = {"MARU_CRASH_AT": "after_handler_before_commit:2"}
        with child(tmp_path, "consume", bus_url, topic.name, G, "a", env=crash) as process:
            assert process.process.wait(20) == -signal.SIGKILL
            first = process.lines()
        seen = Seen()
        async with consuming(bus, topic, seen):
            await until(lambda: {*first, *seen.texts} == {str(n) for n in range(60)}, 5)

        assert first


async def test_positions_in_the_handlers_store_make_each_effect_happen_once(bus: Bus) -> None:
    topic = a_topic()
    await bus.create([topic])
    store = Store()
    await publish(bus, topic, notes(100))
    for size in (7, 30):
        async with consuming(bus, topic, store, positions=store, batch_size=size):
            await until(lambda: len(store.texts) >= 100)
        await publish(bus, topic, notes(100))
        async with consuming(bus, topic, store, positions=store, batch_size=size):
            await until(lambda: len(store.texts) >= 200)
        assert sorted(store.texts) == sorted(str(n) for n in range(100) for _ in range(2))
        store.texts = store.texts[:100]


async def test_dead_letters_move_the_stored_position_without_a_gap(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    store = Store()
    await publish(bus, topic, [*notes(3), Note(key="k", text="bad"), *notes(3)])
    await bus.append(topic.name, plain("junk", "junk"))
    await publish(bus, topic, [Note(key="k", text="bad")])

    async with consuming(bus, topic, store, positions=store):
        await until(lambda: store.at.get(0) == 10)

    assert store.texts == ["0", "1", "2", "0", "1", "2"]
    assert len(await dead(bus, topic)) == 4


async def test_a_handler_that_was_fenced_reads_on_from_the_stored_position(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(20))
    store = Store()

    async def overtaken(batch: Batch[Note]) -> None:
        if not store.at:
            store.at[0] = 5  # another process has done the first five meanwhile
        await store(batch)

    async with consuming(bus, topic, overtaken, positions=store):
        await until(lambda: store.at.get(0) == 20)

    assert store.texts == [str(number) for number in range(5, 20)]


async def test_members_come_and_go_and_each_effect_happens_once(bus: Bus) -> None:
    topic = a_topic()
    await bus.create([topic])
    store = Store()

    async def feed() -> None:
        for start in range(0, 600, 20):
            await publish(bus, topic, notes(600)[start : start + 20])
            await asyncio.sleep(0.05)

    feeding = asyncio.create_task(feed())
    async with consuming(bus, topic, store, positions=store, instance="a", batch_size=10):
        await until(lambda: len(store.texts) > 100)
        async with consuming(bus, topic, store, positions=store, instance="b", batch_size=10):
            await feeding
        await until(lambda: len(store.texts) >= 600)

    assert sorted(map(int, store.texts)) == list(range(600))


async def test_lag_is_shown_while_work_waits(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(50))
    go_on = asyncio.Event()

    async def slow(_: Batch[Note]) -> None:
        await go_on.wait()

    def lag() -> float | None:
        labels = {"group": G, "topic": topic.name, "partition": "0"}
        return REGISTRY.get_sample_value("maru_stream_lag_messages", labels)

    async with consuming(bus, topic, slow):
        await until(lambda: lag() == 50)
        go_on.set()
        await until(lambda: lag() == 0)
    assert lag() is None


async def test_a_consumer_that_makes_no_progress_gives_up(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(1))

    async def wedged(_: Batch[Note]) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match="no progress"):
        await asyncio.wait_for(
            consume(bus, topic, G, wedged, instance="a", stop=asyncio.Event(), patience=1.0),
            20,
        )


async def test_a_cancelled_consumer_commits_what_is_done(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await publish(bus, topic, notes(5))
    seen = Seen()
    running = asyncio.create_task(consume(bus, topic, G, seen, instance="a", stop=asyncio.Event()))
    await until(lambda: len(seen.texts) == 5)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await bus.committed(topic.name, G) == {0: 5}
