"""Answers unpacked piece by piece: a bomb is cut short before it is large."""

import zlib
from collections.abc import AsyncIterable, Iterator, Mapping

from maru_kit.outbound.errors import TooLarge, Unreachable

ACCEPTED = "gzip, deflate"
"""What is asked for: nothing whose unpacking cannot be bounded."""

_ANY_WRAPPING = 47
_PLAIN = ("", "identity")


async def decoded(
    chunks: AsyncIterable[bytes],
    headers: Mapping[str, str],
    *,
    host: str,
    max_bytes: int,
    cut: bool = False,
) -> bytes:
    """Return a whole body, at most `max_bytes` of it: more is TooLarge, or left away by `cut`."""
    inflate = inflating(headers, host)
    parts: list[bytes] = []
    size = received = 0
    async for chunk in chunks:
        received += len(chunk)
        for part in (chunk,) if inflate is None else inflate.feed(chunk, max_bytes):
            size += len(part)
            parts.append(part)
            if max(size, received) > max_bytes:
                if cut:
                    return b"".join(parts)[:max_bytes]
                raise TooLarge(f"The answer of {host} is larger than {max_bytes:,} bytes")
    if inflate is not None and received and not inflate.complete:
        raise Unreachable(f"{host} broke off in the middle of its answer")
    return b"".join(parts)


def inflating(headers: Mapping[str, str], host: str) -> "Inflate | None":
    """Return what unpacks an answer with these headers, None when it is not packed."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in _PLAIN:
        return None
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unreachable(f"{host} answers in the encoding {encoding!r}, which was not asked for")
    return Inflate(host)


class Inflate:
    """Decompresses piece by piece, never more than a bound at once."""

    _PIECE = 256 * 1024

    def __init__(self, host: str) -> None:
        self._host = host
        self._stream = zlib.decompressobj(_ANY_WRAPPING)

    @property
    def complete(self) -> bool:
        """Whether the compressed data has come to its end."""
        return self._stream.eof

    def feed(self, chunk: bytes, most: int) -> Iterator[bytes]:
        """Yield what a chunk unpacks to, in pieces of at most `most` bytes and one."""
        try:
            while chunk:
                if self._stream.eof:
                    self._stream = zlib.decompressobj(_ANY_WRAPPING)
                yield self._stream.decompress(chunk, min(self._PIECE, most + 1))
                chunk = self._stream.unconsumed_tail or self._stream.unused_data
        except zlib.error as error:
            raise Unreachable(f"{self._host} sends broken compression: {error}") from error
