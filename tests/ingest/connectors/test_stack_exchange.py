"""What is special to Stack Exchange; what every connector must do is in `test_conformance.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
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
    Tools,
)
from maru_ingest.connectors import stack_exchange
from maru_ingest.connectors.stack_exchange import StackExchangeConnector, StackExchangeSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.stack_exchange import KEY, StackExchangeUpstream

_NAMES = ["items", "has_more", "question_id", "answer_id", "comment_id", "post_id", "answers"]
_NAMES += ["comments", "link", "body", "owner", "last_activity_date", "answer_count", "error_id"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
        | st.fixed_dictionaries({"items": st.lists(inner, max_size=4), "has_more": st.booleans()})
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StackExchangeUpstream]:
    monkeypatch.setattr(stack_exchange, "_silent_until", {})
    async with StackExchangeUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: StackExchangeUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(
    upstream: StackExchangeUpstream, tools: Tools, **changes: Any
) -> StackExchangeConnector:
    values = {**upstream.settings(), **changes}
    return StackExchangeConnector(StackExchangeSettings.model_validate(values), tools)


async def looked(
    connector: StackExchangeConnector, cursor: Cursor | None = None
) -> tuple[list[Page], Cursor]:
    pages = [page async for page in connector.pages(cursor or {})]
    return pages, json.loads(json.dumps(pages[-1].cursor))


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


def gone(pages: list[Page]) -> set[str]:
    return {name for page in pages for name in page.deleted_if_known}


def methods(upstream: StackExchangeUpstream) -> list[str]:
    return [request.path.removeprefix("/2.3/") for request in upstream.requests]


async def test_a_question_comes_with_its_answers_and_their_comments(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    question = upstream.write("Is there a dark mode?")
    answer = upstream.write("Not yet.", parent=question.native_id)
    below = upstream.write("Why?", parent=answer.native_id)
    beside = upstream.write("I want one, too.", parent=question.native_id, is_comment=True)

    pages, _ = await looked(connector(upstream, tools, tags=["maru", "c++"], query="dark mode"))

    asked = upstream.requests[-1].query
    assert (asked["tagged"], asked["q"], asked["site"]) == (
        "maru;c++",
        "dark mode",
        "stackoverflow",
    )
    assert {post.native_id: post.in_reply_to for post in posts(pages)} == {
        question.native_id: "",
        answer.native_id: question.native_id,
        below.native_id: answer.native_id,
        beside.native_id: question.native_id,
    }


async def test_a_comment_makes_nothing_active_and_comes_all_the_same(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    begun = datetime.now(UTC) - timedelta(days=3)
    written = [upstream.write(f"{n}", at=begun + timedelta(hours=n)) for n in range(30)]
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.write("soon", parent=written[-20].native_id, is_comment=True)
    upstream.write("later", parent=written[0].native_id, is_comment=True)

    soon, cursor = await looked(follow, cursor)
    aged = {**cursor, "again": cursor["again"] - 7 * 3_600}
    later, moved = await looked(follow, aged)

    assert {"soon", "later"} & {*texts(soon)} == {"soon"}
    assert "later" in texts(later)
    assert moved["again"] > aged["again"]


async def test_what_was_deleted_below_a_question_is_gone(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    question = upstream.write("Is there a dark mode?")
    answer = upstream.write("Not yet.", parent=question.native_id)
    below = upstream.write("Why?", parent=answer.native_id)
    beside = upstream.write("I want one, too.", parent=question.native_id, is_comment=True)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.delete(answer)
    upstream.delete(beside)

    pages, cursor = await looked(follow, cursor)
    again, _ = await looked(follow, cursor)

    assert gone(pages) == {answer.native_id, below.native_id, beside.native_id}
    assert gone(again) == set()


async def test_what_did_not_come_whole_says_nothing_of_deletions(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    question = upstream.write("Is there a dark mode?")
    upstream.write("Not yet.", parent=question.native_id)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    question.extra["answers"] = []

    pages, _ = await looked(follow, cursor)

    assert gone(pages) == set()


async def test_a_deleted_question_goes_with_all_below_it_and_one_with_other_tags_stays(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    deleted, other = upstream.write("dark mode"), upstream.write("offline mode")
    answer = upstream.write("Not yet.", parent=deleted.native_id)
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.delete(deleted)
    upstream.untagged = {other.native_id}

    pages, cursor = await looked(follow, cursor)
    asked = len(upstream.requests)
    await looked(follow, cursor)

    assert gone(pages) == {deleted.native_id, answer.native_id}
    assert "offline mode" in texts(pages)
    assert len(upstream.requests) - asked == 1


async def test_what_was_missed_is_read_by_times_even_within_one_second(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    upstream.write("the first", at=now - timedelta(days=9))
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    at = [now - timedelta(days=1) + timedelta(seconds=n // 50) for n in range(120)]
    written = [upstream.write(f"{n}", at=one) for n, one in enumerate(at)]

    pages, moved = await looked(follow, cursor)

    assert {one.text for one in written} <= {*texts(pages)}
    assert moved["mark"] == int(at[-1].timestamp())
    assert all(page.cursor["mark"] <= moved["mark"] for page in pages)


async def test_a_pause_that_is_asked_for_is_kept(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    begun = datetime.now(UTC) - timedelta(days=1)
    for number in range(30):
        upstream.write(f"{number}", at=begun + timedelta(minutes=number))
    upstream.backoff = 1
    follow = connector(upstream, tools)

    pages, _ = await looked(follow, {"mark": int(begun.timestamp())})

    asked = [
        at
        for at, method in zip(upstream.asked, methods(upstream), strict=True)
        if method == "search/advanced"
    ]
    assert len(asked) == 3
    assert min(after - before for before, after in pairwise(asked)) >= 0.99
    assert pages[-1].next_due is not None


async def test_a_long_pause_ends_the_look_and_holds_for_every_source(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    upstream.backoff = 600
    pages, cursor = await looked(connector(upstream, tools))
    asked = len(upstream.requests)

    with pytest.raises(SourceBusy) as told:
        await looked(connector(upstream, tools, tags=["other"]), cursor)

    assert pages[-1].next_due is not None
    assert pages[-1].next_due > timedelta(minutes=9)
    assert 500 < told.value.retry_after <= 600
    assert len(upstream.requests) == asked


async def test_when_nothing_is_left_of_the_day_nobody_with_that_key_asks(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    upstream.quota = 2
    _, cursor = await looked(connector(upstream, tools))

    with pytest.raises(SourceBusy):
        await looked(connector(upstream, tools), cursor)
    upstream.quota = 10
    pages, _ = await looked(connector(upstream, tools, key=None))

    assert texts(pages) == ["dark mode"]


@pytest.mark.parametrize(
    ("number", "name", "message", "expected", "wait"),
    [
        (502, "throttle_violation", "more requests available in 53 seconds", SourceBusy, 53),
        (502, "throttle_violation", "too many requests", SourceBusy, 60),
        (503, "temporarily_unavailable", "maintenance", SourceBusy, 60),
        (400, "bad_parameter", "`key` doesn't match", CredentialsRefused, 0),
        (400, "bad_parameter", "No site found for name `x`", SourceBroken, 0),
        (403, "access_denied", "page above 25", CredentialsRefused, 0),
    ],
)
async def test_errors_are_understood(
    upstream: StackExchangeUpstream,
    tools: Tools,
    *,
    number: int,
    name: str,
    message: str,
    expected: type[Exception],
    wait: float,
) -> None:
    upstream.error = number, name, message

    with pytest.raises(expected, match=message) as told:
        await looked(connector(upstream, tools))

    assert getattr(told.value, "retry_after", 0) == wait
    assert KEY not in str(told.value)


async def test_a_refusal_for_asking_too_much_holds_for_every_source(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    upstream.error = 502, "throttle_violation", "more requests available in 3000 seconds"
    for tags in (["maru"], ["other"]):
        with pytest.raises(SourceBusy):
            await looked(connector(upstream, tools, tags=tags))

    assert len(upstream.requests) == 1


async def test_the_fields_are_agreed_on_once_and_again_when_others_are_wanted(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    follow = connector(upstream, tools)

    _, cursor = await looked(follow)
    await looked(follow, cursor)
    await looked(follow, {**cursor, "fields": "of long ago"})

    search, made = "search/advanced", "filters/create"
    assert methods(upstream) == [made, search, search, made, search]


async def test_a_cursor_stays_small(upstream: StackExchangeUpstream, tools: Tools) -> None:
    upstream.page = 30
    begun = datetime.now(UTC) - timedelta(days=1)
    for number in range(70):
        question = upstream.write(f"{number}", at=begun + timedelta(minutes=number))
        for _ in range(40):
            upstream.write("so", at=begun, parent=question.native_id)

    pages, cursor = await looked(connector(upstream, tools), {"mark": int(begun.timestamp())})

    assert len(texts(pages)) >= 70 * 41
    assert len(json.dumps(cursor)) < 30_000


async def test_one_bad_question_spoils_no_other(
    upstream: StackExchangeUpstream, tools: Tools
) -> None:
    good = {"question_id": 1, "body": "dark mode", "link": "https://stackoverflow.com/q/1"}
    upstream.answer = {"items": [7, {"user_id": 3}, good], "has_more": False}

    pages, _ = await looked(connector(upstream, tools))

    assert texts(pages) == ["dark mode"]
    assert sum(isinstance(row, BadRow) for page in pages for row in page.rows) == 2


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(answer=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: StackExchangeUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = connector(upstream, Tools(tools.outbound, budget=Budget(20)))

    known = {"7": [9, ["q/7", "a/8"]]}
    for cursor in ({}, {"mark": 1, "again": 1, "host": "stackoverflow.com", "known": known}):
        with suppress(SourceBroken, SourceBusy):
            await looked(follow, cursor)
    with suppress(SourceBroken, SourceBusy):
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        async for page in follow.history(moment, moment + timedelta(days=1), {}):
            assert page.cursor


@pytest.mark.parametrize(
    "changes",
    [{"tags": ["a;b"]}, {"tags": ["a b"]}, {"site": "stack/overflow"}, {"address": "ftp://x"}],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    values = {**StackExchangeUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        StackExchangeSettings.model_validate(values)

    assert KEY not in str(refused.value)
