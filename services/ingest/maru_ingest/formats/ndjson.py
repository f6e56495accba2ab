"""JSON Lines: one object a line, in UTF-8 (https://jsonlines.org)."""

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from maru_ingest.formats import payloads
from maru_ingest.formats.fields import BadField, deletion_from, post_from
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import (
    MAX_ORIGINAL,
    BadRow,
    Deletion,
    ParsedPost,
    Row,
    Unreadable,
)


def parse(lines: Iterable[Line]) -> Iterator[Row]:
    """Yield a post, its end, or the reason why there is neither, for every line but blank ones."""
    for line in lines:
        if line.reason or not line.data.isspace():
            yield row(line)


def row(line: Line) -> Row:
    """Return what one line holds."""
    if line.reason:
        return BadRow(line.number, line.reason, line.data[:MAX_ORIGINAL])
    data = line.data.removeprefix(codecs.BOM_UTF8) if line.number == 1 else line.data
    value: dict[str, object] = {}
    try:
        value = _object(data)
        gone = deletion_from(value, line=line.number, offset=line.start)
        return _gone(gone, value) if gone else post_from(value, line=line.number, offset=line.start)
    except BadField as error:
        found = _in_answer(value)
        if isinstance(found, str):
            return BadRow(line.number, found or str(error), line.data[:MAX_ORIGINAL])
        if isinstance(found, tuple):
            return Deletion(found, line.number, line.start)
        found.line, found.offset = line.number, line.start
        return found


def _gone(deletion: Deletion, value: dict[str, object]) -> Deletion:
    """Return a deletion with the names of the platform whose object it is, if it is one's."""
    found = _in_answer(value)
    return replace(deletion, native_ids=found) if isinstance(found, tuple) else deletion


def _in_answer(value: dict[str, object]) -> ParsedPost | tuple[str, ...] | str:
    """Return the one post of a platform's event, for their streams are kept as lines, too.

    Else the posts that the event says are gone, or the reason why it has neither, empty where no
    platform knows it.
    """
    try:
        found = payloads.find(value) if value else None
    except Unreadable as error:
        return str(error)
    if found is None:
        return ""
    if len(found.rows) == 1 and isinstance(found.rows[0], ParsedPost):
        return found.rows[0]
    if found.deleted and not found.rows:
        return found.deleted
    return "several posts on one line" if found.rows else "a platform's event that brings no post"


def _object(data: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _slowly(data)
    if not isinstance(value, dict):
        raise BadField("not a JSON object")
    return value


def _slowly(data: bytes) -> object:
    """Parse what orjson refuses: lone surrogates are mended later, the rest gets its reason."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadField(f"not UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise BadField("JSON nested too deep") from error
    except ValueError as error:
        raise BadField(f"not JSON: {str(error)[:100]}") from error
