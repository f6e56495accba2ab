"""What is special to Instagram; what it shares with Facebook is in `test_facebook.py`."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_ingest import domain
from maru_ingest.connector import Budget, SourceBroken, SourceBusy, Tools
from maru_ingest.connectors.instagram import CONNECTOR, InstagramSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_ingest.graph import GraphConnector
from maru_ingest.service.granting import Granting
from maru_kit.database import Database
from maru_kit.outbound import Manners, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.instagram import OWN, InstagramUpstream

_NAMES = [
    "data", "id", "caption", "text", "media_type", "timestamp", "comments", "replies", "paging",
    "cursors", "after", "next", "username", "error", "code", "error_subcode",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[InstagramUpstream]:
    async with InstagramUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: InstagramUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def following(upstream: InstagramUpstream, tools: Tools) -> GraphConnector:
    assert CONNECTOR.open is not None
    found = CONNECTOR.open(InstagramSettings.model_validate(upstream.settings()), tools)
    assert isinstance(found, GraphConnector)
    return found


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def test_comments_and_replies_that_a_page_leaves_out_are_fetched_with_their_parents(
    upstream: InstagramUpstream, tools: Tools
) -> None:
    post = upstream.write("Look!", at=hours_ago(24 * 5))
    upstream.write("known", at=hours_ago(10), parent=post.native_id)
    said = [
        upstream.write(f"comment {n}", at=hours_ago(2 - n / 50), parent=post.native_id)
        for n in range(50)
    ]
    for comment in (said[0], said[-1]):  # one comes with its post, the other does not
        for number in range(45):
            upstream.write(f"reply {number} to {comment.text}", parent=comment.native_id)

    pages = [
        page async for page in following(upstream, tools).pages({"mark": hours_ago(3).isoformat()})
    ]

    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    replies = [one for one in posts if one.text.startswith("reply")]
    assert {one.text for one in posts} >= {one.text for one in upstream.posts} - {"known"}
    assert len(posts) == len({one.native_id for one in posts})
    assert {one.in_reply_to for one in replies} == {said[0].native_id, said[-1].native_id}
    assert {one.in_reply_to for one in posts if one not in replies} == {"", post.native_id}


async def test_a_post_without_a_caption_is_left_out_and_its_comments_are_not(
    upstream: InstagramUpstream, tools: Tools
) -> None:
    post = upstream.write("")
    upstream.write("Nice!", parent=post.native_id)

    (page,) = [page async for page in following(upstream, tools).pages({})]

    (row,) = page.rows
    assert isinstance(row, ParsedPost)
    assert (row.text, row.in_reply_to, row.author) == ("Nice!", post.native_id, "kim")


def test_a_pushed_comment_has_the_time_of_its_webhook_and_is_what_a_poll_brings() -> None:
    upstream = InstagramUpstream()
    post = upstream.write("Look!")
    comment = upstream.write("dark mode", parent=post.native_id)
    reply = upstream.write("yes", parent=comment.native_id)
    model = InstagramSettings.model_validate(upstream.settings())
    hook = CONNECTOR.hook
    assert hook is not None

    def read(message: tuple[Any, bytes]) -> Any:
        headers = {name.lower(): value for name, value in message[0].items()}
        return hook.read(model, headers, message[1]).rows

    (first,), (second,) = (read(upstream.pushed(one, "written")) for one in (comment, reply))

    assert (first.native_id, first.author) == (comment.native_id, "kim")
    assert (first.in_reply_to, second.in_reply_to) == (post.native_id, comment.native_id)
    assert abs(first.created_at - comment.at) < timedelta(minutes=1)
    assert not read(upstream.signed([{"field": "mentions", "value": {"media_id": "1"}}]))
    value = {"id": "1", "text": "of another account"}
    assert not read(upstream.signed([{"field": "comments", "value": value}], entry="42"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON | st.fixed_dictionaries({"data": st.lists(_JSON, max_size=4)}))
async def test_no_answer_breaks_the_connector(
    upstream: InstagramUpstream, tools: Tools, answer: Any
) -> None:
    upstream.answer = answer
    follow = following(upstream, Tools(tools.outbound, budget=Budget(10)))

    with suppress(SourceBroken, SourceBusy):
        async for page in follow.pages({"mark": "2026-01-01T00:00:00+00:00"}):
            assert all(isinstance(row, ParsedPost | BadRow) for row in page.rows)


async def test_a_token_of_instagrams_own_login_is_renewed_once_a_day_and_kept(
    upstream: InstagramUpstream, tools: Tools, ingest_database: Database
) -> None:
    upstream.token = OWN
    given = upstream.settings()
    upstream.write("dark mode")
    grants = Granting(ingest_database, Vault([new_key()]))

    async def look(credentials: domain.Credentials) -> list[str]:
        used = replace(tools, grants=grants, credentials=credentials)
        assert CONNECTOR.open is not None
        follow = CONNECTOR.open(InstagramSettings.model_validate(given), used)
        pages = [page async for page in follow.pages({})]
        return [row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)]

    credentials = domain.Credentials()
    first = [await look(credentials) for _ in range(2)]
    renewed, ends = upstream.token, credentials.expire_at
    later = await look(domain.Credentials())

    assert [*first, later] == [["dark mode"]] * 3
    assert OWN not in {renewed, upstream.token}
    assert renewed != upstream.token
    assert ends is not None
    assert timedelta(days=59) < ends - datetime.now(UTC) < timedelta(days=61)
    asked = [one for one in upstream.requests if one.path == "/refresh_access_token"]
    assert [one.query["access_token"] for one in asked] == [OWN, renewed]


async def test_a_token_that_is_too_young_to_be_renewed_is_used_as_it_is(
    upstream: InstagramUpstream, tools: Tools, ingest_database: Database
) -> None:
    upstream.token, upstream.too_young = OWN, True
    upstream.write("dark mode")
    grants = Granting(ingest_database, Vault([new_key()]))
    credentials = domain.Credentials()

    follow = following(upstream, replace(tools, grants=grants, credentials=credentials))
    pages = [page async for page in follow.pages({})]

    assert [row.text for row in pages[0].rows if isinstance(row, ParsedPost)] == ["dark mode"]
    assert credentials.expire_at is None
    assert not credentials.are_unchecked(datetime.now(UTC))
