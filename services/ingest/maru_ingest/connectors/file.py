"""A file on this machine in any of the formats; rows that are appended later are followed."""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydantic import Field

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Page,
    SourceBroken,
    SourceSettings,
    Tools,
)
from maru_ingest.formats import csv, documents, lines, ndjson
from maru_ingest.formats.detect import HEAD, RECORDS, WHOLE, Format, detect
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import Row, Unreadable

_PAGE = 1_000
_KNOWN_BY = 4_096
_SETTLED_SECONDS = 5.0


class FileSettings(SourceSettings):
    """Which file, and how often to look for more."""

    path: str = Field(min_length=1, description="Path below the folder that files may be read from")
    interval_seconds: float = Field(
        default=60.0, ge=0.1, description="How often to look for appended rows, in seconds"
    )


@dataclass(frozen=True, slots=True)
class FileConnector:
    """Reads a file from where it stopped; a file that was replaced is read from its beginning.

    The cursor is the byte offset and line after the last row, and a hash of the file's first
    bytes, by which a replaced file is told from one that grew.
    """

    path: str
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was appended, in pages of at most 1,000 rows."""
        reading = _Reading(self.tools.file(self.path), cursor)
        while page := await asyncio.to_thread(reading.next_page):
            yield page


class _Reading:
    """One pass over the file, page by page, in a thread of its own choosing."""

    def __init__(self, path: Path, cursor: Cursor) -> None:
        self._path = path
        self._cursor: dict[str, Any] = dict(cursor)
        self._done = False
        self._records: Iterator[Row] | None = None
        self._mark = ""

    def next_page(self) -> Page | None:
        """Return the next page, or None at the end."""
        if self._done:
            return None
        try:
            with self._path.open("rb") as stream:
                return self._read(stream)
        except OSError as error:
            raise SourceBroken(f"The file can't be read: {error.strerror}.") from error
        except Unreadable as error:
            raise SourceBroken(f"The file is {error}.") from error

    def _read(self, stream: BinaryIO) -> Page | None:
        head = stream.read(HEAD)
        if not head.strip():  # nothing yet
            self._done = True
            return None
        found = detect(head, name=self._path.name)
        if found in WHOLE:
            return self._whole(stream, head, found)
        if found in RECORDS:
            return self._of_records(head, found)
        if not _is_continued(head, self._cursor):
            self._cursor = {}
        rows = list(islice(self._rows(stream, head, found), _PAGE))
        if not rows:
            self._done = True
            return None
        last = rows[-1][1]
        known_by = min(last.end, _KNOWN_BY)
        self._cursor = {
            "offset": last.end,
            "line": last.number,
            "known_by": known_by,
            "head": hashlib.sha256(head[:known_by]).hexdigest(),
        }
        return Page(rows=[row for row, _ in rows if row is not None], cursor=self._cursor)

    def _whole(self, stream: BinaryIO, head: bytes, format: Format) -> Page | None:
        self._done = True
        body = head + stream.read(documents.MAX_DOCUMENT)
        mark = hashlib.sha256(body).hexdigest()
        if self._cursor.get("whole") == mark:
            return None
        document = documents.parse(body, format=format)
        return Page(rows=document.rows, cursor={"whole": mark}, deleted=document.deleted)

    def _of_records(self, head: bytes, format: Format) -> Page | None:
        """Read on in a file that is read from its beginning whenever it has changed and settled."""
        if self._records is None:
            with self._path.open("rb") as whole:
                self._mark = hashlib.file_digest(whole, "sha256").hexdigest()
            if self._cursor.get("whole") == self._mark or not self._is_settled():
                self._done = True
                return None
            self._records = self._opened(head, format)
        rows = list(islice(self._records, _PAGE))
        self._done = len(rows) < _PAGE
        if self._done:
            self._cursor = {"whole": self._mark}
        return Page(rows=rows, cursor=self._cursor)

    def _opened(self, head: bytes, format: Format) -> Iterator[Row]:
        with self._path.open("rb") as stream:
            yield from documents.records(stream, format, head)

    def _is_settled(self) -> bool:
        return time.time() - self._path.stat().st_mtime > _SETTLED_SECONDS

    def _rows(
        self, stream: BinaryIO, head: bytes, format: Format
    ) -> Iterator[tuple[Row | None, Line]]:
        offset, number = self._cursor.get("offset", 0), self._cursor.get("line", 0)
        stream.seek(0)
        plain = lines.in_utf8(stream, head)
        if plain is stream:
            stream.seek(offset)
            read = lines.read(stream, offset=offset, number=number)
        else:
            read = (line for line in lines.read(plain) if line.start >= offset)
        complete = self._complete(read)
        if format == "ndjson":
            return ((None if _is_blank(line) else ndjson.row(line), line) for line in complete)
        if offset == 0:
            next(complete, None)
        parsed = csv.parse(complete, csv.dialect(head), grows=not self._is_settled())
        return cast("Iterator[tuple[Row | None, Line]]", parsed)

    def _complete(self, read: Iterator[Line]) -> Iterator[Line]:
        """Leave a last line that is still being written for the next time."""
        for line in read:
            if line.ended or self._is_settled():
                yield line


def _is_continued(head: bytes, cursor: Cursor) -> bool:
    known_by = cursor.get("known_by", 0)
    return bool(known_by) and (
        hashlib.sha256(head[:known_by]).hexdigest() == cursor["head"] and len(head) >= known_by
    )


def _is_blank(line: Line) -> bool:
    return not line.reason and line.data.isspace()


def _open(settings: FileSettings, tools: Tools) -> FileConnector:
    return FileConnector(settings.path, tools)


CONNECTOR = ConnectorKind(
    kind="file",
    title="Files",
    summary=(
        "Follows a file: NDJSON, CSV, XLSX, mail, subtitles, transcripts, a feed, or a saved answer"
        " of a platform's API"
    ),
    settings=FileSettings,
    channel=Channel.OTHER,
    open=_open,
    capabilities=frozenset({Capability.REPLIES, Capability.MEDIA, Capability.METRICS}),
)
