import asyncio
from pathlib import Path

import httpx
import pytest
import uvicorn

import maru_gateway.app
from gateway.conftest import Api, opened
from ideas.factories import a_tagged
from maru_gateway.settings import Settings
from maru_kit.settings import Common
from servers.ports import free_ports


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


async def test_over_http_the_answers_are_the_same(api: Api, tmp_path: Path) -> None:
    await api.take(a_tagged("1"), a_tagged("2"))
    (port,) = free_ports(1)
    ideas = uvicorn.Server(
        uvicorn.Config(api.services["ideas"], port=port, lifespan="off", log_config=None)
    )
    serving = asyncio.create_task(ideas.serve())
    while not ideas.started:
        await asyncio.sleep(0.01)
    home = tmp_path / "other"
    common = Common(
        home=home, bus_url=f"sqlite:///{home}/log.db", database_url=f"sqlite:///{tmp_path}"
    )
    apart = maru_gateway.app.create_app(
        Settings(common=common, ideas_url=f"http://127.0.0.1:{port}"), work=False
    )
    try:
        async with apart.router.lifespan_context(apart):
            transport = httpx.ASGITransport(apart)
            async with httpx.AsyncClient(transport=transport, base_url="http://m") as http:
                key = await api.key("reader")
                far = await http.get("/api/v1/ideas?limit=1", headers=key)
                near = await api.http.get("/api/v1/ideas?limit=1", headers=key)
                down = await http.get("/api/v1/health")
    finally:
        ideas.should_exit = True
        await serving

    assert far.json() == near.json()
    assert down.status_code == 503
    assert not down.json()["services"]["ingest"]["ok"]


async def test_pages_carry_a_strict_policy_and_files_stay_in_their_folder(api: Api) -> None:
    page = await api.http.get("/")

    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    for path in ("/assets/../app.py", "/assets/..%2fapp.py", "/assets/.sources", "/assets/none.js"):
        assert (await api.http.get(path)).status_code in (404, 400)
