"""Reddit: listings of posts and comments, and a post's page with its tree of comments.

A post goes by its full name (`t3_…`, `t1_…`). What was removed or deleted, whose words Reddit
replaces or of which it says who took it away, is no post (https://www.reddit.com/dev/api).
"""

import html
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import markdown
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, failed, no_posts, post, rows
from maru_ingest.formats.untyped import (
    Object,
    at,
    count,
    has,
    identifier,
    mapping,
    moment,
    sequence,
    string,
)

_HELD = {"t1", "t3"}
_NOT_YET = "more"
_OTHERS = {"t2": "account", "t4": "private message", "t5": "subreddit", "t6": "award"}
_TAKEN = {"[deleted]", "[removed]", "[ Removed by Reddit ]"}
_HOME = "https://www.reddit.com"
_OPEN = {"", "public", "restricted"}


def _read(value: object, _: str) -> Document | None:
    if has(value, "message", "error") and isinstance(at(value, "error"), int):
        raise failed("Reddit", string(value, "message"), string(value, "reason"))
    if sequence(value, "json", "errors"):
        raise failed("Reddit", *map(str, sequence(sequence(value, "json", "errors")[0])))
    pages = value if isinstance(value, list) else [at(value, "json") or value]
    if not any(_is_thing(page) or has(mapping(page, "data"), "things") for page in pages):
        return None
    found = list(_things(pages))
    kinds = {string(it, "kind") for it in found}
    if found and not kinds & _HELD:
        others = [_OTHERS[kind] for kind in sorted(kinds) if kind in _OTHERS]
        if others:
            raise no_posts("Reddit", others[0])
    held = [it for it in found if string(it, "kind") not in {_NOT_YET, *_OTHERS}]
    gone = tuple(filter(None, (_name(mapping(it, "data")) for it in held if _is_taken(it))))
    return Document(rows=list(rows([it for it in held if not _is_taken(it)], _post)), deleted=gone)


def _is_thing(value: object) -> bool:
    kind = string(value, "kind")
    known = kind == "Listing" or kind in _HELD or kind in _OTHERS
    return known and has(value, "data")


def _things(pages: list[object]) -> Iterator[object]:
    """Yield the things of listings, and after each comment the replies to it."""
    waiting: list[object] = list(reversed(pages))
    while waiting:
        one = waiting.pop()
        data = mapping(one, "data")
        if string(one, "kind") == "Listing" or has(data, "things"):
            waiting += reversed(sequence(data, "children") or sequence(data, "things"))
        else:
            yield one
            if mapping(data, "replies"):
                waiting.append(data["replies"])


def _name(data: Object) -> str:
    return string(data, "name")


def _is_taken(thing: object) -> bool:
    data = mapping(thing, "data")
    words = string(data, "body") if string(thing, "kind") == "t1" else string(data, "selftext")
    return (
        words in _TAKEN
        or bool(string(data, "removed_by_category"))  # whose title and picture may still be there
        or (string(data, "author") == "[deleted]" and string(data, "title") in _TAKEN)
    )


def _post(thing: Object) -> ParsedPost | None:
    data = mapping(thing, "data")
    kind = string(thing, "kind")
    if not data or kind not in _HELD:
        return None
    written = html.unescape(string(data, "body" if kind == "t1" else "selftext"))
    link = string(data, "permalink")
    name = _name(data) or (f"{kind}_{identifier(data, 'id')}" if has(data, "id") else "")
    public = string(data, "subreddit_type") in _OPEN
    return post(
        name,
        markdown.plain(written),
        title=html.unescape(string(data, "title")),
        url=f"{_HOME}{link}" if link.startswith("/") else link,
        author=string(data, "author"),
        channel=Channel.COMMUNITY if public else Channel.OTHER,
        created_at=moment(data, "created_utc"),
        edited_at=moment(data, "edited"),  # false, or when
        in_reply_to=string(data, "parent_id"),
        reshared_from=string(data, "crosspost_parent"),
        media=[*_media(data), *markdown.pictures(written)],
        likes=count(data, "score"),
        replies=count(data, "num_comments"),
        views=count(data, "view_count"),
    )


def _media(data: Object) -> Iterator[Attachment | None]:
    target = string(data, "url_overridden_by_dest")
    if string(data, "post_hint") == "image":
        yield attachment("image", target)
    film = string(data, "media", "reddit_video", "fallback_url")
    if film:
        yield attachment("video", html.unescape(film))
    captions = {
        string(it, "media_id"): string(it, "caption")
        for it in sequence(data, "gallery_data", "items")
    }
    for name, picture in mapping(data, "media_metadata").items():
        source = html.unescape(string(picture, "s", "u"))
        yield attachment("image", source, captions.get(name, ""))


PLATFORM = Platform(name="reddit", title="Reddit", read=_read)
