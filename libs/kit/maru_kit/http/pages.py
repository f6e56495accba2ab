"""Pages of a list, by keyset: a cursor says after which row the next page begins."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel

from maru_kit.errors import BadRequest

T = TypeVar("T")

_INT64 = 2**63


class Page(BaseModel, Generic[T]):
    """Some items, and the cursor of the next page (null on the last one)."""

    items: list[T]
    next: str | None = None


def encode_cursor(*values: object) -> str:
    """Make an opaque cursor of the sort key of a page's last row (JSON values, UUIDs, times)."""
    return urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """Read a cursor back; raises BadRequest unless it holds one value of each of `kinds`."""
    try:
        values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise BadRequest("The cursor is not one that this list has given out") from error
    if not isinstance(values, list) or len(values) != len(kinds):
        raise BadRequest("The cursor is not one that this list has given out")
    if not all(_fits(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise BadRequest("The cursor belongs to a list in another order")
    return tuple(values)


def _fits(value: object, kind: type) -> bool:
    """Whether a value is of a kind, and one that a database can compare with."""
    match value:
        case bool():
            return kind is bool
        case int():
            return kind is int and -_INT64 <= value < _INT64
        case str():
            return kind is str and "\x00" not in value
        case _:
            return isinstance(value, kind)
