"""Answers of platforms' public APIs in JSON: whose it is, and the posts that it holds."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from maru_ingest.formats import encodings, platforms, text, untyped
from maru_ingest.formats.fields import BadField, bounded_id, post_from
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Unreadable

_MAX_REASON = 100
_MAX_NAMES = 8
_WORDS = {"text", "body", "content", "message", "review", "comment", "내용", "본문", "리뷰"}
_OF_ERRORS = {
    "code", "data", "detail", "details", "documentation_url", "error", "errorCode", "errorMessage",
    "errorType", "error_code", "error_description", "error_type", "errors", "extras", "fault",
    "global", "message", "msg", "ok", "path", "reason", "request_id", "retry_after", "status",
    "statusCode", "success", "timestamp", "title", "type",
}  # fmt: skip
_TELLS_OF_ERROR = {
    "documentation_url", "error", "errorCode", "errorType", "error_code", "errors", "fault",
    "statusCode",
}  # fmt: skip
_MAX_SHOWN = 40
_MAX_SIDE_BY_SIDE = 100_000
_LATE = datetime.max.replace(tzinfo=UTC)


def parse(body: bytes, *, url: str = "", platform: str = "") -> Document:
    """Return the posts of an answer, oldest first.

    `url` is where it came from; `platform`, a name of `platforms.known`, is for a caller who knows
    whose it is. Raises Unreadable with the reason.
    """
    return read(loads(body), url=url, platform=platform)


def read(value: object, *, url: str = "", platform: str = "") -> Document:
    """Return the posts of an answer that is parsed already; see `parse`."""
    found = find(value, url=url, platform=platform)
    if found is None:
        raise unknown(value)
    return oldest_first(found)


def find(value: object, *, url: str = "", platform: str = "") -> Document | None:
    """Return the posts of an answer in the order in which they stand there, None for no answer.

    Another platform may know a part of an answer as no post of its own, so its reason is raised
    only when there are no posts.
    """
    _check_size(value)
    known = platforms.known()
    reason: Unreadable | None = None
    for each in [known[platform]] if platform else known.values():
        try:
            found = each.read(value, url)
        except Unreadable as error:
            reason = reason or error
        else:
            if found is not None:
                gone = tuple(filter(None, map(bounded_id, found.deleted)))  # as posts are named
                return replace(found, deleted=gone)
    if reason is not None:
        raise reason
    return None


def is_answer(written: str) -> bool:
    """Whether some platform knows this JSON, or it is an error and no row of somebody's own."""
    value = loads(written.encode("utf-8", "replace"))
    try:
        return find(value) is not None or (bool(error_in(value)) and not _is_row(value))
    except Unreadable:
        return not _is_row(value)


def _is_row(value: object) -> bool:
    """Whether this is a row of somebody's own, with words and not with a description alone."""
    if not isinstance(value, dict) or _WORDS.isdisjoint(value) or _is_error_alone(value):
        return False
    try:
        return bool(post_from(value))
    except BadField:
        return False


def oldest_first(answer: Document) -> Document:
    """Return an answer with its posts by their time, those without one and bad rows last."""
    posts = [row for row in answer.rows if isinstance(row, ParsedPost)]
    posts.sort(key=lambda post: post.created_at or _LATE)
    bad = [row for row in answer.rows if isinstance(row, BadRow)]
    return Document(rows=[*posts, *bad], deleted=answer.deleted)


def loads(body: bytes) -> object:
    """Return the value of JSON in any encoding. Raises Unreadable when it is none."""
    written = encodings.decode(body)
    try:
        return orjson.loads(written)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass  # lone surrogates and numbers of any size are still JSON
    try:
        return json.loads(written)
    except RecursionError as error:
        raise Unreadable("JSON nested too deep") from error
    except ValueError as error:
        raise Unreadable(f"not JSON: {str(error)[:_MAX_REASON]}") from error


def _check_size(value: object) -> None:
    """Raise Unreadable for more values side by side than any answer has: each is asked about."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list) and len(one) > _MAX_SIDE_BY_SIDE:
            raise Unreadable(f"JSON with more than {_MAX_SIDE_BY_SIDE:,} values side by side")
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting += [each for each in inner if isinstance(each, dict | list)]


def unknown(value: object) -> Unreadable:
    """Say what JSON looks like that no platform calls its own."""
    if reason := error_in(value):
        return Unreadable(f"an API's error, not posts: {reason}")
    if value == [] or untyped.at(value, "data") == []:
        return Unreadable("an empty list: no posts, and no sign of whose answer it is")
    if isinstance(value, list):
        if not isinstance(value[0], dict):
            return Unreadable(
                "a list of ids or other values that are no objects: it holds no posts"
            )
        value = value[0]
    if not isinstance(value, dict):
        return Unreadable("a single value: it holds no posts")
    names = ", ".join(text.clean_line(str(name), _MAX_SHOWN) for name in list(value)[:_MAX_NAMES])
    return Unreadable(f"JSON of no known platform: its fields are {names or 'none'}")


def error_in(value: object) -> str:
    """Return what an object that is an error in itself says: `{"error": "Record not found"}`.

    Also problem details (RFC 9457) and other objects that commonly stand for nothing else.
    """
    if untyped.mapping(value, "error"):
        first = next(iter(untyped.mappings(value, "error", "errors")), {})
        told = [untyped.string(value, "error", "message"), untyped.string(first, "reason")]
    elif untyped.string(value, "error"):
        told = [untyped.string(value, name) for name in ("error", "error_description", "message")]
    elif _is_error_alone(value):
        told = [
            untyped.string(value, "errorType"),
            untyped.string(value, "fault", "faultstring"),
            *(untyped.string(each, "message") for each in untyped.mappings(value, "errors")[:1]),
            *(each for each in untyped.sequence(value, "errors")[:1] if isinstance(each, str)),
            *(untyped.string(value, name) for name in ("errorMessage", "message", "msg", "detail")),
        ]
    elif untyped.has(value, "title", "status") or untyped.has(value, "detail"):
        told = [untyped.string(value, "title"), untyped.string(value, "detail")]
    else:
        return ""
    return text.clean_line(": ".join(filter(None, told)), _MAX_REASON)


def _is_error_alone(value: object) -> bool:
    """Whether an object has none but fields of errors, and one that stands for nothing else.

    `{"message": "Unknown Channel", "code": 10003}` is one, a row with a `message` and an id not.
    """
    if not isinstance(value, dict) or not value.keys() <= _OF_ERRORS:
        return False
    if untyped.mapping(value, "data") or untyped.sequence(value, "data"):
        return False
    number = untyped.identifier(value, "code").removeprefix("-")
    is_numbered = ("message" in value or "msg" in value) and number.isdecimal()
    return is_numbered or any(value.get(name) for name in _TELLS_OF_ERROR)
