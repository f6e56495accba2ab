"""What is special to YouTube; what every connector must do is in `test_conformance.py`."""

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
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.youtube import YouTubeConnector, YouTubeSettings
from maru_ingest.formats.parsed import ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.youtube import CHANNEL, HANDLE, KEY, VIDEO, YouTubeUpstream

_NAMES = [
    "items",
    "id",
    "kind",
    "snippet",
    "topLevelComment",
    "replies",
    "comments",
    "publishedAt",
    "totalReplyCount",
    "nextPageToken",
    "error",
    "errors",
    "reason",
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(_NAMES),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[YouTubeUpstream]:
    async with YouTubeUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: YouTubeUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: YouTubeUpstream, tools: Tools, **changes: Any) -> YouTubeConnector:
    values = {**upstream.settings(), **changes}
    return YouTubeConnector(YouTubeSettings.model_validate(values), tools)


async def looked(
    connector: YouTubeConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in connector.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor


async def test_answers_that_a_page_leaves_out_are_fetched_and_only_when_there_are_more(
    upstream: YouTubeUpstream, tools: Tools
) -> None:
    top = upstream.write("dark mode")
    for number in range(30):
        upstream.write(f"answer {number}", parent=top.native_id)
    follow = connector(upstream, tools)

    posts, cursor = await looked(follow)
    first = upstream.units
    again, cursor = await looked(follow, cursor)
    quiet = upstream.units - first
    upstream.write("one more", parent=top.native_id)
    last, _ = await looked(follow, cursor)

    assert len(posts) == 31
    assert {post.in_reply_to for post in posts} == {VIDEO, top.native_id}
    assert (first, quiet) == (3, 1)
    assert len(again) == 6
    assert "one more" in {post.text for post in last}


async def test_old_comments_are_looked_at_again_for_late_answers_and_edits(
    upstream: YouTubeUpstream, tools: Tools
) -> None:
    now = datetime.now(UTC)
    old = upstream.write("offline mode", at=now - timedelta(days=3))
    for number in range(50):
        upstream.write(f"later {number}", at=now - timedelta(days=2) + timedelta(minutes=number))
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.write("late answer", parent=old.native_id)

    soon, _ = await looked(follow, cursor)
    place = cursor["places"][CHANNEL]
    aged = {**place, "again": (now - timedelta(hours=7)).isoformat()}
    later, moved = await looked(follow, {**cursor, "places": {CHANNEL: aged}})

    assert "late answer" not in {post.text for post in soon}
    assert "late answer" in {post.text for post in later}
    assert moved["places"][CHANNEL]["again"] > aged["again"]


async def test_a_handle_is_looked_up_once(upstream: YouTubeUpstream, tools: Tools) -> None:
    upstream.write("dark mode")
    follow = connector(upstream, tools, channel=HANDLE)

    posts, cursor = await looked(follow)
    await looked(follow, cursor)

    assert [post.text for post in posts] == ["dark mode"]
    assert [request.path.rpartition("/")[2] for request in upstream.requests] == [
        "channels",
        "commentThreads",
        "commentThreads",
    ]


async def test_a_handle_that_nobody_has_is_told(upstream: YouTubeUpstream, tools: Tools) -> None:
    with pytest.raises(SourceGone, match="@nobody"):
        await looked(connector(upstream, tools, channel="@nobody"))


async def test_a_video_without_comments_stops_no_other(
    upstream: YouTubeUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    upstream.closed = {"closed"}
    follow = connector(upstream, tools, channel="", videos=["closed", VIDEO])
    found = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.extend(row.text for row in page.rows if isinstance(row, ParsedPost))

    with pytest.raises(SourceBroken, match="disabled comments"):
        await take()

    assert found == ["dark mode"]


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected", "wait"),
    [
        (403, "quotaExceeded", "You have exceeded your quota.", SourceBusy, 3_600),
        (403, "rateLimitExceeded", "Slow down.", SourceBusy, 60),
        (403, "accessNotConfigured", "API has not been used.", CredentialsRefused, 0),
        (400, "badRequest", "API key not valid.", CredentialsRefused, 0),
        (404, "channelNotFound", "No such channel.", SourceBroken, 0),
        (400, "invalidPageToken", "The page token is invalid.", SourceBroken, 0),
    ],
)
async def test_googles_reasons_are_understood(
    upstream: YouTubeUpstream,
    tools: Tools,
    *,
    status: int,
    reason: str,
    message: str,
    expected: type[Exception],
    wait: float,
) -> None:
    upstream.error = status, reason, message

    with pytest.raises(expected, match=message) as told:
        await looked(connector(upstream, tools))

    assert getattr(told.value, "retry_after", 0) == wait
    assert KEY not in str(told.value)


async def test_each_unit_is_a_request_of_the_sources_quota(
    upstream: YouTubeUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    budget = Budget(1)
    follow = connector(upstream, Tools(tools.outbound, budget=budget))

    _, cursor = await looked(follow)
    with pytest.raises(SourceBusy, match="used up"):
        await looked(follow, cursor)

    assert upstream.units == budget.used == 1


async def test_a_cursor_stays_small_however_many_comments_have_answers(
    upstream: YouTubeUpstream, tools: Tools
) -> None:
    upstream.page = 100
    for number in range(1_300):
        top = upstream.write(f"comment {number}")
        upstream.write("yes", parent=top.native_id)
    follow = connector(upstream, tools)
    mark = (upstream.posts[0].at - timedelta(days=1)).isoformat()
    begun = {"channel": CHANNEL, "places": {CHANNEL: {"mark": mark}}}

    posts, cursor = await looked(follow, begun)

    assert len(posts) == 2_600
    assert len(json.dumps(cursor)) < 50_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: YouTubeUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = connector(upstream, Tools(tools.outbound, budget=Budget(30)))

    with suppress(SourceBroken, SourceBusy):
        posts, _ = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": ""},
        {"videos": ["a"]},
        {"channel": "maker"},
        {"channel": "@a/b"},
        {"api_key": ""},
        {"address": "ftp://x"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**YouTubeUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        YouTubeSettings.model_validate(values)

    assert KEY not in str(refused.value)
