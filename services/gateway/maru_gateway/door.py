"""Every request comes through here: who is it, may they, and who answers.

Nothing is open but the probes and what declares itself public; what is in no table is not there.
The caller's identity goes on in X-Maru-* headers; those that a client sends are dropped.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maru_gateway import metrics
from maru_gateway.cache import AnswerCache, is_known
from maru_gateway.openapi import Document, Operation, RouteTable
from maru_gateway.service import Keys
from maru_gateway.settings import Settings
from maru_gateway.upstream import Answer, Headers, Upstream
from maru_kit.errors import Unavailable
from maru_kit.http import Caller, problem_response

OWN = "gateway"

_PASSED_ON = frozenset(
    {b"content-type", b"accept", b"accept-language", b"idempotency-key", b"if-match"}
)
PASSED_ON_TO_HOOKS = (
    b"webhook-",
    b"svix-",
    b"x-discourse-",
    b"x-github-",
    b"x-hub-",
    b"x-slack-",
    b"x-telegram-",
)
"""How the headers begin by which a platform says that a message is its own, and of what kind."""

_PROBES = ("/healthz", "/readyz")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUS_OK = 200
_PAUSE = 10
"""Seconds that a client which asks too often is told to wait."""

log = structlog.get_logger(__name__)


@dataclass
class House:
    """What stands behind the door; filled in when the gateway starts."""

    keys: Keys
    upstreams: Mapping[str, Upstream]
    cache: AnswerCache
    table: RouteTable
    document: Document = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, response: Response, reason: str) -> None:
        super().__init__(reason)
        self.response = response
        self.reason = reason


class Door:
    """Authenticates, limits, checks the role, and forwards (raw ASGI: it is on every path)."""

    def __init__(self, app: ASGIApp, *, settings: Settings, house: Callable[[], House]) -> None:
        self._app = app
        self._settings = settings
        self._house = house
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute)
        self._failures = RateLimitItemPerMinute(settings.failures_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _PROBES or self._is_scrape(scope):
            await self._app(scope, receive, send)
            return
        try:
            await self._serve(self._house(), scope, receive, send)
        except _Refused as refused:
            metrics.REFUSED.labels(refused.reason).inc()
            await refused.response(scope, receive, send)
        except Unavailable as error:
            log.warning("request.unavailable", path=scope["path"], reason=str(error))
            await _unavailable(scope["path"], error)(scope, receive, send)

    async def _serve(self, house: House, scope: Scope, receive: Receive, send: Send) -> None:
        operation = _operation(house.table, scope)
        scope["route"] = _Route(operation.path)
        caller = await self._let_in(house, scope, operation)
        headers = _headers_for(scope, caller)
        if operation.service == OWN:
            inner = {**scope, "method": operation.method, "headers": _own_headers(scope, headers)}
            await self._app(inner, receive, _bodiless(send) if scope["method"] == "HEAD" else send)
            return
        answer = await self._answer(house, operation, caller, scope, headers, receive)
        metrics.REQUESTS.labels(
            operation.service, operation.method, operation.path, str(answer.status)
        ).inc()
        await _send(answer, scope, send)

    async def _let_in(self, house: House, scope: Scope, operation: Operation) -> Caller:
        address = (scope.get("client") or ("unknown", 0))[0]
        caller = await self._caller(house, scope, address)
        anonymous = caller is None
        if caller is None:
            if operation.role != "public" or not self._is_open(operation.path):
                raise _Refused(
                    problem_response(
                        HTTPStatus.UNAUTHORIZED,
                        "This needs an API key: send `Authorization: Bearer maru_…`",
                        instance=scope["path"],
                        headers={"WWW-Authenticate": _challenge(scope["path"])},
                    ),
                    "no_key",
                )
            caller = Caller(
                workspace=self._settings.public_workspace, actor="anonymous", role="public"
            )
        if not caller.may(operation.role):
            raise _Refused(
                problem_response(
                    HTTPStatus.FORBIDDEN,
                    f"This needs the role {operation.role}; the key has the role {caller.role}",
                    instance=scope["path"],
                ),
                "role",
            )
        await self._limit(scope, address if anonymous else caller.actor)
        return caller

    def _is_scrape(self, scope: Scope) -> bool:
        """Whether Prometheus asks for the metrics with the service token."""
        token = self._settings.common.service_token
        given = dict(scope["headers"]).get(b"authorization", b"").removeprefix(b"Bearer ")
        return (
            scope["path"] == "/metrics"
            and token is not None
            and hmac.compare_digest(given, token.get_secret_value().encode())
        )

    def _is_open(self, path: str) -> bool:
        return self._settings.public_board or not path.startswith("/board/")

    async def _caller(self, house: House, scope: Scope, address: str) -> Caller | None:
        secret = _secret(dict(scope["headers"]).get(b"authorization"))
        if secret is None:
            return None
        may_guess = await self._limiter.test(self._failures, "failures", address)
        if not may_guess and not house.keys.has_met(secret):
            raise _Refused(
                _wait("Too many wrong keys came from this address", 60, scope["path"]), "limit"
            )
        key = await house.keys.find(secret)
        if key is None:
            await self._limiter.hit(self._failures, "failures", address)
            raise _Refused(
                problem_response(
                    HTTPStatus.UNAUTHORIZED,
                    "This API key is not valid: it is mistyped or was revoked",
                    instance=scope["path"],
                    headers={"WWW-Authenticate": _challenge(scope["path"])},
                ),
                "wrong_key",
            )
        return Caller(workspace=key.workspace, actor=f"key:{key.id}", role=key.role)

    async def _limit(self, scope: Scope, who: str) -> None:
        if await self._limiter.hit(self._requests, "requests", who):
            return
        most = self._settings.requests_per_minute
        policy = {
            "RateLimit-Policy": f'"requests";q={most};w=60',
            "RateLimit": f'"requests";r=0;t={_PAUSE}',
        }
        refusal = f"More than {most} requests came within a minute"
        raise _Refused(_wait(refusal, _PAUSE, scope["path"], policy), "limit")

    async def _answer(  # noqa: PLR0917 - all of one request
        self,
        house: House,
        operation: Operation,
        caller: Caller,
        scope: Scope,
        headers: Headers,
        receive: Receive,
    ) -> Answer:
        path, query = scope["path"], scope["query_string"]
        key = (caller.workspace, path, query)
        if operation.is_cached:
            kept = house.cache.find(key)
            metrics.CACHE.labels("miss" if kept is None else "hit").inc()
            if kept is not None:
                return kept
        generation = house.cache.generation(caller.workspace)
        ask = house.upstreams[operation.service].ask
        if operation.method == "GET":
            answer = await ask("GET", path, query, headers, b"")
            is_kept = operation.is_cached and answer.status == _STATUS_OK
            return house.cache.keep(key, answer, generation) if is_kept else answer
        body = await _body(receive, path)
        try:
            return await ask(operation.method, path, query, headers, body)
        finally:  # also when no answer came: it may have been done nevertheless
            house.cache.drop(caller.workspace)


@dataclass(frozen=True)
class _Route:
    """Tells the edge which template a request matched, for its measurements."""

    path: str


def _operation(table: RouteTable, scope: Scope) -> Operation:
    """Find what a request asks for. What the table does not know is refused, never tried."""
    path = scope["path"]
    if _CONTROL.search(path):  # a regular expression's `$` would overlook a line's end
        raise _Refused(
            problem_response(HTTPStatus.BAD_REQUEST, "The path holds control characters"), "path"
        )
    found = table.find("GET" if scope["method"] == "HEAD" else scope["method"], path)
    if found is not None:
        return found
    possible = table.methods(path)
    if possible:
        refusal = problem_response(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{scope['method']} is not possible here",
            instance=path,
            headers={"Allow": ", ".join(possible)},
        )
    else:
        refusal = problem_response(
            HTTPStatus.NOT_FOUND, "There is nothing at this address", instance=path
        )
    raise _Refused(refusal, "path")


def _headers_for(scope: Scope, caller: Caller) -> Headers:
    own = scope["path"].startswith("/hooks/")
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name in _PASSED_ON or (own and name.startswith(PASSED_ON_TO_HOOKS))
    ]
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    return [
        *kept,
        (b"x-request-id", request_id.encode()),
        (b"x-maru-workspace", caller.workspace.encode()),
        (b"x-maru-actor", caller.actor.encode()),
        (b"x-maru-role", caller.role.encode()),
    ]


def _own_headers(scope: Scope, headers: Headers) -> Headers:
    """Keep what the client sent, but not its idea of who it is."""
    sent = [pair for pair in scope["headers"] if not pair[0].startswith(b"x-maru-")]
    return [*sent, *(pair for pair in headers if pair[0].startswith(b"x-maru-"))]


def _secret(authorization: bytes | None) -> str | None:
    """Read the key from `Bearer <key>`, or from `Basic` (feed readers) as the password."""
    if not authorization:
        return None
    scheme, _, rest = authorization.decode("latin-1").partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                plain = base64.b64decode(rest, validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                return ""
            return plain.partition(":")[2]
        case _:
            return ""


def _challenge(path: str) -> str:
    return 'Basic realm="Maru", charset="UTF-8"' if path.startswith("/feeds/") else "Bearer"


def _wait(
    detail: str, seconds: int, path: str, headers: Mapping[str, str] | None = None
) -> Response:
    return problem_response(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"{detail}; try again in {seconds} s",
        instance=path,
        headers={"Retry-After": str(seconds), **(headers or {})},
    )


def _unavailable(path: str, error: Unavailable) -> Response:
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        str(error),
        instance=path,
        headers={"Retry-After": str(max(1, round(error.retry_after)))},
    )


async def _body(receive: Receive, path: str) -> bytes:
    parts: list[bytes] = []
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            refusal = "The request ended before its body did"
            raise _Refused(problem_response(HTTPStatus.BAD_REQUEST, refusal, instance=path), "cut")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    tag = next((value for name, value in answer.headers if name == b"etag"), None)
    if tag is not None and is_known(tag, dict(scope["headers"]).get(b"if-none-match")):
        await _start(send, HTTPStatus.NOT_MODIFIED, [(b"etag", tag)])
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [h for h in answer.headers if h[0] not in (b"x-request-id", b"server", b"date")]
    await _start(send, answer.status, headers)
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _bodiless(send: Send) -> Send:
    """Answer HEAD with what GET would have begun with; the rest is not sent."""

    async def start_alone(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b""})

    return start_alone


async def _start(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
