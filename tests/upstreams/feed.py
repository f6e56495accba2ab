"""A feed server on loopback that behaves, or misbehaves, as a test says."""

import asyncio
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web
from anyio.from_thread import start_blocking_portal

from upstreams.upstream import Upstream, Written

_THREADING = "http://purl.org/syndication/thread/1.0"  # RFC 4685


@dataclass
class FeedServer:
    """Serves one feed at every path; `mode` says how.

    Modes: ok, gzip, unchanged (validators), status (with `status` and `answer_headers`), half,
    bomb (gzip), endless, drip (endless, a few bytes at a time), hang, cycle (redirects to
    itself), page (HTML), raw (`body` as it is). There is no robots.txt unless `robots` is set.
    """

    mode: str = "ok"
    status: int = 500
    answer_headers: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    robots: bytes | None = None
    ttl: int = 0
    host: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    seen_headers: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/feed.xml") -> str:
        return f"http://{self.host}{path}"

    def feed(self) -> bytes:
        items = "".join(
            f"<item><guid>{guid}</guid><title>{escape(text)}</title>"
            f"<link>/posts/{guid}</link></item>"
            for guid, text in reversed(self.posts)
        )
        ttl = f"<ttl>{self.ttl}</ttl>" if self.ttl else ""
        return f'<rss version="2.0"><channel><title>t</title>{ttl}{items}</channel></rss>'.encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            headers = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in lines[1:] if line)
            }
            path = lines[0].split()[1]
            self.requests[path] += 1
            self.seen_headers.append(headers)
            if path == "/robots.txt":
                send(writer, 404 if self.robots is None else 200, self.robots or b"", {})
            else:
                await self._respond(writer, headers)
            await writer.drain()

    async def _respond(  # noqa: C901, PLR0912 - one line a mode
        self, writer: asyncio.StreamWriter, asked: dict[str, str]
    ) -> None:
        body = self.feed()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        match self.mode:
            case "ok":
                send(writer, 200, body, self.answer_headers)
            case "gzip":
                packed = gzip.compress(body)
                send(writer, 200, packed, {"Content-Encoding": "gzip"})
            case "unchanged" if asked.get("if-none-match") == tag:
                send(writer, 304, b"", {"ETag": tag, **self.answer_headers})
            case "unchanged":
                dated = {"ETag": tag, "Last-Modified": "Mon, 23 Nov 2026 10:00:00 GMT"}
                send(writer, 200, body, {**dated, **self.answer_headers})
            case "status":
                send(writer, self.status, b"no", self.answer_headers)
            case "half":
                send(writer, 200, body[: len(body) // 2], {})
            case "bomb":
                send(writer, 200, bomb(), {"Content-Encoding": "gzip"})
            case "cycle":
                send(writer, 302, b"", {"Location": self.url("/again")})
            case "page":
                send(writer, 200, b"<!doctype html><html><body>hi</body></html>", {})
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
                while True:
                    writer.write(b"<a/>" * 10_000)
                    await writer.drain()
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
                while True:
                    writer.write(b"<a/>")
                    await writer.drain()
                    await asyncio.sleep(0.2)
            case "raw":
                send(writer, 200, self.body, self.answer_headers)
            case "hang":
                await asyncio.sleep(3_600)


def send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@asynccontextmanager
async def feed_server(posts: Sequence[tuple[str, str]] = ()) -> AsyncIterator[FeedServer]:
    """Start a server on a free port of 127.0.0.1, and stop it at the end."""
    server = FeedServer(posts=list(posts))
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await server.answer(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    server.host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def feed_server_beside(posts: Sequence[tuple[str, str]] = ()) -> Iterator[FeedServer]:
    """The same in a thread of its own, for tests that do not run in an event loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(feed_server(posts)) as server,
    ):
        yield server


@cache
def bomb() -> bytes:
    """256 MiB of zeros, packed."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for _ in range(256):
            file.write(bytes(2**20))
    return packed.getvalue()


class FeedUpstream(Upstream):
    """A blog whose feed shows all of its posts, with the validators of RFC 9110."""

    edits = True
    head = ""
    """What else the feed says of itself, as XML."""
    is_tagged = True
    """Whether answers have a validator."""

    def settings(self) -> dict[str, Any]:
        return {"url": f"{self.url}/feed.xml", "interval_seconds": 1}

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/feed.xml", self._feed)]

    def name(self, number: int) -> str:
        return f"tag:example.org,2026:{number}"

    async def _feed(self, request: web.Request) -> web.Response:
        body = self.document()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"ETag": tag} if self.is_tagged else {}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/rss+xml", headers=headers)

    def document(self) -> bytes:
        """The feed as it is."""
        items = "".join(f"<item>{self.item(one)}</item>" for one in reversed(self.shown()))
        opening = f'<rss version="2.0" xmlns:thr="{_THREADING}"><channel><title>t</title>'
        return f"{opening}{self.head}{items}</channel></rss>".encode()

    def item(self, one: Written) -> str:
        """What the feed says of a post, as XML."""
        return (
            f'<guid isPermaLink="false">{one.native_id}</guid>'
            f"<description>{escape(one.text)}</description>"
            f"<pubDate>{format_datetime(one.at)}</pubDate>"
            + (f'<thr:in-reply-to ref="{one.parent}"/>' if one.parent else "")
        )


UPSTREAM = FeedUpstream
