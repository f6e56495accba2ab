"""Mastodon and whatever speaks its API (Pleroma, Pixelfed, GoToSocial): statuses and their kin.

A post goes by its `uri`, which is the same on every server that has a copy; a reply to a status
that is not in the same answer names that server's own id (https://docs.joinmastodon.org/entities/).
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import orjson

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, listed, post, refuse_others, rows
from maru_ingest.formats.untyped import (
    Object,
    count,
    has,
    identifier,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_PUBLIC = ("public", "unlisted")
_OTHERS = {
    "scheduled status": ("scheduled_at", "params"),
    "status source": ("id", "text", "spoiler_text"),
    "status revision": ("content", "spoiler_text", "sensitive", "account"),
    "translation": ("content", "detected_source_language"),
    "account": ("acct", "locked"),
    "admin's account": ("username", "ip", "role"),
    "profile": ("display_name", "header_static"),
    "instance": ("version", "registrations"),
    "announcement": ("content", "published_at", "reactions"),
    "report": ("action_taken", "category"),
    "poll": ("votes_count", "options"),
    "preview card": ("provider_name", "embed_url"),
    "media attachment": ("preview_url", "remote_url"),
    "relationship": ("followed_by", "muting"),
    "tag": ("name", "url", "history"),
    "list": ("title", "replies_policy"),
    "filter": ("context", "filter_action"),
    "filter of version 1": ("phrase", "whole_word"),
    "collection": ("account_id", "item_count"),
    "custom emoji": ("shortcode", "static_url"),
    "application": ("website", "redirect_uri"),
    "token": ("access_token", "token_type", "created_at"),
}


def _read(value: object, _: str) -> Document | None:
    if has(value, "event") and (has(value, "stream") or has(value, "payload")):
        return _streamed(value)
    found = list(_statuses(value))
    if not any(map(_is_status, found)):
        refuse_others("Mastodon", value, _OTHERS)
        if has(value, "statuses", "accounts", "hashtags") or has(value, "ancestors", "descendants"):
            return Document(rows=())
        return None
    names = {
        identifier(each, "id"): string(each, "uri")
        for each in found
        if isinstance(each, dict) and _is_status(each)
    }
    return Document(rows=list(rows(found, lambda each: _post(each, names))))


def _streamed(value: object) -> Document | None:
    """Read an event of the streaming API, whose payload is JSON within a string."""
    written = string(value, "payload")
    if string(value, "event") == "delete":
        return Document(rows=(), deleted=(written,) if written else ())
    try:
        return _read(orjson.loads(written), "") or Document(rows=())
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return Document(rows=())


def _statuses(value: object) -> Iterator[object]:
    """Yield the statuses of an answer in the order in which they stand there."""
    for each in value if isinstance(value, list) else [value]:
        if _is_status(each):
            yield each
        elif has(each, "ancestors", "descendants"):
            yield from (*sequence(each, "ancestors"), *sequence(each, "descendants"))
        elif has(each, "statuses", "accounts"):
            yield from sequence(each, "statuses")
        elif has(each, "last_status", "accounts"):  # a conversation
            yield from filter(None, [mapping(each, "last_status")])
        elif has(each, "status", "account", "type"):  # a notification
            yield from filter(None, [mapping(each, "status")])
        elif has(each, "quoted_status", "state"):
            yield from filter(None, [mapping(each, "quoted_status")])
        else:
            yield each


def _is_status(value: object) -> bool:
    return has(value, "id", "content", "account", "visibility")


def _post(status: Object, names: Mapping[str, str]) -> ParsedPost | None:
    if not _is_status(status):
        return None
    reblog = mapping(status, "reblog")
    said = reblog or status  # who passes a post on says what it says
    replied = identifier(status, "in_reply_to_id")
    quoted = mapping(status, "quote", "quoted_status")
    account = mapping(status, "account")
    words = text.from_html(string(said, "content"))
    options = (string(option, "title") for option in mappings(said, "poll", "options"))
    return post(
        string(status, "uri") or identifier(status, "id"),
        listed(words, options),
        title=string(said, "spoiler_text"),
        url=string(status, "url") or string(said, "url"),
        author=_handle(account),
        author_name=string(account, "display_name"),
        followers=count(account, "followers_count"),
        lang=string(said, "language"),
        channel=Channel.MICROBLOG if string(status, "visibility") in _PUBLIC else Channel.OTHER,
        created_at=moment(status, "created_at"),
        edited_at=moment(said, "edited_at"),
        in_reply_to=names.get(replied, replied),
        reshared_from=_name(reblog or quoted) or identifier(status, "quote", "quoted_status_id"),
        is_repost=bool(reblog),
        media=map(_media, mappings(said, "media_attachments")),
        likes=count(status, "favourites_count"),
        shares=count(status, "reblogs_count"),
        replies=count(status, "replies_count"),
    )


def _name(status: Object) -> str:
    return string(status, "uri") or identifier(status, "id")


def _handle(account: Object) -> str:
    """Return where an account is at home, `server/@name`, which is the same on all servers.

    Not `name@server`, which is no different from an e-mail address and would be redacted as one.
    """
    handle = string(account, "acct") or string(account, "username")
    try:
        host = urlsplit(string(account, "url")).hostname
    except ValueError:
        host = None
    return f"{host}/@{handle.partition('@')[0]}" if handle and host else handle


def _media(one: Object) -> Attachment | None:
    kind = string(one, "type").replace("gifv", "video")
    return attachment(
        kind, string(one, "url") or string(one, "remote_url"), string(one, "description")
    )


PLATFORM = Platform(name="mastodon", title="Mastodon", read=_read)
