"""The one way out: every request that Maru makes to a stranger's server.

A total deadline over all of it, a bound on what is decoded, redirects checked hop by hop, few
connections to a host at a time, and no request to a host that asked us to wait. Answers without
an end have no total deadline, but one between two bytes.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus

import httpcore

from maru_kit.metrics import OUTBOUND
from maru_kit.outbound import decoding, robots, urls, websocket
from maru_kit.outbound.errors import (
    AskedToWait,
    Blocked,
    Disallowed,
    OutboundError,
    Refused,
    TimedOut,
    TooLarge,
    Unreachable,
)
from maru_kit.outbound.fetched import Fetched
from maru_kit.outbound.guard import Guard, Resolve, resolve
from maru_kit.outbound.lines import IDLE_SECONDS, MAX_LINE, Lines
from maru_kit.outbound.manners import Asker, Manners
from maru_kit.outbound.websocket import MAX_MESSAGE, WebSocket

USER_AGENT = f"{robots.PRODUCT}/0.1 (feed reader)"
MAX_BYTES = 5 * 1024 * 1024

_DEADLINE = 20.0
_MAX_HOPS = 3
_ROBOTS_HOPS = 5
_MAX_STREAMS = 1_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PUBLIC_HEADERS = frozenset({"accept", "accept-language"})
"""What a host that was redirected to may see; any other header may hold a secret."""

_OUTCOMES: Mapping[type[OutboundError], str] = {
    AskedToWait: "asked_to_wait",
    Blocked: "blocked",
    Disallowed: "disallowed",
    Refused: "refused",
    TimedOut: "timed_out",
    TooLarge: "too_large",
    Unreachable: "unreachable",
}

_LISTS = frozenset({"link", "cache-control"})
"""Headers whose several lines are one list (RFC 9110 section 5.3)."""

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})

_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""What says where a request begins and ends, which is not the caller's to set."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked at each stop of the way, and how."""

    deadline: asyncio.Timeout
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""
    max_bytes: int = MAX_BYTES
    delay: float = 0.0
    hops: int = _MAX_HOPS
    is_page: bool = False
    is_held: bool = False
    cut: bool = False


class Outbound:
    """Asks other people's servers, politely. Make it with `open_outbound`."""

    def __init__(
        self,
        pool: httpcore.AsyncConnectionPool,
        streams: httpcore.AsyncConnectionPool,
        guard: Guard,
        manners: Manners,
        context: ssl.SSLContext,
    ) -> None:
        self._pool = pool
        self._streams = streams
        self._guard = guard
        self._manners = manners
        self._context = context
        self._robots = robots.Robots(manners.clock)

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        deadline: float = _DEADLINE,
        delay: float = 0.0,
    ) -> Fetched:
        """Fetch an address, following redirects; see `request`."""
        return await self.request(
            "GET", url, headers=headers, max_bytes=max_bytes, deadline=deadline, delay=delay
        )

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        deadline: float = _DEADLINE,
    ) -> Fetched:
        """Send a body, whose kind the headers say in Content-Type; see `request`."""
        return await self.request(
            "POST", url, headers=headers, body=body, max_bytes=max_bytes, deadline=deadline
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_BYTES,
        deadline: float = _DEADLINE,
        delay: float = 0.0,
        is_held: bool = False,
    ) -> Fetched:
        """Ask for at most `max_bytes` after decoding, within `deadline` seconds in all.

        At least `delay` seconds lie between this request and the one before to the same host. One
        that `is_held` by the host until there is something to say (long polling) takes none of the
        places of short requests there. Only GET follows redirects; to anything else a redirect is
        the answer. Raises an OutboundError: Blocked, TooLarge, TimedOut, Unreachable or
        AskedToWait.
        """
        async with _within(deadline, url) as timeout:
            question = _Question(
                timeout, headers or {}, method, body, max_bytes, delay, is_held=is_held
            )
            return await self._follow(urls.uri(url), question)

    def is_own(self, url: str) -> bool:
        """Whether an address is one of the own network that may be asked all the same.

        What such a host, or a person, names may be trusted to be asked; what a stranger names may
        not. Raises Blocked for what is no address.
        """
        there = urls.parts(urls.uri(url))
        return self._guard.allows(there.host, there.port)

    async def addresses(self, host: str, port: int, *, ports: Collection[int]) -> Sequence[str]:
        """Return where a library may connect that speaks another protocol than HTTP itself.

        It must connect to one of these and look up nothing. `ports` are those of the protocol; a
        host of the own network that may be asked can have any. Raises Blocked or Unreachable.
        """
        with _named(host):
            return await self._guard.addresses(host, port, set(ports))

    async def page(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        deadline: float = _DEADLINE,
        delay: float = 0.0,
    ) -> Fetched:
        """Fetch a page that was made for people, unless its site objects (Disallowed).

        Its robots.txt is asked for once a day, within the same deadline.
        """
        async with _within(deadline, url) as timeout:
            question = _Question(
                timeout, headers or {}, max_bytes=max_bytes, delay=delay, is_page=True
            )
            return await self._follow(urls.uri(url), question)

    @asynccontextmanager
    async def lines(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float = IDLE_SECONDS,
        max_line: int = MAX_LINE,
    ) -> AsyncIterator[Lines]:
        """Open an answer without an end: look at its `status`, then iterate over its lines.

        It takes none of the places of short requests at its host. Its head must come within the
        usual deadline, and redirects are followed as by `get`.
        """
        async with _within(_DEADLINE, url) as timeout:
            answer = await self._follow_to_lines(
                urls.uri(url), _Question(timeout, headers or {}), idle_seconds, max_line
            )
        try:
            yield answer
        finally:
            await answer.aclose()

    @asynccontextmanager
    async def websocket(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float = IDLE_SECONDS,
        max_message: int = MAX_MESSAGE,
        subprotocols: Sequence[str] = (),
        goodbye: int = websocket.GOODBYE,
    ) -> AsyncIterator[WebSocket]:
        """Open a WebSocket at a ws:// or wss:// address; `max_message` counts after unpacking.

        `goodbye` is the code (RFC 6455 section 7.4) with which we close, where it matters to the
        host. Raises Refused when the host answers with another status (401, 429, a redirect …).
        """
        async with _within(_DEADLINE, url) as timeout:
            socket = await self._connect(
                urls.uri(url),
                _Question(timeout, headers or {}),
                idle_seconds=idle_seconds,
                max_message=max_message,
                subprotocols=subprotocols,
                goodbye=goodbye,
            )
        try:
            yield socket
        finally:
            await socket.aclose()

    async def _follow(self, url: str, question: _Question) -> Fetched:
        for _ in range(question.hops + 1):
            fetched = await self._ask(url, question)
            target = _target(fetched.status, fetched.headers)
            if target is None or question.method != "GET":
                return fetched
            url, question = self._redirected(url, target, question)
        raise Unreachable(f"{urls.host(url)} redirects more than {question.hops} times")

    async def _follow_to_lines(
        self, url: str, question: _Question, idle_seconds: float, max_line: int
    ) -> Lines:
        for _ in range(question.hops + 1):
            response, headers, wait = await self._open(url, question)
            target = _target(response.status, headers)
            if target is None:
                return Lines(
                    response,
                    headers,
                    url=url,
                    retry_after=wait,
                    idle_seconds=idle_seconds,
                    max_line=max_line,
                )
            await response.aclose()
            url, question = self._redirected(url, target, question)
        raise Unreachable(f"{urls.host(url)} redirects more than {question.hops} times")

    def _redirected(self, url: str, target: str, question: _Question) -> tuple[str, _Question]:
        """Return where to go on, and what may be asked there."""
        following = urls.joined(url, target)
        there = urls.parts(following)
        if urls.origin(following) == urls.origin(url):
            return following, question
        if self._guard.allows(there.host, there.port):
            raise Blocked(f"{urls.host(url)} redirects to {there.host}, a host of the own network")
        public = {k: v for k, v in question.headers.items() if k.lower() in _PUBLIC_HEADERS}
        return following, replace(question, headers=public)

    async def _ask(self, url: str, question: _Question) -> Fetched:
        there = urls.parts(url)
        host = there.host
        if question.is_page:
            await self._robots.check(url, self._robots_reader(question))
        asker = Asker.of(there.server, question.headers)
        self._manners.check(asker)
        pool = self._streams if question.is_held else self._pool
        turn = self._manners.turn(host, question.delay)
        async with nullcontext() if question.is_held else turn:
            with self._manners.visit(asker, question.deadline) as visit, _named(host):
                response = await pool.handle_async_request(_written(url, question))
                try:
                    headers = _headers(response)
                    wait = self._manners.heard(visit, response.status, headers)
                    body = b""
                    if response.status not in _REDIRECTS:
                        body = await decoding.decoded(
                            response.aiter_stream(),
                            headers,
                            host=host,
                            max_bytes=question.max_bytes,
                            cut=question.cut,
                        )
                    return Fetched(response.status, headers, body, url, wait)
                finally:
                    await response.aclose()

    async def _open(
        self, url: str, question: _Question
    ) -> tuple[httpcore.Response, Mapping[str, str], float | None]:
        there = urls.parts(url)
        asker = Asker.of(there.server, question.headers)
        with self._manners.visit(asker, question.deadline) as visit, _named(there.host):
            response = await self._streams.handle_async_request(_written(url, question))
            headers = _headers(response)
            return response, headers, self._manners.heard(visit, response.status, headers)

    async def _connect(
        self,
        url: str,
        question: _Question,
        *,
        idle_seconds: float,
        max_message: int,
        subprotocols: Sequence[str],
        goodbye: int,
    ) -> WebSocket:
        there = urls.parts(url, urls.SOCKETS)
        asker = Asker.of(there.server, question.headers)
        with self._manners.visit(asker, question.deadline) as visit, _named(there.host):
            socket, answer = await websocket.connect(
                self._guard,
                self._context,
                url,
                headers={"User-Agent": USER_AGENT, **question.headers},
                idle_seconds=idle_seconds,
                max_message=max_message,
                subprotocols=subprotocols,
                goodbye=goodbye,
            )
            wait = self._manners.heard(visit, answer.status, answer.headers)
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            await socket.aclose()
            raise Refused(
                f"{there.host} answers {answer.status} to a WebSocket",
                answer=replace(answer, retry_after=wait),
            )
        return socket

    def _robots_reader(self, question: _Question) -> robots.Read:
        asking = replace(
            question,
            headers={},
            max_bytes=robots.MAX_BYTES,
            delay=0.0,
            hops=_ROBOTS_HOPS,
            is_page=False,
            cut=True,
        )

        async def read(url: str) -> tuple[int, bytes]:
            fetched = await self._follow(url, asking)
            return fetched.status, fetched.body

        return read


@asynccontextmanager
async def open_outbound(
    *,
    allow: Iterable[str] = (),
    resolver: Resolve = resolve,
    network: httpcore.AsyncNetworkBackend | None = None,
    context: ssl.SSLContext | None = None,
    manners: Manners | None = None,
) -> AsyncIterator[Outbound]:
    """Open the way out, and close its connections at the end.

    `allow` names hosts of the own network that may be asked all the same (`host` or `host:port`).
    `network` opens the connections to addresses that were found to be outside, `context` says
    whose certificates are believed, and `manners` how hosts are treated.
    """
    guard = Guard(allow, resolver=resolver, network=network)
    if context is None:
        context = await asyncio.to_thread(_certificates)
    async with (
        httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=30,
            network_backend=guard,
        ) as pool,
        httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_MAX_STREAMS,
            max_keepalive_connections=0,
            network_backend=guard,
        ) as streams,
    ):
        yield Outbound(pool, streams, guard, manners or Manners(), context)


@cache
def _certificates() -> ssl.SSLContext:
    """Read whose certificates are believed: a tenth of a second that is spent once."""
    return httpcore.default_ssl_context()


@asynccontextmanager
async def _within(seconds: float, url: str) -> AsyncIterator[asyncio.Timeout]:
    """Set a deadline over all that is asked, and count what becomes of it."""
    try:
        async with asyncio.timeout(seconds) as timeout:
            yield timeout
    except TimeoutError as error:
        OUTBOUND.labels("timed_out").inc()
        raise TimedOut(f"{urls.host(url)} did not finish within {seconds:g} s") from error
    except OutboundError as error:
        OUTBOUND.labels(_OUTCOMES[type(error)]).inc()
        raise
    OUTBOUND.labels("answered").inc()


@contextmanager
def _named(host: str) -> Iterator[None]:
    """Say in a sentence what went wrong on the network."""
    try:
        yield
    except httpcore.LocalProtocolError as error:
        raise Blocked(f"{host} cannot be asked this: {error}") from error
    except (httpcore.ConnectError, httpcore.TimeoutException) as error:
        raise Unreachable(f"{host} does not answer: {error}") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unreachable(f"{host} broke off: {error or type(error).__name__}") from error


def _written(url: str, question: _Question) -> httpcore.Request:
    ours = {"Host": urls.parts(url).authority}
    if question.body or question.method not in _WITHOUT_BODY:
        ours["Content-Length"] = str(len(question.body))
    usual = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": decoding.ACCEPTED}
    given = {k: v for k, v in question.headers.items() if k.lower() not in _FRAMING}
    named = {name.lower() for name in given}
    headers = {**ours, **{k: v for k, v in usual.items() if k.lower() not in named}, **given}
    address = httpcore.URL(url)
    address.target = urls.target(url).encode()  # it leaves out what follows a semicolon
    return httpcore.Request(
        question.method, address, headers=list(headers.items()), content=question.body
    )


def _headers(response: httpcore.Response) -> Mapping[str, str]:
    """Return the headers; of those that came twice the last one counts, unless they are lists."""
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in _LISTS and name in found else value
    return found


def _target(status: int, headers: Mapping[str, str]) -> str | None:
    """Return where a redirect leads, None when an answer is none."""
    return headers.get("location") or None if status in _REDIRECTS else None
