import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maru_contracts.posts import Channel
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Attachment, Document, ParsedPost, Unreadable

DATA = "fixtures/octokit-webhooks/payload-examples/api.github.com"
HOME = "https://github.com/Codertocat/Hello-World"


def posts(document: Document) -> list[ParsedPost]:
    return [row for row in document.rows if isinstance(row, ParsedPost)]


def of(shared: Path, event: str) -> Document:
    return payloads.parse((shared / DATA / f"{event}.payload.json").read_bytes())


def issue(**changes: object) -> dict[str, object]:
    return {
        "html_url": "https://github.com/a/b/issues/1",
        "title": "Dark mode",
        "body": "Please",
        "user": {"login": "haneul"},
        "created_at": "2026-01-01T00:00:00Z",
        "comments": 3,
        "reactions": {"+1": 5},
        **changes,
    }


def test_an_issue(shared: Path) -> None:
    (post,) = posts(of(shared, "issues/opened"))

    assert (post.native_id, post.url) == (f"{HOME}/issues/1", f"{HOME}/issues/1")
    assert post.title == "Spelling error in the README file"
    assert post.text == "It looks like you accidently spelled 'commit' with two 't's."
    assert post.author == "Codertocat"
    assert post.created_at == datetime(2019, 5, 15, 15, 20, 18, tzinfo=UTC)
    assert post.channel is Channel.COMMUNITY
    (empty,) = posts(of(shared, "issues/opened.with-empty-body"))
    assert (empty.text, bool(empty.title)) == ("", True)


def test_comments_reply_to_the_page_that_they_are_on(shared: Path) -> None:
    (comment,) = posts(of(shared, "issue_comment/created"))
    (discussed,) = posts(of(shared, "discussion_comment/created"))

    assert comment.text == "You are totally right! I'll get this fixed right away."
    assert comment.native_id == f"{HOME}/issues/1#issuecomment-492700400"
    assert comment.in_reply_to == f"{HOME}/issues/1"
    assert (discussed.text, discussed.in_reply_to) == ("ANSWER", f"{HOME}/discussions/4")
    assert discussed.metrics == {"likes": 0, "replies": 0}


@pytest.mark.parametrize(
    ("event", "gone"),
    [
        ("issues/deleted", f"{HOME}/issues/1"),
        ("issue_comment/deleted", f"{HOME}/issues/1#issuecomment-492700400"),
        ("discussion_comment/deleted", f"{HOME}/discussions/4#discussioncomment-550062"),
    ],
)
def test_what_is_deleted_is_no_post(shared: Path, event: str, gone: str) -> None:
    document = of(shared, event)

    assert (posts(document), document.deleted) == ([], (gone,))


def test_what_moves_away_is_gone_here_and_a_post_there(shared: Path) -> None:
    document = of(shared, "issues/transferred")

    assert document.deleted == ("https://github.com/octo-org/hello-world-npm/pull/1",)
    assert [post.native_id for post in posts(document)] == [
        json.loads((shared / DATA / "issues/transferred.payload.json").read_bytes())["changes"][
            "new_issue"
        ]["html_url"]
    ]


def test_rest_lists_and_searches() -> None:
    comment = {
        "html_url": "https://github.com/a/b/pull/2#issuecomment-9",
        "body": "![shot](https://a.example/x.png) see [the docs](https://a.example/docs)"
        "<!-- keep this --> <https://b.example>",
        "user": None,
    }
    found = {"total_count": 1, "incomplete_results": False, "items": [issue()]}
    (searched,) = posts(payloads.read(found))
    (listed,) = posts(payloads.read([comment]))

    assert searched.metrics == {"likes": 5, "replies": 3}
    assert listed.text == "shot see the docs https://b.example"
    assert listed.media == (Attachment("image", "https://a.example/x.png", "shot"),)
    assert (listed.in_reply_to, listed.author) == ("https://github.com/a/b/pull/2", "")
    assert posts(payloads.read({**found, "items": []})) == []


def test_discussions_come_by_graphql() -> None:
    comment = {
        "url": "https://github.com/a/b/discussions/4#discussioncomment-5",
        "bodyText": "+1",
        "author": {"login": "bada"},
        "createdAt": "2026-01-02T00:00:00Z",
    }
    discussion = {
        "url": "https://github.com/a/b/discussions/4",
        "title": "다크 모드",
        "body": "있으면 좋겠어요",
        "author": {"login": "haneul"},
        "createdAt": "2026-01-01T00:00:00Z",
        "upvoteCount": 7,
        "comments": {"totalCount": 1, "nodes": [comment]},
    }
    answer = {"data": {"repository": {"discussions": {"nodes": [discussion]}}}}
    one, two = posts(payloads.read(answer))

    assert (one.title, one.text, one.author) == ("다크 모드", "있으면 좋겠어요", "haneul")
    assert one.metrics == {"likes": 7, "replies": 1}
    assert (two.text, two.in_reply_to) == ("+1", one.native_id)


def test_a_private_repositorys_posts_have_no_public_channel() -> None:
    hook = {"action": "opened", "issue": issue(), "sender": {}}

    (private,) = posts(payloads.read({**hook, "repository": {"private": True}}))
    (public,) = posts(payloads.read({**hook, "repository": {"private": False}}))

    assert (private.channel, public.channel) == (Channel.OTHER, Channel.COMMUNITY)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("label/created.payload", "a GitHub webhook about a label holds no posts"),
        ("ping/payload", "a GitHub webhook about a ping holds no posts"),
    ],
)
def test_other_webhooks_say_what_they_are_about(shared: Path, event: str, reason: str) -> None:
    file = (
        shared / DATA / (f"{event}.json" if event.endswith("payload") else f"{event}.payload.json")
    )
    with pytest.raises(Unreadable, match=reason):
        payloads.parse(file.read_bytes())


def test_an_error_is_told() -> None:
    with pytest.raises(Unreadable, match="GitHub answers with an error: Not Found"):
        payloads.read({"message": "Not Found", "documentation_url": "https://docs.github.com"})
