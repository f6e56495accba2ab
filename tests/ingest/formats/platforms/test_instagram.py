import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable

DATA = "fixtures/python-facebook/testdata"


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def of(shared: Path, file: str) -> list[ParsedPost]:
    return posts(json.loads((shared / DATA / f"{file}.json").read_bytes()))


def test_an_album_with_its_pictures(shared: Path) -> None:
    (post,) = of(shared, "instagram/models/ig_media")

    assert (post.native_id, post.text, post.author) == ("17896129349106152", "ALBUM", "ikroskun")
    assert post.url == "https://www.instagram.com/p/CRyZpmrjYC4/"
    assert post.created_at == datetime(2021, 7, 26, 10, 45, 20, tzinfo=UTC)
    assert post.metrics == {"likes": 1, "replies": 0}
    assert [one.kind for one in post.media] == ["image", "image", "video"]
    assert post.channel is Channel.MICROBLOG


def test_a_comment_with_its_replies(shared: Path) -> None:
    comment, reply = of(shared, "instagram/models/ig_comment")

    assert (comment.text, comment.author) == ("@ikroskun Hey, guys", "ikroskun")
    assert comment.in_reply_to == "17846368219941692"
    assert (reply.text, reply.in_reply_to) == ("@ikroskun Nice", comment.native_id)


@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("instagram/apidata/hashtags/hashtag_top_medias_p1", 25),
        ("instagram/apidata/medias/comments_p1", 2),
        ("instagram/apidata/discovery/medias_p1", 2),
        ("instagram/apidata/users/mentioned_comment", 1),
        ("instagram/apidata/users/mentioned_media", 1),
        ("instagram_basic/apidata/user/user_medias_p1", 2),
        ("base/discovery_medias_p1", 5),
    ],
)
def test_posts_are_found_in_what_holds_them(shared: Path, file: str, count: int) -> None:
    assert len(of(shared, file)) == count


def test_words_of_a_hashtags_picture(shared: Path) -> None:
    post = next(
        post
        for post in of(shared, "instagram/apidata/hashtags/hashtag_top_medias_p1")
        if post.native_id == "18088158883149835"
    )

    assert post.text.startswith("• Our Love ❤️ is the best Love ❤️")
    assert post.metrics == {"likes": 997, "replies": 10}


def test_webhooks_of_comments_and_messages() -> None:
    comment = {
        "id": "17",
        "text": "예뻐요",
        "from": {"id": "5", "username": "haneul"},
        "media": {"id": "9"},
    }
    gone = {"sender": {"id": "5"}, "message": {"mid": "m1", "is_deleted": True}}
    sent = {"sender": {"id": "5"}, "message": {"mid": "m2", "text": "언제 와요?"}}
    entry = {"changes": [{"field": "comments", "value": comment}], "messaging": [gone, sent]}

    document = payloads.read({"object": "instagram", "entry": [entry]})
    public, private = (row for row in document.rows if isinstance(row, ParsedPost))

    assert (public.text, public.author, public.in_reply_to) == ("예뻐요", "haneul", "9")
    assert (private.text, private.channel) == ("언제 와요?", Channel.OTHER)
    assert document.deleted == ("m1",)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("instagram/models/ig_user", "an Instagram account holds no posts"),
        ("instagram/apidata/discovery/user_fields", "an Instagram account holds no posts"),
        ("instagram/apidata/users/user_insights", "an Instagram metric holds no posts"),
        ("instagram/apidata/publish/container_info", "an Instagram container holds no posts"),
    ],
)
def test_other_nodes_say_what_they_are(shared: Path, file: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        of(shared, file)
