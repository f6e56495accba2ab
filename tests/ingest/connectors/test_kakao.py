"""What is special to Kakao; what every connector must do is in `test_conformance.py`."""

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
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.connectors.kakao import KakaoConnector, KakaoSettings
from maru_ingest.formats.parsed import ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.kakao import KEY, KakaoUpstream

_NAMES = ["documents", "meta", "is_end", "title", "contents", "url", "datetime", "code", "msg"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)
_ANSWERS = _JSON | st.fixed_dictionaries({"documents": st.lists(_JSON, max_size=4), "meta": _JSON})


@pytest.fixture
async def upstream() -> AsyncIterator[KakaoUpstream]:
    async with KakaoUpstream().serving() as upstream:
        upstream.page = 50
        yield upstream


@pytest.fixture
async def tools(upstream: KakaoUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: KakaoUpstream, tools: Tools, **changes: Any) -> KakaoConnector:
    values = {**upstream.settings(), **changes}
    return KakaoConnector(KakaoSettings.model_validate(values), tools)


async def looked(
    connector: KakaoConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in connector.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor


async def test_each_service_has_its_medium_its_time_and_its_picture(
    upstream: KakaoUpstream, tools: Tools
) -> None:
    at = datetime(2026, 9, 25, 15, 0, 1, tzinfo=UTC)
    for service in ("blog", "cafe", "web"):
        written = upstream.write(f"dark {service}", at=at)
        written.extra.update(service=service, thumbnail="https://a.example/1.jpg")

    posts, _ = await looked(connector(upstream, tools, services=["blog", "cafe", "web"]))

    assert [post.text for post in posts] == ["dark blog", "dark cafe", "dark web"]
    assert [post.channel for post in posts] == [Channel.BLOG, Channel.COMMUNITY, None]
    assert [post.author for post in posts] == ["하늘 & 바다", "앱 모임", ""]
    assert [len(post.media) for post in posts] == [1, 1, 0]
    assert {post.created_at for post in posts} == {at}


async def test_a_look_goes_back_over_pages_to_what_is_known_and_no_further(
    upstream: KakaoUpstream, tools: Tools
) -> None:
    for number in range(120):
        upstream.write(f"old {number}")
    follow = connector(upstream, tools)
    first, cursor = await looked(follow)
    for number in range(130):
        upstream.write(f"new {number}")

    asked = len(upstream.requests)
    posts, cursor = await looked(follow, cursor)
    again, _ = await looked(follow, cursor)

    assert len(first) == 50
    assert [post.text for post in posts] == [f"new {number}" for number in range(130)]
    assert again == []
    assert len(upstream.requests) - asked == 5


async def test_what_daum_does_not_show_is_given_up(upstream: KakaoUpstream, tools: Tools) -> None:
    upstream.pageable = 75
    upstream.write("the first")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(100):
        upstream.write(f"new {number}")

    posts, _ = await looked(follow, cursor)

    assert [post.text for post in posts] == [f"new {number}" for number in range(25, 100)]


async def test_a_look_back_stops_where_the_range_begins(
    upstream: KakaoUpstream, tools: Tools
) -> None:
    since = datetime(2026, 9, 1, tzinfo=UTC)
    for hours in range(-100, 100):
        upstream.write(f"hour {hours}", at=since + timedelta(hours=hours))
    follow = connector(upstream, tools)

    pages = [page async for page in follow.history(since, since + timedelta(hours=60), {})]

    texts = {row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)}
    assert texts == {f"hour {hours}" for hours in range(60)}
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    ("status", "body", "expected", "wait"),
    [
        (429, {"errorType": "RequestThrottled", "message": "Limit."}, SourceBusy, 3_600),
        (400, {"code": -10, "msg": "Limit."}, SourceBusy, 3_600),
        (429, {"code": -10, "msg": "Limit.", "extras": {}}, SourceBusy, 3_600),
        (400, {"code": -7, "msg": "Maintenance."}, SourceBusy, 60),
        (401, {"code": -401, "msg": "No such app key."}, CredentialsRefused, 0),
        (403, {"code": -3, "msg": "Not enabled."}, CredentialsRefused, 0),
        (400, {"code": -2, "msg": "Wrong page."}, SourceBroken, 0),
        (400, {"errorType": "InvalidArgument", "message": "Size."}, SourceBroken, 0),
    ],
)
async def test_kakaos_errors_are_understood(
    upstream: KakaoUpstream,
    tools: Tools,
    *,
    status: int,
    body: dict[str, Any],
    expected: type[Exception],
    wait: float,
) -> None:
    upstream.error = status, body

    with pytest.raises(expected, match=body.get("msg") or body["message"]) as told:
        await looked(connector(upstream, tools))

    assert getattr(told.value, "retry_after", 0) == wait


async def test_a_key_that_kakao_repeats_is_not_told(upstream: KakaoUpstream, tools: Tools) -> None:
    with pytest.raises(CredentialsRefused, match=r"wrong appKey\(…\) format"):
        await looked(connector(upstream, tools, rest_api_key="another-secret"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_ANSWERS, status=st.sampled_from([200, 200, 400, 429]))
async def test_no_answer_breaks_the_connector(
    upstream: KakaoUpstream, tools: Tools, answer: Any, status: int
) -> None:
    upstream.error = status, answer
    follow = connector(upstream, tools)

    with suppress(SourceBroken, SourceBusy):
        posts, cursor = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts)
        await looked(follow, cursor)


@pytest.mark.parametrize(
    "changes",
    [{"query": ""}, {"services": []}, {"services": ["book"]}, {"rest_api_key": ""}],
)
def test_settings_that_find_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**KakaoUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        KakaoSettings.model_validate(values)

    assert KEY not in str(refused.value)
