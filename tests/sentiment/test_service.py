"""The running service: order, workers that die, topics that are defined on the way."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from maru_contracts.posts import Channel, Post, post_id
from maru_contracts.tags import TaggedPost, TopicDefined
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED, TOPICS_DEFINED
from maru_kit.bus import Bus, open_bus
from maru_kit.settings import Common
from maru_kit.stream import publish
from maru_sentiment.app import TOPICS, create_app
from maru_sentiment.settings import Settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def a_post(number: int, text: str) -> Post:
    return Post(
        id=post_id("default", "test", str(number)),
        workspace="default",
        source_id="test",
        channel=Channel.REVIEW,
        native_id=str(number),
        text=text,
        created_at=NOW,
        collected_at=NOW,
    )


@asynccontextmanager
async def running(bus_url: str, home: Path) -> AsyncIterator[None]:
    common = Common(home=home, bus_url=bus_url, instance="one")
    app = create_app(Settings(common=common, batch_size=20))
    async with app.router.lifespan_context(app):
        yield


async def tagged(bus: Bus, count: int, *, seconds: float = 60) -> list[TaggedPost]:
    """Wait for `count` tagged posts."""
    async with asyncio.timeout(seconds):
        while True:
            start = await bus.begins(POSTS_TAGGED.name)
            spans = await bus.read(POSTS_TAGGED.name, start, max_records=5_000, wait=0.2)
            found = [
                TaggedPost.model_validate_json(record.value)
                for span in spans
                for record in span.records
            ]
            if len({tags.post.id for tags in found}) >= count:
                return found


async def test_posts_come_out_tagged_in_the_order_they_came_in(
    bus_url: str, tmp_path: Path
) -> None:
    async with open_bus(bus_url) as bus:
        await bus.create(TOPICS)
        begin = await bus.ends(POSTS_TAGGED.name)
        posts = [a_post(number, f"Please add thing {number}") for number in range(50)]
        async with running(bus_url, tmp_path):
            await publish(bus, POSTS_COLLECTED, posts)
            found = await tagged(bus, 50)

    assert begin is not None
    ours = [tags.post.id for tags in found if tags.post.source_id == "test"]
    assert list(dict.fromkeys(ours)) == [post.id for post in posts]


async def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    async with open_bus(url) as bus, running(url, tmp_path):
        await publish(bus, POSTS_COLLECTED, [a_post(0, "first")])
        await tagged(bus, 1)
        (worker,) = [
            child
            for child in psutil.Process().children()
            if "spawn_main" in " ".join(child.cmdline())
        ]
        os.kill(worker.pid, signal.SIGKILL)

        await publish(bus, POSTS_COLLECTED, [a_post(n, f"text {n}") for n in range(1, 30)])

        assert len(await tagged(bus, 30)) >= 30


async def test_the_event_loop_goes_on_while_models_work(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    gaps: list[float] = []

    async def heartbeat() -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await asyncio.sleep(0.005)
            gaps.append(loop.time() - began)

    async with open_bus(url) as bus, running(url, tmp_path):
        await publish(bus, POSTS_COLLECTED, [a_post(0, "warm up")])
        await tagged(bus, 1)
        beating = asyncio.create_task(heartbeat())
        posts = [a_post(n, "The battery drains too fast " * 8) for n in range(1, 200)]
        await publish(bus, POSTS_COLLECTED, posts)
        end = await bus.ends(POSTS_COLLECTED.name)
        async with asyncio.timeout(60):
            while await bus.committed(POSTS_COLLECTED.name, "sentiment") != {
                p: e for p, e in end.items() if e
            }:
                await asyncio.sleep(0.05)
        beating.cancel()

    gaps.sort()
    assert gaps[int(len(gaps) * 0.95)] < 0.1  # a batch takes 300 ms; a busy machine blurs the rest


async def test_a_topic_that_is_defined_tags_posts_from_then_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    defined = TopicDefined(
        workspace="default", name="parking", examples=("nowhere to park my car",), at=NOW
    )
    async with open_bus(url) as bus, running(url, tmp_path):
        await bus.create(TOPICS)
        await publish(bus, TOPICS_DEFINED, [defined])
        await asyncio.sleep(2)
        await publish(bus, POSTS_COLLECTED, [a_post(1, "I could not park my car anywhere")])
        (found,) = await tagged(bus, 1)

    assert "parking" in [topic.name for topic in found.topics]
