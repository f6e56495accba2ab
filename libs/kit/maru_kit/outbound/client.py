"""The one way out: every request that Maru makes to a stranger's server.

A total deadline over all of it, a bound on what is decoded, redirects checked hop by hop, few
connections to a host at a time, and no request to a host that asked us to wait.
"""

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote, urljoin, urlsplit, urlunsplit
from weakref import WeakValueDictionary

import httpcore

from maru_kit.outbound.guard import Blocked, Guard, OutboundError, Resolve, resolve

USER_AGENT = "Maru/0.1 (feed reader)"
MAX_BYTES = 5 * 1024 * 1024
MAX_WAIT = 3600.0
"""The longest Retry-After that is obeyed, in seconds."""

_DEADLINE = 20.0
_MAX_HOPS = 3
_PER_HOST = 2
_REMEMBERED_HOSTS = 10_000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ANY_WRAPPING = 47
_KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What stands for itself in an address, and what is escaped already."""

_PUBLIC_HEADERS = frozenset({"accept", "accept-language"})
"""What a host that was redirected to may see; any other header may hold a secret."""


class TooLarge(OutboundError):
    """The answer is larger than what the caller takes."""


class TimedOut(OutboundError):
    """The answer was not complete by the deadline."""


class Unreachable(OutboundError):
    """No answer, or none that can be read."""


class AskedToWait(OutboundError):
    """The host has asked for silence; `retry_after` seconds of it are left."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. Header names are in lower case; `url` is where the last redirect led."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    retry_after: float | None


class Outbound:
    """Asks other people's servers, politely. Make it with `open_outbound`."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, guard: Guard) -> None:
        self._pool = pool
        self._guard = guard
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._silent_until: OrderedDict[str, float] = OrderedDict()

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        deadline: float = _DEADLINE,
    ) -> Fetched:
        """Fetch an address; at most `max_bytes` after decoding, within `deadline` seconds in all.

        Raises an OutboundError: Blocked, TooLarge, TimedOut, Unreachable or AskedToWait.
        """
        try:
            async with asyncio.timeout(deadline):
                return await self._follow(_uri(url), dict(headers or {}), max_bytes)
        except TimeoutError as error:
            raise TimedOut(f"{_host(url)} did not finish within {deadline:g} s") from error
        except (httpcore.ConnectError, httpcore.TimeoutException) as error:
            raise Unreachable(f"{_host(url)} does not answer: {error}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unreachable(f"{_host(url)} broke off: {error or type(error).__name__}") from error

    async def _follow(self, url: str, headers: dict[str, str], max_bytes: int) -> Fetched:
        for _ in range(_MAX_HOPS + 1):
            fetched = await self._ask(url, headers, max_bytes)
            target = fetched.headers.get("location")
            if fetched.status not in _REDIRECTS or not target:
                return fetched
            following = _joined(url, target)
            self._check_redirect(url, following)
            if _origin(following) != _origin(url):
                headers = {k: v for k, v in headers.items() if k.lower() in _PUBLIC_HEADERS}
            url = following
        raise Unreachable(f"{_host(url)} redirects more than {_MAX_HOPS} times")

    def _check_redirect(self, url: str, following: str) -> None:
        parts = _parts(following)
        own = self._guard.allows(parts.host, parts.port)
        if own and _origin(following) != _origin(url):
            raise Blocked(f"{_host(url)} redirects to {parts.host}, a host of the own network")

    async def _ask(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Fetched:
        parts = _parts(url)
        self._check_silence(parts.host)
        turn = self._turns.setdefault(parts.host, asyncio.Semaphore(_PER_HOST))
        async with turn:
            all_headers = {
                "Host": parts.authority,
                "User-Agent": USER_AGENT,
                "Accept": "*/*",
                "Accept-Encoding": "gzip, deflate",
                **headers,
            }
            request = httpcore.Request("GET", url, headers=list(all_headers.items()))
            response = await self._pool.handle_async_request(request)
            try:
                return await self._read(url, response, max_bytes)
            finally:
                await response.aclose()

    async def _read(self, url: str, response: httpcore.Response, max_bytes: int) -> Fetched:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        retry_after = _retry_after(headers.get("retry-after"))
        if response.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            self._keep_silent(_parts(url).host, retry_after)
        body = b""
        if response.status not in _REDIRECTS:
            body = await _decoded(response, headers, max_bytes, _host(url))
        return Fetched(response.status, headers, body, url, retry_after)

    def _keep_silent(self, host: str, seconds: float | None) -> None:
        if seconds:
            self._silent_until[host] = time.monotonic() + seconds
            while len(self._silent_until) > _REMEMBERED_HOSTS:
                self._silent_until.popitem(last=False)

    def _check_silence(self, host: str) -> None:
        left = self._silent_until.get(host, 0) - time.monotonic()
        if left > 0:
            raise AskedToWait(
                f"{host} asked not to be asked again for {left:.0f} s", retry_after=left
            )


@asynccontextmanager
async def open_outbound(
    *,
    allow: Iterable[str] = (),
    resolver: Resolve = resolve,
    network: httpcore.AsyncNetworkBackend | None = None,
) -> AsyncIterator[Outbound]:
    """Open the way out, and close its connections at the end.

    `allow` names hosts of the own network that may be asked all the same (`host` or `host:port`).
    `network` opens the connections to addresses that were found to be outside.
    """
    guard = Guard(allow, resolver=resolver, network=network)
    async with httpcore.AsyncConnectionPool(
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=30,
        network_backend=guard,
    ) as pool:
        yield Outbound(pool, guard)


@dataclass(frozen=True, slots=True)
class _Parts:
    host: str
    port: int
    authority: str


def _uri(address: str) -> str:
    """Write an address in ASCII (RFC 3987 section 3.1): people link to `/공지` as it reads."""
    if address.isascii():
        return address
    try:
        split = urlsplit(address)
        host = split.netloc.encode("idna").decode()
        rest = [quote(part, safe=_KEPT) for part in (split.path, split.query, split.fragment)]
    except ValueError as error:
        raise Blocked("The address cannot be written as one of the web") from error
    return urlunsplit((split.scheme, host, *rest))


def _joined(url: str, target: str) -> str:
    """Follow a Location header (read as Latin-1, so that each character is one byte)."""
    try:
        return urljoin(url, quote(target.encode("latin-1"), safe=_KEPT))
    except ValueError as error:
        raise Unreachable(f"{_host(url)} redirects to what is no address") from error


def _parts(url: str) -> _Parts:
    try:
        split = urlsplit(url)
        default = {"http": 80, "https": 443}[split.scheme]
        port = default if split.port is None else split.port
    except (ValueError, KeyError) as error:
        raise Blocked("Only http:// and https:// addresses are asked") from error
    if not split.hostname:
        raise Blocked("The address names no host")
    if split.username is not None:
        raise Blocked("The address holds a user name; give credentials in the settings instead")
    return _Parts(split.hostname, port, split.netloc)


def _origin(url: str) -> tuple[str, str, int]:
    parts = _parts(url)
    return urlsplit(url).scheme, parts.host, parts.port


def _host(url: str) -> str:
    return urlsplit(url).hostname or "The address"


def _retry_after(value: str | None) -> float | None:
    """Read Retry-After (RFC 9110 section 10.2.3): seconds, or a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    if seconds != seconds:  # noqa: PLR0124 - "nan" is a number to float()
        return None
    return min(max(seconds, 0.0), MAX_WAIT)


async def _decoded(
    response: httpcore.Response, headers: Mapping[str, str], max_bytes: int, host: str
) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Unreachable(f"{host} answers in the encoding {encoding!r}, which was not asked for")
    inflate = None if encoding in ("", "identity") else _Inflate(host)
    parts: list[bytes] = []
    size = received = 0
    async for chunk in response.aiter_stream():
        received += len(chunk)
        for part in (chunk,) if inflate is None else inflate.feed(chunk, max_bytes):
            size += len(part)
            if max(size, received) > max_bytes:
                raise TooLarge(f"The answer of {host} is larger than {max_bytes:,} bytes")
            parts.append(part)
    if inflate is not None and received and not inflate.complete:
        raise Unreachable(f"{host} broke off in the middle of its answer")
    return b"".join(parts)


class _Inflate:
    """Decompresses piece by piece, never more than a bound at once (a bomb is cut short)."""

    _PIECE = 256 * 1024

    def __init__(self, host: str) -> None:
        self._host = host
        self._stream = zlib.decompressobj(_ANY_WRAPPING)

    @property
    def complete(self) -> bool:
        """Whether the compressed data has come to its end."""
        return self._stream.eof

    def feed(self, chunk: bytes, most: int) -> Iterable[bytes]:
        try:
            while chunk:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(_ANY_WRAPPING)
                yield self._stream.decompress(chunk, min(self._PIECE, most + 1))
                chunk = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error as error:
            raise Unreachable(f"{self._host} sends broken compression: {error}") from error
