"""Services in other processes: over HTTP the gateway does what it does in process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

import maru_gateway.app
from gateway.conftest import Api
from ideas.factories import a_tagged
from maru_gateway.settings import Settings
from maru_gateway.upstream import MAX_ANSWER, InProcess, document_of, open_upstreams
from maru_kit.errors import Unavailable
from maru_kit.settings import Common
from servers.ports import free_ports


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application whose lifespan is someone else's."""
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def far(api: Api, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A second gateway on the same keys, which reaches the ideas over HTTP and nothing else."""
    home = tmp_path / "other"
    common = Common(
        home=home, bus_url=f"sqlite:///{home}/log.db", database_url=f"sqlite:///{tmp_path}"
    )
    async with served(api.services["ideas"]) as url:
        app = maru_gateway.app.create_app(Settings(common=common, ideas_url=url), work=False)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://maru") as http,
        ):
            yield http


async def test_the_answers_are_the_same(api: Api, far: httpx.AsyncClient) -> None:
    await api.take(a_tagged("1"), a_tagged("2"))
    key = await api.key("reader")

    for path in ("/api/v1/ideas?limit=1", "/api/v1/posts", "/api/v1/topics", "/board/ideas"):
        assert (await far.get(path, headers=key)).json() == (
            await api.http.get(path, headers=key)
        ).json(), path


@pytest.mark.parametrize("name", ["다크 모드", "a?b=c", "a b", "100%", "a#b", "a%2Fb", "a&b;c"])
async def test_a_name_of_any_letters_arrives_as_it_was_sent(
    api: Api, far: httpx.AsyncClient, name: str
) -> None:
    owner = await api.key("owner")
    path = f"/api/v1/topics/{quote(name, safe='')}"

    made = await far.put(path, json={"examples": ["an example of it"]}, headers=owner)

    assert made.status_code < 300, made.text
    listed = (await api.http.get("/api/v1/topics", headers=owner)).text
    assert f'"{name}"' in listed


async def test_a_client_cannot_say_who_it_is(api: Api, far: httpx.AsyncClient) -> None:
    await api.take(a_tagged("1"))
    forged = {"X-Maru-Role": "admin", "X-Maru-Workspace": "default", "X-Maru-Actor": "me"}

    theirs = await far.get("/api/v1/ideas", headers=await api.key("reader", "other") | forged)

    assert theirs.json()["items"] == []
    assert (await far.get("/api/v1/ideas", headers=forged)).status_code == 401


async def test_what_is_not_reachable_is_named_and_its_address_is_not(
    far: httpx.AsyncClient,
) -> None:
    health = await far.get("/api/v1/health")

    assert health.status_code == 503
    services = health.json()["services"]
    assert services["ideas"]["ok"]
    assert not services["ingest"]["ok"]
    assert services["ingest"]["reason"] == "The ingest service does not answer"
    assert "127.0.0.1" not in health.text


async def odd(scope: Scope, _receive: Receive, send: Send) -> None:
    """What stands at a service's address and is not the service."""
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = b"<h1>It works!</h1>"
    if scope["path"] == "/endless":
        body = b"x" * 1_000_000
        for _ in range(MAX_ANSWER // len(body)):
            await send({"type": "http.response.body", "body": body, "more_body": True})
    if scope["path"] == "/echo":
        body = repr(dict(scope["headers"])).encode()
    await send({"type": "http.response.body", "body": body})


async def test_an_answer_without_end_and_a_stranger_are_unavailable() -> None:
    async with served(odd) as url, open_upstreams({"ideas": url}, None) as upstreams:
        with pytest.raises(Unavailable, match="has no end"):
            await upstreams["ideas"].ask("GET", "/endless", b"", [], b"")
        with pytest.raises(Unavailable, match="can't be read"):
            await document_of(upstreams["ideas"])


async def test_services_are_told_the_token() -> None:
    token = SecretStr("between us")
    async with served(odd) as url, open_upstreams({"ideas": url}, token) as upstreams:
        answer = await upstreams["ideas"].ask("GET", "/echo", b"", [], b"")

    in_process = await InProcess(odd, token).ask("GET", "/echo", b"", [], b"")

    for one in (answer, in_process):
        assert b"b'x-maru-service-token': b'between us'" in one.body


@pytest.mark.parametrize(
    "line",
    [
        b"GET /api/v1/ideas/\xff\xfe HTTP/1.1",
        b"GET /api/v1/ideas/%ff%fe HTTP/1.1",
        b"GET /api/v1/ideas?q=\xff HTTP/1.1",
        b"GET /api/v1/ideas?q=%ff%00 HTTP/1.1",
        b"GET /api/v1/ideas HTTP/1.1\r\nAuthorization: Bearer \xff",
        b"GET /api/v1/ideas HTTP/1.1\r\nContent-Length: -5",
        b"GET /board/ideas HTTP/1.1\r\nAccept: \xff\xfe",
        b"\x16\x03\x01 / HTTP/1.1",
    ],
)
async def test_raw_junk_is_never_an_error_of_ours(api: Api, line: bytes) -> None:
    async with served(api.app) as url, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
        writer.write(line + b"\r\nHost: maru\r\nConnection: close\r\n\r\n")
        status = (await reader.readline()).split()[1]
        await reader.read()
        writer.close()
        await writer.wait_closed()

    assert status in (b"200", b"400", b"401", b"404")
