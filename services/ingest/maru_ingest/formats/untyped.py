"""Values out of JSON for whose types nobody vouches: what is not as documented is not there.

`path` leads through nested objects by their keys. A missing key, null or another type on the way
or at its end gives the empty value of the function's own type, never an exception.
"""

import json
from collections.abc import Mapping
from datetime import datetime

import orjson

from maru_ingest.formats import dates
from maru_ingest.formats.parsed import MAX_ORIGINAL

Object = Mapping[str, object]

_MAX_COUNT = 2**53
_MAX_DIGITS = 40


def at(value: object, *path: str) -> object:
    """Return what stands at the end of `path`, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def mapping(value: object, *path: str) -> Object:
    """Return the object there, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def sequence(value: object, *path: str) -> list[object]:
    """Return the array there, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def mappings(value: object, *path: str) -> list[Object]:
    """Return the objects of the array there; what else it holds is left out."""
    return [each for each in sequence(value, *path) if isinstance(each, dict)]


def string(value: object, *path: str) -> str:
    """Return the string there, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def identifier(value: object, *path: str) -> str:
    """Return the id there, which platforms write as a string or as a whole number."""
    found = at(value, *path)
    if isinstance(found, str):
        return found
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= 10**_MAX_DIGITS:
        return ""
    return str(found)


def count(value: object, *path: str) -> int | None:
    """Return the number of times there, also one that is written as a string."""
    found = at(value, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit():
        found = int(found[:_MAX_DIGITS])
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if 0 <= found <= _MAX_COUNT else None


def moment(value: object, *path: str) -> datetime | None:
    """Return the time there; an odd date is no reason to lose what was said."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    try:
        return dates.parse(found)
    except dates.UnreadableDate:
        return None


def is_true(value: object, *path: str) -> bool:
    """Whether a plain true stands there."""
    return at(value, *path) is True


def has(value: object, *names: str) -> bool:
    """Whether `value` is an object with all these fields, whatever they hold."""
    return isinstance(value, dict) and all(name in value for name in names)


def original(value: object) -> bytes:
    """Return the JSON of `value`, cut to what is kept of a bad row."""
    try:
        return orjson.dumps(value)[:MAX_ORIGINAL]
    except TypeError:  # lone surrogates, numbers beyond 64 bits, or nested too deep
        pass
    try:
        return json.dumps(value).encode()[:MAX_ORIGINAL]
    except (ValueError, RecursionError):
        return b""
