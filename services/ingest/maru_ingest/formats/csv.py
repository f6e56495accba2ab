"""CSV as people export it: comma, semicolon or tab, UTF-8 or CP949, line breaks in quotes."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from maru_ingest.formats import encodings
from maru_ingest.formats.fields import BadField, deletion_from, post_from
from maru_ingest.formats.lines import MAX_LINE, WIDE, Line
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, Row

csv.field_size_limit(MAX_LINE)  # the module's own limit would refuse what we only cut
_DELIMITERS = ",;\t|"
_UNCLOSED = "a quote that is never closed"
_MAX_UNCLOSED = 20
"""Quotes left open up to the end after which each line that is left is a row by itself: reading all
that is left again for every one would take for ever where they are many."""


@dataclass(frozen=True)
class Dialect:
    """How lines are written: their encoding, the delimiter and the names of the columns."""

    encoding: str
    delimiter: str
    columns: Sequence[str]


def dialect(head: bytes) -> Dialect:
    """Read off the dialect from the first bytes of a file, at least its first line.

    The encoding is that of the lines as `lines.in_utf8` gives them.
    """
    encoding, length = encodings.marked(head)
    encoding = encoding or encodings.guess(head, whole=False)
    first = head[length:].decode(encoding, "replace").splitlines()[:1] or [""]
    delimiter = max(_DELIMITERS, key=first[0].count)
    columns = next(csv.reader(first, delimiter=delimiter), [])
    names = tuple(name.strip().strip("\ufeff") for name in columns)
    return Dialect("utf-8" if encoding.startswith(WIDE) else encoding, delimiter, names)


def parse(
    lines: Iterable[Line], dialect: Dialect, *, grows: bool = False
) -> Iterator[tuple[Row, Line]]:
    """Yield each record with the line that ends it; `lines` begins after the header.

    A record that can't be read (a line that is too long, say) is a bad row, and reading goes on
    after it. Where a quote is never closed, the bad row is its first line alone; of lines that may
    still be added to (`grows`), the record is left for the next time.
    """
    source = _Source(lines, dialect.encoding)
    reader = csv.reader(source, delimiter=dialect.delimiter)
    while True:
        source.begin()
        row: Row | None = None
        try:
            values = next(reader)
            if source.is_over and grows:
                return
            if source.is_over:
                source.go_back()
                raise BadField(_UNCLOSED)
            row = _post(values, dialect.columns, source)
        except StopIteration:
            return
        except (csv.Error, BadField) as error:
            row = BadRow(source.first.number, str(error), source.original())
        if row is not None:
            yield row, source.last


def _post(values: list[str], columns: Sequence[str], source: "_Source") -> Row | None:
    if not any(value.strip() for value in values):
        return None
    if len(values) > len(columns) and any(values[len(columns) :]):
        raise BadField(f"{len(values)} values for {len(columns)} columns")
    first = source.first
    named = dict(zip(columns, values, strict=False))
    place = {"line": first.number, "offset": first.start}
    return deletion_from(named, **place) or post_from(named, **place)


class _Source:
    """Feeds the reader decoded lines and remembers which ones the record at hand is made of."""

    def __init__(self, lines: Iterable[Line], encoding: str) -> None:
        self._lines = iter(lines)
        self._encoding = encoding
        self._data: list[bytes] = []
        self._size = 0
        self._unclosed = 0
        self._alone = False
        self.is_over = False
        self.first = self.last = Line(0, 0, 0, b"")

    def begin(self) -> None:
        self._data, self._size = [], 0

    def go_back(self) -> None:
        """Give what follows the first line of the record at hand again."""
        first, *rest = self._data
        self._data, self._size, self.last = [first], len(first), self.first
        self._unclosed += 1
        self._alone = self._unclosed >= _MAX_UNCLOSED
        self.is_over = False
        if rest:
            self._lines = _lines(rest, self.first)

    def original(self) -> bytes:
        return b"".join(self._data)[:MAX_ORIGINAL]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = None if self._alone and self._data else next(self._lines, None)
        if line is None:  # the reader asks for more within a quote, or at the end
            self.is_over = True
            raise StopIteration
        if not self._data:
            self.first = line
        self.last = line
        self._data.append(line.data)
        self._size += len(line.data)
        if line.reason:
            raise BadField(line.reason)
        if self._size > 2 * MAX_LINE:
            raise BadField(f"a row of more than {2 * MAX_LINE // 1024**2} MB")
        try:
            return line.data.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise BadField(f"not {self._encoding.upper()} at byte {error.start + 1}") from error


def _lines(held: Iterable[bytes], after: Line) -> Iterator[Line]:
    """Yield lines again of which the bytes were held."""
    number, start = after.number, after.end
    for data in held:
        number += 1
        yield Line(number, start, start + len(data), data, ended=data.endswith(b"\n"))
        start += len(data)
