"""Kakao's search of Daum: blogs, cafés, films and web pages that were found.

What comes is an excerpt with the words searched for in bold; a post goes by its link
(https://developers.kakao.com/docs/latest/ko/daum-search/dev-guide).
"""

from maru_contracts.posts import Channel
from maru_ingest.formats import text
from maru_ingest.formats.parsed import Document, ParsedPost
from maru_ingest.formats.platform import Platform, attachment, failed, no_posts, post, rows
from maru_ingest.formats.untyped import Object, has, moment, sequence, string

_GOODS = {"isbn": "book", "image_url": "picture", "road_address_name": "place", "address": "place"}
_CHANNELS = {
    "blogname": Channel.BLOG,
    "cafename": Channel.COMMUNITY,
    "play_time": Channel.VIDEO,
}


def _read(value: object, _: str) -> Document | None:
    if has(value, "errorType", "message"):
        raise failed("Kakao", string(value, "errorType"), string(value, "message"))
    if not has(value, "documents", "meta"):
        return None
    found = sequence(value, "documents")
    for name, what in _GOODS.items():
        if any(has(it, name) for it in found):
            raise no_posts("Kakao", what)
    return Document(rows=list(rows(found, _post)))


def _post(found: Object) -> ParsedPost | None:
    if not has(found, "title", "url"):
        return None
    link = string(found, "url")
    who = string(found, "author") or string(found, "blogname") or string(found, "cafename")
    made = post(
        link,
        text.from_html(string(found, "contents")),
        title=text.from_html(string(found, "title")),
        url=link,
        author=text.from_html(who),
        channel=next((channel for name, channel in _CHANNELS.items() if has(found, name)), None),
        created_at=moment(found, "datetime"),
        media=[attachment("image", string(found, "thumbnail"))],
    )
    made.truncated |= bool(made.text)  # always a part
    return made


PLATFORM = Platform(name="kakao", title="Kakao (Daum)", read=_read)
