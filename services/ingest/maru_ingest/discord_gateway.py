"""Discord's Gateway (v10): a session of events over a WebSocket, which can be resumed.

https://docs.discord.com/developers/events/gateway
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from maru_ingest.connector import (
    CredentialsRefused,
    SourceBroken,
    SourceBusy,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Unreadable
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Closed, OutboundError, Refused, WebSocket

EVENTS = frozenset({"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK"})
"""What is heard; other events are only counted."""

_INTENTS = 1 << 9 | 1 << 15  # messages in servers, and what they say
_LEAVE_OPEN = 4_000  # 1000 and 1001 would end the session
_IDLE = 120.0
_WAITING = 100
_MAX_NAME = 200
_MAX_HEARTBEAT = 600.0
_TOO_FAST = 60.0
_RATE_LIMITED = 4_008
_REFUSED = 4_004
_LOST = frozenset({4_003, 4_007, 4_009})
_NO_USE = {
    4_010: "the shard is not valid",
    4_011: "the bot is in so many servers that it would have to shard",
    4_012: "this version of the Gateway is no more",
    4_013: "the intents are not valid",
    4_014: "switch on Message Content Intent on the bot's page at discord.com/developers",
}


@dataclass(frozen=True, slots=True)
class Session:
    """Where to resume: after the event `seq`, at the server of Discord's that has the session."""

    id: str
    url: str
    seq: int


@dataclass(slots=True)
class Link:
    """A connection: what is heard there (None at its end), and how it ended.

    `session` is what may be resumed, as of its beginning; `seq` is the number of the last event
    that came. `failed` is why the connection ended, None for an end after which one simply listens
    again; `is_lost` says that the session has ended with it. `begun` is set by the first event.
    """

    socket: WebSocket
    home: str
    session: Session | None
    seq: int
    heard: asyncio.Queue[Object | None] = field(default_factory=lambda: asyncio.Queue(_WAITING))
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_acknowledged: bool = True
    is_lost: bool = False
    failed: Exception | None = None

    async def start(self, token: str) -> float:
        """Hear the greeting, and identify or resume; return the seconds between heartbeats."""
        hello = _frame(await anext(self.socket, ""))
        told = untyped.count(hello, "d", "heartbeat_interval") or 0
        seconds = min(told / 1000, _MAX_HEARTBEAT)
        if untyped.at(hello, "op") != _Op.HELLO or not seconds:
            raise SourceBroken("Discord's Gateway does not greet.")
        if self.session is not None:
            session = {"session_id": self.session.id, "seq": self.session.seq}
            await self._send(_Op.RESUME, {"token": token, **session})
        else:
            us = {"os": "linux", "browser": "maru", "device": "maru"}
            await self._send(_Op.IDENTIFY, {"token": token, "intents": _INTENTS, "properties": us})
        return seconds

    async def run(self, heartbeat: float) -> None:
        """Hear and beat until either ends."""
        tasks = [asyncio.create_task(self._beat(heartbeat)), asyncio.create_task(self._hear())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        self._note_end(next((end for end in ends if isinstance(end, Exception)), None))
        self.begun.set()
        await self.heard.put(None)

    async def _beat(self, seconds: float) -> None:
        """Show that we live; end when Discord does not show the same in time."""
        await asyncio.sleep(seconds * random.random())
        while self.is_acknowledged:
            self.is_acknowledged = False
            await self._send(_Op.HEARTBEAT, self.seq or None)
            await asyncio.sleep(seconds)

    async def _hear(self) -> None:
        async for message in self.socket:
            frame = _frame(message)
            match untyped.at(frame, "op"):
                case _Op.DISPATCH:
                    await self._take(untyped.mapping(frame))
                case _Op.HEARTBEAT:
                    await self._send(_Op.HEARTBEAT, self.seq or None)
                case _Op.RECONNECT:
                    return
                case _Op.INVALID_SESSION:
                    self.is_lost = untyped.at(frame, "d") is not True
                    return
                case _Op.ACKNOWLEDGED:
                    self.is_acknowledged = True

    async def _take(self, event: Object) -> None:
        self.seq = max(self.seq, untyped.count(event, "s") or 0)
        kind = untyped.string(event, "t")
        if kind == "READY":
            name = untyped.string(event, "d", "session_id")[:_MAX_NAME]
            url = neighbour(self.home, untyped.string(event, "d", "resume_gateway_url"))
            self.session = Session(name, url, self.seq)
        self.begun.set()
        if kind in EVENTS:
            await self.heard.put(event)

    async def _send(self, op: int, data: object) -> None:
        await self.socket.send(orjson.dumps({"op": op, "d": data}).decode())

    def _note_end(self, error: Exception | None) -> None:
        if isinstance(error, Closed):
            self.is_lost = error.code in _LOST
            self.failed = _closed(error.code)
        elif not isinstance(error, OutboundError):
            self.failed = error


class _Op:
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    ACKNOWLEDGED = 11


@asynccontextmanager
async def linked(
    tools: Tools, home: str, token: str, session: Session | None
) -> AsyncIterator[Link]:
    """Be connected while the block runs, from the first event on, which may be the end.

    `home` is the Gateway's address; a session is resumed where it is kept. Raises SourceBusy and
    SourceBroken as `Tools.get` does.
    """
    async with AsyncExitStack() as stack:
        try:
            with translated():
                async with asyncio.timeout(tools.deadline):
                    link = await _open(stack, tools, home, session)
                    heartbeat = await link.start(token)
                    running = asyncio.create_task(link.run(heartbeat))
                    stack.push_async_callback(_stop, running)
                    await link.begun.wait()
        except TimeoutError as error:
            raise SourceBusy("Discord's Gateway does not answer.") from error
        except SourceBroken as error:
            if isinstance(error.__cause__, Refused):
                check_status(error.__cause__.answer)
            if isinstance(error.__cause__, Closed):
                raise _closed(error.__cause__.code) or error from error
            raise
        yield link


async def _open(stack: AsyncExitStack, tools: Tools, home: str, session: Session | None) -> Link:
    if tools.budget is not None:
        tools.budget.spend()
    there = neighbour(home, session.url) if session else home
    socket = await stack.enter_async_context(
        tools.outbound.websocket(
            f"{there.rstrip('/')}/?v=10&encoding=json", idle_seconds=_IDLE, goodbye=_LEAVE_OPEN
        )
    )
    return Link(socket, home, session, session.seq if session else 0)


async def _stop(running: asyncio.Task[Any]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def neighbour(home: str, named: str) -> str:
    """Return the address that a session is kept at, if it may see the token; else `home`.

    It stays in the Gateway's domain: gateway-us-east1-b.discord.gg for gateway.discord.gg.
    """
    try:
        here, there = urlsplit(home), urlsplit(named)
        is_plain = (
            f"{there.scheme}://{there.netloc}" == named.rstrip("/") and here.port == there.port
        )
    except ValueError:
        return home
    domain = (here.hostname or "").partition(".")[2]
    is_near = "." in domain and (there.hostname or "").endswith(f".{domain}")
    is_same = there.scheme == here.scheme and "@" not in there.netloc
    return named.rstrip("/") if is_plain and is_near and is_same else home


def _frame(message: str | bytes) -> object:
    body = message.encode() if isinstance(message, str) else message
    try:
        return payloads.loads(body)
    except Unreadable as error:
        raise SourceBroken(f"Discord's Gateway sends what can't be read: {error}.") from error


def _closed(code: int) -> SourceBusy | SourceBroken | None:
    """Return what a close code means, None when one simply connects again."""
    if code == _REFUSED:
        return CredentialsRefused("Discord does not take the bot's token.")
    if code == _RATE_LIMITED:
        return SourceBusy("Discord's Gateway asks for patience.", retry_after=_TOO_FAST)
    if code in _NO_USE:
        return SourceBroken(f"Discord's Gateway closes with {code}: {_NO_USE[code]}.")
    return None
