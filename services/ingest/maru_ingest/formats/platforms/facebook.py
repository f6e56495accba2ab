"""Facebook's Graph API: posts of pages and groups, comments, films, recommendations, messages.

Also webhooks of pages. A comment goes by `<post>_<comment>` as Graph writes it. What Facebook words
itself ("updated their cover photo") is no post (https://developers.facebook.com/docs/graph-api).
"""

import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import graph_api, text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import (
    Platform,
    attachment,
    failed,
    post,
    refuse_others,
    rows,
)
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

_HOME = "https://www.facebook.com"
_PLACE = re.compile(r"facebook\.com/([^/?]{1,80})/posts/(?:[^/?]{1,300}/)?(\d{1,30})")
_COMMENT = re.compile(r"[?&](reply_)?comment_id=(\d{1,30})")
_OTHERS = {
    "event": ("start_time", "name"),
    "message without words": ("from", "to", "created_time"),
    "page": ("fan_count", "name"),
    "page token": ("access_token", "tasks"),
    "conversation": ("message_count", "snippet"),
    "group": ("member_count", "created_time"),
    "business": ("verification_status", "name"),
    "person": ("name_format", "short_name"),
    "profile": ("profile_type", "name"),
    "album": ("created_time", "name", "id"),
    "photo": ("created_time", "id"),
    "profile picture": ("is_silhouette", "url"),
}
_REMOVED = {"remove", "hide"}
_EDITED = {"edit", "edited", "update"}
_SAID = {"status", "post", "photo", "video", "share", "comment", "rating"}


def _read(value: object, _: str) -> Document | None:
    if string(value, "error", "type") and (
        has(mapping(value, "error"), "fbtrace_id")
        or string(value, "error", "type") == "OAuthException"
    ):
        kind, reason = string(value, "error", "type"), string(value, "error", "message")
        raise failed("Facebook's Graph API", kind, reason)
    if graph_api.is_webhook(value, "page"):
        return _webhook(value)
    found = list(_nested(graph_api.nodes(value)))
    if any(map(_is_post, found)):
        said = [it for it in found if not _is_story(it)]
        return Document(rows=list(rows(said, _post)))
    if any(map(_is_story, found)):
        return Document(rows=())
    refuse_others("Facebook", found, _OTHERS)
    return None


def _nested(nodes: list[object]) -> Iterator[object]:
    """Yield nodes, each with the comments that came within it after it."""
    waiting = [(node, "") for node in reversed(nodes)]
    while waiting:
        node, parent = waiting.pop()
        yield {**node, "maru_parent": parent} if parent and isinstance(node, dict) else node
        name = identifier(node, "id")
        inner = mappings(node, "comments", "data")
        waiting += [(each, name) for each in reversed(inner) if has(each, "message")]


def _is_post(value: object) -> bool:
    return (
        has(value, "message", "created_time")
        or has(value, "message", "id", "permalink_url")
        or _is_film(value)
        or has(value, "recommendation_type")
    )


def _is_film(value: object) -> bool:
    return (
        (has(value, "description", "updated_time", "id") and not has(value, "name"))
        or has(value, "length", "permalink_url")
        or has(value, "embed_html", "id")
    )


def _is_story(value: object) -> bool:
    return has(value, "story") and not string(value, "message")


def _post(node: Object) -> ParsedPost | None:
    if has(node, "recommendation_type"):
        return _recommendation(node)
    if _is_film(node):
        return _film(node)
    if not has(node, "message") and not has(node, "id", "created_time"):
        return None
    if has(node, "to") and string(node, "id").startswith("m_"):
        return _message(node)
    link = string(node, "permalink_url")
    place, in_link = _PLACE.search(link), dict(_COMMENT.findall(link))
    writer = mapping(node, "from")
    comment = in_link.get("reply_") or in_link.get("")
    native_id = identifier(node, "id")
    if not native_id and place and comment:
        native_id = f"{place[2]}_{comment}"
    hidden = is_true(node, "is_private") or is_true(node, "is_hidden")
    closed = string(node, "privacy", "value") not in {"", "EVERYONE"}
    return post(
        native_id,
        text.clean(string(node, "message")),
        url=_link(link),
        author=identifier(writer, "id"),
        author_name=string(writer, "name"),
        channel=Channel.OTHER if hidden or closed else Channel.COMMUNITY,
        created_at=moment(node, "created_time"),
        edited_at=moment(node, "updated_time"),
        in_reply_to=_parent(node, native_id, in_link),
        media=_media(node),
        likes=_likes(node),
        shares=count(node, "shares", "count"),
        replies=_replies(node),
    )


def _parent(node: Object, native_id: str, in_link: dict[str, str]) -> str:
    """Return what a comment is about: the comment or the post above it."""
    stated = identifier(node, "parent", "id") or string(node, "maru_parent")
    if not stated and native_id.count("_") > 1:  # <page>_<post>_<comment>, as it used to be
        return native_id.rpartition("_")[0]
    if stated or not in_link:
        return stated
    place = _PLACE.search(string(node, "permalink_url"))
    above = place[2] if place else native_id.partition("_")[0]
    if in_link.get("reply_") and in_link.get(""):
        return f"{above}_{in_link['']}"
    return f"{place[1]}_{above}" if place and place[1].isdigit() else above


def _link(written: str) -> str:
    return f"{_HOME}{written}" if written.startswith("/") else written


def _likes(node: Object) -> int | None:
    totals = (
        count(node, "reactions", "summary", "total_count"),
        count(node, "likes", "summary", "total_count"),
        count(node, "like_count"),
    )
    return next((total for total in totals if total is not None), None)


def _replies(node: Object) -> int | None:
    total = count(node, "comments", "summary", "total_count")
    return count(node, "comment_count") if total is None else total


def _media(node: Object) -> Iterator[Attachment | None]:
    attached = [*mappings(node, "attachments", "data"), mapping(node, "attachment")]
    for one in attached:
        for part in mappings(one, "subattachments", "data") or [one]:
            title = string(part, "description") or string(part, "title")
            film = string(part, "media", "source")
            if film and "video" in string(part, "type"):
                yield attachment("video", film, title)
            else:
                yield attachment("image", string(part, "media", "image", "src"))
    yield attachment("image", string(node, "full_picture"))


def _film(film: Object) -> ParsedPost:
    writer = mapping(film, "from")
    private = string(film, "privacy", "value") not in {"", "EVERYONE"}
    hidden = film.get("published") is False or private
    return post(
        identifier(film, "id"),
        text.clean(string(film, "description")),
        title=string(film, "title"),
        url=_link(string(film, "permalink_url")),
        author=identifier(writer, "id"),
        author_name=string(writer, "name"),
        channel=Channel.OTHER if hidden else Channel.VIDEO,
        created_at=moment(film, "created_time") or moment(film, "creation_time"),
        edited_at=moment(film, "updated_time"),
        media=[attachment("video", string(film, "source"))],
        likes=_likes(film),
        replies=_replies(film),
        views=count(film, "views"),
    )


def _recommendation(node: Object) -> ParsedPost:
    writer = mapping(node, "reviewer")
    return post(
        identifier(node, "open_graph_story", "id") or identifier(node, "id"),
        text.clean(string(node, "review_text")),
        author=identifier(writer, "id"),
        author_name=string(writer, "name"),
        channel=Channel.REVIEW,
        created_at=moment(node, "created_time"),
    )


def _message(node: Object) -> ParsedPost:
    """Read a message to a page, which nobody else can see."""
    return post(
        identifier(node, "id"),
        text.clean(string(node, "message")),
        author=identifier(node, "from", "id"),
        author_name=string(node, "from", "name"),
        channel=Channel.OTHER,
        created_at=moment(node, "created_time"),
    )


def _webhook(value: object) -> Document:
    """Read what happened to a page: https://developers.facebook.com/docs/graph-api/webhooks."""
    values = [
        {**mapping(it, "value"), "maru_time": it["maru_time"]}
        for it in graph_api.changes(value, "page")
    ]
    said = [it for it in values if string(it, "item") in _SAID]
    gone = [_changed_id(it) for it in said if string(it, "verb") in _REMOVED]
    kept = [it for it in said if string(it, "verb") not in _REMOVED and _change_words(it)]
    private = [it for it in graph_api.messages(value, "page") if graph_api.is_from_outside(it)]
    return Document(
        rows=[*rows(kept, _change), *rows(private, graph_api.message)],
        deleted=tuple(filter(None, gone)),
    )


def _changed_id(change: Object) -> str:
    name = "comment_id" if string(change, "item") == "comment" else "post_id"
    return identifier(change, name) or identifier(change, "open_graph_story_id")


def _change_words(change: Object) -> str:
    return text.clean(string(change, "message") or string(change, "review_text"))


def _change(change: Object) -> ParsedPost:
    comment, parent = string(change, "item") == "comment", identifier(change, "parent_id")
    writer = mapping(change, "from")
    review = string(change, "item") == "rating"
    return post(
        _changed_id(change),
        _change_words(change),
        url=string(change, "post", "permalink_url") or string(change, "permalink_url"),
        author=identifier(writer, "id") or identifier(change, "reviewer_id"),
        author_name=string(writer, "name") or string(change, "reviewer_name"),
        channel=Channel.REVIEW if review else Channel.COMMUNITY,
        created_at=moment(change, "created_time"),
        edited_at=moment(change, "maru_time") if string(change, "verb") in _EDITED else None,
        in_reply_to=(parent or identifier(change, "post_id")) if comment else "",
        media=[attachment("image", string(change, "photo"))],
    )


PLATFORM = Platform(name="facebook", title="Facebook", read=_read)
