"""People correct forty posts, and the next one is tagged as they would."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest

from cli.conftest import until
from e2e.house import PATIENCE, House, open_house
from maru_contracts.posts import Channel, Post, post_id
from maru_contracts.topics import POSTS_COLLECTED
from maru_kit.bus import open_bus
from maru_kit.stream import publish
from sentiment.slang import sick_posts

_PRODUCTION = pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])
NEW = "the recorder is sick"


@pytest.fixture(params=["embedded", _PRODUCTION])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with open_house(request.param, tmp_path_factory.mktemp(request.param)) as house:
        yield house


def a_post(number: int, text: str) -> Post:
    now = datetime.now(UTC)
    return Post(
        id=post_id("default", "test", str(number)),
        workspace="default",
        source_id="test",
        channel=Channel.REVIEW,
        native_id=str(number),
        text=text,
        created_at=now,
        collected_at=now,
    )


def collect(house: House, posts: Sequence[Post]) -> None:
    async def write() -> None:
        async with open_bus(house.bus_url) as bus:
            await publish(bus, POSTS_COLLECTED, posts)

    asyncio.run(write())


def tagged(house: House) -> dict[str, Any]:
    """All posts by their text."""
    answer = house.client.get("/api/v1/posts", params={"limit": 100}).raise_for_status()
    return {it["post"]["text"]: it for it in answer.json()["items"]}


def new_one(house: House, number: int) -> Any:
    """Collect one more post, and return it when it is tagged."""
    text = f"{NEW} {'!' * number}"
    collect(house, [a_post(1_000 + number, text)])
    until(lambda: text in tagged(house), seconds=PATIENCE)
    return tagged(house)[text]


def head_of(house: House) -> Any:
    answer = house.client.get("/api/v1/models/learnt").raise_for_status().json()
    return next(it for it in answer["heads"] if it["head"] == "sentiment")


def model_of(post: Any) -> str:
    return next(str(it["name"]) for it in post["models"] if it["head"] == "sentiment")


def test_a_described_topic_is_found_in_posts_and_keeps_its_corrections_under_a_new_name(
    house: House,
) -> None:
    path = "/api/v1/topics"
    told = {"description": "When customers want their money back."}
    house.client.put(f"{path}/refunds", json=told).raise_for_status()
    number = 0

    def topics_of_a_new_post() -> set[str]:
        nonlocal number
        number += 1
        text = f"please give me my money back {'!' * number}"
        collect(house, [a_post(number, text)])
        until(lambda: text in tagged(house), seconds=PATIENCE)
        return {it["name"] for it in tagged(house)[text]["topics"]}

    until(lambda: "refunds" in topics_of_a_new_post(), seconds=PATIENCE)
    post = post_id("default", "test", "1")
    said = {"topics": ["refunds"]}
    house.client.put(f"/api/v1/posts/{post}/correction", json=said).raise_for_status()
    renamed = house.client.post(f"{path}/refunds/name", json={"name": "returns"})
    until(lambda: "returns" in topics_of_a_new_post(), seconds=PATIENCE)
    again = house.client.put(f"/api/v1/posts/{post}/correction", json=said | {"mood": "neutral"})

    assert renamed.json()["formerly"] == ["refunds"]
    assert [it["name"] for it in again.json()["topics"]] == ["returns"]
    assert "refunds" not in topics_of_a_new_post()


def test_forty_corrections_teach_maru_how_a_workspace_speaks(house: House) -> None:
    said = sick_posts()
    Random(1).shuffle(said)
    said = said[:40]
    posts = [a_post(number, text) for number, (text, _) in enumerate(said)]
    collect(house, posts)
    until(lambda: len(tagged(house)) == len(said), seconds=PATIENCE)
    before = new_one(house, 0)

    for post, (_, mood) in zip(posts, said, strict=True):
        path = f"/api/v1/posts/{post.id}/correction"
        house.client.put(path, json={"mood": mood}).raise_for_status()
    number = 1
    while (after := new_one(house, number))["sentiment"]["label"] != "positive":
        number += 1
        assert number < 40, "no head was learnt"
    until(lambda: head_of(house)["corrections"] == len(said), seconds=PATIENCE)
    collect(house, posts)  # again, as a replay does
    last = new_one(house, number + 1)

    assert (before["sentiment"]["label"], model_of(before)) == ("negative", "maru-network")
    assert model_of(after) == model_of(last) == "maru-network+corrections"
    assert head_of(house)["state"] == "used"
    assert head_of(house)["accuracy"] > head_of(house)["base_accuracy"] + 0.2
    found = tagged(house)
    assert {text: found[text]["sentiment"]["label"] for text, _ in said} == dict(said)
    assert all(found[text]["correction"]["by"].startswith("key:") for text, _ in said)
    assert moods_of_ideas(house) == moods_behind(house)


def moods_of_ideas(house: House) -> dict[UUID, dict[str, int]]:
    asked = {"limit": 100}
    ideas = house.client.get("/api/v1/ideas", params=asked).raise_for_status().json()["items"]
    assert ideas
    return {idea["id"]: dict(+Counter(idea["mood"])) for idea in ideas}


def moods_behind(house: House) -> dict[UUID, dict[str, int]]:
    found = {}
    for idea in moods_of_ideas(house):
        path = f"/api/v1/ideas/{idea}/evidence"
        behind = house.client.get(path, params={"limit": 100}).raise_for_status().json()
        found[idea] = dict(Counter(it["sentiment"] for it in behind["items"]))
    return found
