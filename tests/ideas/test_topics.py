"""A workspace's own topics: described, renamed and adopted once, on both databases."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ideas.conftest import OWNER, parts_of, take
from ideas.factories import a_tagged
from ideas.test_discovered import PATH as DISCOVERED
from ideas.test_discovered import a_stream, listed
from maru_contracts.tags import TopicDefined
from maru_contracts.topics import TOPICS_DEFINED

PATH = "/api/v1/topics"


async def put(client: httpx.AsyncClient, name: str, **told: Any) -> httpx.Response:
    return await client.put(f"{PATH}/{quote(name, safe='')}", json=told)


async def rename(client: httpx.AsyncClient, name: str, to: str) -> httpx.Response:
    return await client.post(f"{PATH}/{quote(name, safe='')}/name", json={"name": to})


async def topics(client: httpx.AsyncClient, **headers: str) -> dict[str, dict[str, Any]]:
    return {it["name"]: it for it in (await client.get(PATH, headers=headers)).json()}


async def told(client: httpx.AsyncClient) -> list[TopicDefined]:
    """What the tagger was told, the newest last."""
    parts = parts_of(client)
    await parts.relay.publish_waiting()
    begins = await parts.bus.begins(TOPICS_DEFINED.name)
    spans = await parts.bus.read(TOPICS_DEFINED.name, begins, max_records=99, wait=1)
    return [TopicDefined.model_validate_json(it.value) for span in spans for it in span.records]


async def test_a_topic_has_a_description_and_examples_or_one_of_them(
    client: httpx.AsyncClient,
) -> None:
    described = await put(client, "refunds", description="  Money that goes back. ")
    both = await put(client, "refunds", examples=["환불해 주세요"])
    nothing = [await put(client, "empty"), await put(client, "empty", description=" ", examples=[])]
    kept = await put(client, "refunds", examples=[])
    left = await put(client, "refunds", description="")
    too_long = await put(client, "refunds", description="x" * 501)

    assert described.json()["description"] == "Money that goes back."
    assert described.json()["examples"] == []
    assert both.json()["description"] == "Money that goes back."
    assert both.json()["examples"] == ["환불해 주세요"]
    assert [it.status_code for it in nothing] == [422, 422]
    assert (kept.status_code, left.status_code, too_long.status_code) == (200, 422, 422)
    assert (await topics(client))["refunds"]["description"] == "Money that goes back."
    first, second, third = await told(client)
    assert (first.description, first.examples) == ("Money that goes back.", ())
    assert first.since == second.since == third.since == first.at


async def test_a_default_topic_that_is_described_keeps_its_examples(
    client: httpx.AsyncClient,
) -> None:
    before = (await topics(client))["price"]

    await put(client, "price", description="What it costs.")

    after = (await topics(client))["price"]
    assert after["examples"] == before["examples"] != []
    assert (before["description"], after["description"]) == ("", "What it costs.")
    (defined,) = await told(client)
    assert defined.since is None


async def test_a_renamed_topic_takes_all_along_and_is_told_under_both_names(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "refunds", description="Money that goes back.", examples=["my money"])
    await put(client, "money back", examples=["other"])

    taken = await rename(client, "refunds", "money back")
    default = await rename(client, "refunds", "price")
    same = await rename(client, "refunds", "refunds")
    first = await rename(client, "refunds", "returns")
    second = await rename(client, "returns", "refunds & returns")
    gone = await rename(client, "returns", "x")
    wrong = await rename(client, "refunds & returns", "a|b")

    assert (taken.status_code, default.status_code) == (409, 409)
    assert (same.status_code, first.status_code, gone.status_code) == (200, 200, 404)
    assert (wrong.status_code, first.json()["formerly"]) == (422, ["refunds"])
    assert second.json()["formerly"] == ["refunds", "returns"]
    now = await topics(client)
    assert {"refunds", "returns"}.isdisjoint(now)
    assert now["refunds & returns"]["description"] == "Money that goes back."
    assert now["refunds & returns"]["examples"] == ["my money"]
    defined, *_, renamed, ended = await told(client)
    assert (renamed.name, renamed.since) == ("refunds & returns", defined.at)
    assert (ended.name, ended.removed) == ("returns", True)


async def test_a_default_topic_is_renamed_as_one_that_was_always_there(
    client: httpx.AsyncClient,
) -> None:
    await rename(client, "price", "what it costs")

    renamed, ended = await told(client)
    assert renamed.since is not None
    assert renamed.since.year == 1970
    assert renamed.examples
    assert (ended.name, ended.removed) == ("price", True)
    assert "price" not in await topics(client)


async def test_a_topic_that_was_removed_and_comes_again_begins_anew(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "refunds", examples=["a"])
    await rename(client, "refunds", "returns")
    await client.delete(f"{PATH}/returns")
    again = await put(client, "returns", description="New.")

    assert (again.json()["examples"], again.json()["formerly"]) == ([], [])
    *_, last = await told(client)
    assert last.since == last.at


async def test_a_correction_by_a_former_name_is_one_by_the_name_of_today(
    client: httpx.AsyncClient,
) -> None:
    post = a_tagged("1")
    await take(parts_of(client), [post])
    await put(client, "refunds", examples=["a"])
    await rename(client, "refunds", "returns")

    said = {"topics": ["refunds", "returns", "price"]}
    done = await client.put(f"/api/v1/posts/{post.post.id}/correction", json=said)

    assert [it["name"] for it in done.json()["topics"]] == ["returns", "price"]


async def test_workspaces_rename_only_their_own(client: httpx.AsyncClient) -> None:
    await put(client, "refunds", examples=["a"])
    foreign = OWNER | {"X-Maru-Workspace": "foreign"}

    answer = await client.post(f"{PATH}/refunds/name", json={"name": "x"}, headers=foreign)

    assert answer.status_code == 404
    assert "refunds" in await topics(client)


async def adopt(client: httpx.AsyncClient, topic: str, name: str | None = None) -> httpx.Response:
    return await client.post(f"{DISCOVERED}/{topic}/adoption", json={"name": name})


async def test_a_discovered_topic_is_adopted_once(client: httpx.AsyncClient) -> None:
    await take(parts_of(client), a_stream(80))
    topic, *_ = await listed(client)
    before = set(await topics(client))

    first = await adopt(client, topic["id"], "gadgets")
    again = [await adopt(client, topic["id"], name) for name in ("gadgets", None)]
    otherwise = await adopt(client, topic["id"], "machines")

    assert [it.json() for it in again] == [first.json(), first.json()]
    assert otherwise.status_code == 409
    assert "gadgets" in otherwise.json()["detail"]
    assert set(await topics(client)) - before == {"gadgets"}
    assert len(await told(client)) == 1


async def test_two_who_adopt_a_topic_at_once_make_one_of_it(client: httpx.AsyncClient) -> None:
    await take(parts_of(client), a_stream(80))
    topic, *_ = await listed(client)
    before = set(await topics(client))

    answers = await asyncio.gather(
        *(adopt(client, topic["id"], f"name {number}") for number in range(4))
    )

    assert sorted(it.status_code for it in answers) == [200, 409, 409, 409]
    assert len(set(await topics(client)) - before) == 1


async def test_an_adopted_topic_is_known_by_its_new_name_and_can_be_adopted_when_removed(
    client: httpx.AsyncClient,
) -> None:
    await take(parts_of(client), a_stream(80))
    topic, *_ = await listed(client)
    await adopt(client, topic["id"], "gadgets")

    await rename(client, "gadgets", "machines")
    again = await adopt(client, topic["id"])
    (shown,) = [it for it in await listed(client) if it["id"] == topic["id"]]
    await client.delete(f"{PATH}/machines")
    anew = await adopt(client, topic["id"], "tools")

    assert (again.json()["name"], shown["adopted_as"]) == ("machines", "machines")
    assert (anew.status_code, anew.json()["name"]) == (200, "tools")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "x" * 101])
async def test_a_name_that_cannot_be_is_refused(client: httpx.AsyncClient, name: str) -> None:
    await put(client, "refunds", examples=["a"])

    assert (await rename(client, "refunds", name)).status_code == 422


async def test_blanks_around_a_name_are_no_part_of_it(client: httpx.AsyncClient) -> None:
    before = set(await topics(client))

    blank = await put(client, "  ", description="Money that goes back.")
    padded = await put(client, " refunds ", description="Money that goes back.")

    assert (blank.status_code, padded.json()["name"]) == (422, "refunds")
    assert set(await topics(client)) - before == {"refunds"}
