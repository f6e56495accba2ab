"""Dead letters in an operator's hands, and history run again."""

from datetime import timedelta
from typing import Literal

import pytest

from kit.notes import Note, a_topic, everything, notes, plain
from maru_contracts.topics import Topic
from maru_kit.bus import Bus, Outgoing, Record
from maru_kit.dead import dead_drop, dead_list, dead_replay, dead_topics, replay
from maru_kit.errors import Rejected
from maru_kit.stream import publish
from maru_kit.stream.letters import DeadTopic, letter

G = "reader"


async def letters(bus: Bus, count: int = 3) -> Topic[Note]:
    """A topic with as many notes, each of which has become a dead letter."""
    topic = a_topic(partitions=1)
    await bus.create([topic, DeadTopic(topic.name, G)])
    await publish(bus, topic, notes(count))
    [span] = await bus.read(topic.name, {0: 0}, max_records=count)
    await set_aside(bus, list(span.records))
    return topic


async def set_aside(bus: Bus, records: list[Record]) -> None:
    dead = [letter(record, Rejected("no")) for record in records]
    await bus.append(DeadTopic(records[0].topic, G).name, dead)


async def test_letters_are_listed_with_their_origin_and_without_their_text(bus: Bus) -> None:
    topic = await letters(bus, 2)

    first, second = await dead_list(bus, topic.name, G)

    assert (first.id, first.partition, first.offset) == (0, 0, 0)
    assert (second.topic, second.group, second.offset) == (topic.name, G, 1)
    assert (first.reason, first.error) == ("rejected", "no")
    assert first.dead_at >= first.at
    assert '"text"' not in repr(first)
    assert (topic.name, G) in await dead_topics(bus)


async def test_a_replayed_letter_is_as_it_was_and_is_not_listed_again(bus: Bus) -> None:
    topic = await letters(bus)

    assert await dead_replay(bus, topic.name, G, {1}) == 1
    assert [found.id for found in await dead_list(bus, topic.name, G)] == [0, 2]
    assert await dead_replay(bus, topic.name, G) == 2

    assert await dead_list(bus, topic.name, G) == []
    [span] = await bus.read(topic.name, {0: 0}, max_records=10)
    originals = [(r.key, r.value, r.headers) for r in span.records[:3]]
    again = [(r.key, r.value, r.headers) for r in span.records[3:]]
    assert again == [originals[1], originals[0], originals[2]]


async def test_a_dropped_letter_is_not_listed_and_not_published(bus: Bus) -> None:
    topic = await letters(bus)

    assert await dead_drop(bus, topic.name, G, [0, 2]) == 2

    assert [found.id for found in await dead_list(bus, topic.name, G)] == [1]
    assert await bus.ends(topic.name) == {0: 3}


async def test_a_message_that_was_set_aside_twice_is_one_letter(bus: Bus) -> None:
    topic = await letters(bus)
    [span] = await bus.read(topic.name, {0: 0}, max_records=1)
    await set_aside(bus, list(span.records))

    assert len(await dead_list(bus, topic.name, G)) == 3
    assert await dead_replay(bus, topic.name, G) == 3
    assert await dead_list(bus, topic.name, G) == []


async def test_a_group_without_dead_letters_has_none(bus: Bus) -> None:
    topic = a_topic()
    await bus.create([topic])

    assert await dead_list(bus, topic.name, "nobody") == []


@pytest.mark.parametrize(
    ("since", "expected"), [("beginning", ["a", "b", "c"]), (2, ["c"]), (9, [])]
)
async def test_replay_publishes_what_is_there_once_more(
    bus: Bus, since: int | Literal["beginning"], expected: list[str]
) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, plain("a", "b", "c"))
    told: list[tuple[int, int]] = []

    count = await replay(
        bus,
        topic.name,
        since,
        progress=lambda done, total: told.append((done, total)),
    )

    assert count == len(expected)
    assert await everything(bus, topic.name) == ["a", "b", "c", *expected]
    assert told == ([(count, count)] if count else [])


async def test_replay_from_a_time_starts_with_the_first_record_of_that_time(bus: Bus) -> None:
    topic = a_topic(partitions=1)
    await bus.create([topic])
    await bus.append(topic.name, [Outgoing(b"k", b"a", (("h", b"1"),))])
    [span] = await bus.read(topic.name, {0: 0}, max_records=1)
    at = span.records[0].timestamp

    assert await replay(bus, topic.name, at + timedelta(seconds=5)) == 0
    assert await replay(bus, topic.name, at) == 1

    [span] = await bus.read(topic.name, {0: 1}, max_records=1)
    assert span.records[0].headers == (("h", b"1"),)
