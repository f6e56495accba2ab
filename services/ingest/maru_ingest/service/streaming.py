"""Lines that are sent in one request of any length, read no faster than the log takes them."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field

from maru_ingest import domain
from maru_ingest.connector import ConnectorKind
from maru_ingest.formats import ndjson
from maru_ingest.formats.lines import Line, Splitter
from maru_ingest.formats.parsed import BadRow, ParsedPost, Row
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import sources
from maru_ingest.store.sources import Counts, Source
from maru_kit.errors import BadRequest, Conflict, NotFound, Problem, Unavailable
from maru_kit.outbound import OutboundError
from maru_kit.outbound.decoding import Inflate
from maru_kit.vault import Vault

_BATCH = 1_000
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_SECONDS = 1.0
_PIECE = 256 * 1024
_REASONS = 100
"""Bad lines that the answer tells of; all are in the dead letters."""

Pieces = AsyncIterator[bytes]
Unpack = Callable[[bytes], Iterable[bytes]]


class TooQuiet(Problem):
    """Whoever sends has said nothing for too long."""

    status = 408
    title = "Request timeout"


class UnknownEncoding(Problem):
    """The body is packed in a way that is not read here."""

    status = 415
    title = "Unsupported media type"


@dataclass
class Told:
    """What became of the lines so far; `reasons` are those of the first bad ones, by line."""

    lines: int = 0
    counts: Counts = field(default_factory=Counts)
    rejected: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)

    def extra(self) -> Mapping[str, object]:
        """Say in a problem how far it came: what stands there is in the log."""
        return {"lines": self.lines, **asdict(self.counts), "rejected": self.rejected}


class Streaming:
    """Takes lines for sources whose posts are pushed to us.

    At most `most` requests at once, each of which holds one batch; `idle` is how many seconds a
    sender may say nothing.
    """

    def __init__(
        self,
        publisher: Publisher,
        vault: Vault,
        kinds: Mapping[str, ConnectorKind],
        *,
        most: int = 8,
        idle: float = 60.0,
    ) -> None:
        self._publisher = publisher
        self._vault = vault
        self._kinds = kinds
        self._most = most
        self._idle = idle
        self._open = 0

    async def take(
        self, workspace: str, source_id: str, pieces: Pieces, *, encoding: str = "", name: str = ""
    ) -> Told:
        """Publish the posts among the lines, batch by batch, and tell what became of them.

        A line without an id goes by `name` and its number, or by what it says if there is no name;
        so the same lines again add nothing. Raises NotFound, Conflict for a source that posts are
        not pushed to, UnknownEncoding, BadRequest for packed bytes that are broken, TooQuiet,
        Unavailable when the log does not answer: `extra` then says how far it came.
        """
        source = await self._source(workspace, source_id)
        unpack = _unpacking(encoding)
        if self._open >= self._most:
            raise Unavailable("Too many streams are being read.", retry_after=10)
        self._open += 1
        try:
            return await self._publish(source, _batches(pieces, unpack, self._idle), name)
        finally:
            self._open -= 1

    async def _publish(
        self, source: Source, batches: AsyncGenerator[list[Line], None], name: str
    ) -> Told:
        told, origin = Told(), source.origin(pushed=True)
        try:
            async with aclosing(batches):
                async for batch in batches:
                    rows = await asyncio.to_thread(_rows, batch, name)
                    told.counts += await self._publisher.publish(origin, rows)
                    told.lines = batch[-1].number
                    _add_reasons(told, rows)
        except Unavailable as error:
            raise Unavailable(
                f"Only what is counted here is in the log: {error}",
                retry_after=error.retry_after,
                extra=told.extra(),
            ) from error
        except Problem as error:
            error.extra |= told.extra()
            raise
        return told

    async def _source(self, workspace: str, source_id: str) -> Source:
        async with self._publisher.database.reading() as connection:
            source = await sources.source_by_id(
                connection, source_id, self._vault, workspace=workspace
            )
        if source is None:
            raise NotFound(f"There is no source {source_id} in this workspace.")
        kind = self._kinds.get(source.kind)
        if kind is None or not kind.is_sent:
            named = domain.with_article(source.kind)
            raise Conflict(f"Nothing is sent to {named} source: send to a webhook source.")
        if source.state == "paused":
            raise Unavailable("This source is paused.", retry_after=300)
        return source


async def _batches(pieces: Pieces, unpack: Unpack, idle: float) -> AsyncGenerator[list[Line], None]:
    """Yield the lines in batches that are full, or a second old; what came whole even if cut off.

    Nothing is read while a batch is in the caller's hands.
    """
    batch, splitter = _Batch(), Splitter()
    async with aclosing(_with_silences(pieces, lambda: batch.left(idle))) as heard:
        try:
            async for piece in heard:
                for line in _lines(splitter, unpack, piece or b""):
                    batch.add(line)
                    if batch.is_full():
                        yield batch.take()
                if piece is None and not batch.lines:
                    raise TooQuiet(f"Nothing came for {idle:g} s.")
                if piece is None:
                    yield batch.take()
            for line in splitter.end():
                batch.add(line)
        except Exception:
            if batch.lines:
                yield batch.take()
            raise
    if batch.lines:
        yield batch.take()


async def _with_silences(
    pieces: Pieces, patience: Callable[[], float]
) -> AsyncGenerator[bytes | None, None]:
    """Yield the pieces, and None each time that none came for as long as `patience` then is."""
    reading: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            reading = reading or asyncio.create_task(_next(pieces))
            await asyncio.wait({reading}, timeout=patience())
            if not reading.done():
                yield None
                continue
            piece, reading = reading.result(), None
            if piece is None:
                return
            yield piece
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Batch:
    """Lines that are published together."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._bytes = 0
        self._due = 0.0

    def add(self, line: Line) -> None:
        if not self.lines:
            self._due = time.monotonic() + _BATCH_SECONDS
        self.lines.append(line)
        self._bytes += len(line.data)

    def left(self, idle: float) -> float:
        """Seconds that it may still wait for more: `idle` while it is empty."""
        return max(0.0, self._due - time.monotonic()) if self.lines else idle

    def is_full(self) -> bool:
        return len(self.lines) >= _BATCH or self._bytes >= _BATCH_BYTES

    def take(self) -> list[Line]:
        lines, self.lines, self._bytes = self.lines, [], 0
        return lines


async def _next(pieces: Pieces) -> bytes | None:
    return await anext(pieces, None)


def _lines(splitter: Splitter, unpack: Unpack, piece: bytes) -> Iterator[Line]:
    try:
        for part in unpack(piece):
            yield from splitter.feed(part)
    except OutboundError as error:
        raise BadRequest("The body can't be unpacked: it is not gzip, or damaged.") from error


def _unpacking(encoding: str) -> Unpack:
    match encoding.strip().lower():
        case "" | "identity":
            return lambda piece: (piece,)
        case "gzip" | "x-gzip":
            inflate = Inflate("The sender")
            return lambda piece: inflate.feed(piece, _PIECE)
    raise UnknownEncoding("The body may be plain or packed by gzip.")


def _rows(batch: list[Line], name: str) -> list[Row]:
    rows = list(ndjson.parse(batch))
    for row in rows:
        if name and isinstance(row, ParsedPost) and not row.native_id:
            row.native_id = f"{name}/{row.line}"
    return rows


def _add_reasons(told: Told, rows: list[Row]) -> None:
    bad = [(row.line, row.reason) for row in rows if isinstance(row, BadRow)]
    told.rejected += len(bad)
    told.reasons += bad[: _REASONS - len(told.reasons)]
