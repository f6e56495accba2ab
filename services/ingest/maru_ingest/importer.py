"""Imports a file of any size: resumable, and a second import of the same file adds nothing.

A thread reads and parses, the event loop publishes. After every batch the acknowledged place and
a hash of all bytes before it are saved: an import that was cut off goes on from there when the
file still begins with these bytes, and otherwise reads from the beginning, where every post is
known already.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.exc import IntegrityError

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.domain import Gone, Named, Origin
from maru_ingest.formats import csv, documents, lines, ndjson
from maru_ingest.formats.detect import HEAD, RECORDS, WHOLE, Format, detect
from maru_ingest.formats.ids import content_hash
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost, Row, Unreadable
from maru_ingest.service.publishing import BATCH, Publisher
from maru_ingest.store import sources
from maru_ingest.store.sources import Counts, Source
from maru_kit.bus import Bus
from maru_kit.database import Database
from maru_kit.vault import Vault

KIND = "import"
_NO_SECRETS = Vault()
"""An import's source has no settings, so there is nothing to seal."""
_HASHED = 1024 * 1024
_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of rows after which a batch is full, however few they are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: `done` of `total` bytes (None for a stream of unknown length)."""

    counts: Counts
    done: int
    total: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """How an import ended.

    It went on at the byte `resumed_at` after `resumed_after` lines, which an earlier import had
    published; both are 0 for the beginning.
    """

    source_id: str
    format: Format
    counts: Counts
    bytes: int
    seconds: float
    resumed_at: int = 0
    resumed_after: int = 0


OnProgress = Callable[[Progress], None]
OnReject = Callable[[BadRow], None]


async def import_file(
    bus: Bus,
    database: Database,
    source: Path | BinaryIO,
    *,
    workspace: str,
    source_name: str,
    product: str = "",
    channel: Channel = Channel.OTHER,
    on_progress: OnProgress | None = None,
    on_reject: OnReject | None = None,
) -> Summary:
    """Publish every post of a file or stream of any format (see `formats.detect`).

    Bad rows go to `on_reject`, or to the dead letters without one, and the rest goes on. Raises
    Unreadable when the whole is none of the formats, OSError when the file can't be read,
    Unavailable when log or database do not answer: importing again then goes on.
    """
    begun = time.monotonic()
    new = Source(
        id=domain.import_source_id(workspace, source_name),
        workspace=workspace,
        product=product,
        name=source_name,
        kind=KIND,
        channel=channel,
        created_at=domain.utc_now(),
    )
    async with database.reading() as connection:
        known = await sources.source_by_id(connection, new.id, _NO_SECRETS)
    cursor = known.cursor if known else {}
    reading = await asyncio.to_thread(_Reading.open, source, new.origin(pushed=True), cursor)
    try:
        batches = reading.batches()
        first = await asyncio.to_thread(next, batches, None)
        await _store(database, new)  # only now, since what can't be read leaves no source behind
        counts = await _publish_all(
            Publisher(bus, database),
            reading,
            chain([first] if first else [], batches),
            on_progress=on_progress,
            on_reject=on_reject,
        )
    finally:
        await asyncio.to_thread(reading.close)
    return Summary(
        source_id=new.id,
        format=reading.format,
        counts=counts,
        bytes=reading.place,
        seconds=time.monotonic() - begun,
        resumed_at=reading.resumed_at,
        resumed_after=reading.resumed_after,
    )


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A batch on its way to the log; `cursor` and `place` are where the file stands after it."""

    posts: list[Named]
    bad: list[BadRow]
    cursor: Mapping[str, Any]
    place: int
    gone: Sequence[Gone] = ()


async def _publish_all(
    publisher: Publisher,
    reading: "_Reading",
    batches: Iterator[_Parsed],
    *,
    on_progress: OnProgress | None,
    on_reject: OnReject | None,
) -> Counts:
    """Publish batch after batch.

    A thread parses, so that the loop stays free; it does not parse ahead: beside the database's
    driver it would fight for the interpreter's lock (measured: a third slower).
    """
    begun, counts = time.monotonic(), Counts()
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        counts += await _publish(publisher, reading.origin, batch, on_reject)
        if on_progress is not None:
            seconds = time.monotonic() - begun
            on_progress(Progress(counts, batch.place, reading.size, seconds))
    return counts


async def _publish(
    publisher: Publisher, origin: Origin, batch: _Parsed, on_reject: OnReject | None
) -> Counts:
    bad = batch.bad
    if on_reject is not None:
        for row in bad:
            on_reject(row)
        bad = []
    return await publisher.publish_named(
        origin,
        batch.posts,
        gone=batch.gone,
        bad=bad,
        rejected=len(batch.bad) - len(bad),
        cursor=batch.cursor,
    )


@dataclass
class _Reading:
    """The thread's half: a stream, where it stands, and the hash of what lies before."""

    stream: BinaryIO
    origin: Origin
    format: Format
    head: bytes
    size: int | None
    owned: bool
    place: int = 0
    line: int = 0
    resumed_at: int = 0
    resumed_after: int = 0
    hash: Any = field(default_factory=hashlib.sha256)  # hashlib's objects have no public type
    is_resumable: bool = True

    @classmethod
    def open(cls, source: Path | BinaryIO, origin: Origin, cursor: Mapping[str, Any]) -> "_Reading":
        """Open what is to be imported; a file is read from where an earlier import stopped."""
        is_file = isinstance(source, Path)
        stream = source.open("rb") if isinstance(source, Path) else source
        head = stream.read(HEAD)
        try:
            format = detect(head, name=source.name if isinstance(source, Path) else "")  # noqa: A001
        except Unreadable:
            if is_file:
                stream.close()
            raise
        reading = cls(
            stream=stream if is_file else lines.rejoined(head, stream),
            origin=origin,
            format=format,
            head=head,
            size=source.stat().st_size if isinstance(source, Path) else None,
            owned=is_file,
        )
        if is_file:
            reading._resume(cursor)
        return reading

    def close(self) -> None:
        """Let go of the file; a stream stays open for its owner."""
        if self.owned:
            self.stream.close()

    def batches(self) -> Iterator[_Parsed]:
        """Parse to the end, in batches."""
        if self.format in WHOLE:
            yield from self._document()
            return
        self.is_resumable = self.format not in RECORDS
        again: Counter[str] = Counter()
        posts: list[Named] = []
        bad: list[BadRow] = []
        gone: list[Gone] = []
        begin = self.place
        for row, line in self._rows():
            if isinstance(row, ParsedPost):
                posts.append(self._named(row, again))
            elif isinstance(row, Deletion):
                gone += [domain.name_gone(self.origin, name) for name in row.native_ids]
            elif row is not None:
                bad.append(row)
            self.place, self.line = line.end, line.number
            if len(posts) + len(bad) + len(gone) >= BATCH or line.end - begin >= _BATCH_BYTES:
                yield self._batch(posts, bad, gone)
                posts, bad, gone, begin = [], [], [], line.end
        yield self._batch(posts, bad, gone)

    def _named(self, post: ParsedPost, again: Counter[str]) -> Named:
        """Name a post; equal rows without an id of their own are told apart by their number."""
        if post.native_id:
            return domain.name_post(self.origin, post)
        self.is_resumable = False
        content = content_hash(post)
        again[content] += 1
        return domain.name_post(self.origin, post, occurrence=again[content] - 1)

    def _rows(self) -> Iterator[tuple[Row | None, Line]]:
        if self.format in RECORDS:
            for row in documents.records(self.stream, self.format, self.head):
                yield row, Line(row.line, 0, self.stream.tell() if self.owned else 0, b"")
            return
        plain = self.stream
        if self.place == 0:
            plain = lines.in_utf8(self.stream, self.head)
        read = self._hashed(lines.read(plain, offset=self.place, number=self.line))
        if self.format == "ndjson":
            for line in read:
                yield (None if not line.reason and line.data.isspace() else ndjson.row(line)), line
            return
        if self.line == 0:
            next(read, None)
        yield from csv.parse(read, csv.dialect(self.head))

    def _hashed(self, read: Iterable[Line]) -> Iterator[Line]:
        for line in read:
            self.hash.update(line.data)
            yield line

    def _document(self) -> Iterator[_Parsed]:
        body = self.stream.read(documents.MAX_DOCUMENT + 1)
        self.place = len(body)
        document = documents.parse(body, format=self.format)
        rows = [domain.as_row(row) if isinstance(row, ParsedPost) else row for row in document.rows]
        named = [domain.name_post(self.origin, row) for row in rows if isinstance(row, ParsedPost)]
        bad = [row for row in rows if isinstance(row, BadRow)]
        gone = [domain.name_gone(self.origin, name) for name in document.deleted]
        for start in range(0, len(named), BATCH):
            yield _Parsed(named[start : start + BATCH], [], {}, 0)
        yield _Parsed([], bad, {}, self.place, gone)

    def _batch(self, posts: list[Named], bad: list[BadRow], gone: list[Gone]) -> _Parsed:
        cursor: dict[str, Any] = {}
        if self.is_resumable:
            cursor = {"offset": self.place, "line": self.line, "sha256": self.hash.hexdigest()}
        return _Parsed(posts, bad, cursor, self.place, gone)

    def _resume(self, cursor: Mapping[str, Any]) -> None:
        """Go to the cursor's place if all that lies before it is what was imported."""
        self.stream.seek(0)
        left = offset = int(cursor.get("offset", 0))
        so_far = hashlib.sha256()
        while left > 0 and (piece := self.stream.read(min(left, _HASHED))):
            so_far.update(piece)
            left -= len(piece)
        if offset and left == 0 and so_far.hexdigest() == cursor["sha256"]:
            self.hash, self.place, self.line = so_far, offset, int(cursor["line"])
            self.resumed_at, self.resumed_after = offset, self.line
        else:
            self.stream.seek(0)


async def _store(database: Database, new: Source) -> None:
    """Add the source that stands for all imports under that name, unless it is there."""
    with suppress(IntegrityError):  # another import under that name began in this moment
        async with database.transaction() as connection:
            if await sources.source_by_id(connection, new.id, _NO_SECRETS) is None:
                await sources.add_source(connection, new, _NO_SECRETS)
