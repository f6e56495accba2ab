"""What is special to Google Play; what every connector must do is in `test_conformance.py`."""

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
from maru_ingest.connectors.googleplay import GooglePlayConnector, GooglePlaySettings
from maru_ingest.formats.parsed import ParsedPost, Rating
from maru_kit.outbound import Manners, open_outbound
from upstreams.googleplay import GooglePlayUpstream, a_key

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["reviews", "reviewId", "comments", "userComment", "text", "lastModified",
                 "seconds", "nanos", "starRating", "tokenPagination", "nextPageToken", "error"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.fixture
async def upstream() -> AsyncIterator[GooglePlayUpstream]:
    async with GooglePlayUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: GooglePlayUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: GooglePlayUpstream, tools: Tools, **changes: Any) -> GooglePlayConnector:
    values = {**upstream.settings(), **changes}
    return GooglePlayConnector(GooglePlaySettings.model_validate(values), tools)


@pytest.fixture
def follow(upstream: GooglePlayUpstream, tools: Tools) -> GooglePlayConnector:
    return connector(upstream, tools)


async def looked(
    follow: GooglePlayConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in follow.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor


def tokens_asked(upstream: GooglePlayUpstream) -> list[str]:
    return [it.query.get("token", "") for it in upstream.requests if it.method == "GET"]


async def test_a_review_has_its_stars_its_own_words_and_its_time(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    written = upstream.write("Dark mode, please")
    written.extra = {"originalText": "다크 모드 주세요"}

    (post,), _ = await looked(connector(upstream, tools))

    assert (post.native_id, post.text, post.lang) == ("gp:AOqpTO000001", "다크 모드 주세요", "ko")
    assert (post.author, post.rating) == ("하늘", Rating(2, 5))
    assert post.created_at == post.edited_at == written.at
    assert post.metrics == {"likes": 3}


async def test_a_look_goes_back_to_what_was_known_and_an_edit_comes_first(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    upstream.page = 4
    old = datetime.now(UTC) - timedelta(days=5)
    written = [upstream.write(f"old {n}", at=old + timedelta(hours=3 * n)) for n in range(20)]
    follow = connector(upstream, tools)
    first, cursor = await looked(follow)
    upstream.requests.clear()
    upstream.edit(written[0], "changed")
    for number in range(5):
        upstream.write(f"new {number}")

    posts, _ = await looked(follow, cursor)

    assert len(first) == 4
    assert tokens_asked(upstream) == ["", "t4", "t8"]
    assert {"changed", *(f"new {number}" for number in range(5))} <= {it.text for it in posts}


async def test_a_look_back_brings_the_seven_days_that_are_listed(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    upstream.page = 4
    now = datetime.now(UTC)
    for number in range(20):
        upstream.write(f"review {number}", at=now - timedelta(days=number / 2, minutes=1))
    follow = connector(upstream, tools)

    history = follow.history(now - timedelta(days=30), now, {})
    found = [row async for page in history for row in page.rows]

    assert len(found) == 14


async def test_no_reviews_are_no_fault_and_what_comes_is_new(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    upstream.page = 4
    follow = connector(upstream, tools)
    posts, cursor = await looked(follow)
    for number in range(9):
        upstream.write(f"review {number}")

    later, _ = await looked(follow, cursor)

    assert (posts, len(later)) == ([], 9)


async def test_a_key_of_somebody_else_is_refused(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    stranger = a_key(upstream.url, client_email="somebody@else.example")

    with pytest.raises(CredentialsRefused, match="Invalid JWT Signature"):
        await looked(connector(upstream, tools, key=stranger))


async def test_one_token_serves_a_whole_look(upstream: GooglePlayUpstream, tools: Tools) -> None:
    upstream.page = 2
    for number in range(7):
        upstream.write(f"review {number}")
    mark = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    await looked(connector(upstream, tools), {"mark": mark})

    assert len(upstream.authorization.forms) == 1
    assert tokens_asked(upstream) == ["", "t2", "t4", "t6"]


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected", "wait"),
    [
        (403, "quotaExceeded", "Quota exceeded for quota metric.", SourceBusy, 3_600),
        (429, "rateLimitExceeded", "Slow down.", SourceBusy, 60),
        (403, "permissionDenied", "The caller does not have permission", CredentialsRefused, 0),
        (404, "applicationNotFound", "No application was found.", SourceGone, 0),
        (400, "invalid", "Bad token.", SourceBroken, 0),
        (500, "backendError", "Oops.", SourceBusy, 0),
    ],
)
async def test_googles_reasons_are_understood(
    upstream: GooglePlayUpstream,
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


async def test_a_list_that_names_one_page_again_and_again_is_given_up(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    upstream.answer = {"tokenPagination": {"nextPageToken": "t1"}}
    mark = datetime.now(UTC).isoformat()

    with pytest.raises(SourceBroken, match="the same page"):
        await looked(connector(upstream, tools), {"mark": mark})

    assert tokens_asked(upstream) == ["", "t1"]


async def test_each_request_counts_that_for_the_token_too(
    upstream: GooglePlayUpstream, tools: Tools
) -> None:
    budget = Budget(1)

    with pytest.raises(SourceBusy, match="used up"):
        await looked(connector(upstream, Tools(tools.outbound, budget=budget)))

    assert len(upstream.requests) == 1


@settings(  # each look signs for a token of its own
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20
)
@given(answer=_JSON | st.fixed_dictionaries({"reviews": st.lists(_JSON, max_size=3)}))
async def test_no_answer_breaks_the_connector(
    upstream: GooglePlayUpstream, follow: GooglePlayConnector, answer: Any
) -> None:
    upstream.answer = answer

    with suppress(SourceBroken, SourceBusy):
        posts, _ = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts)


@pytest.mark.parametrize(
    "changes",
    [
        {"package": "notes"},
        {"package": "com.example/../x"},
        {"key": ""},
        {"key": "{}"},
        {"key": a_key("http://127.0.0.1", private_key="hush-hush")},
        {"address": "ftp://x"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**GooglePlayUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        GooglePlaySettings.model_validate(values)

    shown = str(refused.value)
    assert "hush-hush" not in shown
    assert json.loads(a_key(""))["private_key"][40:80] not in shown
