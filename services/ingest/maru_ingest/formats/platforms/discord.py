"""Discord: messages of channels and threads, by the API, by gateway events and in webhooks.

A server must be joined to be read, so its messages have no public channel unless the source says
so (https://discord.com/developers/docs/resources/message).
"""

import re
from collections.abc import Iterator, Mapping

from maru_ingest.formats import markdown
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, failed, post, refuse_others, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    identifier,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_SAID = {0, 19, 20, 23}  # a message, a reply, and what a command answers; others tell events
_FORWARD = 1
_MAX_NAME = 100
_ERROR = {"message", "code", "errors", "retry_after", "global"}
_FIRST_CODE = 10_000
_MENTION = re.compile(r"<(@!?|@&|#)(\d{1,25})>")
_EMOJI = re.compile(r"<a?(:\w{1,64}:)\d{1,25}>")
_OTHERS = {
    "user": ("username", "discriminator"),
    "server": ("owner_id", "roles"),
    "channel": ("guild_id", "permission_overwrites"),
    "member": ("joined_at", "roles"),
    "webhook": ("application_id", "token", "guild_id"),
}


def _read(value: object, _: str) -> Document | None:
    if has(value, "op", "t", "d"):
        return _event(value)
    if _is_error(value):
        raise failed("Discord", string(value, "message"))
    found = sequence(value, "messages") if has(value, "messages") else value
    messages: list[object] = []
    for each in found if isinstance(found, list) else [found]:
        messages += each if isinstance(each, list) else [each]  # a search gives lists of hits
    if not any(map(_is_message, messages)):
        refuse_others("Discord", value, _OTHERS)
        return None
    said = [it for it in messages if not _is_event(it)]
    return Document(rows=list(rows(said, _post)))


def _is_error(value: object) -> bool:
    """Whether this is an error by its few fields; codes are 0 or have five digits and more."""
    code = at(value, "code")
    numbered = isinstance(code, int) and (code == 0 or code >= _FIRST_CODE)
    return numbered and has(value, "message") and mapping(value).keys() <= _ERROR


def _event(value: object) -> Document:
    kind, data = string(value, "t"), mapping(value, "d")
    if kind == "MESSAGE_DELETE":
        return Document(rows=(), deleted=tuple(filter(None, [identifier(data, "id")])))
    if kind == "MESSAGE_DELETE_BULK":
        gone = [it for it in sequence(data, "ids") if isinstance(it, str)]
        return Document(rows=(), deleted=tuple(gone))
    # An update may bring no more than a preview of a link.
    if kind in {"MESSAGE_CREATE", "MESSAGE_UPDATE"} and _is_message(data) and not _is_event(data):
        return Document(rows=list(rows([data], _post)))
    return Document(rows=())


def _is_message(value: object) -> bool:
    return has(value, "id", "channel_id", "author", "content")


def _is_event(value: object) -> bool:
    kind = at(value, "type")
    return isinstance(kind, int) and kind not in _SAID


def _post(message: Object) -> ParsedPost | None:
    if not _is_message(message):
        return None
    author, reference = mapping(message, "author"), mapping(message, "message_reference")
    name = identifier(message, "id")
    forwarded = reference.get("type") == _FORWARD
    snapshot = next(iter(mappings(message, "message_snapshots")), {})
    said = mapping(snapshot, "message") if forwarded and snapshot else message
    place = "/".join((identifier(message, "guild_id") or "@me", identifier(message, "channel_id")))
    return post(
        name,
        markdown.plain(_named(string(said, "content"), message)),
        url=f"https://discord.com/channels/{place}/{name}" if name else "",
        author=string(author, "username") or identifier(author, "id"),
        author_name=string(author, "global_name"),
        created_at=moment(message, "timestamp"),
        edited_at=moment(message, "edited_timestamp"),
        in_reply_to="" if forwarded else identifier(reference, "message_id"),
        reshared_from=identifier(reference, "message_id") if forwarded else "",
        is_repost=forwarded,
        media=_media(said),
        likes=_reactions(message),
        replies=count(message, "thread", "message_count"),
    )


def _named(content: str, message: Object) -> str:
    """Return the text with names in the place of numbers."""
    users = _names(mappings(message, "mentions"), "username")
    channels = _names(mappings(message, "mention_channels"), "name")
    shown = _MENTION.sub(lambda match: _mention(match, users, channels), content)
    return _EMOJI.sub(r"\1", shown)


def _names(named: list[Object], name: str) -> dict[str, str]:
    return {identifier(it, "id"): string(it, name)[:_MAX_NAME] for it in named}


def _mention(match: re.Match[str], users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    if match[1] == "#":
        return f"#{channels.get(match[2]) or match[2]}"
    return f"@{users.get(match[2]) or match[2]}"


def _media(message: Object) -> Iterator[Attachment | None]:
    for one in mappings(message, "attachments"):
        yield attachment(
            string(one, "content_type"), string(one, "url"), string(one, "description")
        )


def _reactions(message: Object) -> int | None:
    if not has(message, "reactions"):
        return None
    return sum(count(it, "count") or 0 for it in mappings(message, "reactions"))


PLATFORM = Platform(name="discord", title="Discord", read=_read)
