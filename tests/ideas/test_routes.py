from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pydantic import TypeAdapter

from ideas.conftest import take
from ideas.factories import NOON, a_tagged
from maru_contracts.ideas import Idea, IdeaChanged
from maru_contracts.posts import Channel, Rating
from maru_contracts.tags import TaggedPost
from maru_ideas.app import Parts, create_app
from maru_ideas.routes.idea_pages import Evidence, IdeaPage
from maru_ideas.routes.posts import StoredPost
from maru_ideas.settings import Settings
from maru_kit.http import Page
from maru_kit.settings import Common

OWNER = {"X-Maru-Workspace": "default", "X-Maru-Actor": "mia", "X-Maru-Role": "owner"}
NOBODY = UUID(int=7)
FOREIGN = OWNER | {"X-Maru-Workspace": "foreign"}


class Service:
    """The whole service without its consumers, and a client of it."""

    def __init__(self, parts: Parts, client: httpx.AsyncClient) -> None:
        self.parts = parts
        self.client = client

    async def get(self, path: str, **params: str | int) -> httpx.Response:
        return await self.client.get(path, params=params or None)


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    common = Common(
        home=tmp_path, database_url=database_url, bus_url=f"sqlite:///{tmp_path}/log.db"
    )
    app = create_app(Settings(common=common), work=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://ideas", headers=OWNER
        ) as client,
    ):
        yield Service(app.state.parts, client)


def some_posts() -> Iterator[TaggedPost]:
    for number in range(12):
        yield a_tagged(
            f"{number}",
            subject=number % 5,
            text=["Please add dark mode", "Sync fails", "너무 느려요", "More ads? No", "Export it"][
                number % 5
            ],
            language=["en", "ko"][number % 2],
            channel=[Channel.REVIEW, Channel.MAIL, Channel.BLOG][number % 3],
            author=f"author{number}",
            topics=["sync"] if number % 5 == 1 else [],
            at=NOON + timedelta(days=number),
        )


async def test_ideas_come_ranked_in_pages_without_gap_or_repetition(service: Service) -> None:
    await take(service.parts, list(some_posts()))

    for sort in ("score", "newest", "voices", "last_seen"):
        seen: list[Idea] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await service.get("/api/v1/ideas", sort=sort, limit=2, **cursor)
            page = IdeaPage.model_validate_json(answer.content)
            assert page.total == 5
            seen += page.items
            if page.next is None:
                break
            cursor = {"cursor": page.next}
        assert len({idea.id for idea in seen}) == len(seen) == 5
        field = {"newest": "first_seen"}.get(sort, sort)
        ranks = [getattr(idea, field) for idea in seen]
        assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"status": "new"}, 5),
        ({"status": "shipped"}, 0),
        ({"product": "app"}, 5),
        ({"product": "other"}, 0),
        ({"topic": "sync"}, 1),
        ({"topic": "syn"}, 0),
        ({"topic": "%"}, 0),
        ({"channel": "call"}, 0),
        ({"language": "ko"}, 5),
        ({"q": "darkmode"}, 1),
        ({"q": "느려요"}, 1),
        ({"q": "%"}, 5),
    ],
)
async def test_filters_choose(service: Service, asked: dict[str, str], count: int) -> None:
    await take(service.parts, list(some_posts()))

    page = IdeaPage.model_validate_json((await service.get("/api/v1/ideas", **asked)).content)

    assert (len(page.items), page.total) == (count, count)


async def test_an_idea_shows_its_posts_and_its_history(service: Service) -> None:
    await take(service.parts, list(some_posts()))
    idea = Idea.model_validate((await service.get("/api/v1/ideas", q="dark")).json()["items"][0])

    shown = await service.get(f"/api/v1/ideas/{idea.id}")
    behind = await service.get(f"/api/v1/ideas/{idea.id}/evidence")
    history = await service.get(f"/api/v1/ideas/{idea.id}/history", limit=2)

    assert Idea.model_validate_json(shown.content) == idea
    evidence = TypeAdapter(Page[Evidence]).validate_json(behind.content).items
    assert [it.created_at for it in evidence] == [NOON + timedelta(days=n) for n in (10, 5, 0)]
    assert evidence[0].author is not None
    assert evidence[0].url == "https://example.org/10"
    page = TypeAdapter(Page[IdeaChanged]).validate_json(history.content)
    assert [change.idea.version for change in page.items] == [3, 2]
    rest = await service.get(f"/api/v1/ideas/{idea.id}/history", cursor=page.next or "")
    assert [it["kind"] for it in rest.json()["items"]] == ["created"]


async def test_the_public_board_tells_nothing_of_private_channels_and_authors(
    service: Service,
) -> None:
    await take(
        service.parts,
        [
            a_tagged("1", subject=1, channel=Channel.MAIL, author="secret", text="Hidden wish"),
            a_tagged(
                "2",
                subject=1,
                channel=Channel.REVIEW,
                author="open",
                text="Public wish",
                rating=Rating(value=2),
            ),
            a_tagged("3", subject=2, channel=Channel.CALL, author="caller", text="Only by phone"),
        ],
    )

    listed = IdeaPage.model_validate_json((await service.get("/board/ideas")).content)
    (idea,) = listed.items
    whole = await service.get(f"/board/ideas/{idea.id}")
    behind = await service.get(f"/board/ideas/{idea.id}/evidence")

    assert (idea.evidence_count, idea.voices, idea.channels) == (1, 1, (Channel.REVIEW,))
    (shown,) = behind.json()["items"]
    assert (shown["post_id"], shown["rating"]["value"]) == (str(a_tagged("2").post.id), 2)
    told = (whole.text + behind.text + (await service.get("/board/ideas")).text).lower()
    for private in ("secret", "hidden", "mail", "call", "phone", '"open"', "the open"):
        assert private not in told


async def test_an_idea_that_is_not_public_is_not_on_the_board(service: Service) -> None:
    await take(service.parts, [a_tagged("1", channel=Channel.MAIL)])
    (item,) = (await service.get("/api/v1/ideas")).json()["items"]

    for path in (f"/board/ideas/{item['id']}", f"/board/ideas/{item['id']}/evidence"):
        assert (await service.get(path)).status_code == 404
    assert (await service.get("/board/ideas")).json() == {"items": [], "next": None, "total": 0}


async def test_a_workspace_sees_nothing_of_another(service: Service) -> None:
    await take(service.parts, [a_tagged("1")])
    (item,) = (await service.get("/api/v1/ideas")).json()["items"]
    await service.client.put("/api/v1/topics/mine", json={"examples": ["x"]})
    service.client.headers.update(FOREIGN)

    for path in ("ideas", "posts"):
        assert (await service.get(f"/api/v1/{path}")).json()["items"] == []
    assert (await service.get("/board/ideas")).json()["items"] == []
    names = {it["name"] for it in (await service.get("/api/v1/topics")).json()}
    assert "mine" not in names
    assert "design" in names
    for path in (
        f"/api/v1/ideas/{item['id']}",
        f"/api/v1/ideas/{item['id']}/evidence",
        f"/api/v1/ideas/{item['id']}/history",
        f"/board/ideas/{item['id']}",
        f"/board/ideas/{item['id']}/evidence",
        f"/api/v1/posts/{a_tagged('1').post.id}",
    ):
        assert (await service.get(path)).status_code == 404
    moved = await service.client.post(
        f"/api/v1/ideas/{item['id']}/status", json={"status": "planned"}
    )
    assert moved.status_code == 404
    assert (await service.client.delete("/api/v1/topics/mine")).status_code == 404


async def test_a_status_moves_and_a_wrong_move_is_a_conflict(service: Service) -> None:
    await take(service.parts, [a_tagged("1")])
    (item,) = (await service.get("/api/v1/ideas")).json()["items"]
    path = f"/api/v1/ideas/{item['id']}/status"

    moved = await service.client.post(path, json={"status": "planned"})
    refused = await service.client.post(path, json={"status": "shipped"})

    assert (moved.json()["status"], moved.json()["version"]) == ("planned", 2)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    history = (await service.get(f"/api/v1/ideas/{item['id']}/history")).json()["items"]
    assert (history[0]["kind"], history[0]["actor"]) == ("status_changed", "mia")
    assert (await service.get("/board/ideas")).json()["items"][0]["status"] == "planned"


async def test_evidence_goes_on_after_a_move(service: Service) -> None:
    await take(service.parts, [a_tagged("1")])
    (item,) = (await service.get("/api/v1/ideas")).json()["items"]
    await service.client.post(f"/api/v1/ideas/{item['id']}/status", json={"status": "planned"})

    await take(service.parts, [a_tagged("2")])

    (after,) = (await service.get("/api/v1/ideas")).json()["items"]
    assert (after["status"], after["version"], after["evidence_count"]) == ("planned", 3, 2)


async def test_posts_are_listed_filtered_and_searched(service: Service) -> None:
    await take(service.parts, list(some_posts()))

    first = TypeAdapter(Page[StoredPost]).validate_json(
        (await service.get("/api/v1/posts", limit=7)).content
    )
    rest = TypeAdapter(Page[StoredPost]).validate_json(
        (await service.get("/api/v1/posts", limit=7, cursor=first.next or "")).content
    )
    found = (await service.get("/api/v1/posts", q="느려요", language="ko")).json()["items"]

    times = [it.post.created_at for it in [*first.items, *rest.items]]
    assert times == [NOON + timedelta(days=11 - n) for n in range(12)]
    assert found
    assert all(it["language"] == "ko" for it in found)
    assert (await service.get("/api/v1/posts", topic="sync")).json()["items"]
    assert (await service.get("/api/v1/posts", intent="praise")).json()["items"] == []


async def test_posts_are_listed_by_whether_they_are_spam(service: Service) -> None:
    await take(
        service.parts,
        [a_tagged("1", spam=0.99, toxic=["add"]), a_tagged("2"), a_tagged("3", spam=0.2)],
    )

    async def native_ids(**asked: str) -> list[str]:
        items = (await service.get("/api/v1/posts", **asked)).json()["items"]
        return sorted(it["post"]["native_id"] for it in items)

    assert await native_ids() == ["1", "2", "3"]
    assert await native_ids(spam="true") == ["1"]
    assert await native_ids(spam="false") == ["2", "3"]
    (post,) = (await service.get("/api/v1/posts", spam="true")).json()["items"]
    assert (post["spam"], post["toxicity"]) == (0.99, 0.9)
    assert post["toxic"] == [{"field": "text", "start": 7, "end": 10}]
    assert (await service.get("/api/v1/posts", spam="perhaps")).status_code == 422


async def test_topics_are_defined_listed_and_removed(service: Service) -> None:
    put = await service.client.put("/api/v1/topics/다크 모드", json={"examples": ["night theme"]})
    again = await service.client.put("/api/v1/topics/다크 모드", json={"examples": ["a", "b"]})

    assert (put.status_code, again.status_code) == (200, 200)
    listed = (await service.get("/api/v1/topics")).json()
    own = [(it["name"], it["examples"]) for it in listed if it["updated_at"]]
    assert own == [("다크 모드", ["a", "b"])]
    assert (await service.client.delete("/api/v1/topics/다크 모드")).status_code == 204
    assert "다크 모드" not in {it["name"] for it in (await service.get("/api/v1/topics")).json()}


async def test_a_default_topic_can_be_removed_and_defined_anew(service: Service) -> None:
    assert (await service.client.delete("/api/v1/topics/design")).status_code == 204
    without = {it["name"] for it in (await service.get("/api/v1/topics")).json()}
    again = await service.client.delete("/api/v1/topics/design")
    await service.client.put("/api/v1/topics/design", json={"examples": ["mine"]})
    listed = (await service.get("/api/v1/topics")).json()

    assert "design" not in without
    assert "battery" in without
    assert again.status_code == 404
    assert ["mine"] in [it["examples"] for it in listed if it["name"] == "design"]


async def test_a_known_answer_is_not_sent_again(service: Service) -> None:
    await take(service.parts, [a_tagged("1")])
    tag = (await service.get("/api/v1/ideas")).headers["etag"]

    same = await service.client.get("/api/v1/ideas", headers={"If-None-Match": tag})
    await take(service.parts, [a_tagged("2")])
    changed = await service.client.get("/api/v1/ideas", headers={"If-None-Match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/ideas?limit=0", 422),
        ("/api/v1/ideas?limit=101", 422),
        ("/api/v1/ideas?sort=loudest", 422),
        ("/api/v1/ideas?cursor=nonsense", 400),
        ("/api/v1/ideas?cursor=WyJub3ciLDEuMCwieCJd", 400),
        ("/api/v1/ideas?cursor=WyJzY29yZSIsMS4wLCJ4Il0", 400),
        ("/api/v1/posts?cursor=W10", 400),
        ("/api/v1/ideas/not-an-id", 422),
        (f"/api/v1/ideas/{NOBODY}", 404),
        (f"/api/v1/ideas/{NOBODY}/evidence", 404),
        (f"/api/v1/ideas/{NOBODY}/history", 404),
        (f"/api/v1/posts/{NOBODY}", 404),
    ],
)
async def test_a_wrong_question_is_a_problem(service: Service, path: str, status: int) -> None:
    answer = await service.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_service_is_ready_with_log_and_database(service: Service) -> None:
    answer = await service.get("/readyz")

    assert answer.status_code == 200
    assert {check["name"] for check in answer.json()["checks"]} == {"log", "database", "stream"}
