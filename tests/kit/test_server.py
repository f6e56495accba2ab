"""A real server on a real port: junk on the wire, stopping, a taken port."""

import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from servers.ports import free_ports

PROGRAM = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from maru_kit import logs
from maru_kit.http import create_app, requires, serve

router = APIRouter()

@router.get("/slow", openapi_extra=requires("public"))
async def slow(seconds: float) -> str:
    print("asked", flush=True)
    await asyncio.sleep(seconds)
    return "done"

@router.get("/stream", openapi_extra=requires("public"))
async def stream() -> StreamingResponse:
    async def events():
        while True:
            yield b"."
            await asyncio.sleep(0.05)
    return StreamingResponse(events())

@asynccontextmanager
async def lifespan(app):
    yield
    print("closed", flush=True)

async def checks():
    return []

logs.configure("sample", format="json")
app = create_app(
    title="s", service="sample", lifespan=lifespan, routers=[router], checks=checks, max_body=1000
)
asyncio.run(
    serve(app, host="127.0.0.1", port=PORT, on_ready=lambda: print("ready", flush=True))
)
"""


class Running:
    """The program above as a process."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.replace("PORT", str(port))],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def told(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(10)


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    (port,) = free_ports(1)
    server = Running(port, folder / "server.log")
    try:
        assert server.told() == "ready", server.log.read_text()
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def send(port: int, data: bytes) -> bytes:
    """What the server answers to some bytes, until it closes or has answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def junk(count: int) -> Iterator[bytes]:
    """Requests that were damaged at random, always in the same way."""
    chance = random.Random(7)
    whole = b"GET /slow?seconds=0 HTTP/1.1\r\nHost: x\r\nX-A: b\r\n"
    for _ in range(count):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        yield bytes(damaged) + b"\r\nConnection: close\r\n\r\n"


def test_junk_on_the_wire_is_answered_and_never_an_error_of_ours(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        answers = {request: send(server.port, request) for request in junk(500)}

        assert [request for request, answer in answers.items() if not answer] == []
        assert all(answer.startswith(b"HTTP/1.1 ") for answer in answers.values())
        assert {answer[9:10] for answer in answers.values()} <= {b"2", b"3", b"4"}
        assert httpx.get(f"{server.url}/slow?seconds=0").json() == "done"
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "target",
    [
        b"/\xff",
        b"/\xed\x95\x9c",
        b"/%ff",
        b"/%00",
        b"*",
        b"http://other/x",
        b"//",
        b"/\x7f",
        b"/a b",
    ],
)
def test_an_odd_target_is_a_request_that_fails(tmp_path: Path, target: bytes) -> None:
    with running(tmp_path) as server:
        answer = send(
            server.port, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )

    assert answer.split(b" ", 2)[1] in {b"400", b"404"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_what_is_under_way_finish(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path) as server:
        async with httpx.AsyncClient() as client:
            asked = asyncio.create_task(client.get(f"{server.url}/slow?seconds=0.5"))
            assert await asyncio.to_thread(server.told) == "asked"

            code = await asyncio.to_thread(server.stop, how)

            assert (await asked).json() == "done"
        assert code == 0
        assert server.told() == "closed"


def test_an_open_stream_holds_up_a_stop_for_a_few_seconds_only(tmp_path: Path) -> None:
    with (
        running(tmp_path) as server,
        httpx.stream("GET", f"{server.url}/stream") as answer,
    ):
        next(answer.iter_raw())
        began = time.monotonic()

        assert server.stop(signal.SIGTERM) == 0

        assert time.monotonic() - began < 8
        assert server.told() == "closed"


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with (
        running(tmp_path) as server,
        httpx.stream("GET", f"{server.url}/stream") as answer,
    ):
        next(answer.iter_raw())
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)

        server.stop(signal.SIGTERM)

        assert time.monotonic() - began < 6


def test_a_port_that_is_taken_is_told_and_ends_the_start(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        second = Running(server.port, tmp_path / "second.log")

        assert second.process.wait(20) != 0
        second.process.communicate()
    assert "address already in use" in second.log.read_text()
