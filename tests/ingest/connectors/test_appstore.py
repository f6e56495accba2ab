"""What is special to the App Store; what every connector must do is in `test_conformance.py`."""

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
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors.appstore import AppStoreConnector, AppStoreSettings
from maru_ingest.formats.parsed import ParsedPost, Rating
from maru_kit.outbound import Manners, open_outbound
from upstreams.appstore import APP, AppStoreUpstream

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["feed", "entry", "link", "attributes", "rel", "label", "id", "im:rating",
                 "im:name", "updated", "content"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.fixture
async def upstream() -> AsyncIterator[AppStoreUpstream]:
    async with AppStoreUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: AppStoreUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: AppStoreUpstream, tools: Tools, **changes: Any) -> AppStoreConnector:
    values = {**upstream.settings(), **changes}
    return AppStoreConnector(AppStoreSettings.model_validate(values), tools)


async def looked(
    follow: AppStoreConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in follow.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor


def pages_asked(upstream: AppStoreUpstream) -> list[str]:
    return [f"{it.match_info['country']} {it.match_info['page']}" for it in upstream.requests]


async def test_a_review_has_its_stars_its_author_and_its_time(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    upstream.leads = True
    written = upstream.write("다크 모드 주세요")

    (post,), _ = await looked(connector(upstream, tools))

    assert (post.native_id, post.text) == ("apple/10743046471", "다크 모드 주세요")
    assert (post.author, post.author_name, post.rating) == ("71", "하늘", Rating(2, 5))
    assert post.created_at == post.edited_at == written.at.astimezone(UTC)
    assert post.metrics == {"likes": 4}


@pytest.mark.parametrize("leads", [True, False])
async def test_an_app_without_reviews_is_no_fault_and_what_comes_is_new(
    upstream: AppStoreUpstream, tools: Tools, *, leads: bool
) -> None:
    upstream.leads, upstream.page = leads, 4
    follow = connector(upstream, tools)
    posts, cursor = await looked(follow)
    for number in range(9):
        upstream.write(f"review {number}")

    later, _ = await looked(follow, cursor)

    assert (posts, len(later)) == ([], 9)


async def test_each_country_is_read_back_to_what_is_known_of_it(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    upstream.abroad, upstream.page = {"us"}, 4
    old = datetime.now(UTC) - timedelta(days=9)
    for number in range(20):
        upstream.write(f"old {number}", at=old + timedelta(hours=6 * number))
    follow = connector(upstream, tools, countries=["us", "kr"])
    _, cursor = await looked(follow)
    first = pages_asked(upstream)
    upstream.requests.clear()
    for number in range(9):
        upstream.write(f"new {number}")

    posts, _ = await looked(follow, cursor)

    assert first == ["us 1", "kr 1"]
    assert pages_asked(upstream) == ["us 1", "kr 1", "kr 2", "kr 3", "kr 4"]
    assert {f"new {number}" for number in range(9)} <= {post.text for post in posts}


async def test_no_page_beyond_the_tenth_is_asked(upstream: AppStoreUpstream, tools: Tools) -> None:
    upstream.page = 2
    for number in range(30):
        upstream.write(f"review {number}")
    old = (datetime.now(UTC) - timedelta(days=9)).isoformat()

    posts, cursor = await looked(connector(upstream, tools), {"marks": {"kr": old}})

    assert len(posts) == 20
    assert pages_asked(upstream)[-1] == "kr 10"
    assert cursor["marks"]["kr"] > old


async def test_a_page_that_is_shown_empty_moves_no_mark_and_stops_no_other_country(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    upstream.page, upstream.hidden, upstream.abroad = 2, {2}, {"us"}
    for number in range(6):
        upstream.write(f"review {number}")
    old = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    follow = connector(upstream, tools, countries=["kr", "us"])
    cursor: Cursor = {}

    async def take() -> None:
        nonlocal cursor
        async for page in follow.pages({"marks": {"kr": old}}):
            cursor = page.cursor

    with pytest.raises(SourceBroken, match="In KR: Apple shows page 2 without reviews"):
        await take()

    assert cursor["marks"]["kr"] == old
    assert "us" in cursor["marks"]


async def test_a_country_without_the_app_stops_no_other(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    upstream.write("review")
    follow = connector(upstream, tools, countries=["fr", "kr"])
    found: list[str] = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.extend(row.text for row in page.rows if isinstance(row, ParsedPost))

    with pytest.raises(SourceGone, match=r"In FR: .* 404"):
        await take()

    assert found == ["review"]


async def test_apples_403_asks_for_patience(upstream: AppStoreUpstream, tools: Tools) -> None:
    upstream.status = 403

    with pytest.raises(SourceBusy, match="patience") as busy:
        await looked(connector(upstream, tools))

    assert busy.value.retry_after == 600


async def test_an_old_state_of_a_review_is_known_as_old(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    written = upstream.write("slow")
    (before,), cursor = await looked(connector(upstream, tools))
    upstream.edit(written, "fast now")

    (after,), _ = await looked(connector(upstream, tools), cursor)

    assert before.native_id == after.native_id
    assert before.edited_at is not None
    assert after.edited_at is not None
    assert before.edited_at < after.edited_at


async def test_each_page_is_a_request_of_the_sources_budget(
    upstream: AppStoreUpstream, tools: Tools
) -> None:
    upstream.abroad = {"us"}
    budget = Budget(1)
    follow = connector(upstream, Tools(tools.outbound, budget=budget), countries=["us", "kr"])

    with pytest.raises(SourceBusy, match="used up"):
        await looked(follow)

    assert len(upstream.requests) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON | st.fixed_dictionaries({"feed": st.fixed_dictionaries({"entry": _JSON})}))
async def test_no_answer_breaks_the_connector(
    upstream: AppStoreUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer

    with suppress(SourceBroken, SourceBusy):
        posts, _ = await looked(connector(upstream, tools))
        assert all(isinstance(post, ParsedPost) for post in posts)


@pytest.mark.parametrize(
    "written",
    [APP, f"id{APP}", f"https://apps.apple.com/kr/app/%EB%A9%94%EB%AA%A8/id{APP}?l=en", f" {APP} "],
)
def test_an_app_by_its_number_or_its_address(written: str) -> None:
    assert AppStoreSettings(app=written).app == APP


@pytest.mark.parametrize(
    "changes",
    [
        {"app": "notes"},
        {"app": "https://apps.apple.com/kr/app/notes"},
        {"app": "https://example.com/id1"},
        {"app": "١٢"},
        {"countries": []},
        {"countries": ["korea"]},
        {"countries": ["k/"]},
        {"address": "ftp://x"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppStoreSettings.model_validate({**AppStoreUpstream().settings(), **changes})


def test_countries_are_known_however_they_are_written() -> None:
    asked = AppStoreSettings.model_validate({"app": APP, "countries": "KR, us\nkr"})

    assert asked.countries == ("kr", "us")
