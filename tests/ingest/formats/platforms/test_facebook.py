import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Document, ParsedPost, Unreadable

DATA = "fixtures/python-facebook/testdata"


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def of(shared: Path, file: str) -> dict[str, ParsedPost]:
    found = posts(json.loads((shared / DATA / f"facebook/{file}.json").read_bytes()))
    return {post.native_id: post for post in found}


def hook(**value: object) -> Document:
    change = {"field": "feed", "value": value}
    return payloads.read({"object": "page", "entry": [{"id": "1", "changes": [change]}]})


def test_a_pages_feed(shared: Path) -> None:
    found = of(shared, "apidata/posts/feeds_default_fields_p1")
    post = found["19292868552_10158349356748553"]

    assert len(found) == 5
    assert post.text.startswith("Singaporean logistics company Ninja Van Singapore provides")
    assert post.text.endswith("https://fb.me/Ninja-Van-Success-Story")
    assert post.url == "https://www.facebook.com/19292868552/posts/10158349356748553/"
    assert post.created_at == datetime(2021, 7, 9, 19, 9, 52, tzinfo=UTC)
    assert post.edited_at == datetime(2021, 7, 12, 1, 3, 23, tzinfo=UTC)
    assert post.metrics == {"likes": 125, "shares": 10, "replies": 13}
    assert [one.kind for one in post.media] == ["image"]  # the same picture is named twice
    assert post.channel is Channel.COMMUNITY


def test_comments_come_with_their_post_and_reply_to_it(shared: Path) -> None:
    found = of(shared, "apidata/posts/multi_posts_data")
    post = found["19292868552_10158347294088553"]
    comment = found["19292868552_10158347294088553_10158347433613553"]

    assert len(found) == 18
    assert (comment.text, comment.in_reply_to) == ("Help me 😢", post.native_id)
    assert (comment.author, comment.author_name) == ("100018676760657", "Misheck Simfukwe")


def test_a_comment_without_an_id_goes_by_its_link(shared: Path) -> None:
    found = of(shared, "apidata/comments/comments_p1")
    comment = found["10158407654328553_10158407835073553"]

    assert len(found) == 10
    assert comment.text.startswith("Boa noite peço ajuda Como faço")
    assert comment.in_reply_to == "19292868552_10158407654328553"
    assert comment.metrics == {"likes": 0, "replies": 1}


def test_films_messages_and_posts_of_groups(shared: Path) -> None:
    film = of(shared, "apidata/videos/videos_p1")["1002065083862711"]
    (message,) = of(shared, "models/message").values()
    group = of(shared, "apidata/groups/feed_p1")

    assert (film.title, film.channel) == ("Boz to the Future", Channel.VIDEO)
    assert film.url == "https://www.facebook.com/FacebookforDevelopers/videos/1002065083862711/"
    assert (message.text, message.channel) == ("Love is peace!😏", Channel.OTHER)
    assert message.author == "2711636948859886"
    assert sum(bool(post.text) for post in group.values()) == 4  # one is a picture alone


def test_what_facebook_words_itself_is_no_post() -> None:
    story = {"id": "1_2", "story": "A updated their cover photo.", "created_time": "2026-01-01"}
    said = {"id": "1_3", "message": "hi", "created_time": "2026-01-01"}

    assert [post.text for post in posts({"data": [story, said]})] == ["hi"]
    assert posts({"data": [story]}) == []


def test_a_recommendation_is_a_review() -> None:
    told = {
        "created_time": "2026-01-01T00:00:00+0000",
        "recommendation_type": "negative",
        "review_text": "배송이 느려요",
        "reviewer": {"name": "하늘", "id": "7"},
    }
    (post,) = posts({"data": [told]})

    assert (post.text, post.channel, post.author_name) == ("배송이 느려요", Channel.REVIEW, "하늘")


def test_what_a_page_hid_or_only_some_may_see_has_no_public_channel() -> None:
    said = {"id": "1_3", "message": "hi", "created_time": "2026-01-01"}

    assert posts({**said, "is_hidden": True})[0].channel is Channel.OTHER
    assert posts({**said, "privacy": {"value": "ALL_FRIENDS"}})[0].channel is Channel.OTHER
    assert posts({**said, "privacy": {"value": "EVERYONE"}})[0].channel is Channel.COMMUNITY


@pytest.mark.parametrize("verb", ["remove", "hide"])
def test_a_webhook_that_removes_brings_no_post(verb: str) -> None:
    document = hook(item="comment", verb=verb, comment_id="1_2_3", post_id="1_2", message="x")

    assert (list(document.rows), document.deleted) == ([], ("1_2_3",))


def test_webhooks_of_comments_reactions_and_messages() -> None:
    comment = {
        "item": "comment",
        "verb": "add",
        "comment_id": "2_3",
        "post_id": "1_2",
        "parent_id": "1_2",
        "from": {"id": "7", "name": "하늘"},
        "message": "다크 모드!",
        "created_time": 1767225600,
    }
    (post,) = hook(**comment).rows
    sent = {"sender": {"id": "8"}, "timestamp": 1767225600000, "message": {"mid": "m", "text": "?"}}
    echo = {"sender": {"id": "1"}, "message": {"mid": "n", "text": "!", "is_echo": True}}
    entry = {"messaging": [sent, echo, {"sender": {"id": "8"}, "read": {}}]}
    (message,) = payloads.read({"object": "page", "entry": [entry]}).rows

    assert isinstance(post, ParsedPost)
    assert isinstance(message, ParsedPost)
    assert (post.native_id, post.in_reply_to, post.author) == ("2_3", "1_2", "7")
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (message.text, message.author, message.channel) == ("?", "8", Channel.OTHER)
    assert message.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert list(hook(item="reaction", verb="add", reaction_type="like").rows) == []


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (
            "error",
            "Facebook's Graph API answers with an error: OAuthException: (#100)",
        ),
        ("facebook/apidata/pages/single_fields_page", "a Facebook page holds no posts"),
        ("facebook/apidata/albums/albums_list_p1", "a Facebook album holds no posts"),
        ("facebook/apidata/photos/photos_p1", "a Facebook photo holds no posts"),
        ("facebook/apidata/events/event_info", "a Facebook event holds no posts"),
        ("facebook/apidata/conversations/cvs_info", "a Facebook conversation holds no posts"),
    ],
)
def test_errors_and_other_nodes_say_what_they_are(shared: Path, file: str, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.parse((shared / DATA / f"{file}.json").read_bytes())

    assert reason in str(error.value)


def test_old_comment_ids_name_their_post_and_films_are_attached() -> None:
    film = {"type": "video_inline", "media": {"source": "https://a.example/1.mp4"}, "title": "T"}
    said = {"message": "hi", "created_time": "2026-01-01"}
    (comment,) = posts({**said, "id": "1_2_3", "attachments": {"data": [film]}})

    assert comment.in_reply_to == "1_2"
    assert [(one.kind, one.url, one.alt) for one in comment.media] == [
        ("video", "https://a.example/1.mp4", "T")
    ]
