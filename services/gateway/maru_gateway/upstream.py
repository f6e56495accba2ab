"""The services behind the gateway, called in process or over HTTP, in the same way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlsplit

import httpcore
import orjson
import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Scope

from maru_gateway.openapi import Document
from maru_kit.errors import Unavailable

_TIMEOUTS = {"timeout": {"connect": 2.0, "read": 30.0, "write": 30.0, "pool": 2.0}}
_DEADLINE = 35.0
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}
)
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of a service's answer; no page of a list is a tenth of it."""

log = structlog.get_logger(__name__)

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A whole answer of a service."""

    status: int
    headers: Headers
    body: bytes


class Upstream(Protocol):
    """A service that can be asked."""

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes
    ) -> Answer:
        """Send a request and return the answer; raises Unavailable when there is none."""


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

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes
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
            "headers": headers,
            "server": ("maru", None),
            "client": ("127.0.0.1", 0),
            "state": {},
        }
        status, answered, parts = 500, Headers(), list[bytes]()
        request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if request:
                return request.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], list(message["headers"])
            else:
                parts.append(message.get("body", b""))

        async with _deadline():
            await self._app(scope, receive, send)
        return Answer(status, answered, b"".join(parts))


class OverHttp:
    """A service in another process."""

    def __init__(
        self, name: str, pool: httpcore.AsyncConnectionPool, url: str, token: SecretStr | None
    ) -> None:
        self._name = name
        self._pool = pool
        self._url = url.rstrip("/")
        self._host = urlsplit(url).netloc.encode()
        self._token = token.get_secret_value().encode() if token else None

    async def ask(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes
    ) -> Answer:
        """Send the request over a kept connection."""
        # As in process, the service sees the host that the client asked for.
        named = any(name == b"host" for name, _ in headers)
        sent = [*headers] if named else [(b"host", self._host), *headers]
        if self._token is not None:
            sent.append((b"x-maru-service-token", self._token))
        if body or method != "GET":
            sent.append((b"content-length", str(len(body)).encode()))
        target = f"{self._url}{quote(path)}".encode() + (b"?" + query if query else b"")
        request = httpcore.Request(method, target, headers=sent, content=body, extensions=_TIMEOUTS)
        try:
            async with _deadline():
                response = await self._pool.handle_async_request(request)
                try:
                    content = await self._whole(response)
                finally:
                    await response.aclose()
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            reason = str(error) or type(error).__name__
            log.warning("service.silent", upstream=self._name, url=self._url, reason=reason)
            raise Unavailable(f"The {self._name} service does not answer") from error
        kept = [(name.lower(), value) for name, value in response.headers]
        return Answer(response.status, [h for h in kept if h[0] not in _HOP_BY_HOP], content)

    async def _whole(self, response: httpcore.Response) -> bytes:
        content = bytearray()
        async for part in response.aiter_stream():
            content += part
            if len(content) > MAX_ANSWER:
                raise Unavailable(f"The {self._name} service's answer has no end")
        return bytes(content)


@asynccontextmanager
async def open_upstreams(
    urls: Mapping[str, str], token: SecretStr | None
) -> AsyncIterator[dict[str, Upstream]]:
    """Open connections to services in other processes."""
    async with httpcore.AsyncConnectionPool(max_connections=200, keepalive_expiry=15) as pool:
        yield {name: OverHttp(name, pool, url, token) for name, url in urls.items()}


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_DEADLINE):
            yield
    except TimeoutError as error:
        raise Unavailable("The service took too long to answer") from error
