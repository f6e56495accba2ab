"""Workbooks of Excel (XLSX, ECMA-376): each sheet is a table whose first row names its columns."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import IO
from xml.etree.ElementTree import ParseError

import orjson
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from maru_ingest.formats.fields import BadField, deletion_from, may_have_text, post_from
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, Row, Unreadable

MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes of all parts of a workbook when unpacked; they are read piece by piece."""

_MAX_STRINGS = 64 * 1024 * 1024
_MAX_ROW = 2 * 1024 * 1024
"""Bytes of one row, and of one text, which are read at once."""

_LAST_ROW = 1_048_576
_PIECE = 1024 * 1024
_TAG = re.compile(rb"<")
_ROW = re.compile(rb"<(?:\w+:)?row\b")
_HEADER_WITHIN = 20
"""Rows that hold something among which the names of columns are looked for."""

_MAX_PARTS = 2_000
_MAX_COLUMNS = 500
_BROKEN = (
    zipfile.BadZipFile, zlib.error, InvalidFileException, ParseError, KeyError, ValueError,
    TypeError, AttributeError, IndexError, OSError, EOFError, NotImplementedError, SyntaxError,
)  # fmt: skip
"""What openpyxl raises on files that are not what they say."""


def is_workbook(head: bytes) -> bool:
    """Tell by its first bytes whether a file is an XLSX workbook, or another packed one."""
    return head.startswith(b"PK\x03\x04")


def parse(stream: IO[bytes]) -> Iterator[Row]:
    """Yield the rows of all sheets that have a column of texts.

    `stream` can be read from any place (`seek`). Raises Unreadable with the reason.
    """
    try:
        _check(stream)
        workbook = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
    except _BROKEN as error:
        raise Unreadable(f"no workbook that can be read: {error}") from error
    found = False
    try:
        for sheet in workbook.worksheets:
            table = sheet.iter_rows(values_only=True, max_col=_MAX_COLUMNS, max_row=_LAST_ROW)
            for row in _rows(table):
                found = True
                yield row
    except _BROKEN as error:
        raise Unreadable(f"a broken workbook: {error}") from error
    finally:
        workbook.close()
    if not found:
        raise Unreadable("a workbook without a sheet that has rows and a column of texts")


def _check(stream: IO[bytes]) -> None:
    """Refuse what would unpack to more than can be read, before any of it is."""
    with zipfile.ZipFile(stream) as packed:
        parts = packed.infolist()
        _check_sizes(parts)
        for part in parts:
            is_sheet = part.filename.startswith("xl/worksheets/")
            if is_sheet or "sharedStrings" in part.filename:
                _check_pieces(packed, part, ends=_ROW if is_sheet else _TAG)


def _check_pieces(packed: zipfile.ZipFile, part: zipfile.ZipInfo, ends: re.Pattern[bytes]) -> None:
    """Refuse a part in which what is read at once, until the next of its `ends`, is too long."""
    length = 0
    with packed.open(part) as opened:
        while piece := opened.read(_PIECE):
            found = [it.start() for it in ends.finditer(piece)]
            if length + (found[0] if found else len(piece)) > _MAX_ROW:
                raise Unreadable(f"a workbook with a row of more than {_MAX_ROW // 1024**2} MB")
            length = len(piece) - found[-1] if found else length + len(piece)


def _check_sizes(parts: Sequence[zipfile.ZipInfo]) -> None:
    if not any(part.filename.startswith("xl/") for part in parts):
        raise Unreadable("a packed file, and no workbook")
    strings = sum(part.file_size for part in parts if "sharedStrings" in part.filename)
    if (
        len(parts) > _MAX_PARTS
        or strings > _MAX_STRINGS
        or sum(part.file_size for part in parts) > MAX_UNPACKED
    ):
        raise Unreadable(f"a workbook of more than {MAX_UNPACKED // 1024**2} MB when unpacked")


def _rows(table: Iterator[tuple[object, ...]]) -> Iterator[Row]:
    columns: list[str] = []
    empty: tuple[object, ...] | None = None
    before = 0
    for number, values in enumerate(table, 1):
        if values is empty:  # of the many in a gap, which are all the same
            continue
        if not any(values):
            empty = values
            continue
        if not columns:  # a title may stand above the names of the columns
            names = ["" if value is None else str(value).strip() for value in values]
            columns = names if may_have_text(names) else []
            before += 1
            if before == _HEADER_WITHIN and not columns:
                return
            continue
        named = {name: _plain(value) for name, value in zip(columns, values, strict=False) if name}
        try:
            yield deletion_from(named, line=number) or post_from(named, line=number)
        except BadField as error:
            original = orjson.dumps(named, default=str)[:MAX_ORIGINAL]
            yield BadRow(number, str(error), original)


def _plain(value: object) -> object:
    """Return a cell's value as JSON would have it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
