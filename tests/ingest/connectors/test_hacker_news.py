"""What is special to Hacker News; what every connector must do is in `test_conformance.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_ingest.connector import Budget, Cursor, Page, SourceBroken, SourceBusy, Tools
from maru_ingest.connectors.hacker_news import HackerNewsConnector, HackerNewsSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.hacker_news import HackerNewsUpstream, hit

_NAMES = ["hits", "nbHits", "nbPages", "objectID", "_tags", "created_at_i", "comment_text", "items"]
_NAMES += ["id", "type", "deleted", "dead", "by", "time", "text", "title", "kids", "parent"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
        | st.fixed_dictionaries({"hits": st.lists(inner, max_size=4)})
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[HackerNewsUpstream]:
    async with HackerNewsUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: HackerNewsUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: HackerNewsUpstream, tools: Tools, **changes: Any) -> HackerNewsConnector:
    values = {**upstream.settings(), **changes}
    return HackerNewsConnector(HackerNewsSettings.model_validate(values), tools)


async def looked(
    connector: HackerNewsConnector, cursor: Cursor | None = None
) -> tuple[list[Page], Cursor]:
    pages = [page async for page in connector.pages(cursor or {})]
    return pages, json.loads(json.dumps(pages[-1].cursor)) if pages else cursor


def posts(pages: list[Page]) -> list[str]:
    return [row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def deleted(pages: list[Page]) -> list[str]:
    return [name for page in pages for name in page.deleted]


async def test_what_is_followed_is_asked_of_the_search(
    upstream: HackerNewsUpstream, tools: Tools
) -> None:
    upstream.write("maru")

    await looked(
        connector(upstream, tools, query='"dark mode" maru', author="kim", story=40_000_001)
    )

    (asked,) = upstream.searches
    assert asked["query"] == '"dark mode" maru'
    assert asked["tags"] == "(story,comment,poll),author_kim,story_40000001"
    assert asked["typoTolerance"] == "false"


async def test_more_than_the_search_shows_is_asked_for_in_halves_oldest_first(
    upstream: HackerNewsUpstream, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maru_ingest.connectors.hacker_news._REACH", 60)
    upstream.shows = 60
    begun = datetime.now(UTC) - timedelta(days=1)
    written = [upstream.write(f"{n}", at=begun + timedelta(minutes=n)) for n in range(300)]
    follow = connector(upstream, tools)

    pages, cursor = await looked(follow, {"since": int(begun.timestamp())})

    assert posts(pages) == [one.text for one in written]
    assert all(len(page.rows) <= upstream.page for page in pages)
    assert cursor["since"] == int(written[-1].at.timestamp())


async def test_a_post_that_the_search_learns_of_late_is_not_missed(
    upstream: HackerNewsUpstream, tools: Tools
) -> None:
    now = datetime.now(UTC)
    late = upstream.write("late", at=now - timedelta(minutes=50))
    upstream.write("now", at=now)
    upstream.unfound = {late.native_id}
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.unfound = set()

    pages, _ = await looked(follow, cursor)

    assert "late" in posts(pages)


async def test_an_edit_of_an_older_post_is_read_from_the_site(
    upstream: HackerNewsUpstream, tools: Tools
) -> None:
    written = upstream.write("dark mode", at=datetime.now(UTC) - timedelta(hours=9))
    upstream.write("later")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.edit(written, "dark mode, please")

    pages, _ = await looked(follow, cursor)

    assert "dark mode, please" in posts(pages)


async def test_what_moderators_kill_is_gone_and_what_only_the_search_forgets_is_not(
    upstream: HackerNewsUpstream, tools: Tools
) -> None:
    killed, forgotten = upstream.write("casino"), upstream.write("dark mode")
    killed.extra["dead"] = True
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.unfound = {killed.native_id, forgotten.native_id}

    pages, cursor = await looked(follow, cursor)
    asked = len(upstream.requests)
    again, _ = await looked(follow, cursor)

    assert deleted(pages) == [killed.native_id]
    assert posts(pages) == ["dark mode"]
    assert not posts(again)
    assert len(upstream.requests) - asked <= 2


async def test_a_deleted_post_is_told_once(upstream: HackerNewsUpstream, tools: Tools) -> None:
    written = upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.delete(written)

    pages, cursor = await looked(follow, cursor)
    again, _ = await looked(follow, cursor)

    assert (deleted(pages), deleted(again)) == ([written.native_id], [])


async def test_many_deletions_are_looked_into_over_several_looks(
    upstream: HackerNewsUpstream, tools: Tools
) -> None:
    upstream.page = 100
    written = [upstream.write(f"post {number}") for number in range(40)]
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for one in written:
        upstream.delete(one)

    first, cursor = await looked(follow, cursor)
    second, _ = await looked(follow, cursor)

    assert len(deleted(first)) == 30
    assert {*deleted(first), *deleted(second)} == {one.native_id for one in written}


async def test_a_cursor_stays_small(upstream: HackerNewsUpstream, tools: Tools) -> None:
    upstream.page = 200
    begun = datetime.now(UTC) - timedelta(hours=2)
    for number in range(900):
        upstream.write(f"post {number}", at=begun + timedelta(seconds=number))

    pages, cursor = await looked(connector(upstream, tools), {"since": int(begun.timestamp())})

    assert len(posts(pages)) == 900
    assert len(json.dumps(cursor)) < 15_000


async def test_one_bad_post_spoils_no_other(upstream: HackerNewsUpstream, tools: Tools) -> None:
    good = hit(upstream.write("dark mode"))
    upstream.answer = {"hits": [7, {"objectID": 3}, good], "nbHits": 3, "nbPages": 1}

    (page,), _ = await looked(connector(upstream, tools))

    assert posts([page]) == ["dark mode"]
    assert [type(row) for row in page.rows] == [ParsedPost, BadRow, BadRow]


@pytest.mark.parametrize("answer", [{"id": 1}, "no", {"id": 40_000_001, "type": "user"}])
async def test_an_item_that_is_another_is_told(
    upstream: HackerNewsUpstream, tools: Tools, answer: Any
) -> None:
    written = upstream.write("dark mode")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.unfound = {written.native_id}
    upstream.item = answer

    with pytest.raises(SourceBroken, match="40000001"):
        await looked(follow, cursor)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON, item=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: HackerNewsUpstream, tools: Tools, answer: Any, item: Any
) -> None:
    upstream.answer, upstream.item = answer, item
    follow = connector(upstream, Tools(tools.outbound, budget=Budget(30)))

    for cursor in ({}, {"since": 1, "known": {"7": 2}}):
        with suppress(SourceBroken, SourceBusy):
            pages, _ = await looked(follow, cursor)
            assert all(page.cursor for page in pages)


@pytest.mark.parametrize(
    "changes",
    [
        {"query": " "},
        {"author": "kim,story"},
        {"posts": ["story", "pollopt"]},
        {"posts": []},
        {"story": 0},
        {"items_address": "ftp://x"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**HackerNewsUpstream().settings(), **changes}

    with pytest.raises(ValidationError):
        HackerNewsSettings.model_validate(values)
