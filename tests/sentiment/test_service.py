"""The running service: order, workers that die, topics that are defined on the way."""

import asyncio
import functools
import os
import signal
from base64 import b64decode
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import psutil

from maru_contracts.posts import Channel, Post, post_id
from maru_contracts.tags import TaggedPost, TermDefined, TopicDefined
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED, TERMS_DEFINED, TOPICS_DEFINED
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


async def tagged(
    bus: Bus, count: int, *, seconds: float = 60, of: Container[UUID] | None = None
) -> list[TaggedPost]:
    """Wait for `count` tagged posts, on a log that others write to for those `of` these ids."""
    async with asyncio.timeout(seconds):
        while True:
            start = await bus.begins(POSTS_TAGGED.name)
            spans = await bus.read(POSTS_TAGGED.name, start, max_records=5_000, wait=0.2)
            found = [
                TaggedPost.model_validate_json(record.value)
                for span in spans
                for record in span.records
            ]
            if of is not None:
                found = [tags for tags in found if tags.post.id in of]
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
            found = await tagged(bus, 50, of={post.id for post in posts})

    assert begin is not None
    assert list(dict.fromkeys(tags.post.id for tags in found)) == [post.id for post in posts]


async def test_a_deleted_post_passes_in_its_turn_with_the_tags_of_nothing(
    bus_url: str, tmp_path: Path
) -> None:
    posts = [a_post(number, f"Please add thing {number}") for number in range(60, 63)]
    gone = posts[0].model_copy(update={"revision": 1, "text": "", "deleted": True})
    ids = {post.id for post in posts}
    async with open_bus(bus_url) as bus:
        await bus.create(TOPICS)
        async with running(bus_url, tmp_path):
            await publish(bus, POSTS_COLLECTED, [posts[0], posts[1], gone, posts[2]])
            found = await tagged(bus, 3, of=ids)

    assert [it.post.id for it in found] == [it.id for it in (posts[0], posts[1], gone, posts[2])]
    (end,) = [it for it in found if it.post.deleted]
    assert (end.models, end.language, end.intent.label) == ((), "und", "other")
    assert not any(b64decode(end.embedding))


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


async def test_terms_that_are_defined_are_found_and_corrected_from_then_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    text = "War Zone on my 갤럭시 워치, unlike Rival"
    define = functools.partial(TermDefined, workspace="default", at=NOW)
    async with running(url, tmp_path), open_bus(url) as bus:
        await publish(bus, POSTS_COLLECTED, [a_post(0, text)])
        (before,) = await tagged(bus, 1)
        await publish(
            bus,
            TERMS_DEFINED,
            [
                define(name="Galaxy Watch", meaning="own", aliases=("갤럭시워치",)),
                define(name="Rival", meaning="competitor"),
                define(name="War Zone", meaning="positive"),
            ],
        )
        async with asyncio.timeout(30):
            number, after = 0, before
            while not after.entities:
                number += 1
                await publish(bus, POSTS_COLLECTED, [a_post(number, text)])
                after = (await tagged(bus, number + 1))[-1]

    assert (before.entities, before.sentiment.corrections) == ((), ())
    assert [(it.name, it.kind, text[it.start : it.end]) for it in after.entities] == [
        ("Galaxy Watch", "own", "갤럭시 워치"),
        ("Rival", "competitor", "Rival"),
    ]
    assert after.sentiment.corrections == ("War Zone",)
    assert after.sentiment.score > before.sentiment.score
    assert "terms" in {model.head for model in after.models}


async def test_a_correction_shows_in_the_explanation(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    app = create_app(Settings(common=Common(home=tmp_path, bus_url=url, instance="one")))
    headers = {"X-Maru-Workspace": "default", "X-Maru-Actor": "test", "X-Maru-Role": "reader"}
    corrected = TermDefined(workspace="default", name="awful", meaning="positive", at=NOW)
    async with app.router.lifespan_context(app), open_bus(url) as bus:
        await publish(bus, TERMS_DEFINED, [corrected])
        async with (
            asyncio.timeout(60),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://sentiment", headers=headers
            ) as client,
        ):
            while True:
                answer = await client.post("/api/v1/explanations", json={"text": "awful"})
                if answer.status_code == 200 and answer.json()["corrections"]:
                    break
                await asyncio.sleep(0.2)

    told = answer.json()
    assert told["corrections"] == ["awful"]
    assert (told["tags"][0]["head"], told["tags"][0]["label"]) == ("sentiment", "positive")
