import asyncio
from pathlib import Path

import pytest

from gateway.conftest import Api, opened
from ideas.factories import a_tagged
from maru_gateway.upstream import Answer, Headers, Upstream
from maru_kit.errors import Unavailable


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("PATCH", "/api/v1/ideas", 405),
        ("GET", "/api/v1/ideas?limit=0", 422),
        ("GET", "/api/v1/ideas?cursor=@@", 400),
        ("GET", "/api/v1/ideas/not-an-id", 422),
        ("GET", "/api/v1/ideas/00000000-0000-0000-0000-000000000000", 404),
        ("POST", "/api/v1/sources", 422),
        ("GET", "/api/v1/ideas/%00", 400),
        ("GET", "/api/v1/ideas/%ff%fe", 400),
    ],
)
async def test_every_error_is_a_problem(api: Api, method: str, path: str, status: int) -> None:
    answer = await api.http.request(method, path, headers=await api.key("admin"))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"title", "status", "detail"} <= answer.json().keys()
    assert "Traceback" not in answer.text


async def test_a_body_beyond_the_limit_is_refused(api: Api) -> None:
    answer = await api.http.post(
        "/api/v1/sources", content=b"x" * 6_000_000, headers=await api.key("owner")
    )

    assert answer.status_code == 413


async def test_too_many_requests_are_told_to_wait(tmp_path: Path) -> None:
    async with opened(tmp_path, requests_per_minute=3) as api:
        key = await api.key("reader")
        answers = [await api.http.get("/api/v1/me", headers=key) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_guessing_keys_is_told_to_wait(tmp_path: Path) -> None:
    async with opened(tmp_path, failures_per_minute=3) as api:
        guess = {"Authorization": "Bearer maru_" + "g" * 43}
        answers = [await api.http.get("/api/v1/me", headers=guess) for _ in range(5)]

        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]


async def test_guesses_of_others_do_not_lock_out_who_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path, failures_per_minute=3) as api:
        reader = await api.key("reader")
        await api.http.get("/api/v1/me", headers=reader)
        for _ in range(5):
            await api.http.get("/api/v1/me", headers={"Authorization": "Bearer guess"})

        assert (await api.http.get("/api/v1/me", headers=reader)).status_code == 200


async def test_a_change_shows_at_once_and_an_unchanged_answer_is_not_sent_again(api: Api) -> None:
    await api.take(a_tagged("1"))
    owner = await api.key("owner")
    first = await api.http.get("/api/v1/ideas", headers=owner)
    (idea,) = first.json()["items"]
    same = await api.http.get(
        "/api/v1/ideas", headers=owner | {"If-None-Match": first.headers["etag"]}
    )

    moved = await api.http.post(
        f"/api/v1/ideas/{idea['id']}/status", json={"status": "planned"}, headers=owner
    )
    after = await api.http.get("/api/v1/ideas", headers=owner)

    assert same.status_code == 304
    assert moved.json()["status"] == "planned"
    assert after.json()["items"][0]["status"] == "planned"


async def test_a_change_that_came_over_the_log_drops_the_answer(tmp_path: Path) -> None:
    async with opened(tmp_path, work=True) as api:
        reader = await api.key("reader")
        assert (await api.http.get("/api/v1/ideas", headers=reader)).json()["total"] == 0

        await api.take(a_tagged("1"))
        async with asyncio.timeout(1.5):  # sooner than the answer would expire by itself
            while not (await api.http.get("/api/v1/ideas", headers=reader)).json()["total"]:
                await asyncio.sleep(0.02)


async def test_pages_carry_a_strict_policy_and_files_stay_in_their_folder(api: Api) -> None:
    page = await api.http.get("/")

    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    for path in ("/assets/../app.py", "/assets/..%2fapp.py", "/assets/.sources", "/assets/none.js"):
        assert (await api.http.get(path)).status_code in (404, 400)


async def test_head_answers_as_get_does_without_the_body(api: Api) -> None:
    reader = await api.key("reader")

    for path in ("/", "/api/v1/me", "/api/v1/ideas", "/feeds/ideas.atom"):
        answer = await api.http.head(path, headers=reader)
        assert (answer.status_code, answer.content) == (200, b""), path


class Silent:
    """A service that takes requests, does what they say, and is gone before it answers."""

    def __init__(self, behind: Upstream) -> None:
        self._behind = behind

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes
    ) -> Answer:
        await self._behind.ask(method, path, query, headers, body)
        raise Unavailable("The ideas service does not answer", retry_after=3)


async def test_a_service_that_is_gone_is_a_503_that_says_when_to_come_again(api: Api) -> None:
    upstreams = dict(api.app.state.house.upstreams)
    api.app.state.house.upstreams = upstreams | {"ideas": Silent(upstreams["ideas"])}
    reader = await api.key("reader")

    for path in ("/api/v1/ideas", "/board/ideas", "/feeds/ideas.atom", "/board/ideas.atom"):
        answer = await api.http.get(path, headers=reader)
        assert answer.status_code == 503, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
    assert (await api.http.get("/api/v1/sources", headers=reader)).status_code == 200


async def test_what_was_kept_ends_with_a_change_whose_answer_was_lost(api: Api) -> None:
    await api.take(a_tagged("1"))
    owner = await api.key("owner")
    (idea,) = (await api.http.get("/api/v1/ideas", headers=owner)).json()["items"]
    house, moved = api.app.state.house, f"/api/v1/ideas/{idea['id']}/status"
    upstreams = dict(house.upstreams)

    house.upstreams = upstreams | {"ideas": Silent(upstreams["ideas"])}
    lost = await api.http.post(moved, json={"status": "planned"}, headers=owner)
    house.upstreams = upstreams

    assert lost.status_code == 503
    after = (await api.http.get("/api/v1/ideas", headers=owner)).json()["items"]
    assert after[0]["status"] == "planned"


@pytest.mark.parametrize("asked", ["W/{0}", '"x", {0}', "*"])
async def test_an_entity_tag_is_known_in_all_its_forms(api: Api, asked: str) -> None:
    reader = await api.key("reader")

    for path in ("/api/v1/ideas", "/feeds/ideas.atom"):
        tag = (await api.http.get(path, headers=reader)).headers["etag"]
        again = await api.http.get(path, headers=reader | {"If-None-Match": asked.format(tag)})
        assert (again.status_code, again.content) == (304, b""), path


async def test_a_key_that_asks_too_often_is_told_the_limit(tmp_path: Path) -> None:
    async with opened(tmp_path, requests_per_minute=1) as api:
        reader = await api.key("reader")
        await api.http.get("/api/v1/me", headers=reader)
        refused = await api.http.get("/api/v1/me", headers=reader)
        other = await api.http.get("/api/v1/me", headers=await api.key("reader"))

    assert refused.headers["ratelimit-policy"] == '"requests";q=1;w=60'
    assert other.status_code == 200  # each key has its own share
