"""A web server that means harm, on a port of this machine; it counts who comes."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


class Hostile:
    """Answers by path; `seen` holds the head of every request."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[str] = []
        self.answers: dict[str, bytes] = {}

    @property
    def host(self) -> str:
        """The authority of its addresses."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://{self.host}{path}"

    def redirect(self, path: str, location: str) -> None:
        """Make a path lead elsewhere."""
        self.answers[path] = _head(302, f"Location: {location}")

    def say(self, path: str, status: int, *headers: str) -> None:
        """Make a path answer with a status and headers, and no body."""
        self.answers[path] = _head(status, *headers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.seen.append(head)
            path = head.split(" ")[1]
            if path == "/endless":
                await _endless(writer)
            elif path == "/drip":
                await _drip(writer)
            else:
                writer.write(self.answers.get(path, _OK + b"Content-Length: 2\r\n\r\nok"))
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *headers, "Content-Length: 0", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(_OK + b"\r\n")
    while True:
        writer.write(bytes(65536))
        await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(_OK + b"Content-Length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


def bomb(size: int) -> bytes:
    """An answer that is `size` bytes once it is unpacked, and a thousandth of it before."""
    packed = gzip.compress(bytes(size))
    return (
        _OK + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    )


@asynccontextmanager
async def open_hostile() -> AsyncIterator[Hostile]:
    """Start such a server."""
    hostile = Hostile()
    async with asyncio.TaskGroup() as visits:

        def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visits.create_task(hostile.serve(reader, writer))

        server = await asyncio.start_server(visit, "127.0.0.1", 0)
        hostile.port = server.sockets[0].getsockname()[1]
        try:
            yield hostile
        finally:
            server.close()
