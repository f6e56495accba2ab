"""Answers without an end, line by line: Server-Sent Events, and JSON a line."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import cast

import httpcore

from maru_kit.outbound import urls
from maru_kit.outbound.decoding import Inflate, inflating
from maru_kit.outbound.errors import TimedOut, TooLarge, Unreachable

MAX_LINE = 1024 * 1024
IDLE_SECONDS = 90.0
"""The longest silence: X and Mastodon send a sign of life every 15 to 30 seconds."""

_PIECE = 16 * 1024


class Splitter:
    r"""Cuts what comes in pieces into lines, at \n, \r or \r\n, as event streams may have them."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._begun = bytearray()
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that this piece completes, without their ends. Raises TooLarge."""
        if not piece:
            return []
        if self._after_cr:
            piece = piece.removeprefix(b"\n")
        lines: list[bytes] = []
        for part in piece.splitlines(keepends=True):
            content = part.rstrip(b"\r\n")
            if len(self._begun) + len(content) > self._max:
                raise TooLarge(f"A line is longer than {self._max:,} bytes")
            self._begun += content
            if len(content) < len(part):
                lines.append(bytes(self._begun))
                self._begun.clear()
        self._after_cr = piece.endswith(b"\r")
        return lines

    def rest(self) -> list[bytes]:
        """Return the last line, which has no end, if there is one."""
        return [bytes(self._begun)] if self._begun else []


class Lines(AsyncIterator[bytes]):
    """An answer that goes on: what it says first, then its lines, without their ends.

    Iterating raises TimedOut when nothing comes for too long, TooLarge at a line that is too
    long, Unreachable when the answer breaks off. It ends when the host ends the answer properly.
    """

    def __init__(
        self,
        response: httpcore.Response,
        headers: Mapping[str, str],
        *,
        url: str,
        retry_after: float | None,
        idle_seconds: float,
        max_line: int,
    ) -> None:
        self.status = response.status
        self.headers = headers
        self.url = url
        self.retry_after = retry_after
        self._response = response
        self._host = urls.host(url)
        self._idle = idle_seconds
        self._splitter = Splitter(max_line)
        self._inflate: Inflate | None = inflating(headers, self._host)
        self._chunks = cast("AsyncGenerator[bytes, None]", response.aiter_stream())
        self._pieces: Iterator[bytes] = iter(())
        self._ready: deque[bytes] = deque()
        self._ended = self._received = False

    async def __anext__(self) -> bytes:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            await self._fill()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._chunks.aclose()
        await self._response.aclose()

    async def _fill(self) -> None:
        """Cut the next piece into lines; one piece at a time, so that a bomb fills no memory."""
        piece = next(self._pieces, None)
        if piece is None:
            chunk = await self._chunk()
            self._pieces = (
                _cut(chunk) if self._inflate is None else self._inflate.feed(chunk, _PIECE)
            )
        else:
            self._ready.extend(self._splitter.feed(piece))
            await asyncio.sleep(0)  # what has come already must not keep the loop from others

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle):
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._end()
            return b""
        except TimeoutError as error:
            raise TimedOut(f"{self._host} sent nothing for {self._idle:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unreachable(f"{self._host} broke off: {error or type(error).__name__}") from error

        self._received = True
        return chunk

    def _end(self) -> None:
        if self._inflate is not None and self._received and not self._inflate.complete:
            raise Unreachable(f"{self._host} broke off in the middle of its answer")
        self._ended = True
        self._ready.extend(self._splitter.rest())


def _cut(chunk: bytes) -> Iterator[bytes]:
    for begin in range(0, len(chunk), _PIECE):
        yield chunk[begin : begin + _PIECE]
