"""WebSockets (RFC 6455) over connections that the guard opened.

`websockets` does the protocol and sees no network; what is read and written is ours to bound.
"""

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote, urlsplit

import httpcore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from maru_kit.outbound import urls
from maru_kit.outbound.errors import (
    Blocked,
    Closed,
    OutboundError,
    TimedOut,
    TooLarge,
    Unreachable,
)
from maru_kit.outbound.fetched import Fetched

MAX_MESSAGE = 1024 * 1024
GOODBYE = CloseCode.NORMAL_CLOSURE

_READ = 16 * 1024
_GOODBYE_SECONDS = 1.0
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FINE = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD})
_SILENT = logging.getLogger("maru_kit.outbound.websocket")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # it would log what comes
_SILENT.setLevel(logging.CRITICAL)


async def connect(
    network: httpcore.AsyncNetworkBackend,
    context: ssl.SSLContext,
    url: str,
    *,
    headers: Mapping[str, str],
    idle_seconds: float,
    max_message: int,
    subprotocols: Sequence[str],
    goodbye: int,
) -> tuple["WebSocket", Fetched]:
    """Open a connection, and return it with the answer to the handshake, whatever its status.

    The caller closes it, and sets the deadline.
    """
    uri = _uri(url)
    protocol = ClientProtocol(
        uri,
        extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)],
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        max_size=max_message,
        logger=_SILENT,
    )
    request = protocol.connect()
    for name, value in headers.items():
        _check_header(name, value)
        request.headers[name] = value
    protocol.send_request(request)
    stream = await network.connect_tcp(uri.host, uri.port)
    socket = WebSocket(stream, protocol, host=uri.host, idle_seconds=idle_seconds, goodbye=goodbye)
    try:
        if uri.secure:
            await socket.encrypt(context)
        response = await socket.open()
    except BaseException:
        await socket.aclose()
        raise
    answered = {name.lower(): value for name, value in response.headers.raw_items()}
    return socket, Fetched(response.status_code, answered, bytes(response.body or b""), url, None)


def _uri(url: str) -> WebSocketURI:
    parts, split = urls.parts(url, urls.SOCKETS), urlsplit(url)
    path, query = (quote(part, safe=urls.KEPT) for part in (split.path, split.query))
    return WebSocketURI(parts.scheme == "wss", parts.host, parts.port, path, query)


def _check_header(name: str, value: str) -> None:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise Blocked(f"The header {name!r} cannot be sent")


class WebSocket(AsyncIterator[str | bytes]):
    """A connection that was opened: iterate for its messages, `send` to answer.

    Only while somebody iterates is anything read, so a slow reader slows the sender; pings are
    answered then. After half of `idle_seconds` without a byte we ask for a sign of life. Iterating
    raises TimedOut when none comes, TooLarge at a message that is too large, Closed when the other
    side closes for a reason, Unreachable when it breaks off; it ends at a normal close.
    """

    def __init__(
        self,
        stream: httpcore.AsyncNetworkStream,
        protocol: ClientProtocol,
        *,
        host: str,
        idle_seconds: float,
        goodbye: int,
    ) -> None:
        self._stream = stream
        self._protocol = protocol
        self._host = host
        self._idle = idle_seconds
        self._goodbye = goodbye
        self._messages: deque[str | bytes] = deque()
        self._begun = bytearray()
        self._is_text = False
        self._writing = asyncio.Lock()

    @property
    def subprotocol(self) -> str | None:
        """What both sides agreed to speak."""
        return self._protocol.subprotocol

    async def __anext__(self) -> str | bytes:
        while not self._messages:
            self._check_end()
            await self._receive()
        return self._messages.popleft()

    async def send(self, message: str | bytes) -> None:
        """Send a message. Raises Unreachable when the connection is no more."""
        if self._protocol.state is not State.OPEN:
            raise Unreachable(f"The connection to {self._host} is closed")
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on; the certificate must be the host's."""
        context.set_alpn_protocols(["http/1.1"])
        self._stream = await self._stream.start_tls(context, server_hostname=self._host)

    async def open(self) -> Response:
        """Shake hands: send the request, return the answer, whatever its status."""
        await self._flush()
        while True:
            await self._receive_from(await self._read(self._idle))
            first, *rest = self._protocol.events_received() or (None,)
            if isinstance(first, Response):
                self._check_handshake()
                for event in rest:
                    self._take(event)
                return first
            if self._protocol.handshake_exc is not None:
                raise Unreachable(f"{self._host} does not speak WebSocket")

    async def aclose(self) -> None:
        """Say goodbye, wait a moment for the answer, and let go of the connection."""
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(self._goodbye)
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._flush()
                while self._protocol.state is State.CLOSING:
                    await self._receive_from(await self._read(_GOODBYE_SECONDS))
        except (OutboundError, TimeoutError):
            pass  # whoever does not answer a goodbye is gone
        finally:
            await self._stream.aclose()

    def _check_handshake(self) -> None:
        error = self._protocol.handshake_exc
        if error is not None and not isinstance(error, InvalidStatus):
            raise Unreachable(f"{self._host} does not speak WebSocket: {error}") from error

    async def _receive(self) -> None:
        try:
            data = await self._read(self._idle / 2)
        except TimedOut:
            self._protocol.send_ping(b"")
            await self._flush()
            data = await self._read(self._idle / 2)
        await self._receive_from(data)
        for event in self._protocol.events_received():
            self._take(event)

    async def _receive_from(self, data: bytes) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        await self._flush()

    def _take(self, event: object) -> None:
        """Put frames together to messages; the protocol bounds their sum."""
        if not isinstance(event, Frame):
            return
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = event.opcode is Opcode.TEXT
        elif event.opcode is not Opcode.CONT:
            return
        self._begun += event.data
        if event.fin:
            self._messages.append(self._message())
            self._begun.clear()

    def _message(self) -> str | bytes:
        if not self._is_text:
            return bytes(self._begun)
        try:
            return self._begun.decode()
        except UnicodeDecodeError as error:
            self._protocol.fail(CloseCode.INVALID_DATA)
            raise Unreachable(f"{self._host} sends text that is not UTF-8") from error

    def _check_end(self) -> None:
        """End the iteration when no more can come."""
        error, close = self._protocol.parser_exc, self._protocol.close_rcvd
        if isinstance(error, PayloadTooBig):
            raise TooLarge(f"A message of {self._host} is too large: {error}") from error
        if error is not None:
            raise Unreachable(f"{self._host} broke off: {error or type(error).__name__}") from error
        if close is not None:
            if close.code in _FINE:
                raise StopAsyncIteration
            reason = f": {close.reason}" if close.reason else ""
            raise Closed(f"{self._host} closed with {close.code}{reason}", code=close.code)

    async def _read(self, seconds: float) -> bytes:
        try:
            return await self._stream.read(_READ, seconds)
        except httpcore.ReadTimeout as error:
            raise TimedOut(f"{self._host} sent nothing for {self._idle:g} s") from error
        except httpcore.NetworkError as error:
            raise Unreachable(f"{self._host} broke off: {error or type(error).__name__}") from error

    async def _flush(self) -> None:
        """Send what the protocol has to say; one at a time, so that frames stay whole."""
        async with self._writing:
            try:
                for data in self._protocol.data_to_send():
                    await self._stream.write(data, self._idle)
            except httpcore.WriteTimeout as error:
                raise TimedOut(f"{self._host} took nothing for {self._idle:g} s") from error
            except httpcore.NetworkError as error:
                raise Unreachable(f"{self._host} broke off: {error}") from error
