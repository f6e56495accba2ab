"""What is special to Naver; what every connector must do is in `test_conformance.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Budget,
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.connectors.naver import NaverConnector, NaverSettings
from maru_ingest.formats.parsed import ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.naver import SECRET, NaverUpstream
from upstreams.upstream import Written

_NAMES = ["items", "lastBuildDate", "total", "title", "description", "link", "postdate", "error"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)
_ANSWERS = _JSON | st.fixed_dictionaries(
    {"lastBuildDate": st.just("x"), "items": st.lists(_JSON, max_size=4), "total": _JSON}
)
_ALL = ["blog", "cafearticle", "news", "kin"]


@pytest.fixture
async def upstream() -> AsyncIterator[NaverUpstream]:
    async with NaverUpstream().serving() as upstream:
        upstream.page = 100
        yield upstream


@pytest.fixture
async def tools(upstream: NaverUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: NaverUpstream, tools: Tools, **changes: Any) -> NaverConnector:
    values = {**upstream.settings(), **changes}
    return NaverConnector(NaverSettings.model_validate(values), tools)


def write(upstream: NaverUpstream, text: str, **extra: str) -> Written:
    written = upstream.write(text)
    written.extra.update(extra)
    return written


async def looked(
    connector: NaverConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in connector.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor


async def test_each_service_has_its_medium_and_its_time(
    upstream: NaverUpstream, tools: Tools
) -> None:
    for service in _ALL:
        write(upstream, f"dark {service}", service=service)

    posts, _ = await looked(connector(upstream, tools, services=_ALL))

    found = {post.text: post for post in posts}
    channels = [found[f"dark {service}"].channel for service in _ALL]
    assert channels == [Channel.BLOG, Channel.COMMUNITY, Channel.PRESS, None]
    blog, cafe, news = (found[f"dark {service}"].created_at for service in _ALL[:3])
    assert cafe is None
    assert news == upstream.posts[2].at.replace(microsecond=0)
    assert blog is not None
    assert (blog + timedelta(hours=9)).time() == datetime.min.time()
    assert blog <= datetime.now(UTC)


async def test_keys_of_naver_developers_work_too(upstream: NaverUpstream, tools: Tools) -> None:
    upstream.write("dark mode")
    old = connector(upstream, tools, keys="developers", address=f"{upstream.url}/v1/search")

    posts, _ = await looked(old)

    assert [post.text for post in posts] == ["dark mode"]


async def test_a_quiet_look_takes_one_request_for_each_service(
    upstream: NaverUpstream, tools: Tools
) -> None:
    for number in range(150):
        upstream.write(f"post {number}")
    budget = Budget()
    follow = connector(upstream, Tools(tools.outbound, deadline=30.0, budget=budget))

    first, cursor = await looked(follow)
    again, after = await looked(follow, cursor)

    assert len(first) == 100
    assert (again, after, budget.used) == ([], cursor, 2)


async def test_results_that_come_and_go_do_not_lead_far_back(
    upstream: NaverUpstream, tools: Tools
) -> None:
    for number in range(400):
        upstream.write(f"post {number}")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.delete(upstream.posts[-1])
    upstream.write("new")

    asked = len(upstream.requests)
    posts, _ = await looked(follow, cursor)

    assert [post.text for post in posts] == ["new"]
    assert len(upstream.requests) == asked + 1


async def test_an_old_result_among_new_ones_does_not_end_a_look(
    upstream: NaverUpstream, tools: Tools
) -> None:
    written = [upstream.write(f"post {number}") for number in range(100)]
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(250):
        upstream.write(f"new {number}")
    written[0].at = datetime.now(UTC)  # as when it is written anew

    posts, _ = await looked(follow, cursor)

    assert [post.text for post in posts] == [f"new {number}" for number in range(250)]


async def test_what_is_out_of_reach_is_given_up_and_the_cursor_stays_small(
    upstream: NaverUpstream, tools: Tools
) -> None:
    upstream.write("the first")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(1_050):
        upstream.write(f"new {number}")

    posts, cursor = await looked(follow, cursor)
    again, _ = await looked(follow, cursor)

    assert [post.text for post in posts] == [f"new {number}" for number in range(50, 1_050)]
    assert again == []
    assert len(json.dumps(cursor)) < 10_000


async def test_an_excerpt_that_is_cut_elsewhere_is_no_edit(
    upstream: NaverUpstream, tools: Tools
) -> None:
    written = write(upstream, "… dark mode …", service="blog", link="https://blog.naver.com/a/1")
    follow = connector(upstream, tools, services=["blog"])
    _, cursor = await looked(follow)
    written.text = "… or offline …"
    written.extra["link"] = "https://m.blog.naver.com/a/1"

    assert (await looked(follow, cursor))[0] == []


async def test_a_service_that_fails_stops_no_other(upstream: NaverUpstream, tools: Tools) -> None:
    write(upstream, "dark mode", service="kin")
    upstream.closed = {"blog"}
    follow = connector(upstream, tools, services=["blog", "kin"])
    found: list[str] = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.extend(row.text for row in page.rows if isinstance(row, ParsedPost))

    with pytest.raises(SourceBroken, match="Invalid search api"):
        await take()

    assert found == ["dark mode"]


async def test_a_look_back_brings_blogs_by_their_day_and_nothing_without_a_time(
    upstream: NaverUpstream, tools: Tools
) -> None:
    midnight = datetime(2026, 9, 25, 15, tzinfo=UTC)  # in Seoul
    for service in _ALL:
        for hours in (-1, 1, 23, 25):
            written = upstream.write(f"{service} {hours}", at=midnight + timedelta(hours=hours))
            written.extra.update(service=service, link=f"https://a.example/{service}/{hours}")
    follow = connector(upstream, tools, services=_ALL)

    pages = follow.history(midnight, midnight + timedelta(days=1), {})
    texts = {row.text async for page in pages for row in page.rows if isinstance(row, ParsedPost)}

    assert texts == {"blog 1", "blog 23", "news 1", "news 23"}


@pytest.mark.parametrize(
    ("status", "body", "expected", "wait"),
    [
        (429, {"errorMessage": "Query limit exceeded", "errorCode": "010"}, SourceBusy, 3_600),
        (429, {"errorMessage": "Rate limit exceeded", "errorCode": "012"}, SourceBusy, 60),
        (429, {"error": {"errorCode": "400", "message": "Quota Exceeded"}}, SourceBusy, 3_600),
        (429, {"error": {"errorCode": 420, "message": "Rate Limited"}}, SourceBusy, 60),
        (401, {"errorMessage": "Not Exist Client ID", "errorCode": "024"}, CredentialsRefused, 0),
        (401, {"error": {"errorCode": "210", "message": "Denied"}}, CredentialsRefused, 0),
        (400, {"errorMessage": "Incorrect query request", "errorCode": "SE01"}, SourceBroken, 0),
        (500, {"errorMessage": "System Error", "errorCode": "SE99"}, SourceBusy, 0),
    ],
)
async def test_navers_errors_are_understood(
    upstream: NaverUpstream,
    tools: Tools,
    *,
    status: int,
    body: dict[str, Any],
    expected: type[Exception],
    wait: float,
) -> None:
    upstream.error = status, body
    told = body.get("errorMessage") or body["error"]["message"]

    with pytest.raises(expected, match=told) as raised:
        await looked(connector(upstream, tools))

    assert getattr(raised.value, "retry_after", 0) == wait


@pytest.mark.parametrize("keys", ["hub", "developers"])
async def test_keys_that_are_wrong_are_told_and_not_shown(
    upstream: NaverUpstream, tools: Tools, keys: str
) -> None:
    path = {"hub": "search/v1", "developers": "v1/search"}[keys]
    other = connector(
        upstream, tools, keys=keys, client_id="other", address=f"{upstream.url}/{path}"
    )

    with pytest.raises(CredentialsRefused, match=r"(?i)authentication failed") as refused:
        await looked(other)

    assert SECRET not in str(refused.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_ANSWERS)
async def test_no_answer_breaks_the_connector(
    upstream: NaverUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = connector(upstream, tools)

    with suppress(SourceBroken, SourceBusy):
        posts, cursor = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts)
        await looked(follow, cursor)


@pytest.mark.parametrize(
    "changes",
    [
        {"query": ""},
        {"services": []},
        {"services": ["shop"]},
        {"client_secret": ""},
        {"keys": "x"},
        {"address": "ftp://x"},
    ],
)
def test_settings_that_find_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**NaverUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        NaverSettings.model_validate(values)

    assert SECRET not in str(refused.value)
