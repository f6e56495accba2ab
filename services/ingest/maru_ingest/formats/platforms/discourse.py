"""Discourse: posts, topics with their posts, lists of topics, search results and webhooks.

Ids count within one forum. Where the caller says what the answer's address is, a post goes by its
address there, and replies name the address of what they answer; without it a post goes by its
number, which is a name within its source only. What a reply quotes of others is not its own and
left out (https://docs.discourse.org).
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost, Row
from maru_ingest.formats.platform import Platform, failed, post, refuse_others, rows
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

_SAID = (None, 1)  # post types: 2 and 3 are what moderators did, 4 is a whisper among staff
_WHISPER = 4
_LIKE = 2
_TAG = re.compile(r"<(/?)aside\b([^<>]*)>", re.IGNORECASE)
_INSIDE = re.compile(r"/(?:c|categories|latest|posts|search|t|tag|tags|top|u)(?:[/.]|$)")
"""Where in a path the forum's own begins."""
_OTHERS = {
    "user": ("username", "avatar_template", "last_seen_at"),
    "user page": ("user_badges", "user"),
    "category": ("success", "category"),
    "group": ("alias_level", "mentionable"),
    "new group": ("basic_group",),
    "group page": ("members", "owners"),
    "directory": ("directory_items",),
    "badge list": ("badges", "badge_types"),
    "settings list": ("site_settings",),
    "notification list": ("notifications", "seen_notification_id"),
    "API key": ("api_key",),
    "new user": ("success", "user_id"),
    "topic without its posts": ("basic_topic",),
}


def _read(value: object, url: str) -> Document | None:
    if has(value, "errors", "error_type"):
        said = [it for it in sequence(value, "errors") if isinstance(it, str)]
        raise failed("Discourse", *said, string(value, "error_type"))
    topics, posts = _found(value)
    if topics is None and not any(map(_is_post, posts)):
        refuse_others("Discourse", value, _OTHERS)
        return None
    by_id = {identifier(it, "id"): it for it in topics or []}
    base = _base(url)
    alive = [it for it in posts if not _is_gone(it) and _is_said(it)]
    gone = [_name(mapping(it), base) for it in posts if _is_gone(it)]
    found: list[Row] = list(rows(alive, lambda it: _post(it, by_id, base)))
    if not posts:
        users = {identifier(it, "id"): it for it in mappings(value, "users")}
        found += rows(topics or [], lambda it: _topic(it, base, users))
    return Document(rows=found, deleted=tuple(filter(None, gone)))


def _found(value: object) -> tuple[list[Object] | None, list[object]]:
    """Return the topics of an answer, None where it is about none, and its posts."""
    if has(value, "post_stream"):
        return [mapping(value)], sequence(value, "post_stream", "posts")
    if has(value, "topic_list"):
        return mappings(value, "topic_list", "topics"), []
    if has(value, "grouped_search_result"):
        return mappings(value, "topics"), sequence(value, "posts")
    if has(mapping(value, "topic"), "slug", "posts_count"):  # a webhook
        return [mapping(value, "topic")], []
    for name in ("latest_posts", "post"):
        if has(value, name):
            value = at(value, name)
    return None, value if isinstance(value, list) else [value]


def _is_post(value: object) -> bool:
    return has(value, "id", "username", "post_number", "topic_id") and (
        has(value, "cooked") or has(value, "raw") or has(value, "blurb")
    )


def _is_gone(value: object) -> bool:
    return bool(string(value, "deleted_at")) or is_true(value, "user_deleted")


def _is_said(value: object) -> bool:
    kind = value.get("post_type") if isinstance(value, dict) else None
    return kind in (*_SAID, _WHISPER) if isinstance(kind, int | None) else True


def _base(url: str) -> str:
    """Return the address of the forum, which may stand in a folder of its host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    inside = _INSIDE.search(parts.path)
    folder = parts.path[: inside.start()] if inside else ""
    return f"{parts.scheme}://{parts.netloc}{folder}" if parts.scheme and parts.netloc else ""


def _name(said: Object, base: str) -> str:
    place = f"{identifier(said, 'topic_id')}/{identifier(said, 'post_number')}"
    return f"{base}/t/{place}" if base else identifier(said, "id")


def _post(said: Object, topics: Mapping[str, Object], base: str) -> ParsedPost | None:
    if not _is_post(said):
        return None
    number, topic_id = count(said, "post_number"), identifier(said, "topic_id")
    topic = topics.get(topic_id, {})
    private = "private_message" in {string(topic, "archetype"), string(said, "topic_archetype")}
    opens = number == 1
    words = _own_words(string(said, "cooked")) or text.clean(
        string(said, "raw") or string(said, "blurb")
    )
    return post(
        _name(said, base),
        words,
        title=(string(topic, "title") or string(said, "topic_title")) if opens else "",
        url=f"{base}/t/{topic_id}/{number}" if base else "",
        author=string(said, "username"),
        author_name=string(said, "name"),
        channel=Channel.OTHER if private or _is_whisper(said) else Channel.COMMUNITY,
        created_at=moment(said, "created_at"),
        edited_at=moment(said, "updated_at"),
        in_reply_to=_answered(said, base),
        likes=_likes(said),
        replies=count(topic, "reply_count") if opens and topic else count(said, "reply_count"),
        views=count(topic, "views") if opens else None,
    )


def _is_whisper(said: Object) -> bool:
    return said.get("post_type") == _WHISPER


def _answered(said: Object, base: str) -> str:
    """Return what a post answers: another one, else the first of its topic."""
    number = count(said, "post_number") or 1
    if number == 1 or not base:
        return ""
    return f"{base}/t/{identifier(said, 'topic_id')}/{count(said, 'reply_to_post_number') or 1}"


def _likes(said: Object) -> int | None:
    stated = count(said, "like_count")
    for action in mappings(said, "actions_summary"):
        if stated is None and action.get("id") == _LIKE:
            stated = count(action, "count")
    return stated


def _topic(topic: Object, base: str, users: Mapping[str, Object]) -> ParsedPost | None:
    """Return the first post of a topic as far as a list tells it.

    The first of those who posted in it is who opened it.
    """
    number = identifier(topic, "id")
    if not number or not has(topic, "title"):
        return None
    private = string(topic, "archetype") == "private_message"
    posters = mappings(topic, "posters")
    opener = users.get(identifier(posters[0], "user_id"), {}) if posters else {}
    return post(
        f"{base}/t/{number}/1" if base else "",
        text.from_html(string(topic, "excerpt")),
        title=string(topic, "title"),
        url=f"{base}/t/{number}" if base else "",
        author=string(opener, "username"),
        author_name=string(opener, "name"),
        channel=Channel.OTHER if private else Channel.COMMUNITY,
        created_at=moment(topic, "created_at"),
        likes=count(topic, "like_count"),
        replies=count(topic, "reply_count"),
        views=count(topic, "views"),
    )


def _own_words(cooked: str) -> str:
    """Return what a post says itself: without quotes of others and previews of links."""
    if "<aside" not in cooked:
        return text.from_html(cooked)
    kept, depth, position = [], 0, 0
    for tag in _TAG.finditer(cooked):
        if depth == 0:
            kept.append(cooked[position : tag.start()])
        depth = max(0, depth - 1) if tag[1] else depth + 1
        position = tag.end()
    if depth == 0:
        kept.append(cooked[position:])
    return text.from_html("".join(kept))


PLATFORM = Platform(name="discourse", title="Discourse", read=_read)
