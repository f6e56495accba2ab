"""JSON Lines: one object a line, in UTF-8 (https://jsonlines.org)."""

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.fields import BadField, deletion_from, post_from
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import (
    MAX_ORIGINAL,
    BadRow,
    Deletion,
    Document,
    ParsedPost,
    Row,
    Unreadable,
)

_NO_OBJECT = "not a JSON object"


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
    try:
        value = _object(data)
    except BadField as error:
        return BadRow(line.number, str(error), line.data[:MAX_ORIGINAL])
    return _row(value, line.number, line.start, line.data[:MAX_ORIGINAL])


def listed(value: object) -> Document | None:
    """Return what a list of rows holds, as `parse` does for lines; None for no list of such.

    The number of a row stands for its line.
    """
    if not isinstance(value, list):
        return None
    rows = [
        _row(each, number, 0, untyped.original(each))
        if isinstance(each, dict)
        else BadRow(number, _NO_OBJECT, untyped.original(each))
        for number, each in enumerate(value, 1)
    ]
    gone = tuple(name for each in rows if isinstance(each, Deletion) for name in each.native_ids)
    kept = [each for each in rows if not isinstance(each, Deletion)]
    is_known = gone or any(isinstance(each, ParsedPost) for each in kept)
    return Document(kept, deleted=gone) if is_known else None


def _row(value: dict[str, object], number: int, offset: int, original: bytes) -> Row:
    try:
        gone = deletion_from(value, line=number, offset=offset)
        return _gone(gone, value) if gone else post_from(value, line=number, offset=offset)
    except BadField as error:
        found = _in_answer(value)
        if isinstance(found, str):
            return BadRow(number, found or str(error), original)
        if isinstance(found, tuple):
            return Deletion(found, number, offset)
        found.line, found.offset = number, offset
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
        raise BadField(_NO_OBJECT)
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
