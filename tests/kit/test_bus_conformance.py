"""What every log promises: the same tests on SQLite and on Kafka."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from kit.notes import a_topic, child, everything, plain, texts, until
from maru_kit.bus import MAX_RECORD, Bus, Outgoing, Span, Subscription, open_bus
from maru_kit.errors import ConfigError, Fenced, Rejected


async def fetched(subscription: Subscription, count: int) -> list[Span]:
    """Spans with `count` records, in as many fetches as it takes."""
    spans: list[Span] = []
    async with asyncio.timeout(20):
        while sum(len(span.records) for span in spans) < count:
            spans += await subscription.fetch(max_records=1000, wait=0.5)
    return spans


def ends_of(spans: Iterable[Span]) -> dict[int, int]:
    return {span.partition: span.next for span in spans}


async def test_a_record_is_read_as_it_was_written(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])

    await bus.append(topic.name, [Outgoing(b"k\xff", b"v\x00", (("h", b"\xfe"), ("i", b"")))])

    [span] = await bus.read(topic.name, {0: 0}, max_records=10)
    [record] = span.records
    assert (span.partition, span.start, span.next) == (0, 0, 1)
    assert (record.topic, record.offset, record.key, record.value) == (
        topic.name, 0, b"k\xff", b"v\x00",
    )  # fmt: skip
    assert record.headers == (("h", b"\xfe"), ("i", b""))


async def test_records_outlive_the_handle_that_wrote_them(bus_url: str) -> None:
    topic = a_topic()
    async with open_bus(bus_url) as first:
        await first.create([topic])
        await first.append(topic.name, plain("a", "b", "c"))

    async with open_bus(bus_url) as second:
        assert await everything(second, topic.name) == ["a", "b", "c"]


async def test_creating_a_topic_again_leaves_it_as_it_is(bus: Bus) -> None:
    topic = a_topic(partitions=2)
    await bus.create([topic])
    await bus.append(topic.name, plain("a"))

    await bus.create([a_topic(name=topic.name, partitions=5)])

    assert len(await bus.ends(topic.name)) == 2
    assert await everything(bus, topic.name) == ["a"]
    assert topic.name in await bus.topics()


async def test_records_of_one_key_keep_their_order(bus: Bus) -> None:
    topic = a_topic()
    await bus.create([topic])

    async def write(key: str) -> None:
        for number in range(0, 60, 3):
            await bus.append(topic.name, plain(*map(str, range(number, number + 3)), key=key))

    await asyncio.gather(*(write(f"k{number}") for number in range(8)))

    read: dict[bytes, list[int]] = {}
    for partition, end in (await bus.ends(topic.name)).items():
        at = 0
        while at < end:
            [span] = await bus.read(topic.name, {partition: at}, max_records=1000)
            at = span.next
            for record in span.records:
                read.setdefault(record.key, []).append(int(record.value))
    assert read == {f"k{number}".encode(): list(range(60)) for number in range(8)}


async def test_a_topic_that_does_not_exist_is_named(bus: Bus) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        await bus.append("nowhere", plain("a"))
    with pytest.raises(ConfigError, match="nowhere"):
        await bus.ends("nowhere")


async def test_a_record_that_is_too_large_is_rejected_and_the_largest_is_kept(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])

    with pytest.raises(Rejected, match="larger"):
        await bus.append(topic.name, [Outgoing(b"k", b"x" * MAX_RECORD)])
    await bus.append(topic.name, [Outgoing(b"k", b"x" * (MAX_RECORD - 1))])

    [span] = await bus.read(topic.name, {0: 0}, max_records=10)
    assert len(span.records[0].value) == MAX_RECORD - 1


async def test_a_new_group_starts_at_the_beginning_and_goes_on_where_it_committed(
    bus_url: str,
) -> None:
    topic = a_topic()
    async with open_bus(bus_url) as bus:
        await bus.create([topic])
        await bus.append(topic.name, [Outgoing(b"%d" % n, b"old") for n in range(40)])
        async with bus.subscribe(topic.name, "g", instance="a") as subscription:
            spans = await fetched(subscription, 40)
            await subscription.commit(ends_of(spans))
        await bus.append(topic.name, plain("new"))

    async with (
        open_bus(bus_url) as bus,
        bus.subscribe(topic.name, "g", instance="a") as subscription,
    ):
        assert texts(await fetched(subscription, 1)) == ["new"]
        assert await bus.committed(topic.name, "g") == ends_of(spans)


async def test_what_was_not_committed_comes_again(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain("a", "b"))
    async with bus.subscribe(topic.name, "g", instance="a") as subscription:
        await fetched(subscription, 2)

    async with bus.subscribe(topic.name, "g", instance="a") as subscription:
        assert texts(await fetched(subscription, 2)) == ["a", "b"]


async def test_spans_follow_one_another_until_seek(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain(*map(str, range(10))))

    async with bus.subscribe(topic.name, "g", instance="a") as subscription:
        first = [await subscription.fetch(max_records=4, wait=5.0) for _ in range(3)]
        subscription.seek(0, 2)
        again = await subscription.fetch(max_records=4, wait=5.0)

    ranges = [(span.start, span.next) for [span] in first]
    assert ranges == [(0, 4), (4, 8), (8, 10)]
    assert [(span.start, span.next) for span in again] == [(2, 6)]


async def test_a_paused_partition_brings_nothing_until_it_is_resumed(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    async with bus.subscribe(topic.name, "g", instance="a") as subscription:
        await until(lambda: _has(subscription, {0}))
        subscription.pause(0)
        await bus.append(topic.name, plain("a"))

        assert await subscription.fetch(max_records=10, wait=0.5) == []
        subscription.resume(0)
        assert texts(await fetched(subscription, 1)) == ["a"]


async def _has(subscription: Subscription, partitions: set[int]) -> bool:
    await subscription.fetch(max_records=1, wait=0.05)
    return subscription.assigned() == partitions


class Kept:
    """Positions in memory."""

    def __init__(self, at: int) -> None:
        self.at = at

    async def load(self, _: str, partitions: Iterable[int]) -> Mapping[int, int]:
        return dict.fromkeys(partitions, self.at)

    async def skip(self, *place: object) -> None:
        raise AssertionError(place)


async def test_positions_kept_elsewhere_decide_where_reading_starts(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain(*map(str, range(10))))

    for at in (0, 7):
        async with bus.subscribe(
            topic.name, f"g{at}", instance="a", positions=Kept(at)
        ) as subscription:
            [span] = await fetched(subscription, 10 - at)
            assert (span.start, span.next) == (at, 10)


async def test_a_position_beyond_the_log_reads_from_its_beginning(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain("a", "b"))

    async with bus.subscribe(topic.name, "g", instance="a", positions=Kept(50)) as subscription:
        [span] = await fetched(subscription, 2)

    assert (span.start, span.next, texts([span])) == (50, 2, ["a", "b"])
    [span] = await bus.read(topic.name, {0: 50}, max_records=10)
    assert texts([span]) == ["a", "b"]


async def test_reading_waits_for_what_is_new(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    assert await bus.read(topic.name, {0: 0}, max_records=10) == []

    reading = asyncio.create_task(bus.read(topic.name, {0: 0}, max_records=10, wait=10.0))
    await asyncio.sleep(0.2)
    await bus.append(topic.name, plain("a"))

    assert texts(await reading) == ["a"]


async def test_positions_are_found_by_time(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    for text in "abc":
        await bus.append(topic.name, plain(text))
        await asyncio.sleep(0.02)
    [span] = await bus.read(topic.name, {0: 0}, max_records=10)
    second, third = span.records[1].timestamp, span.records[2].timestamp

    assert await bus.positions_at(topic.name, second) == {0: 1}
    assert await bus.positions_at(topic.name, second + timedelta(milliseconds=1)) == {0: 2}
    assert await bus.positions_at(topic.name, third + timedelta(hours=1)) == {0: 3}
    assert await bus.positions_at(topic.name, second - timedelta(days=1)) == {0: 0}


async def test_members_share_the_partitions(bus: Bus) -> None:
    topic = a_topic(partitions=5)
    await bus.create([topic])

    async with (
        bus.subscribe(topic.name, "g", instance="a") as first,
        _second_member(bus, topic.name, first) as second,
    ):
        assert await bus.members(topic.name, "g") == 2
        assert {len(first.assigned()), len(second.assigned())} == {2, 3}
        assert first.assigned() | second.assigned() == set(range(5))


def _second_member(bus: Bus, topic: str, first: Subscription) -> "_Joining":
    return _Joining(bus, topic, first)


class _Joining:
    """Joins while the first member goes on fetching, as it must for the group to settle."""

    def __init__(self, bus: Bus, topic: str, first: Subscription) -> None:
        self._joining = bus.subscribe(topic, "g", instance="b")
        self._first = first

    async def __aenter__(self) -> Subscription:
        entering = asyncio.create_task(self._joining.__aenter__())
        await until(lambda: self._fetch_until(entering))
        second = entering.result()

        async def shared() -> bool:
            for member in (self._first, second):
                await member.fetch(max_records=1, wait=0.05)
            return min(len(self._first.assigned()), len(second.assigned())) == 2

        await until(shared)
        return second

    async def _fetch_until(self, entering: asyncio.Task[Subscription]) -> bool:
        await self._first.fetch(max_records=1, wait=0.05)
        return entering.done()

    async def __aexit__(self, *_: object) -> None:
        await self._joining.__aexit__(None, None, None)


async def test_partitions_change_hands_without_loss_or_double_work(bus: Bus) -> None:
    topic = a_topic(partitions=4)
    await bus.create([topic])
    seen: dict[str, list[str]] = {"a": [], "b": []}
    written = 0

    async def work(instance: str, stop: asyncio.Event) -> None:
        async with bus.subscribe(topic.name, "g", instance=instance) as subscription:
            done: dict[int, int] = {}
            while not stop.is_set():
                if done.keys() - subscription.assigned():
                    await subscription.commit(done)
                    done = {}
                for span in await subscription.fetch(max_records=5, wait=0.1):
                    seen[instance] += texts([span])
                    done[span.partition] = span.next
            await subscription.commit(done)

    async def written_until(fact: Callable[[], bool]) -> None:
        nonlocal written
        async with asyncio.timeout(20):
            while not fact():
                numbers = [b"%d" % number for number in range(written, written + 10)]
                await bus.append(topic.name, [Outgoing(number, number) for number in numbers])
                written += 10
                await asyncio.sleep(0.05)

    stops = {"a": asyncio.Event(), "b": asyncio.Event()}
    async with asyncio.TaskGroup() as members:
        members.create_task(work("a", stops["a"]))
        await written_until(lambda: len(seen["a"]) >= 20)
        members.create_task(work("b", stops["b"]))
        await written_until(lambda: len(seen["b"]) >= 20)
        stops["a"].set()
        before = len(seen["b"])
        await written_until(lambda: len(seen["b"]) >= before + 40)
        await until(lambda: len(seen["a"]) + len(seen["b"]) >= written)
        stops["b"].set()

    assert sorted(map(int, seen["a"] + seen["b"])) == list(range(written))


async def test_a_killed_member_comes_back_at_once(bus_url: str, tmp_path: Path) -> None:
    topic = a_topic()
    async with open_bus(bus_url) as bus:
        await bus.create([topic])
        await bus.append(topic.name, [Outgoing(b"%d" % n, b"{}") for n in range(40)])
        with child(tmp_path, "hold", bus_url, topic.name, "g", "a") as process:
            await until(lambda: process.lines() == ["fetched"])
            process.process.send_signal(signal.SIGKILL)
            process.process.wait()

        async with asyncio.timeout(3), bus.subscribe(topic.name, "g", instance="a") as again:
            assert len(texts(await fetched(again, 40))) == 40


async def test_a_frozen_member_is_replaced_and_cannot_commit(bus_url: str, tmp_path: Path) -> None:
    topic = a_topic(partitions=1)
    async with open_bus(bus_url) as bus:
        await bus.create([topic])
        await bus.append(topic.name, plain("a", "b"))
        with child(tmp_path, "hold", bus_url, topic.name, "g", "frozen") as process:
            await until(lambda: process.lines() == ["fetched"])
            process.process.send_signal(signal.SIGSTOP)
            async with bus.subscribe(topic.name, "g", instance="other") as other:
                spans = await fetched(other, 2)
                await other.commit(ends_of(spans))

                process.process.send_signal(signal.SIGCONT)
                process.tell("commit")
                await until(lambda: _says(process.lines(), other), 15)

        assert process.lines() == ["fetched", "fenced"]
        assert await bus.committed(topic.name, "g") == {0: 2}


async def _says(lines: list[str], other: Subscription) -> bool:
    await other.fetch(max_records=1, wait=0.05)
    return len(lines) > 1


async def test_a_partition_that_was_lost_cannot_be_committed(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain("a"))

    async with bus.subscribe(topic.name, "g", instance="a") as subscription:
        await fetched(subscription, 1)
    with pytest.raises(Fenced):
        await subscription.commit({0: 1})
