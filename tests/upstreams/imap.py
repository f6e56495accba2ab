"""A mail server: pymap, which others wrote, with one mailbox in memory.

A gate before it lets it misbehave.
"""

import asyncio
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Self

from aiohttp import web
from proxyprotocol.result import ProxyResultLocal
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer, IMAPService

from upstreams.upstream import Mode, Upstream, Written

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
USER, PASSWORD = "help@maru.example", "correct horse"


class Imap(Upstream):
    """A mailbox with one folder."""

    misbehaves: frozenset[Mode] = frozenset({"down", "refused", "hang", "cut"})
    secret = PASSWORD
    refusal = ("AUTHENTICATIONFAILED",)

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []
        self._servers: list[asyncio.Server] = []
        self._putting = asyncio.Lock()
        self._port = 0
        self._coming: list[tuple[bytes, datetime]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def settings(self) -> dict[str, Any]:
        host, _, port = self.host.partition(":")
        return {
            "host": host,
            "port": int(port),
            "security": "none",
            "username": USER,
            "password": PASSWORD,
            "interval_seconds": 1,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return ()

    def name(self, number: int) -> str:
        return f"{number}@customers.example"

    def _tell(self, written: Written) -> None:
        message = EmailMessage()
        message["From"] = "kim@customers.example"
        message["To"] = USER
        message["Date"] = written.at
        message["Message-ID"] = f"<{written.native_id}>"
        if written.parent:
            message["In-Reply-To"] = f"<{written.parent}>"
        message.set_content(written.text)
        self.deliver(message.as_bytes(policy=SMTP), at=written.at)

    def deliver(self, message: bytes, *, at: datetime) -> None:
        """Have a mail come, which the next client sees."""
        self._coming.append((message, at))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Answer on a free port of 127.0.0.1 while the block runs."""
        await self.renumber()
        self.host = f"127.0.0.1:{await self._listen(self._pass)}"
        try:
            yield self
        finally:
            for server in self._servers:
                server.close()
            await asyncio.sleep(0.05)  # who has just come has not begun yet
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks)

    async def renumber(self) -> None:
        """Begin with an empty mailbox that numbers its mails anew, as after a restore."""
        parser = ArgumentParser()
        DictBackend.add_subparser("dict", parser.add_subparsers())
        IMAPService.add_arguments(parser)
        user = ["--demo-user", USER, "--demo-password", PASSWORD]
        args = parser.parse_args(["--no-tls", "dict", *user])
        vars(args).update(debug=False, passlib_cfg=None, skip_services=[])
        backend, config = await DictBackend.init(args)
        config.apply_context()
        server = IMAPServer(backend.login, config)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server(reader, writer, SocketInfo.get(writer, ProxyResultLocal(), unique_id=b"1"))

        self._port = await self._listen(answer)

    async def _listen(self, answer: Answer) -> int:
        """Answer on a free port, which is returned, until the end of the test."""

        async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await answer(reader, writer)
            except* (ConnectionError, asyncio.CancelledError):
                pass  # the client or the test is over
            finally:
                await _close(writer)
                self._tasks.discard(task)

        server = await asyncio.start_server(tracked, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def _behind(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        finally:
            await _close(writer)

    async def _put(self) -> None:
        """Put the mails that have come into the folder (RFC 9051 section 6.3.12)."""
        async with self._putting:
            if not self._coming:
                return
            coming, self._coming = self._coming, []
            commands = [b'LOGIN "%s" "%s"' % (USER.encode(), PASSWORD.encode())]
            for message, at in coming:
                came = f"{at:%d-%b-%Y %H:%M:%S +0000}".encode()
                commands.append(b'APPEND INBOX "%s" {%d+}\r\n%s' % (came, len(message), message))
            async with self._behind() as (reader, writer):
                for command in commands:
                    writer.write(b"a " + command + b"\r\n")
                    while not (line := await reader.readline()).startswith(b"a "):
                        assert line
                    assert line.startswith(b"a OK"), line

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a client through, as far as the mode allows."""
        self.asked.append(time.monotonic())
        if self.mode == "down":
            writer.write(b"* BYE [UNAVAILABLE] Too many of you\r\n")
            return
        await self._put()
        async with self._behind() as (behind, ahead), asyncio.TaskGroup() as group:
            group.create_task(self._forward(reader, ahead))
            group.create_task(self._answer(behind, writer))

    async def _forward(self, reader: asyncio.StreamReader, ahead: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.said.append(line)
            if self.mode == "refused" and b" LOGIN " in line:
                line = line.replace(b'"correct horse"', b'"wrong horse"')
            ahead.write(line)
        ahead.close()

    async def _answer(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await behind.readline():
            if self.mode == "hang":
                await asyncio.sleep(3_600)
            if self.mode == "cut" and b"SEARCH" in line:
                writer.write(line[:-4])
                break
            writer.write(line)
        writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


UPSTREAM = Imap
