"""What is special to Discourse; what every connector must do is in `test_conformance.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_ingest.connector import (
    Budget,
    CredentialsRefused,
    Cursor,
    Forged,
    Page,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.connectors.discourse import DiscourseConnector, DiscourseSettings, pushed
from maru_ingest.formats.parsed import BadRow, ParsedPost, Unreadable
from maru_kit.outbound import Manners, open_outbound
from upstreams.discourse import KEY, DiscourseUpstream
from upstreams.upstream import Written

_NAMES = ["latest_posts", "id", "username", "post_number", "topic_id", "cooked", "created_at"]
_NAMES += ["category_id", "hidden", "deleted_at", "user_deleted", "errors", "extras", "post_type"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
        | st.fixed_dictionaries({"latest_posts": st.lists(inner, max_size=4)})
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[DiscourseUpstream]:
    async with DiscourseUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: DiscourseUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def the_settings(upstream: DiscourseUpstream, **changes: Any) -> DiscourseSettings:
    return DiscourseSettings.model_validate({**upstream.settings(), **changes})


def connector(upstream: DiscourseUpstream, tools: Tools, **changes: Any) -> DiscourseConnector:
    return DiscourseConnector(the_settings(upstream, **changes), tools)


async def looked(
    connector: DiscourseConnector, cursor: Cursor | None = None
) -> tuple[list[Page], Cursor]:
    pages = [page async for page in connector.pages(cursor or {})]
    return pages, json.loads(json.dumps(pages[-1].cursor))


def posts(pages: list[Page]) -> list[str]:
    return [row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def gone(pages: list[Page]) -> set[str]:
    return {name for page in pages for name in page.deleted_if_known}


def long_ago(cursor: Cursor) -> Cursor:
    """The place as it would be had older posts not been looked at for a while."""
    return {**cursor, "again": (datetime.now(UTC) - timedelta(hours=7)).isoformat()}


def write_many(upstream: DiscourseUpstream, number: int) -> list[Written]:
    begun = datetime.now(UTC) - timedelta(hours=9)
    return [
        upstream.write(f"post {n}", at=begun + timedelta(minutes=n / 10)) for n in range(number)
    ]


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("skips", [0, 6, 70])
async def test_posts_are_read_by_their_numbers_whatever_lies_between(
    upstream: DiscourseUpstream, tools: Tools, *, is_old: bool, skips: int
) -> None:
    upstream.is_old, upstream.skips = is_old, skips
    upstream.write("the first", at=datetime.now(UTC) - timedelta(days=1))
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    written = write_many(upstream, 120)

    pages, _ = await looked(follow, cursor)

    assert posts(pages) == [one.text for one in written]


async def test_a_quiet_forum_is_asked_once(upstream: DiscourseUpstream, tools: Tools) -> None:
    write_many(upstream, 120)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    asked = len(upstream.requests)

    await looked(follow, cursor)

    assert len(upstream.requests) - asked == 1


async def test_older_posts_are_looked_at_again_for_edits_and_deletions(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    written = write_many(upstream, 160)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow, {"mark": 1})
    upstream.edit(written[7], "dark mode, please")
    upstream.delete(written[8])

    soon, cursor = await looked(follow, cursor)
    later, moved = await looked(follow, long_ago(cursor))
    again, _ = await looked(follow, moved)

    assert "dark mode, please" not in posts(soon)
    assert "dark mode, please" in posts(later)
    assert (gone(soon), gone(later)) == (set(), {written[8].native_id})
    assert len(again) == 1


@pytest.mark.parametrize("how", [{"user_deleted": True}, {"deleted_at": "2026-11-25T00:00:00Z"}])
async def test_a_post_that_says_that_it_is_deleted_is_gone(
    upstream: DiscourseUpstream, tools: Tools, how: dict[str, Any]
) -> None:
    written = upstream.write("dark mode")
    upstream.write("offline mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    written.extra |= how

    pages, _ = await looked(follow, cursor)

    assert (gone(pages), posts(pages)) == ({written.native_id}, ["offline mode"])


async def test_a_post_that_is_only_listed_no_more_stays(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    upstream.write("offline mode")
    written = upstream.write("dark mode")
    upstream.write("at the top")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    written.extra["unlisted"] = True

    pages, cursor = await looked(follow, cursor)
    asked = len(upstream.requests)
    await looked(follow, cursor)

    assert gone(pages) == set()
    assert "dark mode" in posts(pages)
    assert len(upstream.requests) - asked == 1


async def test_a_post_that_was_moved_is_another(upstream: DiscourseUpstream, tools: Tools) -> None:
    written = upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    written.extra |= {"topic_id": 900, "post_number": 3}

    (page,), _ = await looked(follow, cursor)

    (post,) = page.rows
    assert isinstance(post, ParsedPost)
    assert post.native_id == f"{upstream.url}/t/900/3"
    assert gone([page]) == {written.native_id}


async def test_a_hidden_post_keeps_the_words_that_it_had(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    written = upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    written.extra |= {"hidden": True, "cooked": "<p>This post was flagged.</p>"}

    pages, _ = await looked(follow, cursor)

    assert (posts(pages), gone(pages)) == ([], set())


async def test_categories_and_words_are_followed_alone(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    for text, category in (("Dark Mode, please", 4), ("dark mode", 5), ("a mode that is dark", 4)):
        upstream.write(text).extra["category_id"] = category
    follow = connector(upstream, tools, categories="4,9", search='"dark mode"\n오프라인')

    pages, _ = await looked(follow)

    assert posts(pages) == ["Dark Mode, please"]


async def test_a_reply_names_the_post_that_it_answers_or_the_first_of_its_topic(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    opening = upstream.write("dark mode")
    answer = upstream.write("Yes!", parent=opening.native_id)
    upstream.write("Why?", parent=answer.native_id)

    (page,), _ = await looked(connector(upstream, tools))

    named = {row.text: row for row in page.rows if isinstance(row, ParsedPost)}
    assert named["dark mode"].in_reply_to == ""
    assert named["Yes!"].in_reply_to == opening.native_id
    assert named["Why?"].in_reply_to == answer.native_id
    assert named["Why?"].metrics["likes"] == 3


async def test_what_the_forum_says_of_waiting_is_kept(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    upstream.wait = 18

    with pytest.raises(SourceBusy, match="too many times") as told:
        await looked(connector(upstream, tools))

    assert told.value.retry_after == 18


async def test_a_wrong_key_is_told_and_not_shown(upstream: DiscourseUpstream, tools: Tools) -> None:
    with pytest.raises(CredentialsRefused, match="not permitted") as told:
        await looked(connector(upstream, tools, api_key="another-s3cret"))

    assert "another-s3cret" not in str(told.value)


async def test_a_range_long_ago_is_found_by_halving(
    upstream: DiscourseUpstream, tools: Tools
) -> None:
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(days=90)
    upstream.skips = 20
    written = [upstream.write(f"{n}", at=begun + timedelta(hours=n)) for n in range(2_000)]
    since, until = begun + timedelta(hours=300), begun + timedelta(hours=310)

    pages = [page async for page in connector(upstream, tools).history(since, until, {})]

    assert posts(pages) == [one.text for one in written[300:310]]
    assert len(upstream.requests) < 60


async def test_a_cursor_stays_small(upstream: DiscourseUpstream, tools: Tools) -> None:
    write_many(upstream, 1_300)

    pages, cursor = await looked(connector(upstream, tools), {"mark": 1})

    assert len(posts(pages)) == 1_299
    assert len(json.dumps(cursor)) < 20_000


async def test_one_bad_post_spoils_no_other(upstream: DiscourseUpstream, tools: Tools) -> None:
    good = upstream.shown_as(upstream.write("dark mode"))
    upstream.answer = {"latest_posts": [7, {"id": "x"}, good, {"id": 900}]}

    (page,), _ = await looked(connector(upstream, tools))

    assert posts([page]) == ["dark mode"]
    assert [type(row) for row in page.rows] == [ParsedPost, BadRow, BadRow, BadRow]


@pytest.mark.parametrize("said", [{"ping": "OK"}, {"topic": {"id": 1, "slug": "a"}}, [], {}])
def test_a_webhook_of_something_else_says_nothing(said: Any) -> None:
    upstream = DiscourseUpstream()

    found = pushed(the_settings(upstream), *signed(upstream, said))

    assert (list(found.rows), list(found.deleted)) == ([], [])


def test_without_a_secret_no_webhook_is_taken() -> None:
    upstream = DiscourseUpstream()
    message = signed(upstream, {"ping": "OK"})

    with pytest.raises(Forged):
        pushed(the_settings(upstream, webhook_secret=""), *message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: DiscourseUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = connector(upstream, Tools(tools.outbound, budget=Budget(20)))

    for cursor in ({}, long_ago({"mark": 1, "known": {"1": "101/1", "7": "3/2"}})):
        with suppress(SourceBroken, SourceBusy):
            await looked(follow, cursor)
    with suppress(SourceBroken, SourceBusy):
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        async for page in follow.history(moment, moment + timedelta(days=1), {}):
            assert page.cursor


@given(said=_JSON)
def test_no_webhook_breaks_the_connector(said: Any) -> None:
    upstream = DiscourseUpstream()
    with suppress(Unreadable):
        pushed(the_settings(upstream), *signed(upstream, {"post": said}))


def signed(upstream: DiscourseUpstream, said: Any) -> tuple[dict[str, str], bytes]:
    headers, body = upstream.signed(said)
    return {name.lower(): value for name, value in headers.items()}, body


@pytest.mark.parametrize(
    "changes",
    [{"address": "forum.example"}, {"categories": ["a"]}, {"api_key": "a\nb"}, {"api_key": "열쇠"}],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    values = {**DiscourseUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        DiscourseSettings.model_validate(values)

    assert KEY not in str(refused.value)
