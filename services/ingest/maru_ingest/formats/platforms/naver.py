"""Naver's search API: blogs, news, cafés, knowledge and web pages that were found.

What comes is an excerpt with the words searched for in bold; a post goes by its link, without what
differs from search to search (https://developers.naver.com/docs/serviceapi/search/blog/blog.md).
Of a blog's post Naver says the day, in Korea: it counts as written when that day began there.
"""

import html
import re
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from maru_contracts.posts import Channel
from maru_ingest.formats import links, text
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
_EAST = timedelta(hours=9)
"""Korea's clocks, which know no summer time, before those of Greenwich."""
_BLOG, _CAFE, _KIN = "blog.naver.com", "cafe.naver.com", "kin.naver.com"
_BLOGS_POST = re.compile(r"/([\w-]+)/(\d+)/?")
_CAFES_POST = re.compile(r"/(?!ca-fe/)[\w-]+/\d+|/ca-fe/(?:web/)?cafes/\d+/articles/\d+")


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
    if _KIN in link:
        channel = Channel.COMMUNITY
    made = post(
        _name(link),
        text.from_html(string(found, "description")),
        title=text.from_html(string(found, "title")),
        url=link,
        author=_handle(found),
        author_name=html.unescape(string(found, "bloggername")),
        channel=channel,
        created_at=moment(found, "pubDate") or _day(found),
    )
    made.truncated |= made.text.endswith("...")
    return made


def _name(link: str) -> str:
    """Return the address that a post has whichever search found it, and on whatever device."""
    try:
        parts = urlsplit(link)
        asked = parse_qs(parts.query)
    except ValueError:
        return link
    host = parts.netloc.lower().removeprefix("m.")
    first = {name: values[0] for name, values in asked.items()}
    if host == _BLOG:
        blog = first.get("blogId") or parts.path.strip("/")
        if found := _BLOGS_POST.fullmatch(parts.path):
            return f"https://{_BLOG}/{found[1]}/{found[2]}"
        if blog and "logNo" in first:
            return f"https://{_BLOG}/{blog}/{first['logNo']}"
    if host == _CAFE and _CAFES_POST.fullmatch(parts.path):
        return f"https://{_CAFE}{parts.path.replace('/ca-fe/web/', '/ca-fe/')}"
    if host == _KIN and "docId" in first:
        return f"https://{_KIN}/qna/detail.naver?docId={first['docId']}"
    return links.canonical(link)


def _day(found: Object) -> datetime | None:
    day = moment(found, "postdate")
    return day and day - _EAST


def _handle(found: Object) -> str:
    """Return whose blog it is by its address, since many blogs have one name."""
    home = string(found, "bloggerlink")
    return home.partition("://")[2].rstrip("/") or string(mapping(found), "bloggername")


PLATFORM = Platform(name="naver", title="Naver", read=_read)
