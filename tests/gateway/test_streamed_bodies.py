"""Bodies of any length on their way through the gateway, to services in process and over HTTP."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest

import maru_gateway.app
from gateway.conftest import Api
from gateway.test_over_http import served
from maru_gateway.settings import Settings
from maru_ingest import connectors
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.streaming import Streaming
from maru_kit.bus import Bus
from maru_kit.settings import Common


@dataclass
class Gate:
    """The log behind a gate: nothing is written while it is closed."""

    bus: Bus
    open: asyncio.Event

    async def append(self, *arguments: object) -> None:
        await self.open.wait()
        await self.bus.append(*arguments)  # type: ignore[arg-type]


@dataclass
class Front:
    url: str
    address: str
    key: dict[str, str]
    gate: Gate

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(timeout=60) as http:
            return await http.post(self.url + self.address, content=body, headers=self.key | named)

    async def begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Begin a request by hand; what follows is its chunks."""
        port = httpx.URL(self.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST {self.address} HTTP/1.1\r\nHost: maru\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: {self.key['Authorization']}\r\n\r\n".encode()
        )
        return reader, writer


@pytest.fixture(params=["in process", "over HTTP"])
async def front(api: Api, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Front]:
    ingest = api.services["ingest"]
    gate = Gate(ingest.state.bus, asyncio.Event())
    gate.open.set()
    publisher = Publisher(gate, ingest.state.database)  # type: ignore[arg-type]
    ingest.state.streaming = Streaming(publisher, ingest.state.receiver.vault, connectors.kinds())
    added = await api.http.post(
        "/api/v1/sources",
        json={"kind": "webhook", "name": "lines"},
        headers=await api.key("owner"),
    )
    address = f"/api/v1/sources/{added.json()['id']}/posts"
    key = await api.key("contributor")
    if request.param == "in process":
        async with served(api.app) as url:
            yield Front(url, address, key, gate)
        return
    home = tmp_path / "other"
    common = Common(
        home=home, bus_url=f"sqlite:///{home}/log.db", database_url=f"sqlite:///{tmp_path}"
    )
    async with served(ingest) as behind:
        app = maru_gateway.app.create_app(Settings(common=common, ingest_url=behind), work=False)
        async with app.router.lifespan_context(app), served(app) as url:
            yield Front(url, address, key, gate)


def rows(start: int, end: int, *, padding: int = 0) -> bytes:
    return b"".join(
        orjson.dumps({"id": f"r-{number}", "text": f"wish {number} {os.urandom(padding).hex()}"})
        + b"\n"
        for number in range(start, end)
    )


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


async def test_a_body_larger_than_any_limit_arrives(front: Front) -> None:
    body = rows(0, 3_000, padding=1_100)
    assert len(body) > 6_000_000  # other bodies end at 5 MB

    told = (await front.post(body)).json()

    assert (told["lines"], told["accepted"]) == (3_000, 3_000)


async def test_a_packed_body_stays_packed(front: Front) -> None:
    answer = await front.post(gzip.compress(rows(0, 10)), content_encoding="gzip")

    assert answer.json()["accepted"] == 10


async def test_readers_may_not_send(api: Api, front: Front) -> None:
    front.key = await api.key("reader")

    assert (await front.post(rows(0, 1))).status_code == 403


async def test_who_sends_waits_for_the_log(front: Front) -> None:
    front.gate.open.clear()
    reader, writer = await front.begin()
    part = rows(0, 200, padding=1_000)
    sent = 0
    while sent < 64 * 1024 * 1024:
        writer.write(chunk(part))
        try:
            async with asyncio.timeout(2):
                await writer.drain()
        except TimeoutError:
            break
        sent += len(part)

    assert sent < 48 * 1024 * 1024  # buffers of sockets and one batch; it would go on for ever
    front.gate.open.set()
    writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(60):
        await writer.drain()
        status = await reader.readline()
    writer.close()
    assert b"200" in status


async def test_who_dies_in_the_middle_loses_nothing_that_was_acknowledged(
    api: Api, front: Front
) -> None:
    _, writer = await front.begin()
    body = rows(0, 1_200)
    writer.write(chunk(body + b'{"id": "r-1200", "text": "cut o'))
    await writer.drain()
    async with asyncio.timeout(30):
        while await posts(api) < 1_000:
            await asyncio.sleep(0.05)
    writer.close()
    async with asyncio.timeout(30):
        while await posts(api) < 1_200:  # what came whole is kept, too
            await asyncio.sleep(0.05)

    told = (await front.post(body)).json()

    assert (told["accepted"], told["duplicates"]) == (0, 1_200)
    listed = (await api.http.get("/api/v1/sources", headers=front.key)).json()["items"]
    assert listed[0]["rejected"] == 0  # half a line is no bad row


async def posts(api: Api) -> int:
    key = await api.key("reader")
    listed = (await api.http.get("/api/v1/sources", headers=key)).json()["items"]
    return int(listed[0]["posts"])
