"""Naver's search API: blogs, news, cafés, knowledge and web pages that were found.

What comes is an excerpt with the words searched for in bold; a post goes by its link
(https://developers.naver.com/docs/serviceapi/search/blog/blog.md).
"""

import html

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, failed, no_posts, post, rows
from maru_ingest.formats.untyped import Object, has, mapping, moment, sequence, string

_GOODS = {"lprice": "product", "isbn": "book", "mapx": "place", "sizeheight": "picture"}
_CHANNELS = (
    ("postdate", Channel.BLOG),
    ("bloggername", Channel.BLOG),
    ("cafename", Channel.COMMUNITY),
    ("originallink", Channel.PRESS),
)


def _read(value: object, _: str) -> Document | None:
    if has(value, "errorMessage", "errorCode"):
        raise failed("Naver", string(value, "errorMessage"), string(value, "errorCode"))
    if has(value, "startDate", "endDate", "timeUnit", "results"):
        raise no_posts("Naver", "trend of searches")
    if not has(value, "lastBuildDate", "items"):
        return None
    found = sequence(value, "items")
    for name, what in _GOODS.items():
        if any(has(it, name) for it in found):
            raise no_posts("Naver", what)
    return Document(rows=list(rows(found, _post)))


def _post(found: Object) -> ParsedPost | None:
    if not has(found, "title", "description"):
        return None
    link = string(found, "originallink") or string(found, "link")
    channel = next((channel for name, channel in _CHANNELS if has(found, name)), None)
    if "kin.naver.com" in link:
        channel = Channel.COMMUNITY
    made = post(
        link,
        text.from_html(string(found, "description")),
        title=text.from_html(string(found, "title")),
        url=link,
        author=_handle(found),
        author_name=html.unescape(string(found, "bloggername")),
        channel=channel,
        created_at=moment(found, "pubDate") or moment(found, "postdate"),
    )
    made.truncated |= made.text.endswith("...")
    return made


def _handle(found: Object) -> str:
    """Return whose blog it is by its address, since many blogs have one name."""
    home = string(found, "bloggerlink")
    return home.partition("://")[2].rstrip("/") or string(mapping(found), "bloggername")


PLATFORM = Platform(name="naver", title="Naver", read=_read)
