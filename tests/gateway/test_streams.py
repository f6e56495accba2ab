"""The live stream on both kinds of log: no gap, and a `reset` where one can't be avoided."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from uuid import uuid4

import pytest

from maru_contracts.ideas import IdeaChanged
from maru_contracts.json_schemas import EXAMPLES
from maru_contracts.topics import IDEAS_CHANGED
from maru_gateway.live import Live, parse_id
from maru_kit.bus import Bus
from maru_kit.stream import publish

EXAMPLE = IdeaChanged.model_validate_json(
    next(iter(sorted((EXAMPLES / IDEAS_CHANGED.name).iterdir()))).read_text("utf-8")
)
MORE_THAN_A_QUEUE = 1_500
A_BURST = 300

Event = dict[str, str]


@pytest.fixture
def workspace() -> str:
    """A workspace of the test's own: the topic is everybody's."""
    return uuid4().hex


@pytest.fixture
async def live(bus: Bus) -> AsyncIterator[Live]:
    await bus.create([IDEAS_CHANGED])
    stop = asyncio.Event()
    live = Live(bus, on_change=lambda _: None)
    await live.start()
    running = asyncio.create_task(live.run(stop))
    yield live
    stop.set()
    await running


def changes(workspace: str, numbers: Sequence[int], *, public: bool = True) -> list[IdeaChanged]:
    """Changes of many products, so that they come to lie in several partitions."""
    return [
        EXAMPLE.model_copy(
            update={
                "actor": str(number),
                "idea": EXAMPLE.idea.model_copy(
                    update={
                        "workspace": workspace,
                        "product": str(number % 7),
                        "is_public": public,
                    }
                ),
            }
        )
        for number in numbers
    ]


def fields(chunk: bytes) -> Event:
    lines = [line.partition(": ") for line in chunk.decode().splitlines()]
    return {name: value for name, _, value in lines if name}


async def take(stream: AsyncIterator[bytes], count: int) -> list[Event]:
    """The next `count` events; comments are no events."""
    found: list[Event] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            event = fields(await anext(stream))
            if "event" in event:
                found.append(event)
    return found


def numbers(events: Sequence[Event]) -> list[int]:
    return sorted(int(json.loads(event["data"])["actor"]) for event in events)


async def test_who_breaks_off_anywhere_and_comes_back_misses_nothing(
    live: Live, bus: Bus, workspace: str
) -> None:
    async with aclosing(live.stream(workspace, public=False, after=None)) as stream:
        hello = fields(await anext(stream))
        await publish(bus, IDEAS_CHANGED, changes(workspace, range(20)))
        heard = await take(stream, 20)
    await publish(bus, IDEAS_CHANGED, changes(workspace, range(20, 40)))

    for count, last in ((0, hello["id"]), (7, heard[6]["id"]), (20, heard[-1]["id"])):
        async with aclosing(live.stream(workspace, public=False, after=last)) as stream:
            later = await take(stream, 40 - count)
        assert numbers(heard[:count] + later) == list(range(40))


async def test_who_breaks_off_while_catching_up_still_misses_nothing(
    live: Live, bus: Bus, workspace: str
) -> None:
    async with aclosing(live.stream(workspace, public=False, after=None)) as stream:
        last = fields(await anext(stream))["id"]
        await publish(bus, IDEAS_CHANGED, changes(workspace, range(10)))
        await take(stream, 10)

    async with aclosing(live.stream(workspace, public=False, after=last)) as stream:
        hello = fields(await anext(stream))
    assert "id" not in hello  # or the browser would go on from there


@pytest.mark.parametrize("last", ["junk", "-1", "1.x", "9" * 400, "", "٣", "1" * 3])
async def test_an_id_that_this_log_cannot_have_given_is_a_reset(
    live: Live, workspace: str, last: str
) -> None:
    async with aclosing(live.stream(workspace, public=False, after=last or ".")) as stream:
        (event,) = await take(stream, 1)

    assert event["event"] == "reset"
    assert parse_id(event["id"])


async def test_a_position_beyond_the_end_is_a_reset(live: Live, bus: Bus, workspace: str) -> None:
    ends = await bus.ends(IDEAS_CHANGED.name)
    beyond = ".".join(str(ends[p] + 1_000) for p in sorted(ends))

    async with aclosing(live.stream(workspace, public=False, after=beyond)) as stream:
        (event,) = await take(stream, 1)

    assert event["event"] == "reset"


async def test_a_reader_that_does_not_keep_up_is_told_to_begin_again(
    live: Live, bus: Bus, workspace: str
) -> None:
    slow = live.stream(workspace, public=False, after=None)
    quick = live.stream(workspace, public=False, after=None)
    async with aclosing(slow), aclosing(quick):
        await anext(slow)
        await anext(quick)
        heard: list[Event] = []
        for start in range(0, MORE_THAN_A_QUEUE, A_BURST):
            burst = range(start, start + A_BURST)
            await publish(bus, IDEAS_CHANGED, changes(workspace, burst))
            heard += await take(quick, A_BURST)

        late = [fields(chunk) async for chunk in slow]

    assert numbers(heard) == list(range(MORE_THAN_A_QUEUE))
    assert late[-1]["event"] == "reset"
    assert len(late) < MORE_THAN_A_QUEUE
    async with aclosing(live.stream(workspace, public=False, after=late[-2]["id"])) as again:
        rest = await take(again, MORE_THAN_A_QUEUE - len(late) + 1)
    assert numbers(late[:-1] + rest) == list(range(MORE_THAN_A_QUEUE))


async def test_the_public_hear_of_public_ideas_and_nobody_of_another_workspace(
    live: Live, bus: Bus, workspace: str
) -> None:
    async with aclosing(live.stream(workspace, public=True, after=None)) as stream:
        await anext(stream)
        await publish(bus, IDEAS_CHANGED, changes(workspace, [1], public=False))
        await publish(bus, IDEAS_CHANGED, changes(uuid4().hex, [2]))
        await publish(bus, IDEAS_CHANGED, changes(workspace, [1], public=True))
        (event,) = await take(stream, 1)

    assert json.loads(event["data"]) == {
        "id": str(EXAMPLE.id),
        "kind": EXAMPLE.kind,
        "idea": {"id": str(EXAMPLE.idea.id)},
    }


async def test_a_stream_ends_at_once_when_the_house_closes(live: Live, workspace: str) -> None:
    async with aclosing(live.stream(workspace, public=False, after=None)) as stream:
        await anext(stream)
        live.draining.set()
        async with asyncio.timeout(1):
            assert [chunk async for chunk in stream] == []
