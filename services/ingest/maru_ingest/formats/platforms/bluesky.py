"""Bluesky and other apps of the AT Protocol: posts in feeds, threads, searches and notifications.

Also records as a server keeps them and events of Jetstream. A post goes by its at:// address. A
repost is a post of who passes it on; the words of a quoted post are left out, its address is kept
(lexicons app.bsky.feed.*, https://atproto.com/lexicons/app-bsky-feed).
"""

import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import links, text
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, post, refuse_others, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    mapping,
    mappings,
    moment,
    sequence,
    string,
)

_POST = "app.bsky.feed.post"
_REPOST = "app.bsky.feed.defs#reasonRepost"
_LISTS = ("feed", "posts", "notifications", "records", "bookmarks")
_OTHERS = {
    "profile": ("did", "handle"),
    "list of actors": ("actors",),
    "list of followers": ("followers", "subject"),
    "list of follows": ("follows", "subject"),
    "list of likes": ("likes", "uri"),
    "list of reposts": ("repostedBy", "uri"),
    "list of users": ("creator", "purpose"),
    "notification": ("isRead", "reason"),
    "list of notifications": ("notifications", "seenAt"),
    "feed generator": ("creator", "displayName", "did"),
    "starter pack": ("creator", "joinedAllTimeCount"),
    "blocked post": ("blocked", "uri"),
    "missing post": ("notFound", "uri"),
    "lexicon": ("lexicon", "defs"),
}
_MAX_FACETS = 200  # each rebuilds the text
_KEY = re.compile(r"^at://([^/]+)/app\.bsky\.feed\.post/([^/]+)$")


def _read(value: object, _: str) -> Document | None:
    if has(value, "did", "kind") and (has(value, "commit") or has(value, "time_us")):
        return _event(value)
    found = list(_found(value))
    if not any(map(_is_held, found)):
        refuse_others("Bluesky", value, _OTHERS)
        return None
    said = [it for it in found if _is_held(it) or not isinstance(it, dict)]
    return Document(rows=list(rows(said, _post)))


def _found(value: object) -> Iterator[object]:
    """Yield what an answer holds, in reading order; threads are walked down."""
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        lists = [sequence(one, name) for name in _LISTS if sequence(one, name)]
        if isinstance(one, list):
            waiting += reversed(one)
        elif lists:
            waiting += reversed(lists[0])
        elif has(one, "thread"):
            thread = at(one, "thread")
            waiting += reversed(thread if isinstance(thread, list) else [thread])
        elif has(one, "post") and (has(one, "replies") or has(one, "parent")):
            waiting += reversed(sequence(one, "replies"))
            waiting += [{"post": at(one, "post")}, *filter(None, [mapping(one, "parent")])]
        elif has(one, "item", "subject"):  # a bookmark
            waiting.append(at(one, "item"))
        elif has(one, "depth", "value"):  # an entry of a thread of the second version
            waiting.append(at(one, "value"))
        else:
            yield one


def _event(value: object) -> Document:
    """Read an event of Jetstream: somebody's repository has changed."""
    commit = mapping(value, "commit")
    if string(commit, "collection") != _POST:
        return Document(rows=())
    uri = f"at://{string(value, 'did')}/{_POST}/{string(commit, 'rkey')}"
    if string(commit, "operation") == "delete":
        return Document(rows=(), deleted=(uri,))
    record = {"uri": uri, "value": at(commit, "record")}
    return Document(rows=list(rows([record], _post)))


def _view(value: object) -> tuple[Object, Object]:
    """Return a post as it is shown, and the record within it."""
    shown = mapping(value, "post") or mapping(value)
    return shown, mapping(shown, "record") or mapping(shown, "value")


def _is_held(value: object) -> bool:
    shown, record = _view(value)
    return string(record, "$type") == _POST and has(shown, "uri")


def _post(value: Object) -> ParsedPost | None:
    shown, record = _view(value)
    if not record or not has(shown, "uri"):
        return None
    uri, author = string(shown, "uri"), mapping(shown, "author")
    key = _KEY.match(uri)
    handle = string(author, "handle") or (key[1] if key else "")
    embed = mapping(shown, "embed")
    made = post(
        uri,
        _words(record),
        url=f"https://bsky.app/profile/{handle}/post/{key[2]}" if key else "",
        author=handle,
        author_name=string(author, "displayName"),
        followers=count(author, "followersCount"),
        lang=next((it for it in sequence(record, "langs") if isinstance(it, str)), ""),
        channel=Channel.MICROBLOG,
        created_at=moment(record, "createdAt") or moment(shown, "indexedAt"),
        in_reply_to=string(record, "reply", "parent", "uri"),
        reshared_from=_quoted(record),
        media=_media(mapping(embed, "media") or embed),
        likes=count(shown, "likeCount"),
        shares=count(shown, "repostCount"),
        replies=count(shown, "replyCount"),
    )
    return _reposted(made, mapping(value, "reason"))


def _reposted(made: ParsedPost, reason: Object) -> ParsedPost:
    """Return the post as of who reposted it, if a feed shows it for that reason."""
    if string(reason, "$type") != _REPOST:
        return made
    by = mapping(reason, "by")
    uri = string(reason, "uri") or f"{made.native_id}#reposted-by-{string(by, 'did')}"
    return post(
        uri,
        made.text,
        url=made.url,
        author=string(by, "handle"),
        author_name=string(by, "displayName"),
        lang=made.lang,
        channel=made.channel,
        created_at=moment(reason, "indexedAt"),
        reshared_from=made.native_id,
        is_repost=True,
        media=made.media,
    )


def _quoted(record: Object) -> str:
    embed = mapping(record, "embed")
    return string(embed, "record", "record", "uri") or string(embed, "record", "uri")


def _words(record: Object) -> str:
    """Return the text with links that are cut for show at their full length.

    A facet names its place in bytes of UTF-8 (app.bsky.richtext.facet).
    """
    written = string(record, "text").encode("utf-8", "replace")
    places: list[tuple[int, int, str]] = []
    for facet in mappings(record, "facets")[:_MAX_FACETS]:
        start, end = (count(facet, "index", name) for name in ("byteStart", "byteEnd"))
        uris = (string(it, "uri") for it in mappings(facet, "features"))
        uri = links.absolute(next(filter(None, uris), ""))
        if start is not None and end is not None and uri and start < end <= len(written):
            places.append((start, end, uri))
    for start, end, uri in sorted(places, reverse=True):
        label = written[start:end].decode("utf-8", "replace")
        written = written[:start] + links.shown(label, uri).encode() + written[end:]
    return text.clean(written.decode("utf-8", "replace"))


def _media(embed: Object) -> Iterator[Attachment | None]:
    for image in (*mappings(embed, "images"), *mappings(embed, "items")):
        yield attachment("image", string(image, "fullsize"), string(image, "alt"))
    if has(embed, "playlist"):
        yield attachment("video", string(embed, "playlist"), string(embed, "alt"))


PLATFORM = Platform(name="bluesky", title="Bluesky", read=_read)
