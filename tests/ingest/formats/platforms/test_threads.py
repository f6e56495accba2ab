from datetime import UTC, datetime

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, ParsedPost, Unreadable


def thread(**changes: object) -> dict[str, object]:
    return {
        "id": "18050206876707110",
        "media_product_type": "THREADS",
        "media_type": "TEXT_POST",
        "permalink": "https://www.threads.net/@haneul/post/Abc",
        "username": "haneul",
        "text": "다크 모드 언제 나와요?",
        "timestamp": "2026-10-09T23:18:27+0000",
        "shortcode": "Abc",
        **changes,
    }


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def test_a_post() -> None:
    (post,) = posts({"data": [thread()], "paging": {}})

    assert (post.native_id, post.text) == ("18050206876707110", "다크 모드 언제 나와요?")
    assert (post.author, post.url) == ("haneul", "https://www.threads.net/@haneul/post/Abc")
    assert post.created_at == datetime(2026, 10, 9, 23, 18, 27, tzinfo=UTC)
    assert post.channel is Channel.MICROBLOG


def test_replies_quotes_and_reposts() -> None:
    reply = thread(id="2", replied_to={"id": "1"}, root_post={"id": "0"}, is_reply=True)
    quote = thread(id="3", is_quote_post=True, quoted_post={"id": "1"})
    repost = thread(id="4", media_type="REPOST_FACADE", text=None, reposted_post={"id": "1"})

    one, two = posts({"data": [reply, quote, repost]})

    assert (one.in_reply_to, two.reshared_from) == ("1", "1")


def test_pictures_keep_their_description() -> None:
    picture = {"media_type": "IMAGE", "media_url": "https://a.example/1.jpg", "alt_text": "설정"}

    (post,) = posts(thread(media_type="CAROUSEL_ALBUM", children={"data": [picture]}))

    assert post.media == (Attachment("image", "https://a.example/1.jpg", "설정"),)


def test_a_profile_holds_no_posts() -> None:
    with pytest.raises(Unreadable, match="a Threads account holds no posts"):
        payloads.read({"id": "1", "username": "a", "threads_profile_picture_url": "https://x"})
