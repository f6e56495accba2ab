import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from defusedxml import ElementTree

from gateway.conftest import Api, opened
from ideas.factories import a_tagged, a_tombstone
from maru_contracts.posts import Channel
from maru_gateway.live import Live
from maru_gateway.streams import Streams
from maru_kit.errors import Unavailable

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
async def live_api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path, work=True) as api:
        yield api


def live(api: Api) -> Live:
    found: Live = api.app.state.live
    return found


async def events(
    api: Api, count: int, *, public: bool = False, after: str | None = None
) -> list[dict[str, str]]:
    """The first events of a stream, as fields."""
    found: list[dict[str, str]] = []
    async with asyncio.timeout(10):
        async for chunk in live(api).stream("default", public=public, after=after):
            lines = [line.partition(": ") for line in chunk.decode().splitlines()]
            fields = {name: value for name, _, value in lines if name}
            if "event" in fields:
                found.append(fields)
            if len(found) == count:
                break
    return found


async def test_a_new_idea_is_told_to_those_who_listen(live_api: Api) -> None:
    listening = asyncio.create_task(events(live_api, 1))
    await asyncio.sleep(0.1)

    await live_api.take(a_tagged("1"))

    (event,) = await listening
    assert event["event"] == "idea"
    assert json.loads(event["data"])["kind"] == "created"


async def test_everybody_hears_that_an_idea_leaves_the_public_board(live_api: Api) -> None:
    post = a_tagged("1")
    listening = asyncio.create_task(events(live_api, 3, public=True))
    await asyncio.sleep(0.1)

    await live_api.take(post, a_tagged("2", channel=Channel.MAIL))
    await live_api.take(a_tombstone(post))

    told = [json.loads(event["data"]) for event in await listening]
    assert [it["kind"] for it in told][-1] == "evidence_removed"
    assert told[-1].keys() == {"id", "kind", "idea"}


async def test_a_listener_who_goes_away_leaves_no_task_behind(live_api: Api) -> None:
    before = asyncio.all_tasks()
    listening = asyncio.create_task(events(live_api, 1))
    await asyncio.sleep(0.1)

    listening.cancel()
    await asyncio.wait([listening])
    await asyncio.sleep(0.1)

    assert {task for task in asyncio.all_tasks() - before if "Queue.get" in repr(task)} == set()


async def test_a_stream_resumes_without_a_gap(live_api: Api) -> None:
    listening = asyncio.create_task(events(live_api, 1))
    await asyncio.sleep(0.1)
    await live_api.take(a_tagged("1"))
    (seen,) = await listening

    await live_api.take(a_tagged("2", text="Offline maps, please add them"))
    await live_api.take(a_tagged("3", text="Bigger fonts would be great to have"))
    missed = await events(live_api, 2, after=seen["id"])

    versions = [json.loads(event["data"])["post_id"] for event in missed]
    assert len(set(versions)) == 2
    assert json.loads(seen["data"])["post_id"] not in versions


async def test_a_position_that_the_log_no_longer_has_is_a_reset(live_api: Api) -> None:
    (event,) = await events(live_api, 1, after="5.5")

    assert event["event"] == "reset"


async def test_the_public_stream_tells_ids_of_public_ideas_alone(live_api: Api) -> None:
    listening = asyncio.create_task(events(live_api, 1, public=True))
    await asyncio.sleep(0.1)
    await live_api.take(a_tagged("1", text="My private wish, please add it", channel=Channel.MAIL))
    await live_api.take(a_tagged("2", text="Export to PDF, please", channel=Channel.REVIEW))

    (event,) = await listening

    data = json.loads(event["data"])
    assert data["idea"].keys() == {"id"}
    (shown,) = (await live_api.http.get("/board/ideas")).json()["items"]
    assert shown["id"] == data["idea"]["id"]


async def test_streams_end_when_the_house_closes(live_api: Api) -> None:
    listening = asyncio.create_task(events(live_api, 1))
    await asyncio.sleep(0.1)

    live(live_api).draining.set()

    assert await asyncio.wait_for(listening, 2) == []


def test_a_key_may_hold_so_many_streams_and_no_more() -> None:
    streams = Streams(most=3, most_per_key=1)

    with streams.held("key:1"):
        with pytest.raises(Unavailable):
            streams.check("key:1")
        streams.check("key:2")
    streams.check("key:1")


async def test_the_feed_is_atom_with_the_customers_words_escaped(api: Api) -> None:
    await api.take(a_tagged("1", text='Please add <b>bold</b> & "quotes" to notes'))
    reader = await api.key("reader")

    answer = await api.http.get("/feeds/ideas.atom", headers=reader)
    again = await api.http.get(
        "/feeds/ideas.atom", headers=reader | {"If-None-Match": answer.headers["etag"]}
    )

    feed = ElementTree.fromstring(answer.content)
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id", "").startswith("urn:uuid:")
    assert "<b>" in "".join(entry.itertext())
    assert again.status_code == 304


async def test_a_reader_without_tags_is_told_by_date_what_is_new(api: Api) -> None:
    await api.take(a_tagged("1"))
    owner = await api.key("owner")
    first = await api.http.get("/feeds/ideas.atom", headers=owner)
    known = {"If-Modified-Since": first.headers["last-modified"]}

    same = await api.http.get("/feeds/ideas.atom", headers=owner | known)
    tagged = await api.http.get("/feeds/ideas.atom", headers=owner | known | {"If-None-Match": "x"})
    await asyncio.sleep(1.1)  # HTTP's dates are whole seconds
    (idea,) = (await api.http.get("/api/v1/ideas", headers=owner)).json()["items"]
    status = {"status": "under_review"}
    await api.http.post(f"/api/v1/ideas/{idea['id']}/status", json=status, headers=owner)
    changed = await api.http.get("/feeds/ideas.atom", headers=owner | known)
    odd = await api.http.get("/feeds/ideas.atom", headers=owner | {"If-Modified-Since": "soon"})

    assert (same.status_code, tagged.status_code) == (304, 200)
    assert same.headers["last-modified"] == first.headers["last-modified"]
    assert (changed.status_code, odd.status_code) == (200, 200)
    assert "under review" in changed.text


async def test_a_long_feed_is_read_page_by_page(api: Api) -> None:
    await api.take(*(a_tagged(str(n), product=f"product {n}") for n in range(60)))
    reader = await api.key("reader")
    listed = await api.http.get("/api/v1/ideas", headers=reader)

    address, ids, pages = "/feeds/ideas.atom", [], 0
    while address and pages < 10:
        feed = ElementTree.fromstring((await api.http.get(address, headers=reader)).content)
        links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
        assert links["self"].endswith(address.removeprefix("http://maru"))
        assert links["first"] == feed.findtext(f"{ATOM}id") == "http://maru/feeds/ideas.atom"
        ids += [entry.findtext(f"{ATOM}id") for entry in feed.findall(f"{ATOM}entry")]
        address, pages = links.get("next", ""), pages + 1

    assert len(ids) == len(set(ids)) == listed.json()["total"]
    assert pages == -(-len(ids) // 50)
    assert pages > 1
    for cursor in ("nonsense", "", "%00"):
        odd = await api.http.get(f"/feeds/ideas.atom?cursor={cursor}", headers=reader)
        assert odd.status_code == (400 if cursor else 200)


async def test_feed_readers_send_the_key_as_a_password(api: Api) -> None:
    secret = (await api.key("reader"))["Authorization"].removeprefix("Bearer ")

    refused = await api.http.get("/feeds/ideas.atom")
    taken = await api.http.get("/feeds/ideas.atom", auth=("anything", secret))

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic")
    assert taken.status_code == 200
