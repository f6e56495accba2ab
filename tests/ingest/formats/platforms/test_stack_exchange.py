from datetime import UTC, datetime

import pytest

from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Unreadable


def answer(*items: object) -> dict[str, object]:
    return {"items": list(items), "has_more": False, "quota_max": 300, "quota_remaining": 299}


def posts(*items: object) -> list[ParsedPost]:
    return [row for row in payloads.read(answer(*items)).rows if isinstance(row, ParsedPost)]


def question(**changes: object) -> dict[str, object]:
    return {
        "question_id": 11227809,
        "title": "Why is it &quot;faster&quot;?",
        "body": "<p>In this <code>C++</code> code</p><pre><code>a &lt; b</code></pre>",
        "link": "https://stackoverflow.com/questions/11227809/why-is-it-faster",
        "owner": {"user_id": 87234, "display_name": "GManNickG &amp; co"},
        "creation_date": 1340805096,
        "last_edit_date": 1340805097,
        "score": 5,
        "answer_count": 2,
        "view_count": 70,
        **changes,
    }


def test_a_question() -> None:
    (post,) = posts(question())

    assert post.native_id == "stackoverflow.com/q/11227809"
    assert (post.title, post.text) == ('Why is it "faster"?', "In this C++ code\n\na < b")
    assert (post.author, post.author_name) == ("87234", "GManNickG & co")
    assert post.created_at == datetime(2012, 6, 27, 13, 51, 36, tzinfo=UTC)
    assert post.edited_at == datetime(2012, 6, 27, 13, 51, 37, tzinfo=UTC)
    assert post.metrics == {"likes": 5, "replies": 2, "views": 70}


def test_answers_and_comments_name_what_they_are_on() -> None:
    reply = {
        "answer_id": 11227902,
        "question_id": 11227809,
        "body_markdown": "Use [this](https://a.example) &amp; that",
        "title": "Why?",
        "link": "https://stackoverflow.com/a/11227902",
        "owner": {},
    }
    on_answer = {"comment_id": 1, "post_id": 11227902, "body": "thanks", "post_type": "answer"}
    on_question = {
        "comment_id": 2,
        "post_id": 11227809,
        "body": "why",
        "link": "https://stackoverflow.com/questions/11227809/why#comment2_11227809",
    }

    one, two, three = posts(reply, on_answer, on_question)

    assert (one.native_id, one.title) == ("stackoverflow.com/a/11227902", "")
    assert (one.text, one.in_reply_to) == ("Use this & that", "stackoverflow.com/q/11227809")
    assert (two.native_id, two.in_reply_to) == ("stackexchange/c/1", "stackexchange/a/11227902")
    assert three.in_reply_to == "stackoverflow.com/q/11227809"


def test_a_question_without_a_body_is_its_title() -> None:
    bare = {name: value for name, value in question().items() if name != "body"}

    assert [(post.title, post.text) for post in posts(bare)] == [('Why is it "faster"?', "")]


def test_errors_and_other_objects_say_what_they_are() -> None:
    with pytest.raises(Unreadable, match="throttle_violation: too many requests"):
        payloads.read(
            {
                "error_id": 502,
                "error_name": "throttle_violation",
                "error_message": "too many requests",
            }
        )
    with pytest.raises(Unreadable, match="without questions, answers or comments"):
        payloads.read(answer({"user_id": 1, "reputation": 5}))
    assert posts() == []


def test_answers_and_comments_that_come_within_a_question_are_posts_too() -> None:
    owner = {"user_id": 1, "display_name": "a"}
    below = {"comment_id": 3, "post_id": 2, "body": "thanks", "owner": owner}
    given = {"answer_id": 2, "question_id": 11227809, "body": "<p>so</p>", "comments": [below]}
    beside = {"comment_id": 4, "post_id": 11227809, "body": "why?", "owner": owner}

    found = posts(question(comments=[beside], answers=[given]))

    assert [(post.native_id, post.in_reply_to, post.text) for post in found[1:]] == [
        ("stackoverflow.com/c/4", "stackoverflow.com/q/11227809", "why?"),
        ("stackoverflow.com/a/2", "stackoverflow.com/q/11227809", "so"),
        ("stackoverflow.com/c/3", "stackoverflow.com/a/2", "thanks"),
    ]
