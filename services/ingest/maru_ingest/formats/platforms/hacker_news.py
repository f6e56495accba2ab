"""Hacker News: items of its own API (Firebase) and of the search by Algolia.

An item goes by `hn/<number>`, since all items share one row of numbers
(https://github.com/HackerNews/API, https://hn.algolia.com/api).
"""

import html
import re
from collections.abc import Iterator

from maru_contracts.posts import Channel
from maru_ingest.formats import links, text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, no_posts, post, rows
from maru_ingest.formats.untyped import (
    Object,
    count,
    has,
    identifier,
    is_true,
    mappings,
    moment,
    sequence,
    string,
)

_TYPES = {"story", "comment", "job", "poll", "pollopt"}
_LINK = re.compile(r'<a href="([^"<>]*)"[^<>]*>([^<>]*)</a>')
_PAGE = "https://news.ycombinator.com/item?id="


def _read(value: object, _: str) -> Document | None:
    if has(value, "karma", "created") or has(value, "karma", "username"):
        raise no_posts("Hacker News", "user")
    if has(value, "items", "profiles"):
        raise no_posts("Hacker News", "list of changes")
    if has(value, "hits") and all(has(it, "objectID", "_tags") for it in sequence(value, "hits")):
        return Document(rows=list(rows(sequence(value, "hits"), _hit)))
    found = list(_items(value))
    if not any(map(_is_item, found)):
        return None
    gone = [it for it in found if _is_gone(it)]
    said = [it for it in found if not _is_gone(it) and string(it, "type") != "pollopt"]
    return Document(
        rows=list(rows(said, _item)),
        deleted=tuple(filter(None, (_name(identifier(it, "id")) for it in gone))),
    )


def _is_item(value: object) -> bool:
    return (
        has(value, "id", "type")
        and string(value, "type") in _TYPES
        and (has(value, "by", "time") or has(value, "created_at_i") or has(value, "deleted"))
    )


def _is_gone(value: object) -> bool:
    return is_true(value, "deleted") or is_true(value, "dead")


def _items(value: object) -> Iterator[object]:
    """Yield items, and after each the answers that came within it."""
    waiting: list[object] = list(reversed(value)) if isinstance(value, list) else [value]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += reversed(mappings(one, "children"))


def _name(number: str) -> str:
    return f"hn/{number}" if number else ""


def _words(markup: str) -> str:
    """Return a text as shown, with whole addresses where the site shows their beginnings."""
    return text.from_html(_LINK.sub(_whole, markup))


def _whole(link: re.Match[str]) -> str:
    return html.escape(links.shown(html.unescape(link[2]), html.unescape(link[1])))


def _item(item: Object) -> ParsedPost | None:
    if not _is_item(item):
        return None
    number = identifier(item, "id")
    return post(
        _name(number),
        _words(string(item, "text")),
        title=text.from_maybe_html(string(item, "title")),
        url=f"{_PAGE}{number}",
        author=string(item, "by") or string(item, "author"),
        channel=Channel.COMMUNITY,
        created_at=moment(item, "time") or moment(item, "created_at_i"),
        in_reply_to=_name(identifier(item, "parent") or identifier(item, "parent_id")),
        likes=count(item, "score") if has(item, "score") else count(item, "points"),
        replies=count(item, "descendants"),
    )


def _hit(hit: Object) -> ParsedPost:
    number = string(hit, "objectID")
    return post(
        _name(number),
        _words(string(hit, "comment_text") or string(hit, "story_text")),
        title=text.from_maybe_html(string(hit, "title")),
        url=f"{_PAGE}{number}",
        author=string(hit, "author"),
        channel=Channel.COMMUNITY,
        created_at=moment(hit, "created_at_i") or moment(hit, "created_at"),
        in_reply_to=_name(identifier(hit, "parent_id")),
        likes=count(hit, "points"),
        replies=count(hit, "num_comments"),
    )


PLATFORM = Platform(name="hacker_news", title="Hacker News", read=_read)
