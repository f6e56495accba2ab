"""Instagram's Graph API: pictures and films with their captions, comments and replies, webhooks.

Ids are Instagram's own, the same for every app (https://developers.facebook.com/docs/instagram-api).
"""

import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import graph_api, text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, post, refuse_others, rows
from maru_ingest.formats.untyped import (
    Object,
    count,
    has,
    identifier,
    is_true,
    mapping,
    mappings,
    moment,
    string,
)

_WRAPPED = (("business_discovery", "media"), ("mentioned_media",), ("mentioned_comment",))
_OTHERS = {
    "account": ("biography", "username"),
    "basic account": ("account_type", "username"),
    "metric": ("period", "title", "name"),
    "product": ("product_id", "review_status"),
    "catalogue": ("catalog_id", "catalog_name"),
    "container": ("id", "status", "status_code"),
    "publishing limit": ("quota_usage",),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000")  # as Graph writes it
_THREADS = {"has_replies", "is_quote_post", "is_reply", "root_post", "reply_audience"}


def _read(value: object, _: str) -> Document | None:
    if graph_api.is_webhook(value, "instagram"):
        return _webhook(value)
    found = list(_nested(_answered(value)))
    if any(_is_media(it) or _is_comment(it) for it in found):
        return Document(rows=list(rows(found, _post)))
    others = [mapping(value, "business_discovery")] if has(value, "business_discovery") else found
    refuse_others("Instagram", others, _OTHERS)
    return None


def _answered(value: object) -> list[object]:
    for path in _WRAPPED:
        inner = mapping(value, *path)
        if inner:
            return graph_api.nodes(inner)
    return graph_api.nodes(value)


def _nested(nodes: list[object]) -> Iterator[object]:
    """Yield nodes, each with the comments or replies that came within it after it."""
    waiting = [(node, "") for node in reversed(nodes)]
    while waiting:
        node, parent = waiting.pop()
        yield {**node, "maru_parent": parent} if parent and isinstance(node, dict) else node
        inner = [*mappings(node, "comments", "data"), *mappings(node, "replies", "data")]
        waiting += [(each, identifier(node, "id")) for each in reversed(inner)]


def _is_media(value: object) -> bool:
    return (
        has(value, "id", "media_type")
        and string(value, "media_product_type") != "THREADS"
        and not any(has(value, name) for name in _THREADS)
        and "threads." not in string(value, "permalink")
    ) or has(value, "id", "caption", "comments_count")


def _is_comment(value: object) -> bool:
    return (
        has(value, "id", "text")
        and bool(_TIME.fullmatch(string(value, "timestamp")))
        and not has(value, "media_type")
        and not has(value, "permalink")
        and not has(value, "media_product_type")
        and not any(has(value, name) for name in _THREADS)
    )


def _post(node: Object) -> ParsedPost | None:
    if _is_media(node):
        return _picture(node)
    return _comment(node) if _is_comment(node) else None


def _picture(media: Object) -> ParsedPost:
    return post(
        identifier(media, "id"),
        text.clean(string(media, "caption")),
        url=string(media, "permalink"),
        author=string(media, "username") or identifier(media, "owner", "id"),
        channel=Channel.MICROBLOG,
        created_at=moment(media, "timestamp"),
        media=map(_media, mappings(media, "children", "data") or [media]),
        likes=count(media, "like_count"),
        replies=count(media, "comments_count"),
        views=count(media, "view_count"),
    )


def _media(one: Object) -> Attachment | None:
    kind = "video" if string(one, "media_type") == "VIDEO" else "image"
    return attachment(kind, string(one, "media_url"), string(one, "alt_text"))


def _comment(comment: Object) -> ParsedPost:
    names = ("maru_parent", "parent_id")
    above = next(filter(None, (identifier(comment, name) for name in names)), "")
    return post(
        identifier(comment, "id"),
        text.clean(string(comment, "text")),
        author=string(comment, "username")
        or string(comment, "from", "username")
        or identifier(comment, "user", "id"),
        channel=Channel.OTHER if is_true(comment, "hidden") else Channel.MICROBLOG,
        created_at=moment(comment, "timestamp"),
        in_reply_to=above or identifier(comment, "media", "id"),
        likes=count(comment, "like_count"),
    )


def _webhook(value: object) -> Document:
    """Read comments and messages: https://developers.facebook.com/docs/instagram-platform/webhooks."""
    said = [
        {"timestamp": change["maru_time"], **mapping(change, "value")}
        for change in graph_api.changes(value, "instagram")
        if string(change, "field") in {"comments", "live_comments"}
    ]
    private = graph_api.messages(value, "instagram")
    gone = [string(it, "message", "mid") for it in private if is_true(it, "message", "is_deleted")]
    kept = [it for it in private if graph_api.is_from_outside(it)]
    return Document(
        rows=[*rows(said, _comment), *rows(kept, graph_api.message)],
        deleted=tuple(filter(None, gone)),
    )


PLATFORM = Platform(name="instagram", title="Instagram", read=_read)
