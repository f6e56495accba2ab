"""Every operation, asked by everybody who may and everybody who may not."""

import re
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid4

import pytest
from fastapi import APIRouter

from gateway.conftest import Api, opened
from ideas.factories import a_tagged
from maru_contracts.posts import Channel
from maru_gateway import pages
from maru_kit.errors import ConfigError
from maru_kit.http import Role, create_app, encode_cursor

ROLES: tuple[Role, ...] = get_args(Role)
STREAMS = {"/api/v1/live/ideas", "/board/live"}
NOBODY = UUID(int=9)


async def operations(api: Api) -> list[tuple[str, str, Role]]:
    document = (await api.http.get("/openapi.json")).json()
    return [
        (method.upper(), re.sub(r"\{[^}]+\}", str(NOBODY), path), operation["x-maru-role"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path not in STREAMS
    ]


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Api]:
    """An API that does not mind many requests and many wrong keys."""
    async with opened(tmp_path, failures_per_minute=10_000, requests_per_minute=100_000) as api:
        yield api


async def test_everybody_may_do_what_each_operation_says_and_no_more(patient: Api) -> None:
    api = patient
    roles = [role for role in ROLES if role != "public"]
    holders: dict[str, tuple[Role | None, dict[str, str]]] = {
        "anonymous": ("public", {}),
        **{role: (role, await api.key(role)) for role in roles},
        "other workspace": ("admin", await api.key("admin", "other")),
        "revoked": (None, await revoked(api)),
        "garbage": (None, {"Authorization": "Bearer maru_" + "x" * 43}),
    }
    asked = await operations(api)

    for (method, path, needed), (who, (role, headers)) in product(asked, holders.items()):
        status = (await api.http.request(method, path, headers=headers)).status_code
        cell = (method, path, needed, who, status)
        if role is None:
            assert status == 401, cell
        elif ROLES.index(role) < ROLES.index(needed):
            assert status == (401 if role == "public" else 403), cell
        elif not path.startswith("/hooks/"):  # its signature is its key
            assert status not in (401, 403, 405, 500), cell
    assert len(asked) > 25


async def revoked(api: Api) -> dict[str, str]:
    key, secret = await api.keys.create(workspace="default", role="admin", name="old")
    await api.keys.revoke("default", key.id)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("ending", ["%0A", "%0D%0A", "%00", "%7F", "/", "//", "%2F", ";x", "/."])
async def test_no_odd_ending_of_a_path_gets_past_the_roles(api: Api, ending: str) -> None:
    forged = {"X-Maru-Role": "admin", "X-Maru-Workspace": "default", "X-Maru-Actor": "me"}

    for method, path, needed in [*await operations(api), ("GET", "/metrics", "reader")]:
        if needed != "public":
            answer = await api.http.request(method, path + ending, headers=forged)
            assert answer.status_code in (400, 401, 404, 405), (method, path, answer.status_code)


async def test_open_besides_what_is_described_are_pages_and_probes_alone(api: Api) -> None:
    assert set(pages.paths()) == {
        "/", "/ideas/{idea_id}", "/topics", "/sources", "/sources/new", "/assets/{name}",
        "/favicon.svg", "/docs",
    }  # fmt: skip
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert (await api.http.get(path)).status_code in (200, 503)
    for path in ("/redoc", "/docs/oauth2-redirect", "/anything", "/static/index.html"):
        assert (await api.http.get(path)).status_code == 404


async def test_open_to_all_are_the_health_the_board_the_forms_and_the_docs_alone(api: Api) -> None:
    public = {path for _, path, needed in await operations(api) if needed == "public"}

    assert {
        path for path in public if not path.startswith(("/board", "/hooks/", "/forms/", "/widget/"))
    } == {"/api/v1/health"}
    assert (await api.http.get("/metrics")).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer maru_" + "x" * 43, "Bearer nonsense", "Bearer", "Basic !!", "Digest x"]
)
async def test_a_key_that_is_none_opens_nothing(api: Api, header: str) -> None:
    for path in ("/api/v1/ideas", "/board/ideas", "/api/v1/health"):
        answer = await api.http.get(path, headers={"Authorization": header})
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoked_key_ends_at_once(api: Api) -> None:
    admin, reader = await api.key("admin"), await api.key("reader")
    listed = (await api.http.get("/api/v1/keys", headers=admin)).json()["items"]
    (key,) = [key for key in listed if key["role"] == "reader"]
    assert (await api.http.get("/api/v1/me", headers=reader)).status_code == 200

    await api.http.delete(f"/api/v1/keys/{key['id']}", headers=admin)

    assert (await api.http.get("/api/v1/me", headers=reader)).status_code == 401


async def test_keys_are_listed_page_by_page(api: Api) -> None:
    admin = await api.key("admin")
    made = {
        str((await api.keys.create(workspace="default", role="reader", name=str(n)))[0].id)
        for n in range(24)
    }
    await api.key("admin", "other")

    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        asked = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = (await api.http.get("/api/v1/keys", params=asked, headers=admin)).json()
        found += [key["id"] for key in page["items"]]
        cursor, pages = page["next"], pages + 1

    assert pages == 3
    assert len(found) == len(set(found)) == 25
    assert made < set(found)
    for odd in ("nonsense", encode_cursor(1, "no id"), encode_cursor(2**62, str(uuid4()))):
        refused = await api.http.get("/api/v1/keys", params={"cursor": odd}, headers=admin)
        assert refused.status_code == 400


async def test_a_client_cannot_say_who_it_is(api: Api) -> None:
    forged = {"X-Maru-Role": "admin", "X-Maru-Workspace": "other", "X-Maru-Actor": "me"}
    reader = await api.key("reader")

    assert (await api.http.get("/api/v1/keys", headers=forged)).status_code == 401
    assert (await api.http.get("/api/v1/keys", headers=forged | reader)).status_code == 403
    me = (await api.http.get("/api/v1/me", headers=forged | reader)).json()
    assert (me["workspace"], me["role"]) == ("default", "reader")


async def test_another_workspace_sees_nothing_of_ours(api: Api) -> None:
    await api.take(a_tagged("1"))
    ours, theirs = await api.key("admin"), await api.key("admin", "other")
    (idea,) = (await api.http.get("/api/v1/ideas", headers=ours)).json()["items"]
    wanted = {"kind": "feed", "name": "F", "settings": {"url": "https://example.com/f"}}
    source = (await api.http.post("/api/v1/sources", json=wanted, headers=ours)).json()
    key = (await api.http.get("/api/v1/keys", headers=ours)).json()["items"][0]

    for method, path in (
        ("GET", f"/api/v1/ideas/{idea['id']}"),
        ("GET", f"/api/v1/ideas/{idea['id']}/evidence"),
        ("GET", f"/api/v1/ideas/{idea['id']}/history"),
        ("GET", f"/api/v1/sources/{source['id']}"),
        ("DELETE", f"/api/v1/sources/{source['id']}"),
        ("POST", f"/api/v1/sources/{source['id']}/pause"),
        ("DELETE", f"/api/v1/keys/{key['id']}"),
    ):
        answer = await api.http.request(method, path, headers=theirs)
        assert answer.status_code == 404, (method, path)
    for path in ("ideas", "posts", "sources"):
        assert (await api.http.get(f"/api/v1/{path}", headers=theirs)).json()["items"] == []


async def test_the_public_board_tells_no_private_post_and_no_author(api: Api) -> None:
    text = "Please add a secret handshake"
    await api.take(
        a_tagged("1", text=text, channel=Channel.MAIL, author="mallory"),
        a_tagged("2", text=text + " now", channel=Channel.REVIEW, author="trudy"),
    )
    ideas = (await api.http.get("/board/ideas")).text
    (idea,) = (await api.http.get("/board/ideas")).json()["items"]
    evidence = await api.http.get(f"/board/ideas/{idea['id']}/evidence")

    assert idea["evidence_count"] == 1
    assert [post["channel"] for post in evidence.json()["items"]] == ["review"]
    assert "mallory" not in ideas + evidence.text
    assert "trudy" not in ideas + evidence.text


async def test_a_closed_board_asks_for_a_key(tmp_path: Path) -> None:
    async with opened(tmp_path, public_board=False) as api:
        closed = [await api.http.get(path) for path in ("/board/ideas", "/board/ideas.atom")]
        keyed = await api.http.get("/board/ideas", headers=await api.key("reader"))

        assert [answer.status_code for answer in closed] == [401, 401]
        assert keyed.status_code == 200
        assert (await api.http.get("/api/v1/health")).status_code in (200, 503)


def test_an_application_with_a_route_without_a_role_does_not_start() -> None:
    router = APIRouter()

    @router.get("/open-by-mistake")
    async def mistake() -> None: ...

    with pytest.raises(ConfigError, match="open-by-mistake"):
        create_app(
            title="x", service="x", lifespan=lambda _: None, routers=[router], checks=lambda: None
        )
