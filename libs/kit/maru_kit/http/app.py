"""The one application factory: problems, probes, metrics, limits, headers."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote_plus
from uuid import uuid4

import structlog
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import SecretStr
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maru_kit import metrics
from maru_kit.errors import ConfigError, Unavailable
from maru_kit.http import problems
from maru_kit.http.access import is_streamed, role_of

log = structlog.get_logger(__name__)

MAX_BODY = 1_000_000
"""Bytes of a request's body; more is refused with 413."""

_MAX_REQUEST_ID = 64
_TOO_LARGE = "The body is larger than {} bytes; send it in parts"
_METHODS = frozenset(HTTPMethod)
_LAG_SAMPLE = 0.5

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")


@dataclass(frozen=True)
class Check:
    """One thing that must work before a service is ready; `reason` says why it does not."""

    name: str
    ok: bool
    reason: str = ""


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Checks = Callable[[], Awaitable[Sequence[Check]]]


class Answering(Protocol):
    """A log or a database: what can be asked whether it answers."""

    async def ping(self) -> None:
        """Return when it answers; raises Unavailable when it does not."""


async def answers(name: str, what: Answering) -> Check:
    """Ask a log or a database whether it answers."""
    try:
        await what.ping()
    except Unavailable as error:
        return Check(name, ok=False, reason=str(error))
    return Check(name, ok=True)


def create_app(
    *,
    title: str,
    service: str,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    checks: Checks,
    service_token: SecretStr | None = None,
    max_body: int = MAX_BODY,
    door: Callable[[ASGIApp], ASGIApp] | None = None,
    streams: Callable[[Scope], bool] | None = None,
) -> FastAPI:
    """Make a service's application.

    Raises ConfigError when a route declares no role. With a `service_token`, every path but the
    probes asks for it in X-Maru-Service-Token. A `door` stands between the edge (headers, limits,
    measurements) and the routes. `streams` tells which requests' bodies may have any length; it is
    for the door's own knowledge, since of the routes it is known.
    """
    app = FastAPI(
        title=title,
        lifespan=_watched(lifespan, service),
        docs_url=None,
        redoc_url=None,
        responses=problems.RESPONSES,
    )
    for router in routers:
        _demand_roles(router)
        app.include_router(router)
    problems.install(app)
    problems.describe(app)
    _add_probes(app, checks)
    if door is not None:
        app.add_middleware(door)
    app.add_middleware(
        _Edge,
        service=service,
        token=service_token,
        max_body=max_body,
        streams=streams or _streams(routers),
    )
    return app


def _streams(routers: Sequence[APIRouter]) -> Callable[[Scope], bool]:
    """Tell which requests ask for a route that declares its body as streamed."""
    found = [
        (route.methods or set(), route.path_regex)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute) and is_streamed(route.openapi_extra or {})
    ]
    return lambda scope: any(
        scope["method"] in methods and path.match(scope["path"]) for methods, path in found
    )


def _watched(lifespan: Lifespan, service: str) -> Lifespan:
    """Measure the event loop's lag while the application lives."""

    @asynccontextmanager
    async def measured(app: FastAPI) -> AsyncIterator[None]:
        sampler = asyncio.create_task(_sample_lag(service), name="loop-lag")
        try:
            async with lifespan(app):
                yield
        finally:
            sampler.cancel()
            await asyncio.gather(sampler, return_exceptions=True)

    return measured


async def _sample_lag(service: str) -> None:
    lag = metrics.LOOP_LAG_SECONDS.labels(service)
    while True:
        planned = time.monotonic() + _LAG_SAMPLE
        await asyncio.sleep(_LAG_SAMPLE)
        lag.observe(max(0.0, time.monotonic() - planned))


def _demand_roles(router: APIRouter) -> None:
    for route in router.routes:
        if isinstance(route, APIRoute) and role_of(route.openapi_extra or {}) is None:
            raise ConfigError(
                f"{sorted(route.methods or ())} {route.path} declares no role: "
                'give it openapi_extra=requires("…")'
            )


def _add_probes(app: FastAPI, checks: Checks) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        found = await checks()
        ready = all(check.ok for check in found)
        body = {
            "status": "ready" if ready else "not ready",
            "checks": [{"name": c.name, "ok": c.ok, "reason": c.reason} for c in found],
        }
        return JSONResponse(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class _Edge:
    """What happens to every request: token, size, junk, headers, one log line, one measurement."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        token: SecretStr | None,
        max_body: int,
        streams: Callable[[Scope], bool],
    ) -> None:
        self._app = app
        self._service = service
        self._token = token.get_secret_value().encode() if token else None
        self._max_body = max_body
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        started = False

        async def answer(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                message["headers"] = _with_headers(message["headers"], request_id)
            await send(message)

        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await refusal(scope, receive, answer)
            else:
                is_bounded = not self._streams(scope)
                body = _Bounded(receive, self._max_body) if is_bounded else receive
                await self._app(scope, body, answer)
        except _TooLarge:
            await _too_large(scope["path"], self._max_body)(scope, receive, answer)
        except Exception:  # the edge: whatever a handler did not foresee becomes a 500
            log.exception("request.failed", path=scope["path"])
            if started:
                raise
            await problems.unexpected(scope["path"])(scope, receive, answer)
        finally:
            self._measure(scope, status, time.perf_counter() - began)
            structlog.contextvars.unbind_contextvars("request_id")

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        path = scope["path"]
        if not _is_text(path) or not _is_text(
            unquote_plus(scope["query_string"].decode("latin-1"))
        ):
            return problems.problem_response(400, "The address holds bytes that are no text")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return problems.problem_response(400, "Content-Length is no number", instance=path)
        if int(length) > self._max_body and not self._streams(scope):
            return _too_large(path, self._max_body)
        if self._token is None or path in ("/healthz", "/readyz"):
            return None
        given = headers.get(b"x-maru-service-token", b"")
        if path == "/metrics":  # Prometheus can send a bearer token, and no header of ours
            given = headers.get(b"authorization", b"").removeprefix(b"Bearer ") or given
        if hmac.compare_digest(given, self._token):
            return None
        return problems.problem_response(
            401, "This service answers only to Maru's own services", instance=path
        )

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.HTTP_SECONDS.labels(self._service, method, route, str(status)).observe(seconds)
        log.debug(
            "request.answered",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
        )


def _is_text(part: str) -> bool:
    return "\x00" not in part and "\ufffd" not in part


def _with_headers(headers: Any, request_id: bytes) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    policy = [] if b"content-security-policy" in present else [_API_POLICY]
    more = [pair for pair in _HEADERS if pair[0] not in present]
    return [*headers, *more, *policy, (b"x-request-id", request_id)]


def _request_id(given: bytes | None) -> bytes:
    if given and len(given) <= _MAX_REQUEST_ID and given.replace(b"-", b"").isalnum():
        return given
    return uuid4().hex.encode()


def _too_large(path: str, limit: int) -> Response:
    return problems.problem_response(413, _TOO_LARGE.format(limit), instance=path)


class _TooLarge(HTTPException):
    """Passes through FastAPI, which takes any other error for a body that cannot be read."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, _TOO_LARGE.format(limit))


class _Bounded:
    """A request's body that ends in an error once it grows past its limit."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLarge(self._limit)
        return message
