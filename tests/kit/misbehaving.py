"""A server on loopback whose every connection is handled as a test says, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"


@dataclass
class Call:
    """One connection: the head of its request, and both directions of what follows."""

    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, *parts: bytes, apart: float = 0.0) -> None:
        """Send parts, each on its way before the next."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(apart)

    async def hang(self) -> None:
        """Say nothing until the other side leaves."""
        while await self.reader.read(65536):
            pass


Answer = Callable[[Call], Awaitable[None]]


@dataclass
class Server:
    """Where it listens, who came, and how many are still there."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    here: int = 0

    @property
    def host(self) -> str:
        """The authority of its addresses."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/", scheme: str = "http") -> str:
        """The address of a path."""
        return f"{scheme}://{self.host}{path}"


@asynccontextmanager
async def misbehaving(answer: Answer, *, tls: SSLContext | None = None) -> AsyncIterator[Server]:
    """Start such a server; what still runs at the end is stopped."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                server.here += 1
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                server.heads.append(head)
                await answer(Call(head, reader, writer))
            finally:
                server.here -= 1
                writer.close()

    def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(visit, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
