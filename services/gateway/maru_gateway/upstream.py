"""The services behind the gateway, called in process or over HTTP, in the same way."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Scope
from yarl import URL

from maru_gateway.openapi import Document
from maru_kit.errors import Unavailable

_DEADLINE = 35.0
_TIMEOUTS = aiohttp.ClientTimeout(total=_DEADLINE, sock_connect=2.0, sock_read=30.0)
_UNTIMED = aiohttp.ClientTimeout(total=None, sock_connect=2.0)
"""For bodies that are streamed: how long that takes is the client's and the service's business."""
_CONNECTIONS = 200
_KEPT_SECONDS = 15
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}
)
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of a service's answer; no page of a list is a tenth of it."""

log = structlog.get_logger(__name__)

Headers = list[tuple[bytes, bytes]]
Stream = AsyncGenerator[bytes, None]
"""A body that is passed on while it comes; it raises ClientGone when its sender does not end it."""


class ClientGone(Exception):
    """Who sends a request has gone before its body was whole."""


@dataclass(frozen=True)
class Answer:
    """A whole answer of a service."""

    status: int
    headers: Headers
    body: bytes


class Upstream(Protocol):
    """A service that can be asked."""

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | Stream
    ) -> Answer:
        """Send a request and return the answer; raises Unavailable when there is none.

        A body that is streamed is read no faster than the service takes it. Raises ClientGone
        when it was not whole.
        """


async def document_of(upstream: Upstream) -> Document:
    """Fetch a service's OpenAPI document; raises Unavailable when it can't be had."""
    answer = await upstream.ask("GET", "/openapi.json", b"", [], b"")
    if answer.status != 200:  # noqa: PLR2004
        raise Unavailable(f"A service describes itself with the status {answer.status}")
    try:
        document: Document = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Unavailable("A service's description of itself can't be read") from error
    return document


class InProcess:
    """A service in this process: its ASGI application is called directly."""

    def __init__(self, app: ASGIApp, token: SecretStr | None = None) -> None:
        self._app = app
        self._token = _token_header(token)

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | Stream
    ) -> Answer:
        """Call the application."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [*headers, *self._token],
            "server": ("maru", None),
            "client": ("127.0.0.1", 0),
            "state": {},
        }
        status, answered, parts = 500, Headers(), list[bytes]()
        receive = _Whole(body) if isinstance(body, bytes) else _Passed(body)

        async def send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        async with _deadline(_DEADLINE if isinstance(body, bytes) else None):
            await self._app(scope, receive, send)
        receive.check()
        return Answer(status, answered, b"".join(parts))


class _Whole:
    """A request's body that is there at once (an ASGI `receive`)."""

    def __init__(self, body: bytes) -> None:
        self._messages: list[Message] = [{"type": "http.request", "body": body}]

    async def __call__(self) -> Message:
        if self._messages:
            return self._messages.pop()
        await asyncio.Event().wait()
        raise AssertionError

    def check(self) -> None:
        """Return: it was whole."""


class _Passed:
    """A request's body that comes piece by piece (an ASGI `receive`)."""

    def __init__(self, pieces: Stream) -> None:
        self._pieces = pieces
        self._is_cut = False

    async def __call__(self) -> Message:
        try:
            piece = await anext(self._pieces, None)
        except ClientGone:
            self._is_cut = True
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    def check(self) -> None:
        """Raise ClientGone when it was not whole."""
        if self._is_cut:
            raise ClientGone


class OverHttp:
    """A service in another process."""

    def __init__(
        self, name: str, session: aiohttp.ClientSession, url: str, token: SecretStr | None
    ) -> None:
        self._name = name
        self._session = session
        self._url = url.rstrip("/")
        self._token = _token_header(token)

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes | Stream
    ) -> Answer:
        """Send the request over a kept connection."""
        # As in process, the service sees the host that the client asked for.
        sent = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in (*headers, *self._token)
        ]
        target = f"{self._url}{quote(path)}" + (f"?{query.decode('latin-1')}" if query else "")
        try:
            async with self._session.request(
                method,
                URL(target, encoded=True),
                headers=sent,
                data=body or None,
                timeout=_TIMEOUTS if isinstance(body, bytes) else _UNTIMED,
                allow_redirects=False,
            ) as response:
                content = await self._whole(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error.__cause__, ClientGone):
                raise ClientGone from error
            reason = str(error) or type(error).__name__
            log.warning("service.silent", upstream=self._name, url=self._url, reason=reason)
            raise Unavailable(f"The {self._name} service does not answer") from error
        kept = [(name.lower(), value) for name, value in response.raw_headers]
        return Answer(response.status, [h for h in kept if h[0] not in _HOP_BY_HOP], content)

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for part in response.content.iter_any():
            content += part
            if len(content) > MAX_ANSWER:
                raise Unavailable(f"The {self._name} service's answer has no end")
        return bytes(content)


@asynccontextmanager
async def open_upstreams(
    urls: Mapping[str, str], token: SecretStr | None
) -> AsyncIterator[dict[str, Upstream]]:
    """Open connections to services in other processes."""
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEPT_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=_TIMEOUTS,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    ) as session:
        yield {name: OverHttp(name, session, url, token) for name, url in urls.items()}


def _token_header(token: SecretStr | None) -> Headers:
    return [(b"x-maru-service-token", token.get_secret_value().encode())] if token else []


@asynccontextmanager
async def _deadline(seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable("The service took too long to answer") from error
