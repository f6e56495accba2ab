"""What plays a platform: a server on loopback that behaves, or misbehaves, as a test says.

One file a kind of source, named like the connector's; each defines `UPSTREAM`, a class of these.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import web

Mode = Literal["ok", "throttled", "down", "refused", "hang", "half", "cut"]
"""How a server answers: as it should; 429 with what it says of waiting; 500; 401; not at all; with
half of the body as if that were all; and with half of the body before the connection breaks."""

Happened = Literal["written", "edited", "deleted"]

RETRY_SECONDS = 2


@dataclass
class Written:
    """A post on the platform. `parent` is the native id of what it answers."""

    native_id: str
    text: str
    at: datetime
    parent: str = ""
    edited_at: datetime | None = None
    deleted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


class Upstream(ABC):
    """A platform that holds posts and serves them page by page, or as they come.

    `misbehaves` are the modes that make sense for it; `page` is how many posts one answer holds,
    `reach` how far back it is looked at (no further than it shows its history).
    What it can do beside follows from its connector's capabilities. `secret` is what its settings
    keep secret, empty where nothing is, and `refusal` is told when it is wrong. `tells` is what its
    webhooks are about, if it sends any, and `signs` whether they vouch for every byte. Who listens
    to it `asks_again` after each word where there is no stream but a question that is held open.
    """

    misbehaves: frozenset[Mode] = frozenset({"throttled", "down", "refused", "hang", "half", "cut"})
    page = 20
    reach = timedelta(days=7)
    edits = False
    deletes = False
    secret = ""
    refusal: tuple[str, ...] = ("401", "The access token is invalid")
    signs = True
    asks_again = False
    tells: frozenset[Happened] = frozenset({"written", "edited", "deleted"})

    def __init__(self) -> None:
        self.posts: list[Written] = []
        self.mode: Mode = "ok"
        self.asked: list[float] = []
        self.requests: list[web.Request] = []
        self.host = "127.0.0.1:1"
        self.folder: Path | None = None
        self._listening: set[asyncio.Queue[Written | None]] = set()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the settings of a source that follows all that is written here."""

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """Return what the platform answers to."""

    @abstractmethod
    def name(self, number: int) -> str:
        """Return the native id of the post of that number, from 1."""

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://{self.host}"

    def throttle_headers(self) -> Mapping[str, str]:
        """What 429 comes with: for RETRY_SECONDS nobody may ask."""
        return {"Retry-After": str(RETRY_SECONDS)}

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of the webhook that tells of a post, signed.

        For kinds that have a `hook`.
        """
        raise NotImplementedError

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        """Have somebody write a post; return it."""
        number = len(self.posts) + 1
        written = Written(self.name(number), text, at or self._now(), parent)
        self.posts.append(written)
        self._tell(written)
        return written

    def _now(self) -> datetime:
        """Return a moment that no other post has: clocks may stand still between two of them."""
        now = datetime.now(UTC)
        newest = max(
            (one.at for one in self.posts if one.at - now < timedelta(seconds=1)), default=now
        )
        return max(now, newest + timedelta(microseconds=1))

    def edit(self, written: Written, text: str) -> None:
        """Have its author change a post."""
        written.text, written.edited_at = text, datetime.now(UTC)
        self._tell(written)

    def delete(self, written: Written) -> None:
        """Have its author take a post back."""
        written.deleted = True
        self._tell(written)

    def shown(self) -> Sequence[Written]:
        """The posts that are not deleted, oldest first."""
        return sorted((one for one in self.posts if not one.deleted), key=lambda one: one.at)

    def hang_up(self) -> None:
        """Break every stream off."""
        for queue in self._listening:
            queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[Written]:
        """Yield what is written, edited or deleted from now on, until `hang_up`."""
        queue: asyncio.Queue[Written | None] = asyncio.Queue()
        self._listening.add(queue)
        try:
            while (written := await queue.get()) is not None:
                yield written
        finally:
            self._listening.discard(queue)

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listening)

    @property
    def quiet_for(self) -> float:
        """Seconds since the last request."""
        return time.monotonic() - max(self.asked, default=0.0)

    def _tell(self, written: Written) -> None:
        for queue in self._listening:
            queue.put_nowait(written)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Answer on a free port of 127.0.0.1 while the block runs."""
        app = web.Application(middlewares=[self._misbehave])
        app.add_routes(self.routes())
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.host = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.hang_up()
            await runner.cleanup()

    @web.middleware
    async def _misbehave(
        self, request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        self.asked.append(time.monotonic())
        self.requests.append(request)
        match self.mode:
            case "throttled":
                return web.json_response(
                    {"error": "Too many requests"}, status=429, headers=self.throttle_headers()
                )
            case "down":
                return web.Response(status=500, text="<h1>Oops</h1>")
            case "refused":
                return web.json_response({"error": "The access token is invalid"}, status=401)
            case "hang":
                await asyncio.sleep(3_600)
        answer: web.StreamResponse = await handler(request)
        if self.mode in ("half", "cut") and isinstance(answer, web.Response):
            return await self._halved(request, answer)
        return answer

    async def _halved(self, request: web.Request, whole: web.Response) -> web.StreamResponse:
        body = whole.body
        assert isinstance(body, bytes)
        if self.mode == "half":
            kind = whole.headers.get("Content-Type", "application/json")
            return web.Response(body=body[: len(body) // 2], headers={"Content-Type": kind})
        answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return answer
