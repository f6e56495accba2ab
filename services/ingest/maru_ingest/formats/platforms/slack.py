"""Slack: messages of channels and threads, by the Web API, by events, and in exports.

A message goes by its channel and its time, which Slack uses as its number. A workspace's messages
have no public channel unless the source says so (https://api.slack.com/events/message).
"""

import html
import re
from collections.abc import Iterator

from maru_ingest.formats import links, text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost, Unreadable
from maru_ingest.formats.platform import Platform, attachment, failed, no_posts, post, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    is_true,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_MARKED = re.compile(r"<([^<>\n|]{1,2000})(?:\|([^<>\n]{0,2000}))?>")
_SAID = {"", "bot_message", "file_share", "me_message", "thread_broadcast"}
_OTHERS = {"members": "list of members", "channels": "list of channels", "user": "user"}


def _read(value: object, _: str) -> Document | None:
    if at(value, "ok") is False and isinstance(at(value, "error"), str):
        raise failed("Slack", string(value, "error"))
    if string(value, "type") == "url_verification" and has(value, "challenge"):
        raise no_posts("Slack", "test of an address")
    if string(value, "type") == "event_callback" and has(value, "event"):
        return _event(mapping(value, "event"))
    if is_true(value, "ok"):
        return _answer(value)
    found = value if isinstance(value, list) else [value]
    if not any(map(_is_message, found)):
        return None
    return _messages(found, "")


def _answer(value: object) -> Document | None:
    channel = string(value, "channel")
    if has(value, "messages") and isinstance(at(value, "messages"), list):
        return _messages(sequence(value, "messages"), channel)
    if has(mapping(value, "messages"), "matches"):  # a search
        return _messages(sequence(value, "messages", "matches"), channel)
    if has(mapping(value, "message"), "ts"):
        return _messages([mapping(value, "message")], channel)
    for name, what in _OTHERS.items():
        if has(value, name):
            raise no_posts("Slack", what)
    return None


def _event(event: Object) -> Document:
    if string(event, "type") not in {"message", "app_mention"}:
        raise Unreadable(f"a Slack event of the type {string(event, 'type')[:40]} holds no posts")
    channel = string(event, "channel")
    match string(event, "subtype"):
        case "message_deleted":
            return Document(rows=(), deleted=_gone([event], channel, "deleted_ts"))
        case "message_changed":
            return _messages([mapping(event, "message")], channel)
        case _:
            return _messages([event], channel)


def _messages(found: list[object], channel: str) -> Document:
    gone = [it for it in found if string(it, "subtype") == "tombstone"]
    said = [it for it in found if string(it, "subtype") in _SAID]
    return Document(
        rows=list(rows(said, lambda it: _post(it, channel))),
        deleted=_gone(gone, channel, "ts"),
    )


def _gone(found: list[object], channel: str, name: str) -> tuple[str, ...]:
    return tuple(_name(channel, string(it, name)) for it in found if string(it, name))


def _is_message(value: object) -> bool:
    return has(value, "ts", "text") and string(value, "type") == "message"


def _name(channel: str, ts: str) -> str:
    return f"{channel}/{ts}" if channel else f"slack/{ts}"


def _post(message: Object, channel: str) -> ParsedPost | None:
    ts = string(message, "ts")
    where = channel or string(message, "channel") or string(message, "channel", "id")
    thread = string(message, "thread_ts")
    if not ts or not has(message, "text"):
        return None
    profile = mapping(message, "user_profile")
    return post(
        _name(where, ts),
        _words(string(message, "text")),
        url=string(message, "permalink"),
        author=string(message, "user") or string(message, "bot_id") or string(message, "username"),
        author_name=string(profile, "display_name")
        or string(profile, "real_name")
        or string(message, "username"),
        created_at=moment(message, "ts"),
        edited_at=moment(message, "edited", "ts"),
        in_reply_to=_name(where, thread) if thread and thread != ts else "",
        media=_media(message),
        likes=_reactions(message),
        replies=count(message, "reply_count"),
    )


def _words(written: str) -> str:
    """Return Slack's mark-up as text: `<@U1|name>`, `<#C1|name>`, `<!here>`, `<address|label>`."""
    return text.clean(html.unescape(_MARKED.sub(_shown, written)))


def _shown(match: re.Match[str]) -> str:
    target, label = match[1], match[2] or ""
    if target.startswith("@"):
        return f"@{label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return label or f"@{target[1:].partition('^')[0]}"
    return links.shown(label, target.removeprefix("mailto:"))


def _media(message: Object) -> Iterator[Attachment | None]:
    for file in mappings(message, "files"):
        url = string(file, "permalink") or string(file, "url_private")
        yield attachment(
            string(file, "mimetype"), url, string(file, "alt_txt") or string(file, "title")
        )


def _reactions(message: Object) -> int | None:
    if not has(message, "reactions"):
        return None
    return sum(count(it, "count") or 0 for it in mappings(message, "reactions"))


PLATFORM = Platform(name="slack", title="Slack", read=_read)
