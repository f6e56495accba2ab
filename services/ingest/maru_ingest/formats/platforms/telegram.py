"""Telegram: updates of the Bot API, and the export of Telegram Desktop.

A message's number counts within its chat, so a post goes by `<chat>/<message>`. Only channels and
groups with a public name have a public channel (https://core.telegram.org/bots/api).
"""

from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import links, text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, failed, listed, no_posts, post, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    identifier,
    is_true,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_CARRIED = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_message",
    "edited_business_message",
)
_MAX_ENTITIES = 200  # Telegram takes 100; each rebuilds the text
_PUBLIC_EXPORTS = {"public_channel": Channel.MICROBLOG, "public_supergroup": Channel.COMMUNITY}


def _read(value: object, _: str) -> Document | None:
    if at(value, "ok") is False and has(value, "error_code", "description"):
        raise failed("Telegram", string(value, "description"))
    if has(value, "type", "id", "messages"):
        return _export(value)
    found = list(_messages(value))
    if any(map(_is_message, found)):
        said = [it for it in found if _is_said(it)]
        gone = [it for it in _updates(value) if has(it, "deleted_business_messages")]
        return Document(rows=list(rows(said, _post)), deleted=tuple(_deleted(gone)))
    updates = _updates(value)
    if any(has(it, "update_id") for it in updates):
        return Document(rows=(), deleted=tuple(_deleted(updates)))
    if value == {"ok": True, "result": []}:
        return Document(rows=())
    if is_true(value, "ok") and (has(mapping(value, "result"), "is_bot")):
        raise no_posts("Telegram", "bot")
    return None


def _updates(value: object) -> list[object]:
    answered = at(value, "result") if is_true(value, "ok") else value
    return answered if isinstance(answered, list) else [answered]


def _messages(value: object) -> Iterator[object]:
    for update in _updates(value):
        if has(update, "update_id"):
            yield from (mapping(update, name) for name in _CARRIED if has(update, name))
        else:
            yield update


def _deleted(updates: list[object]) -> Iterator[str]:
    for update in updates:
        gone = mapping(update, "deleted_business_messages")
        for number in sequence(gone, "message_ids"):
            if isinstance(number, int):
                yield f"{identifier(gone, 'chat', 'id')}/{number}"


def _is_message(value: object) -> bool:
    return has(value, "message_id", "chat", "date")


def _is_said(value: object) -> bool:
    """Whether somebody says something: not who joined, or what was pinned."""
    return not _is_message(value) or any(
        has(value, name) for name in ("text", "caption", "poll", "photo", "video", "voice")
    )


def _post(message: Object) -> ParsedPost | None:
    if not _is_message(message):
        return None
    chat = mapping(message, "chat")
    chat_id, number = identifier(chat, "id"), identifier(message, "message_id")
    public = string(chat, "username")
    writer = mapping(message, "from") or mapping(message, "sender_chat")
    answered = identifier(message, "reply_to_message", "message_id")
    return post(
        f"{chat_id}/{number}" if chat_id and number else "",
        listed(_words(message), (string(it, "text") for it in _options(message))),
        url=f"https://t.me/{public}/{number}" if public else "",
        author=string(writer, "username") or identifier(writer, "id"),
        author_name=_name(writer) or string(message, "author_signature"),
        lang=string(writer, "language_code"),
        channel=_channel(chat),
        created_at=moment(message, "date"),
        edited_at=moment(message, "edit_date"),
        in_reply_to=f"{chat_id}/{answered}" if answered else "",
        reshared_from=_forwarded(message),
        is_repost=True,
    )


def _options(message: Object) -> list[Object]:
    return mappings(message, "poll", "options")


def _channel(chat: Object) -> Channel:
    if not string(chat, "username") or string(chat, "type") == "private":
        return Channel.OTHER
    return Channel.MICROBLOG if string(chat, "type") == "channel" else Channel.COMMUNITY


def _name(writer: Object) -> str:
    parts = (string(writer, "first_name"), string(writer, "last_name"))
    return " ".join(filter(None, parts)) or string(writer, "title")


def _forwarded(message: Object) -> str:
    origin = mapping(message, "forward_origin")
    chat, number = identifier(origin, "chat", "id"), identifier(origin, "message_id")
    if not chat:
        chat = identifier(message, "forward_from_chat", "id")
        number = identifier(message, "forward_from_message_id")
    return f"{chat}/{number}" if chat and number else ""


def _words(message: Object) -> str:
    """Return the text with the links behind its words; entities count in UTF-16."""
    said = "text" if string(message, "text") else "caption"
    written = string(message, said) or string(message, "poll", "question")
    units = written.encode("utf-16-le", "replace")
    marked = mappings(message, "entities" if said == "text" else "caption_entities")
    places: list[tuple[int, int, str]] = []
    for entity in marked[:_MAX_ENTITIES]:
        start, length = count(entity, "offset"), count(entity, "length")
        url = links.absolute(string(entity, "url"))
        if url and start is not None and length and 2 * (start + length) <= len(units):
            places.append((2 * start, 2 * (start + length), url))
    for start, end, url in sorted(places, reverse=True):
        label = units[start:end].decode("utf-16-le", "replace")
        units = units[:start] + links.shown(label, url).encode("utf-16-le") + units[end:]
    return text.clean(units.decode("utf-16-le", "replace"))


def _export(chat: object) -> Document | None:
    found = sequence(chat, "messages")
    if found and not any(has(it, "id", "type", "text") for it in found):
        return None
    said = [it for it in found if string(it, "type") != "service"]
    where = identifier(chat, "id")
    channel = _PUBLIC_EXPORTS.get(string(chat, "type"), Channel.OTHER)
    return Document(rows=list(rows(said, lambda it: _exported(it, where, channel))))


def _exported(message: Object, chat: str, channel: Channel) -> ParsedPost | None:
    number = identifier(message, "id")
    if not has(message, "id", "text"):
        return None
    answered = identifier(message, "reply_to_message_id")
    return post(
        f"{chat}/{number}" if chat and number else "",
        text.clean(_pieces(message)),
        author=identifier(message, "from_id") or string(message, "from"),
        author_name=string(message, "from"),
        channel=channel,
        created_at=moment(message, "date_unixtime") or moment(message, "date"),
        edited_at=moment(message, "edited_unixtime") or moment(message, "edited"),
        in_reply_to=f"{chat}/{answered}" if answered else "",
    )


def _pieces(message: Object) -> str:
    """Return a text that is a string, or strings and marked pieces in turn."""
    parts = []
    for piece in sequence(message, "text") or [string(message, "text")]:
        label = piece if isinstance(piece, str) else string(piece, "text")
        target = links.absolute(string(piece, "href"))
        parts.append(links.shown(label, target) if target else label)
    return "".join(parts)


PLATFORM = Platform(name="telegram", title="Telegram", read=_read)
