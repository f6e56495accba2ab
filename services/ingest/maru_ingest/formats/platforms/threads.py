"""Threads: posts, replies and quotes of its API (https://developers.facebook.com/docs/threads)."""

from maru_contracts.posts import Channel
from maru_ingest.formats import graph_api, text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, post, refuse_others, rows
from maru_ingest.formats.untyped import Object, count, has, identifier, mappings, moment, string

_OWN = ("has_replies", "is_quote_post", "is_reply", "root_post", "reply_audience")
_OTHERS = {"account": ("threads_profile_picture_url",)}


def _read(value: object, _: str) -> Document | None:
    found = graph_api.nodes(value)
    if any(map(_is_post, found)):
        said = [it for it in found if string(it, "media_type") != "REPOST_FACADE"]
        return Document(rows=list(rows(said, _post)))
    refuse_others("Threads", found, _OTHERS)
    return None


def _is_post(value: object) -> bool:
    return has(value, "id") and (
        string(value, "media_product_type") == "THREADS"
        or "threads." in string(value, "permalink")
        or (has(value, "timestamp") and any(has(value, name) for name in _OWN))
    )


def _post(node: Object) -> ParsedPost | None:
    if not _is_post(node):
        return None
    replied = identifier(node, "replied_to", "id") or identifier(node, "root_post", "id")
    quoted = identifier(node, "quoted_post", "id") or identifier(node, "reposted_post", "id")
    return post(
        identifier(node, "id"),
        text.clean(string(node, "text")),
        url=string(node, "permalink"),
        author=string(node, "username") or identifier(node, "owner", "id"),
        channel=Channel.MICROBLOG,
        created_at=moment(node, "timestamp"),
        in_reply_to=replied,
        reshared_from=quoted,
        media=map(_media, mappings(node, "children", "data") or [node]),
        likes=count(node, "like_count"),
        replies=count(node, "reply_count"),
        views=count(node, "views"),
    )


def _media(one: Object) -> Attachment | None:
    kind = {"VIDEO": "video", "AUDIO": "audio"}.get(string(one, "media_type"), "image")
    return attachment(kind, string(one, "media_url"), string(one, "alt_text"))


PLATFORM = Platform(name="threads", title="Threads", read=_read)
