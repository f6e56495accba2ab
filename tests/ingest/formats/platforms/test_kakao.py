from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable


def answer(*documents: dict[str, object]) -> dict[str, object]:
    return {
        "meta": {"total_count": 1, "pageable_count": 1, "is_end": True},
        "documents": list(documents),
    }


def found(**fields: object) -> ParsedPost:
    stated = {
        "title": "<b>다크 모드</b> 후기",
        "contents": "눈이 <b>편해요</b> &amp; 예뻐요",
        "url": "https://blog.example/1",
        "datetime": "2026-01-01T09:00:00.000+09:00",
    }
    (row,) = payloads.read(answer({**stated, **fields})).rows
    assert isinstance(row, ParsedPost)
    return row


def test_a_blogs_post() -> None:
    post = found(blogname="하늘의 &lt;블로그&gt;", thumbnail="https://a.example/1.jpg")

    assert (post.title, post.text) == ("다크 모드 후기", "눈이 편해요 & 예뻐요")
    assert (post.native_id, post.author) == ("https://blog.example/1", "하늘의 <블로그>")
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert post.truncated
    assert [one.url for one in post.media] == ["https://a.example/1.jpg"]


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"blogname": "x"}, Channel.BLOG),
        ({"cafename": "x"}, Channel.COMMUNITY),
        ({"play_time": 185, "author": "x"}, Channel.VIDEO),
        ({}, None),
    ],
)
def test_the_channel_is_told_by_what_was_searched(
    fields: dict[str, object], channel: Channel | None
) -> None:
    assert found(**fields).channel is channel


def test_books_pictures_and_errors_say_what_they_are() -> None:
    with pytest.raises(Unreadable, match="a Kakao book holds no posts"):
        payloads.read(answer({"title": "x", "isbn": "1", "url": "x"}))
    with pytest.raises(Unreadable, match="a Kakao picture holds no posts"):
        payloads.read(answer({"image_url": "x", "doc_url": "x"}))
    with pytest.raises(Unreadable, match="Kakao answers with an error: AccessDeniedError: no key"):
        payloads.read({"errorType": "AccessDeniedError", "message": "no key"})
    assert list(payloads.read(answer()).rows) == []
