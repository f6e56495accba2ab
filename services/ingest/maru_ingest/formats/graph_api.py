"""The envelopes of Meta's Graph API, which Facebook, Instagram and Threads share.

An answer is one node, `{"data": [node, …], "paging": …}`, or nodes by their ids when several were
asked for (https://developers.facebook.com/docs/graph-api/results).
"""

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.formats.platform import post
from maru_ingest.formats.untyped import (
    Object,
    has,
    identifier,
    is_true,
    mapping,
    moment,
    sequence,
    string,
)


def nodes(value: object) -> list[object]:
    """Return the nodes of an answer."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return []
    if has(value, "data"):
        inner = mapping(value, "data")
        return [inner] if inner else sequence(value, "data")
    if value and all(identifier(node, "id") == name for name, node in value.items()):
        return list(value.values())
    return [value]


def changes(value: object, of: str) -> list[Object]:
    """Return the changes that a webhook reports of objects of one kind, each with its field.

    `maru_time` is when the webhook says that it happened.
    """
    if string(value, "object") != of:
        return []
    entries = [entry for entry in sequence(value, "entry") if isinstance(entry, dict)]
    return [
        {**change, "maru_time": entry.get("time")}
        for entry in entries
        for change in sequence(entry, "changes")
        if isinstance(change, dict)
    ]


def messages(value: object, of: str) -> list[Object]:
    """Return what people wrote to an account in private, as a webhook reports it."""
    if string(value, "object") != of:
        return []
    entries = [entry for entry in sequence(value, "entry") if isinstance(entry, dict)]
    found = [each for entry in entries for each in sequence(entry, "messaging")]
    return [each for each in found if isinstance(each, dict) and has(each, "message")]


def is_from_outside(event: Object) -> bool:
    """Whether a private message has words, and is none that the account itself sent."""
    return not is_true(event, "message", "is_echo") and bool(string(event, "message", "text"))


def message(event: Object) -> ParsedPost:
    """Return a private message as a post."""
    return post(
        string(event, "message", "mid"),
        text.clean(string(event, "message", "text")),
        author=identifier(event, "sender", "id"),
        channel=Channel.OTHER,
        created_at=moment(event, "timestamp"),
        in_reply_to=string(event, "message", "reply_to", "mid"),
    )


def is_webhook(value: object, of: str) -> bool:
    """Whether this is a webhook about objects of one kind."""
    return string(value, "object") == of and has(value, "entry")
