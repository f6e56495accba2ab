import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable

DATA = "fixtures/discourse-docs"
URL = "https://forum.example/t/13.json"


def posts(value: object, url: str = URL) -> list[ParsedPost]:
    return [row for row in payloads.read(value, url=url).rows if isinstance(row, ParsedPost)]


def of(shared: Path, file: str) -> list[ParsedPost]:
    return posts(json.loads((shared / DATA / f"{file}.json").read_bytes()))


def said(**changes: object) -> dict[str, object]:
    return {
        "id": 33,
        "username": "haneul",
        "name": "하늘",
        "cooked": "<p>다크 모드</p>",
        "post_number": 2,
        "post_type": 1,
        "topic_id": 8,
        "created_at": "2026-01-01T00:00:00Z",
        **changes,
    }


def test_a_topic_gives_its_posts_and_the_first_one_its_title(shared: Path) -> None:
    (post,) = of(shared, "responses/topics/topic_response")

    assert post.native_id == "https://forum.example/t/13/1"
    assert post.title == "About the 9bf05639-c1d6-95e0-b5b1-24c75db096e5 category"
    assert post.text.startswith("(Replace this first paragraph with a brief description")
    assert "\n- Why should people use this category?" in post.text
    assert (post.author, post.in_reply_to) == ("discourse1", "")
    assert post.created_at == datetime(2016, 10, 1, 13, 51, 26, 235000, UTC)
    assert post.metrics == {"replies": 0, "views": 1}


def test_a_list_of_topics_gives_the_first_posts_under_the_same_names(shared: Path) -> None:
    found = {post.native_id: post for post in of(shared, "responses/topics/latest_topics_response")}

    assert len(found) == 3
    assert found["https://forum.example/t/13/1"].title == "2a6aa74e-e341-5e3c-1eaa-78c6331f305f"


def test_a_topic_in_a_list_is_by_who_opened_it() -> None:
    topic = {"id": 7, "title": "t", "posters": [{"user_id": 2}, {"user_id": 1}]}
    users = [{"id": 1, "username": "last"}, {"id": 2, "username": "haneul", "name": "하늘"}]

    (post,) = posts({"users": users, "topic_list": {"topics": [topic]}})

    assert (post.author, post.author_name) == ("haneul", "하늘")


def test_latest_posts_and_search_results(shared: Path) -> None:
    latest = of(shared, "definitions/posts/posts")
    (found,) = of(shared, "responses/search/query_response")

    assert len(latest) == 25
    assert "isbghvlcoekamtypuwfxdqjznr" in {post.text for post in latest}
    assert (found.title, found.author) == ("2a6aa74e-e341-5e3c-1eaa-78c6331f305f", "discourse1")


def test_a_reply_names_what_it_answers_by_address() -> None:
    (to_post,) = posts(said(reply_to_post_number=5))
    (to_topic,) = posts(said())
    (nameless,) = posts(said(), url="")

    assert to_post.in_reply_to == "https://forum.example/t/8/5"
    assert to_topic.in_reply_to == "https://forum.example/t/8/1"
    assert (nameless.native_id, nameless.in_reply_to, nameless.url) == ("33", "", "")


@pytest.mark.parametrize(
    ("cooked", "own"),
    [
        ('<aside class="quote"><blockquote>안 돼요</blockquote></aside><p>저도요</p>', "저도요"),
        ("<p>a</p><aside>x<aside>y</aside>z</aside><p>b</p>", "a\n\nb"),
        ("<p>a</p><aside>never closed", "a"),
        ("<p>a</p></aside><p>b</p>", "a\n\nb"),
    ],
)
def test_what_is_quoted_of_others_is_left_out(cooked: str, own: str) -> None:
    assert posts(said(cooked=cooked))[0].text == own


def test_deleted_posts_and_what_moderators_did_are_no_posts() -> None:
    stream = [
        said(),
        said(id=34, post_number=3, deleted_at="2026-01-02T00:00:00Z"),
        said(id=35, post_number=4, user_deleted=True),
        said(id=36, post_number=5, post_type=3, cooked=""),
    ]
    document = payloads.read({"post_stream": {"posts": stream}, "id": 8}, url=URL)

    assert len(document.rows) == 1
    assert document.deleted == ("https://forum.example/t/8/3", "https://forum.example/t/8/4")


def test_messages_and_whispers_have_no_public_channel(shared: Path) -> None:
    (message,) = of(shared, "responses/topics/private-messages-sent")
    (whisper,) = posts(said(post_type=4))
    (public,) = posts(said(actions_summary=[{"id": 2, "count": 4}]))

    assert [message.channel, whisper.channel] == [Channel.OTHER, Channel.OTHER]
    assert (public.channel, public.metrics) == (Channel.COMMUNITY, {"likes": 4})


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("responses/users/active_list", "a Discourse user holds no posts"),
        ("responses/groups/get_groups_response", "a Discourse group holds no posts"),
        ("responses/admin/site_settings", "a Discourse settings list holds no posts"),
        ("responses/admin/get_badges", "a Discourse badge list holds no posts"),
    ],
)
def test_other_answers_say_what_they_are(shared: Path, file: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        of(shared, file)


def test_an_error_is_told() -> None:
    with pytest.raises(Unreadable, match="Discourse answers with an error: No access: invalid"):
        payloads.read({"errors": ["No access."], "error_type": "invalid_access"})


def test_webhooks_bring_a_post_or_a_topic() -> None:
    topic = {
        "id": 8,
        "title": "다크 모드",
        "slug": "x",
        "posts_count": 1,
        "created_at": "2026-01-01",
    }
    (post,) = posts({"post": said(cooked="", raw="그대로")})
    (opened,) = posts({"topic": topic})

    assert (post.text, post.native_id) == ("그대로", "https://forum.example/t/8/2")
    assert (opened.title, opened.native_id) == ("다크 모드", "https://forum.example/t/8/1")
    assert posts(said(), url="https://[")[0].native_id == "33"


def test_a_list_of_paragraphs_keeps_its_dashes_beside_them() -> None:
    (post,) = posts(said(cooked="<p>a</p><ul>\n<li>\n<p>b</p>\n<p>c</p></li><li>d</li></ul>"))

    assert post.text == "a\n\n- b\n\nc\n\n- d"


@pytest.mark.parametrize(
    "path", ["posts.json?before=9", "t/8.json", "posts/33.json", "latest.json"]
)
def test_a_forum_may_stand_in_a_folder_of_its_host(path: str) -> None:
    (post,) = posts({"latest_posts": [said()]}, f"https://example.com/community/{path}")

    assert post.native_id == "https://example.com/community/t/8/2"
