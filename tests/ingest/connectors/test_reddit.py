"""What is special to Reddit; what every connector must do is in `test_conformance.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.reddit import RedditConnector, RedditSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_ingest.service.granting import Granting
from maru_kit.database import Database
from maru_kit.outbound import Manners, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.reddit import RedditUpstream

_NAMES = [
    "kind", "data", "children", "after", "name", "id", "body", "selftext", "created_utc", "edited",
    "error", "message", "reason", "replies", "json", "errors", "removed_by_category",
]  # fmt: skip
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["Listing", "t1", "t3", "t1_a", "more"])
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
        | st.fixed_dictionaries(
            {
                "kind": st.just("Listing"),
                "data": st.fixed_dictionaries({"children": st.lists(inner, max_size=3)}),
            }
        )
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[RedditUpstream]:
    async with RedditUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: RedditUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: RedditUpstream, tools: Tools, **changes: Any) -> RedditConnector:
    values = {**upstream.settings(), **changes}
    return RedditConnector(RedditSettings.model_validate(values), tools)


async def looked(
    connector: RedditConnector, cursor: Cursor | None = None
) -> tuple[list[Page], Cursor]:
    pages = [page async for page in connector.pages(cursor or {})]
    return pages, json.loads(json.dumps(pages[-1].cursor))


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def deleted(pages: list[Page]) -> list[str]:
    return [name for page in pages for name in page.deleted]


def asked(upstream: RedditUpstream, path: str) -> int:
    return len([one for one in upstream.requests if one.path == path])


async def test_what_came_meanwhile_comes_oldest_first_and_the_place_moves_with_it(
    upstream: RedditUpstream, tools: Tools
) -> None:
    begun = datetime.now(UTC) - timedelta(hours=5)
    upstream.write("first", at=begun)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(55):
        upstream.write(f"post {number}", at=begun + timedelta(minutes=number + 10))

    pages, _ = await looked(follow, cursor)
    (rest, _) = await looked(follow, pages[1].cursor)

    found = [post.text for post in posts(pages)]
    assert found[:56] == ["first", *(f"post {number}" for number in range(55))]
    assert {post.text for post in posts(rest)} >= {f"post {number}" for number in range(36, 55)}


async def test_what_shows_up_late_is_not_passed_over(
    upstream: RedditUpstream, tools: Tools
) -> None:
    now = datetime.now(UTC) - timedelta(hours=1)
    for seconds in (-30, 0):
        upstream.write(f"known {seconds}", at=now + timedelta(seconds=seconds))
    follow = connector(upstream, tools, comments=False)
    _, cursor = await looked(follow)
    upstream.write("late", at=now - timedelta(seconds=60))
    for number in range(1, upstream.page - 1):
        upstream.write(f"new {number}", at=now + timedelta(seconds=number))

    pages, _ = await looked(follow, cursor)

    assert "late" in {post.text for post in posts(pages)}


async def test_no_more_than_reddit_shows_is_asked_for(
    upstream: RedditUpstream, tools: Tools
) -> None:
    upstream.page = 100
    follow = connector(upstream, tools, comments=False)
    begun = datetime.now(UTC) - timedelta(hours=5)
    upstream.write("first", at=begun)
    _, cursor = await looked(follow)
    for number in range(1_200):
        upstream.write(f"post {number}", at=begun + timedelta(seconds=number * 10 + 10))
    before = asked(upstream, "/r/apps/new")

    pages, cursor = await looked(follow, cursor)

    assert asked(upstream, "/r/apps/new") - before == 10
    assert [post.text for post in posts(pages)][:1_000] == [
        f"post {number}" for number in range(200, 1_200)
    ]
    assert len(json.dumps(cursor)) < 20_000


async def test_comments_name_what_they_answer_and_can_be_left_out(
    upstream: RedditUpstream, tools: Tools
) -> None:
    post = upstream.write("dark mode")
    comment = upstream.write("Yes!", parent=post.native_id)
    upstream.write("Why?", parent=comment.native_id)

    whole, _ = await looked(connector(upstream, tools))
    alone, _ = await looked(connector(upstream, tools, comments=False))

    told = {one.text: one.in_reply_to for one in posts(whole)}
    assert told == {"dark mode": "", "Yes!": post.native_id, "Why?": comment.native_id}
    assert [one.text for one in posts(alone)] == ["dark mode"]


@pytest.mark.parametrize("by", ["deleted", "moderator"])
async def test_what_is_no_longer_listed_is_asked_for_and_ends_once(
    upstream: RedditUpstream, tools: Tools, by: str
) -> None:
    kept = upstream.write("dark mode")
    taken = upstream.write("offline mode")
    comment = upstream.write("Yes!", parent=kept.native_id)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    quiet = asked(upstream, "/api/info")
    upstream.remove(taken, by)
    upstream.delete(comment)

    pages, cursor = await looked(follow, cursor)
    later, _ = await looked(follow, cursor)

    assert quiet == 0
    assert sorted(deleted(pages)) == sorted([taken.native_id, comment.native_id])
    assert deleted(later) == []
    assert "dark mode" in {post.text for post in posts(later)}


async def test_a_picture_whose_title_stays_after_it_was_removed_ends_too(
    upstream: RedditUpstream, tools: Tools
) -> None:
    post = upstream.write("A screenshot")
    post.extra = {"title": "My screenshot", "selftext": ""}
    follow = connector(upstream, tools)
    found, cursor = await looked(follow)
    upstream.remove(post, "copyright_takedown")

    pages, _ = await looked(follow, cursor)

    assert [one.title for one in posts(found)] == ["My screenshot"]
    assert deleted(pages) == [post.native_id]


async def test_what_was_held_back_comes_once_it_is_let_through(
    upstream: RedditUpstream, tools: Tools
) -> None:
    post = upstream.write("dark mode")
    comment = upstream.write("Yes!", parent=post.native_id)
    comment.extra = {"body": "[removed]"}
    follow = connector(upstream, tools)
    held, cursor = await looked(follow)
    comment.extra = {}

    pages, _ = await looked(follow, cursor)

    assert deleted(held) == []
    assert [name for page in held for name in page.deleted_if_known] == [comment.native_id]
    assert "Yes!" in {one.text for one in posts(pages)}


async def test_what_is_not_known_any_more_to_anybody_stays(
    upstream: RedditUpstream, tools: Tools
) -> None:
    post = upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.posts.remove(post)

    pages, _ = await looked(follow, cursor)

    assert deleted(pages) == []


async def test_every_six_hours_older_posts_are_looked_at_again(
    upstream: RedditUpstream, tools: Tools
) -> None:
    upstream.page = 100
    begun = datetime.now(UTC) - timedelta(hours=20)
    old = [upstream.write(f"old {n}", at=begun + timedelta(minutes=n)) for n in range(100)]
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(150):
        upstream.write(f"new {number}", at=begun + timedelta(minutes=200 + number))
    _, cursor = await looked(follow, cursor)
    upstream.edit(old[5], "old 5, edited")
    upstream.delete(old[6])

    soon, cursor = await looked(follow, cursor)
    cursor = {**cursor, "again": cursor["again"] - 6 * 3_600 - 1}
    again, after = await looked(follow, cursor)

    assert not deleted(soon)
    assert deleted(again) == [old[6].native_id]
    edited = [post for post in posts(again) if post.text == "old 5, edited"]
    assert [post.edited_at is not None for post in edited] == [True]
    assert after["again"] > cursor["again"]
    before = asked(upstream, "/r/apps/new")
    await looked(follow, after)
    assert asked(upstream, "/r/apps/new") - before == 1


async def test_a_query_is_searched_everywhere_or_within_subreddits(
    upstream: RedditUpstream, tools: Tools
) -> None:
    upstream.write("Dark mode & more")
    upstream.write("Something else")

    for within in ([], ["apps", "phones"]):
        found, _ = await looked(connector(upstream, tools, subreddits=within, query="dark & mode"))
        assert [post.text for post in posts(found)] == ["Dark mode & more"]

    searched = [one for one in upstream.requests if one.path.endswith("/search")]
    assert [one.path for one in searched] == ["/search", "/r/apps+phones/search"]
    assert [one.query.get("restrict_sr") for one in searched] == [None, "1"]
    assert {(one.query["sort"], one.query["q"]) for one in searched} == {("new", "dark & mode")}


async def test_a_crosspost_names_what_it_reposts(upstream: RedditUpstream, tools: Tools) -> None:
    upstream.write("look").extra = {"crosspost_parent": "t3_zzz"}

    pages, _ = await looked(connector(upstream, tools))

    assert [post.reshared_from for post in posts(pages)] == ["t3_zzz"]


async def test_a_history_ends_where_reddits_does(upstream: RedditUpstream, tools: Tools) -> None:
    upstream.page = 100
    begun = datetime.now(UTC) - timedelta(days=300)
    for number in range(1_100):
        upstream.write(f"post {number}", at=begun + timedelta(hours=number))

    follow = connector(upstream, tools)
    pages = [page async for page in follow.history(begun, datetime.now(UTC), {})]

    assert len(posts(pages)) == 1_000


async def test_a_history_ends_only_what_was_ours(upstream: RedditUpstream, tools: Tools) -> None:
    post = upstream.write("dark mode")
    comment = upstream.write("Yes!", parent=post.native_id)
    comment.extra = {"body": "[removed]"}

    since, until = post.at - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    pages = [page async for page in connector(upstream, tools).history(since, until, {})]

    assert deleted(pages) == []
    assert [name for page in pages for name in page.deleted_if_known] == [comment.native_id]


@pytest.mark.parametrize(
    ("status", "body", "raised", "told"),
    [
        (
            403,
            {"message": "Forbidden", "error": 403, "reason": "private"},
            CredentialsRefused,
            "private",
        ),
        (403, {"message": "Forbidden", "error": 403}, CredentialsRefused, "403"),
        (404, {"message": "Not Found", "error": 404, "reason": "banned"}, SourceGone, "banned"),
        (500, {"message": "Internal Server Error", "error": 500}, SourceBusy, "500"),
        (200, {"message": "Oh", "error": 500}, SourceBroken, "Oh"),
        (200, {"kind": "Listing", "data": {}}, SourceBroken, "no list of posts"),
        (200, {"kind": "t5", "data": {}}, SourceBroken, "subreddit"),
        (200, [], SourceBroken, "no list of posts"),
    ],
)
async def test_why_nothing_is_shown_is_told(
    upstream: RedditUpstream, tools: Tools, *, status: int, body: Any, raised: Any, told: str
) -> None:
    upstream.error = (status, body)

    with pytest.raises(raised, match=told):
        await looked(connector(upstream, tools))


async def test_a_subreddit_that_does_not_exist_is_told_of(
    upstream: RedditUpstream, tools: Tools
) -> None:
    with pytest.raises(SourceGone, match="knows no subreddit"):
        await looked(connector(upstream, tools, subreddits=["nothing_here"]))


async def test_once_nothing_is_left_to_ask_all_sources_of_the_app_wait(
    upstream: RedditUpstream, tools: Tools, ingest_database: Database
) -> None:
    upstream.left = 1
    tools = replace(tools, grants=Granting(ingest_database, Vault([new_key()])))
    with pytest.raises(SourceBusy) as waits:
        await looked(connector(upstream, tools))
    before = len(upstream.requests)

    with pytest.raises(SourceBusy):
        await looked(connector(upstream, tools, subreddits=["apps", "phones"]))

    assert 200 < waits.value.retry_after <= 300
    assert len(upstream.requests) == before


async def test_what_is_no_post_is_rejected_alone(upstream: RedditUpstream, tools: Tools) -> None:
    good = {"name": "t3_a", "selftext": "dark mode", "created_utc": 1_767_225_600}
    children = [{"kind": "t3", "data": good}, 5, {"kind": "t3", "data": {}}, {"kind": "t9"}]
    upstream.answer = {"kind": "Listing", "data": {"children": children, "after": None}}

    pages, _ = await looked(connector(upstream, tools, comments=False))

    assert [post.text for post in posts(pages)] == ["dark mode"]
    assert len([row for row in pages[0].rows if isinstance(row, BadRow)]) == 3


async def test_a_time_to_come_keeps_nothing_from_being_new(
    upstream: RedditUpstream, tools: Tools
) -> None:
    upstream.write("from the future", at=datetime.now(UTC) + timedelta(days=900))
    follow = connector(upstream, tools, comments=False)
    _, cursor = await looked(follow)
    for number in range(50):
        upstream.write(f"post {number}", at=datetime.now(UTC) + timedelta(seconds=number))

    pages, _ = await looked(follow, cursor)

    assert {post.text for post in posts(pages)} >= {f"post {number}" for number in range(50)}


@pytest.mark.parametrize(
    "changes",
    [
        {"subreddits": []},
        {"subreddits": ["a/b"]},
        {"subreddits": ["r/apps"]},
        {"username": "u/kim"},
        {"client_id": "a b"},
    ],
)
def test_settings_that_lead_nowhere_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RedditSettings.model_validate({**RedditUpstream().settings(), **changes})


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(_JSON)
async def test_whatever_reddit_answers_is_posts_or_a_reason(
    upstream: RedditUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer, upstream.left = answer, 900

    with suppress(SourceBroken, SourceBusy):
        _, cursor = await looked(connector(upstream, tools))
        await looked(connector(upstream, tools), cursor)
