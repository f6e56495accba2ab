import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, BadRow, ParsedPost, Unreadable

DATA = "fixtures/python-twitter/testdata"


def posts(value: object) -> list[ParsedPost]:
    return [row for row in payloads.read(value).rows if isinstance(row, ParsedPost)]


def first(**changes: object) -> dict[str, object]:
    """A status of API v1.1."""
    return {
        "id_str": "1050118621198921728",
        "created_at": "Wed Oct 10 20:19:24 +0000 2018",
        "full_text": "다크 모드 https://t.co/abc",
        "entities": {"urls": [{"url": "https://t.co/abc", "expanded_url": "https://a.example/x"}]},
        "user": {"screen_name": "haneul", "name": "하늘", "followers_count": 3},
        "favorite_count": 2,
        "retweet_count": 1,
        "lang": "ko",
        **changes,
    }


def test_a_search_with_its_expansions(shared: Path) -> None:
    file = shared / DATA / "apis/searches/search_tweets_query.json"
    found = {post.native_id: post for post in posts(json.loads(file.read_bytes()))}
    post = found["1276035977375477760"]

    assert len(found) == 4
    assert post.text == (
        "@snowman Ooo, thanks error message, public_metircs are not the metrics you’re looking for"
    )
    assert (post.author, post.author_name) == ("happycamper", "Emily Waligoske 🏕")
    assert post.url == "https://x.com/happycamper/status/1276035977375477760"
    assert post.in_reply_to == "1275653067283759104"
    assert post.created_at == datetime(2020, 6, 25, 6, 14, 19, tzinfo=UTC)
    assert (post.lang, post.channel) == ("en", Channel.MICROBLOG)
    assert found["1275763727908798470"].lang == ""  # "und" is no language
    assert found["1275763727908798470"].text == "@snowman @happycamper"


def test_counts_and_messages(shared: Path) -> None:
    one = json.loads((shared / DATA / "models/tweet.json").read_bytes())
    message = json.loads((shared / DATA / "apis/dm_events/events.json").read_bytes())
    (post,) = posts(one)
    (direct,) = posts(message)

    assert post.metrics == {"likes": 40, "shares": 8, "replies": 2}
    assert post.author == "2244994945"  # nobody says what they are called
    assert direct.text == "Another photo https://t.co/J5KotyeIyd"
    assert (direct.author, direct.channel) == ("906948460078698496", Channel.OTHER)


def test_a_repost_says_the_whole_of_what_the_original_says() -> None:
    repost = {
        "id": "20",
        "text": "RT @a: the beginning of …",
        "author_id": "2",
        "referenced_tweets": [{"type": "retweeted", "id": "10"}],
    }
    whole = {"id": "10", "text": "t", "note_tweet": {"text": "the beginning &amp; the end"}}

    (post,) = posts({"data": [repost], "includes": {"tweets": [whole]}})
    (alone,) = posts({"data": [repost]})

    assert (post.native_id, post.reshared_from, post.is_repost) == ("20", "10", True)
    assert post.text == "the beginning & the end"
    assert alone.text == "RT @a: the beginning of …"


def test_media_polls_links_and_closed_accounts() -> None:
    tweet = {
        "id": "30",
        "text": "see https://t.co/a https://t.co/b",
        "author_id": "1",
        "attachments": {"media_keys": ["3_1", "7_1", "x"], "poll_ids": ["9"]},
        "entities": {
            "urls": [
                {"url": "https://t.co/a", "expanded_url": "https://a.example/long"},
                {"url": "https://t.co/b", "expanded_url": "https://x.com/1", "media_key": "3_1"},
            ]
        },
        "referenced_tweets": [{"type": "quoted", "id": "5"}, {"type": "replied_to", "id": "6"}],
    }
    includes = {
        "users": [{"id": "1", "username": "a", "name": "A", "protected": True}],
        "media": [
            {"media_key": "3_1", "type": "photo", "url": "https://p.example/1", "alt_text": "설정"},
            {"media_key": "7_1", "type": "video", "preview_image_url": "https://p.example/2"},
        ],
        "polls": [{"id": "9", "options": [{"label": "yes"}, {"label": "no"}]}],
    }

    (post,) = posts({"data": tweet, "includes": includes})

    assert post.text == "see https://a.example/long\n- yes\n- no"
    assert post.media == (
        Attachment("image", "https://p.example/1", "설정"),
        Attachment("image", "https://p.example/2"),
    )
    assert (post.reshared_from, post.in_reply_to, post.is_repost) == ("5", "6", False)
    assert post.channel is Channel.OTHER


def test_links_beyond_counting_stay_as_they_are() -> None:
    urls = [{"url": "https://t.co/a", "expanded_url": "https://a.example/" + "x" * 100}]
    tweet = {"id": "1", "text": "https://t.co/a " * 2_000, "entities": {"urls": urls}}

    (post,) = posts({"data": tweet})

    assert post.text.count("https://t.co/a") == 1_500


def test_version_1_1() -> None:
    picture = {
        "url": "https://t.co/p",
        "type": "photo",
        "media_url_https": "https://p.example/p.jpg",
        "ext_alt_text": "어두운 화면",
    }
    original = first(
        id_str="5", full_text="a &lt;b&gt; https://t.co/p", extended_entities={"media": [picture]}
    )
    plain, repost, reply = posts(
        [
            first(),
            first(id_str="6", full_text="RT @x: a", retweeted_status=original),
            first(id_str="7", in_reply_to_status_id_str="6", quoted_status_id_str="5"),
        ]
    )

    assert plain.text == "다크 모드 https://a.example/x"
    assert plain.created_at == datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)
    assert (plain.author, plain.author_name, plain.followers) == ("haneul", "하늘", 3)
    assert plain.metrics == {"likes": 2, "shares": 1}
    assert (repost.text, repost.reshared_from, repost.is_repost) == ("a <b>", "5", True)
    assert repost.media == (Attachment("image", "https://p.example/p.jpg", "어두운 화면"),)
    assert (reply.in_reply_to, reply.reshared_from, reply.is_repost) == ("6", "5", False)
    assert len(posts({"statuses": [first()], "search_metadata": {}})) == 1
    assert posts(first(extended_tweet={"full_text": "the whole"}))[0].text == "the whole"


@pytest.mark.parametrize(
    ("value", "gone"),
    [
        ({"delete": {"status": {"id": 1, "id_str": "1"}}}, ("1",)),
        ({"delete": {"tweet": {"id": "2"}, "event_at": "2026-01-01"}}, ("2",)),
        ({"for_user_id": "9", "tweet_delete_events": [{"status": {"id": "3"}}]}, ("3",)),
    ],
)
def test_a_deletion_is_no_post(value: object, gone: tuple[str, ...]) -> None:
    document = payloads.read(value)

    assert (list(document.rows), document.deleted) == ([], gone)


def test_a_webhook_brings_new_posts() -> None:
    assert posts({"for_user_id": "9", "tweet_create_events": [first()]})[0].author == "haneul"


def test_a_part_that_failed_does_not_fail_the_rest() -> None:
    failed = {"title": "Not Found Error", "type": "https://api.twitter.com/2/problems/not-found"}
    good = {"id": "1", "text": "x"}

    assert [row.text for row in posts({"data": [good], "errors": [failed]})] == ["x"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"title": "Unauthorized", "type": "https://api.x.com/2/problems/x", "detail": "No."},
            "X answers with an error: Unauthorized: No",
        ),
        ({"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, "Rate limit exceeded"),
        (
            {"errors": [{"title": "Not Found", "type": "https://api.twitter.com/2/problems/y"}]},
            "X answers with an error: Not Found",
        ),
        ({"data": [{"id": "1", "name": "A", "username": "a"}]}, "an X user holds no posts"),
        ({"data": [{"id": "1", "value": "cat", "tag": "t"}]}, "an X stream rule holds no posts"),
    ],
)
def test_errors_and_other_objects_say_what_they_are(value: object, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.read(value)

    assert reason in str(error.value)


def test_a_problem_document_of_the_stream(shared: Path) -> None:
    with pytest.raises(Unreadable, match="Invalid Request: One or more parameters"):
        payloads.parse((shared / DATA / "streams/delete_error.json").read_bytes())


def test_a_post_without_words_or_id_is_a_bad_row() -> None:
    rows = payloads.read({"data": [{"id": "1", "text": "x"}, {"id": None, "text": ""}]}).rows

    assert [isinstance(row, BadRow) for row in rows] == [False, True]


def test_an_edit_is_the_same_post_as_its_first_version() -> None:
    versions = ["1276035977375477760", "1276036100000000000"]  # the first is of the search above
    edited = {
        "id": versions[1],
        "text": "다크 모드",
        "created_at": "2020-06-25T06:14:48.000Z",
        "edit_history_tweet_ids": versions,
    }
    answer = {
        "id": "1276036200000000000",
        "text": "Yes!",
        "edit_history_tweet_ids": ["1276036200000000000"],
        "referenced_tweets": [{"type": "replied_to", "id": versions[1]}],
    }
    found = posts({"data": [edited, answer], "includes": {"tweets": [edited]}})
    reply, post = sorted(found, key=lambda one: one.text)

    assert (post.native_id, reply.in_reply_to) == (versions[0], versions[0])
    assert post.created_at is not None
    assert post.created_at.replace(microsecond=0) == datetime(2020, 6, 25, 6, 14, 19, tzinfo=UTC)
    assert post.edited_at == datetime(2020, 6, 25, 6, 14, 48, tzinfo=UTC)
    assert post.url == f"https://x.com/i/status/{versions[1]}"
    assert reply.edited_at is None


@pytest.mark.parametrize("history", [[], ["no id"], [5], "12", None, ["9" * 30]])
def test_odd_ids_of_versions_leave_a_post_its_own(history: object) -> None:
    (post,) = posts({"data": {"id": "12", "text": "a", "edit_history_tweet_ids": history}})

    assert (post.native_id, post.edited_at) == ("12", None)
