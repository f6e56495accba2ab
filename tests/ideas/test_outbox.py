import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ideas.conftest import OpenParts, take
from ideas.factories import a_tagged
from maru_contracts.ideas import IdeaChanged
from maru_contracts.message import Message
from maru_contracts.tags import TopicDefined
from maru_contracts.topics import IDEAS_CHANGED, TOPICS_DEFINED, Topic
from maru_ideas.app import Parts
from maru_ideas.outbox import LEASE, Outbox, Relay
from maru_kit.bus import Record


async def published(parts: Parts, topic: Topic[Message]) -> list[Record]:
    start = dict.fromkeys(range(topic.partitions), 0)
    spans = await parts.bus.read(topic.name, start, max_records=10_000)
    return [record for span in spans for record in span.records]


async def changes(parts: Parts) -> list[IdeaChanged]:
    records = await published(parts, IDEAS_CHANGED)  # type: ignore[arg-type]
    return [IdeaChanged.model_validate_json(record.value) for record in records]


async def drain(relay: Relay) -> int:
    sent = 0
    while more := await relay.publish_waiting():
        sent += more
    return sent


async def test_events_leave_once_and_in_order(parts: Parts) -> None:
    await take(parts, [a_tagged(str(n), subject=n % 5, product=f"p{n % 3}") for n in range(600)])

    assert await drain(parts.relay) == 600
    assert await drain(parts.relay) == 0

    versions: defaultdict[UUID, list[int]] = defaultdict(list)
    for change in await changes(parts):
        versions[change.idea.id].append(change.idea.version)
    assert sum(map(len, versions.values())) == 600
    assert all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())


async def test_of_two_relays_one_works_until_it_is_silent(open_parts: OpenParts) -> None:
    first, second = await open_parts(), await open_parts()
    outbox, now = Outbox(first.database), datetime.now(UTC)

    assert await outbox.lease("first", now)
    assert not await Outbox(second.database).lease("second", now)
    assert await outbox.lease("first", now + LEASE / 2)
    assert await Outbox(second.database).lease("second", now + 2 * LEASE)
    assert not await outbox.lease("first", now + 2 * LEASE + timedelta(seconds=1))


async def test_concurrent_relays_keep_each_ideas_order(open_parts: OpenParts) -> None:
    first, second = await open_parts(), await open_parts()
    relays = [
        Relay(Outbox(it.database), it.bus, name) for it, name in ((first, "a"), (second, "b"))
    ]
    await take(first, [a_tagged(str(n), subject=n % 3) for n in range(300)])

    await asyncio.gather(*(drain(relay) for relay in relays))

    seen: defaultdict[UUID, list[int]] = defaultdict(list)
    for change in await changes(first):
        seen[change.idea.id].append(change.idea.version)
    assert sum(map(len, seen.values())) == 300
    assert all(versions == sorted(versions) for versions in seen.values())


async def test_what_was_not_acknowledged_goes_out_again(parts: Parts) -> None:
    await take(parts, [a_tagged("1")])
    waiting = await Outbox(parts.database).waiting(10)
    await parts.relay.publish_waiting()

    assert [event.topic for event in waiting] == [IDEAS_CHANGED.name]
    assert await Outbox(parts.database).waiting(10) == []


async def test_a_defined_topic_is_told_to_the_tagger(parts: Parts) -> None:
    await parts.desk.define_topic("default", "dark mode", ["다크 모드", "night theme"])
    await parts.desk.remove_topic("default", "dark mode")
    await drain(parts.relay)

    records = await published(parts, TOPICS_DEFINED)  # type: ignore[arg-type]

    newest = TopicDefined.model_validate_json(records[-1].value)
    assert (newest.name, newest.removed) == ("dark mode", True)


async def test_a_relay_that_is_stopped_leaves_nothing_behind(parts: Parts) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(parts.relay.run(stop))
    await take(parts, [a_tagged("1")])
    parts.relay.wake()

    stop.set()
    await running

    assert len(await changes(parts)) == 1


async def test_depth_and_age_are_told(parts: Parts) -> None:
    await take(parts, [a_tagged("1"), a_tagged("2")])

    depth, oldest = await Outbox(parts.database).backlog()

    assert depth == 2
    assert oldest is not None
