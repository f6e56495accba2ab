"""Lines of a file of any size, each bounded, with the place where it stands."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from maru_ingest.formats import encodings

MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line; a longer one is a bad row (its text would be cut long before)."""

WIDE = ("utf-16", "utf-32")
"""Beginnings of the names of encodings whose line breaks are more than one byte."""

_CHUNK = 64 * 1024
_TOO_LONG = f"a line of more than {MAX_LINE // 1024**2} MB"


@dataclass(slots=True)
class Line:
    """A line with its number (from 1) and the byte offsets of its start and of the next one.

    `reason` is set when it is too long to be read; `data` then holds only its beginning. `ended`
    is false for a last line without a line break.
    """

    number: int
    start: int
    end: int
    data: bytes
    reason: str = ""
    ended: bool = True


def read(stream: BinaryIO, *, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """Yield the lines from where `stream` stands, which is after `number` lines and `offset` bytes.

    Never holds more than one line of at most MAX_LINE bytes.
    """
    while data := stream.readline(MAX_LINE):
        number += 1
        start, offset = offset, offset + len(data)
        ended = data.endswith(b"\n")
        reason = ""
        if not ended and len(data) >= MAX_LINE:
            skipped, ended = _skip(stream)
            offset += skipped
            if skipped:
                reason, data = _TOO_LONG, data[:_CHUNK]
        yield Line(number, start, offset, data, reason, ended)


class Splitter:
    """Cuts into lines what comes piece by piece, as `read` does what lies in a file.

    Never holds more than one line of at most MAX_LINE bytes beside the piece that is fed.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._size = self._start = self._number = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that end in `piece`."""
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self._hold(end + b"\n")
            yield self._line(ended=True)
        self._hold(rest)

    def end(self) -> Iterator[Line]:
        """Yield the last line if it has no line break."""
        if self._size:
            yield self._line(ended=False)

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        self._held += part[: MAX_LINE - len(self._held)]

    def _line(self, *, ended: bool) -> Line:
        start, data, is_long = self._start, bytes(self._held), self._size > MAX_LINE
        self._number += 1
        self._start += self._size
        self._held, self._size = bytearray(), 0
        reason = _TOO_LONG if is_long else ""
        return Line(
            self._number, start, self._start, data[:_CHUNK] if is_long else data, reason, ended
        )


def rejoined(head: bytes, stream: BinaryIO) -> BinaryIO:
    """Return a stream that gives `head`, which was read from `stream`, and then the rest."""
    return io.BufferedReader(_Rejoined(head, stream), _CHUNK)


def in_utf8(stream: BinaryIO, head: bytes) -> BinaryIO:
    """Return `stream` itself, or its text in UTF-8 when `head`, its first bytes, is in UTF-16/32.

    Lines that CR alone ends, as Excel for Mac writes them, end in LF then. `stream` must stand at
    its beginning.
    """
    encoding, length = encodings.marked(head)
    encoding = encoding or encodings.guess(head, whole=False)
    if encoding.startswith(WIDE):
        stream.read(length)
        stream = io.BufferedReader(_Recoded(stream, encoding), _CHUNK)
        head = head[length:].decode(encoding, "replace").encode("utf-8", "replace")
    if b"\r" in head[:-1] and b"\n" not in head:
        return io.BufferedReader(_Broken(stream), _CHUNK)
    return stream


class _Rejoined(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        taken = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class _Recoded(io.RawIOBase):
    """A stream that reads another encoding and gives UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder(encoding)("replace").decode
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = self._stream.read(_CHUNK)
            self._rest = self._decode(chunk, not chunk).encode("utf-8", "replace")
            if not chunk:
                break
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


class _Broken(io.RawIOBase):
    """A stream whose lines end in CR alone, and which gives LF."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        taken = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(taken)] = taken
        return len(taken)


def _skip(stream: BinaryIO) -> tuple[int, bool]:
    """Read up to the next line break; return the bytes read and whether there was one."""
    skipped = 0
    while data := stream.readline(_CHUNK):
        skipped += len(data)
        if data.endswith(b"\n"):
            return skipped, True
    return skipped, False
