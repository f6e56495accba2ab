"""What is special to Facebook and Meta's Graph API; the rest is in `test_conformance.py`."""

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
    Budget,
    CredentialsRefused,
    Cursor,
    Forged,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.facebook import CONNECTOR, FacebookSettings
from maru_ingest.domain import Credentials
from maru_ingest.formats.parsed import BadRow, ParsedPost, Unreadable
from maru_ingest.graph import GraphConnector
from maru_kit.outbound import Manners, open_outbound
from upstreams.facebook import PAGE, SECRET, TOKEN, VERIFY, FacebookUpstream

_NAMES = [
    "data", "id", "message", "created_time", "comments", "paging", "cursors", "after", "next",
    "from", "parent", "error", "code", "error_subcode", "summary", "object", "entry", "changes",
    "value", "item", "verb",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["page", PAGE, "feed", "comment", "add", "2026-01-01T00:00:00+0000"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@pytest.fixture
async def upstream() -> AsyncIterator[FacebookUpstream]:
    async with FacebookUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: FacebookUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def following(upstream: FacebookUpstream, tools: Tools, **changes: Any) -> GraphConnector:
    assert CONNECTOR.open is not None
    values = {**upstream.settings(), **changes}
    found = CONNECTOR.open(FacebookSettings.model_validate(values), tools)
    assert isinstance(found, GraphConnector)
    return found


async def looked(
    follow: GraphConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Page]:
    pages = [page async for page in follow.pages(cursor or {})]
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)], pages[-1]


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def test_more_comments_than_come_with_a_post_are_fetched_back_to_what_is_known(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    upstream.page = 100
    post = upstream.write("News!", at=hours_ago(24 * 5))
    upstream.write("known", at=hours_ago(10), parent=post.native_id)
    for number in range(200):
        said = upstream.write(
            f"comment {number}", at=hours_ago(2 - number / 200), parent=post.native_id
        )
    upstream.write("answer", parent=said.native_id)

    posts, _ = await looked(following(upstream, tools), {"mark": hours_ago(3).isoformat()})

    texts = [one.text for one in posts]
    assert {f"comment {n}" for n in range(200)} | {"News!", "answer"} <= set(texts)
    assert len(texts) == len(set(texts))
    (answer,) = [one for one in posts if one.text == "answer"]
    assert answer.in_reply_to == said.native_id
    assert {one.in_reply_to for one in posts} == {"", post.native_id, said.native_id}
    assert len(upstream.requests) == 3


async def test_comments_below_old_posts_come_for_some_days_and_a_quiet_look_is_one_request(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    old = upstream.write("old", at=hours_ago(24 * 13))
    older = upstream.write("older", at=hours_ago(24 * 15))
    follow = following(upstream, tools)
    _, page = await looked(follow)
    upstream.requests.clear()
    upstream.write("late", parent=old.native_id)
    upstream.write("too late", parent=older.native_id)

    posts, _ = await looked(follow, page.cursor)

    assert [one.text for one in posts] == ["old", "late"]
    assert len(upstream.requests) == 1


async def test_what_is_written_while_a_look_goes_on_is_not_passed_over(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    for number in range(45):
        upstream.write(f"post {number}")
    follow, mark = following(upstream, tools), hours_ago(1).isoformat()

    pages = [page async for page in follow.pages({"mark": mark})]
    first, last = pages[0].cursor, pages[-1].cursor
    rest = [page async for page in follow.pages(first)]

    assert (first["mark"], len(pages)) == (mark, 3)
    assert first["look"]["started"] == last["mark"] == rest[-1].cursor["mark"]
    assert len({row.native_id for page in (pages[0], *rest) for row in page.rows
                if isinstance(row, ParsedPost)}) == 45  # fmt: skip


async def test_comments_that_show_some_minutes_late_come_all_the_same(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    mark = datetime.now(UTC)
    post = upstream.write("News!", at=mark - timedelta(days=1))
    for number in range(60):
        at = mark - timedelta(seconds=250 - number)
        upstream.write(f"late {number}", at=at, parent=post.native_id)

    posts, _ = await looked(following(upstream, tools), {"mark": mark.isoformat()})

    assert len(posts) == 61


async def test_a_look_that_was_cut_off_long_ago_begins_anew_and_loses_nothing(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    for number in range(50):
        upstream.write(f"post {number}")
    mark = hours_ago(1).isoformat()
    lost = {"since": "1", "started": mark, "after": "a-place-that-is-gone"}

    posts, page = await looked(following(upstream, tools), {"mark": mark, "look": lost})

    assert {one.text for one in posts} == {f"post {n}" for n in range(50)}
    assert "look" not in page.cursor
    assert page.cursor["mark"] > mark


async def test_what_graph_can_not_gather_at_once_is_asked_for_in_smaller_parts(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    upstream.most = 5
    for number in range(12):
        upstream.write(f"post {number}")

    posts, _ = await looked(following(upstream, tools), {"mark": hours_ago(1).isoformat()})

    assert len(posts) == 12


@pytest.mark.parametrize(
    ("header", "value", "wait"),
    [
        ("X-App-Usage", {"call_count": 91, "total_time": 5, "total_cputime": 5}, 300),
        ("X-Page-Usage", {"call_count": 5, "total_time": 95.5, "total_cputime": 5}, 300),
        (
            "X-Business-Use-Case-Usage",
            {
                PAGE: [
                    {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 19},
                ]
            },
            19 * 60,
        ),
        ("X-App-Usage", {"call_count": 28, "total_time": 25, "total_cputime": 25}, None),
        ("X-App-Usage", ["?"], None),
    ],
)
async def test_little_that_is_left_is_not_used_up(
    upstream: FacebookUpstream, tools: Tools, header: str, value: object, wait: float | None
) -> None:
    upstream.usage = {header: json.dumps(value)}
    for number in range(30):
        upstream.write(f"post {number}")
    found: list[Page] = []

    async def take() -> None:
        async for page in following(upstream, tools).pages({"mark": hours_ago(1).isoformat()}):
            found.append(page)  # noqa: PERF401 - what came before the error counts

    _, first = await looked(following(upstream, tools))
    if wait is None:
        await take()
        assert (first.next_due, len(found)) == (None, 2)
        return
    with pytest.raises(SourceBusy) as busy:
        await take()

    assert first.next_due == timedelta(seconds=wait)
    assert (busy.value.retry_after, len(found)) == (wait, 1)
    assert found[0].cursor["look"]["after"], "it goes on there"


@pytest.mark.parametrize(
    ("told", "expected", "says", "wait"),
    [
        ({"code": 4}, SourceBusy, "patience", 300),
        ({"code": 17}, SourceBusy, "patience", 300),
        ({"code": 32}, SourceBusy, "patience", 300),
        ({"code": 613}, SourceBusy, "patience", 300),
        ({"code": 80001}, SourceBusy, "patience", 300),
        ({"code": 2}, SourceBusy, "now", 2),
        ({"code": 190, "error_subcode": 463}, CredentialsRefused, "expired", 0),
        ({"code": 190, "error_subcode": 460}, CredentialsRefused, "password", 0),
        ({"code": 190}, CredentialsRefused, "token", 0),
        ({"code": 10}, CredentialsRefused, "permission", 0),
        ({"code": 200}, CredentialsRefused, "permission", 0),
        ({"code": 100, "error_subcode": 33}, SourceGone, "no such page", 0),
        ({"code": 100}, SourceBroken, "refuses", 0),
        ({"code": 999_999}, SourceBroken, "refuses", 0),
    ],
)
async def test_graphs_errors_are_understood(
    upstream: FacebookUpstream,
    tools: Tools,
    *,
    told: dict[str, Any],
    expected: type[Exception],
    says: str,
    wait: float,
) -> None:
    upstream.error = 400, {"message": "(#x) Facebook's own words", "type": "OAuthException", **told}

    with pytest.raises(expected, match=says) as raised:
        await looked(following(upstream, tools))

    assert type(raised.value) is expected
    assert "Facebook's own words" in str(raised.value)
    assert getattr(raised.value, "retry_after", 0) == wait
    assert TOKEN not in str(raised.value)
    assert "appsecret" not in str(raised.value)


async def test_what_has_no_words_is_left_out_and_one_odd_post_stops_no_other(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    good = {"id": "1_2", "message": "dark mode", "created_time": "2026-01-01T00:00:00+0000"}
    photo = {"id": "1_3", "created_time": "2026-01-01T00:00:00+0000"}
    story = {**photo, "id": "1_4", "story": "Maker updated their cover photo."}
    upstream.answer = {"data": [good, photo, story, 7, {"what": "ever"}]}

    pages = [page async for page in following(upstream, tools).pages({})]
    upstream.answer = {"data": [7]}
    odd = [page async for page in following(upstream, tools).pages({})]

    rows = [row for page in pages for row in page.rows]
    assert [row.text for row in rows if isinstance(row, ParsedPost)] == ["dark mode"]
    assert len([row for row in rows if isinstance(row, BadRow)]) == 2
    assert [type(row) for row in odd[0].rows] == [BadRow]


async def test_an_id_that_is_none_leads_nowhere(upstream: FacebookUpstream, tools: Tools) -> None:
    now = "2026-01-01T00:00:00+0000"
    said = {"id": "9", "message": "x", "created_time": now}
    goes_on = {"next": "https://elsewhere.invalid/", "cursors": {"after": "a"}}
    comments = {"data": [said], "paging": goes_on}
    post = {"id": "../me?x=1", "message": "x", "created_time": now, "comments": comments}
    upstream.answer = {"data": [post]}

    await looked(following(upstream, tools), {"mark": "2025-01-01T00:00:00+00:00"})

    assert [request.path for request in upstream.requests] == [f"/v24.0/{PAGE}/feed"]


async def test_requests_are_the_sources_quota(upstream: FacebookUpstream, tools: Tools) -> None:
    budget = Budget(1)
    follow = following(upstream, Tools(tools.outbound, budget=budget))
    await looked(follow)

    with pytest.raises(SourceBusy, match="used up"):
        await looked(follow)

    assert len(upstream.requests) == budget.used == 1


def test_a_webhook_tells_of_its_page_alone_and_an_edit_has_a_time() -> None:
    upstream = FacebookUpstream()
    post = upstream.write("News!")
    comment = upstream.write("dark mode", parent=post.native_id)
    model = FacebookSettings.model_validate(upstream.settings())
    hook = CONNECTOR.hook
    assert hook is not None

    def read(message: tuple[Any, bytes]) -> Any:
        headers = {name.lower(): value for name, value in message[0].items()}
        return hook.read(model, headers, message[1])

    (edited,) = read(upstream.pushed(comment, "edited")).rows
    photo = {"item": "photo", "verb": "add", "post_id": "1_9", "message": "see",
             "photo": "https://cdn.example/p.jpg?oe=1", "created_time": 1}  # fmt: skip
    (seen,) = read(upstream.signed([{"field": "feed", "value": photo}])).rows
    like = {"item": "reaction", "verb": "add", "post_id": "1_9", "reaction_type": "like"}

    assert edited.edited_at is not None
    assert (edited.created_at, edited.in_reply_to) == (
        comment.at.replace(microsecond=0),
        post.native_id,
    )
    assert seen.media == (), "links that change all the time would look like edits"
    assert not read(upstream.signed([{"field": "feed", "value": like}])).rows
    assert not read(upstream.signed([{"field": "feed", "value": photo}], entry="42")).rows


@pytest.mark.parametrize(
    ("changes", "secret"),
    [({}, "of another app"), ({"app_secret": ""}, ""), ({"app_secret": ""}, SECRET)],
)
def test_a_webhook_of_another_app_is_forged_and_so_is_each_without_a_secret(
    changes: dict[str, str], secret: str
) -> None:
    upstream = FacebookUpstream()
    headers, body = upstream.signed([], secret=secret)
    model = FacebookSettings.model_validate({**upstream.settings(), **changes})
    assert CONNECTOR.hook is not None

    with pytest.raises(Forged):
        CONNECTOR.hook.read(model, {k.lower(): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, {"hub.verify_token": "another"}),
        ({}, {"hub.mode": "unsubscribe"}),
        ({}, {"hub.challenge": "1" * 2_000}),
        ({}, {"hub.verify_token": "\udc80"}),
        ({"verify_token": ""}, {"hub.verify_token": ""}),
    ],
)
def test_who_does_not_know_the_verify_token_gets_no_answer(
    changes: dict[str, str], asked: dict[str, str]
) -> None:
    model = FacebookSettings.model_validate({**FacebookUpstream().settings(), **changes})
    good = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    assert CONNECTOR.hook is not None

    with pytest.raises(Forged):
        CONNECTOR.hook.greet(model, {**good, **asked})

    if not changes:
        assert CONNECTOR.hook.greet(model, good) == "1158201444"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON | st.fixed_dictionaries({"data": st.lists(_JSON, max_size=4)}))
async def test_no_answer_breaks_the_connector(
    upstream: FacebookUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = following(upstream, Tools(tools.outbound, budget=Budget(10)))

    for cursor in ({}, {"mark": "2026-01-01T00:00:00+00:00"}):
        with suppress(SourceBroken, SourceBusy):
            await looked(follow, cursor)
    with suppress(SourceBroken, SourceBusy):
        async for page in follow.history(hours_ago(48), hours_ago(1), {}):
            assert all(isinstance(row, ParsedPost | BadRow) for row in page.rows)


@settings(deadline=None)
@given(entries=_JSON | st.lists(_JSON, max_size=3))
def test_no_webhook_breaks_the_connector(entries: Any) -> None:
    upstream = FacebookUpstream()
    model = FacebookSettings.model_validate(upstream.settings())
    headers, body = upstream.signed(entries)
    assert CONNECTOR.hook is not None

    with suppress(Unreadable):
        CONNECTOR.hook.read(model, {k.lower(): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    "changes",
    [{"page": "maker"}, {"page": ""}, {"access_token": ""}, {"version": "24"}, {"days": 0}],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**FacebookUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        FacebookSettings.model_validate(values)

    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    ("told", "days"),
    [
        ({"expires_at": 0, "data_access_expires_at": 0}, None),
        ({"expires_at": 0, "data_access_expires_at": 6}, 6),
        ({"expires_at": 4, "data_access_expires_at": 6}, 4),
        ({"expires_at": "soon"}, None),
        ({"expires_at": 10**15}, None),
    ],
)
async def test_when_the_token_ends_is_asked_once_a_day(
    upstream: FacebookUpstream, tools: Tools, told: dict[str, Any], days: int | None
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    upstream.ends = {
        name: int((now + timedelta(days=value)).timestamp()) if value in (4, 6) else value
        for name, value in told.items()
    }
    credentials = Credentials()
    follow = following(upstream, replace(tools, credentials=credentials))

    _, page = await looked(follow)
    await looked(follow, page.cursor)

    asked = [one for one in upstream.requests if one.path.endswith("/debug_token")]
    assert len(asked) == 1
    assert SECRET not in asked[0].path_qs
    assert credentials.expire_at == (None if days is None else now + timedelta(days=days))
    assert not credentials.are_unchecked(now)
    assert credentials.are_unchecked(now + timedelta(hours=25))


async def test_a_token_that_may_not_be_asked_about_is_followed_all_the_same(
    upstream: FacebookUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    upstream.ends = None
    soon = datetime.now(UTC) + timedelta(days=3)
    credentials = Credentials(expire_at=soon)
    follow = following(upstream, replace(tools, credentials=credentials))

    posts, _ = await looked(follow)

    assert [post.text for post in posts] == ["dark mode"]
    assert credentials.expire_at == soon
