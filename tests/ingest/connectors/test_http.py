"""What is special to lists of JSON; what every connector must do is in `test_conformance.py`."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

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
from maru_ingest.connectors import http
from maru_ingest.connectors.http import CONNECTOR, HttpConnector, HttpSettings
from maru_ingest.formats.parsed import Attachment, BadRow, ParsedPost, Rating
from maru_ingest.service.trying import Trying
from maru_kit.errors import Unprocessable
from maru_kit.outbound import Manners, open_outbound
from upstreams.http import KEY, HttpUpstream

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["data", "reviews", "reviewId", "text", "created", "answers", "next", "error"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
WAYS = ["page", "offset", "cursor", "link", "next"]


@pytest.fixture
async def upstream() -> AsyncIterator[HttpUpstream]:
    async with HttpUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: HttpUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: HttpUpstream, tools: Tools, **changes: Any) -> HttpConnector:
    return HttpConnector(HttpSettings.model_validate({**upstream.settings(), **changes}), tools)


async def looked(
    follow: HttpConnector, cursor: Cursor | None = None
) -> tuple[list[ParsedPost], Cursor]:
    pages: list[Page] = [page async for page in follow.pages(cursor or {})]
    posts = [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]
    return posts, pages[-1].cursor if pages else cursor or {}


def texts(posts: list[ParsedPost]) -> set[str]:
    return {post.text for post in posts}


async def test_a_post_has_all_that_is_mapped(upstream: HttpUpstream, tools: Tools) -> None:
    now = datetime.now(UTC)
    written = upstream.write("<p>Late &amp; cold</p>", at=now, parent="r-9")
    written.extra = {
        "more": "빠르면 좋겠어요",
        "title": "배달",
        "locale": "ko",
        "pictures": [{"url": "https://cdn.example.com/1.png"}],
    }

    (post,), _ = await looked(connector(upstream, tools))

    assert post == ParsedPost(
        native_id="127.0.0.1/r-1",
        text="Late & cold\n\n빠르면 좋겠어요",
        title="배달",
        url=f"{upstream.url}/reviews/r-1",
        author="71",
        author_name="하늘",
        lang="ko",
        created_at=now,
        in_reply_to="127.0.0.1/r-9",
        media=(Attachment("image", "https://cdn.example.com/1.png"),),
        metrics={"likes": 3},
        rating=Rating(2, 5),
        is_row=True,
    )


@pytest.mark.parametrize("order", ["newest", "oldest", "none"])
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_turning_pages_in_every_order_misses_nothing(
    upstream: HttpUpstream, tools: Tools, *, way: str, order: str
) -> None:
    upstream.paging, upstream.order, upstream.page = way, order, 4
    for number in range(5):
        upstream.write(f"before {number}")
    follow = connector(upstream, tools)
    first, cursor = await looked(follow)
    for number in range(11):
        upstream.write(f"after {number}")

    second, cursor = await looked(follow, cursor)
    third, _ = await looked(follow, cursor)

    assert len(first) == (4 if order == "newest" else 5)
    assert texts(second) >= {f"after {number}" for number in range(11)}
    assert texts(third) <= texts(second) | texts(first)
    assert KEY not in str(cursor)
    assert quote_plus(KEY) not in str(cursor)


async def test_the_oldest_first_goes_on_with_the_page_that_was_the_last(
    upstream: HttpUpstream, tools: Tools
) -> None:
    upstream.paging, upstream.order, upstream.page = "page", "oldest", 4
    for number in range(9):
        upstream.write(f"before {number}")
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.write("after")
    upstream.requests.clear()

    again, _ = await looked(follow, cursor)

    assert texts(again) == {"before 8", "after"}
    assert [request.query.get("page") for request in upstream.requests] == ["3", "4"]


@pytest.mark.parametrize("order", ["newest", "oldest", "none"])
async def test_a_site_that_takes_a_time_is_asked_for_what_is_newer(
    upstream: HttpUpstream, tools: Tools, *, order: str
) -> None:
    upstream.order, upstream.page = order, 4
    old = datetime.now(UTC) - timedelta(days=2)
    for number in range(9):
        upstream.write(f"old {number}", at=old + timedelta(minutes=number))
    changes = {"since_parameter": "since", "since_format": "seconds"}
    follow = connector(upstream, tools, **changes)
    first, cursor = await looked(follow)
    upstream.write("new")
    upstream.requests.clear()

    second, _ = await looked(follow, cursor)

    newest = max(post.created_at for post in first if post.created_at)
    assert texts(second) == {"new"} | {f"old {n}" for n in range(9)}
    asked = {float(request.query["since"]) for request in upstream.requests}
    assert asked == {float(int((newest - timedelta(hours=1)).timestamp()))}


async def test_edits_are_found_where_the_last_edited_come_first(
    upstream: HttpUpstream, tools: Tools
) -> None:
    upstream.sorted_by, upstream.page = "edited", 4
    old = datetime.now(UTC) - timedelta(days=9)
    written = [upstream.write(f"old {n}", at=old + timedelta(minutes=n)) for n in range(20)]
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    upstream.edit(written[0], "changed")

    again, _ = await looked(follow, cursor)

    (changed,) = [post for post in again if post.text == "changed"]
    assert changed.edited_at is not None
    assert changed.created_at == old


@pytest.mark.parametrize("auth", ["none", "header", "bearer", "basic", "query", "oauth"])
async def test_every_way_of_saying_who_asks(
    upstream: HttpUpstream, tools: Tools, *, auth: str
) -> None:
    upstream.auth = auth
    upstream.write("dark mode")

    posts, _ = await looked(connector(upstream, tools))

    assert texts(posts) == {"dark mode"}
    in_address = quote_plus(KEY) in str(upstream.requests[0].rel_url)
    assert in_address == (auth == "query")


async def test_a_key_in_the_address_is_in_no_log_and_no_reason(
    upstream: HttpUpstream, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    follow = connector(upstream, tools, secret="hush/other")

    with pytest.raises(CredentialsRefused, match="Nobody we know: …") as refused:
        await looked(follow)

    ours = [record.getMessage() for record in caplog.records if "access" not in record.name]
    assert "hush" not in str(refused.value) + str(ours)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("way", ["link", "next"])
async def test_no_page_of_another_site_is_asked(
    upstream: HttpUpstream, tools: Tools, *, way: str
) -> None:
    upstream.paging, upstream.page = way, 2
    async with HttpUpstream().serving() as other:
        upstream.elsewhere = other.url
        for number in range(3):
            upstream.write(f"post {number}")

        with pytest.raises(SourceBroken, match="on another site, which is not asked"):
            await looked(connector(upstream, tools))

        assert other.requests == []


async def test_pages_that_do_not_turn_are_told(upstream: HttpUpstream, tools: Tools) -> None:
    upstream.turns, upstream.page = False, 2
    for number in range(5):
        upstream.write(f"post {number}")
    old = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    with pytest.raises(SourceBroken, match="same posts: page does not turn them"):
        await looked(connector(upstream, tools), {"mark": old})

    assert len(upstream.requests) == 2


async def test_a_list_without_an_end_is_given_up(
    upstream: HttpUpstream, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_MAX_PAGES", 3)
    upstream.page, upstream.order = 1, "none"
    for number in range(9):
        upstream.write(f"post {number}")

    with pytest.raises(SourceBroken, match="more than 3 pages"):
        await looked(connector(upstream, tools))


async def test_what_comes_after_an_empty_list_is_all_new(
    upstream: HttpUpstream, tools: Tools
) -> None:
    upstream.page = 2
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(7):
        upstream.write(f"post {number}")

    posts, _ = await looked(follow, cursor)

    assert texts(posts) == {f"post {number}" for number in range(7)}


async def test_a_time_to_come_hides_nothing(upstream: HttpUpstream, tools: Tools) -> None:
    upstream.page = 2
    upstream.write("wrong clock", at=datetime.now(UTC) + timedelta(days=400))
    follow = connector(upstream, tools)
    _, cursor = await looked(follow)
    for number in range(7):
        upstream.write(f"post {number}")

    posts, _ = await looked(follow, cursor)

    assert texts(posts) >= {f"post {number}" for number in range(7)}


async def test_a_list_that_is_the_whole_answer(upstream: HttpUpstream, tools: Tools) -> None:
    upstream.wrapped = False
    upstream.write("dark mode")

    posts, _ = await looked(connector(upstream, tools))
    same, _ = await looked(connector(upstream, tools, items="$[*]"))

    assert texts(posts) == texts(same) == {"dark mode"}


async def test_who_gave_stars_and_no_words_wrote_no_post(
    upstream: HttpUpstream, tools: Tools
) -> None:
    upstream.write("")
    upstream.write("dark mode")

    pages = [page async for page in connector(upstream, tools).pages({})]

    assert [row.text for page in pages for row in page.rows if isinstance(row, ParsedPost)] == [
        "dark mode"
    ]
    assert not any(isinstance(row, BadRow) for page in pages for row in page.rows)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": "$.reviews"}, r"nothing is at \$.reviews; its fields are data"),
        ({"post_created_at": "$.wrote"}, r"No post has a time at \$.wrote"),
    ],
)
async def test_a_path_that_leads_nowhere_is_told(
    upstream: HttpUpstream, tools: Tools, *, changes: dict[str, Any], reason: str
) -> None:
    upstream.write("dark mode")
    wanted = {**upstream.settings(), **changes}

    with pytest.raises(Unprocessable, match=reason):
        await Trying({"http": CONNECTOR}, tools).try_out("http", wanted, most=10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"post_id": "$.ident"}, "no id at $.ident"),
        ({"post_text": "$.words", "post_rating": ""}, "no text at $.words"),
        ({"post_created_at": "$.text"}, "the time 'dark mode' at $.text can't be read"),
        ({"post_edited_at": "$.consumer"}, "what is at $.consumer is no time"),
    ],
)
async def test_trying_out_shows_which_field_is_wrong(
    upstream: HttpUpstream, tools: Tools, *, changes: dict[str, Any], reason: str
) -> None:
    upstream.write("dark mode")
    wanted = {**upstream.settings(), **changes}

    tried = await Trying({"http": CONNECTOR}, tools).try_out("http", wanted, most=10)

    assert ([row.reason for row in tried.rejected], tried.posts) == ([reason], 0)


async def test_an_error_in_place_of_a_list_is_told(upstream: HttpUpstream, tools: Tools) -> None:
    upstream.answer = {"error": {"message": "Plan has expired"}}

    with pytest.raises(SourceBroken, match="Plan has expired"):
        await looked(connector(upstream, tools))


async def test_a_page_that_is_far_too_long_is_refused(upstream: HttpUpstream, tools: Tools) -> None:
    upstream.answer = {"data": {"reviews": [{}] * 10_001}}

    with pytest.raises(SourceBroken, match="more than 10,000 posts"):
        await looked(connector(upstream, tools))


async def test_each_page_is_a_request_of_the_sources_budget(
    upstream: HttpUpstream, tools: Tools
) -> None:
    upstream.page, upstream.order = 1, "none"
    for number in range(3):
        upstream.write(f"post {number}")
    budget = Budget(2)

    with pytest.raises(SourceBusy, match="used up"):
        await looked(connector(upstream, Tools(tools.outbound, budget=budget)))

    assert len(upstream.requests) == budget.used == 2


async def test_the_example_in_the_documentation_works(upstream: HttpUpstream, tools: Tools) -> None:
    written = re.findall(r"--set (?:'([^']*)'|\"([^\"]*)\")", http.__doc__ or "")
    wanted = dict((one or other).split("=", 1) for one, other in written)
    wanted["address"] = wanted["address"].replace("https://api.example.com", upstream.url)
    wanted["secret"] = KEY
    upstream.auth = "header"
    review = {
        "id": "507f191e810c19729de860ea",
        "stars": 2,
        "title": "Late",
        "text": "Came two weeks late",
        "language": "en",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": None,
        "consumer": {"id": "c1", "displayName": "Haneul"},
        "numberOfLikes": 2,
        "links": [{"rel": "self", "href": "/v1/1"}, {"rel": "review-page", "href": "/reviews/1"}],
    }
    upstream.answer = {"reviews": [review], "links": []}

    tried = await Trying({"http": CONNECTOR}, tools).try_out("http", wanted, most=10)

    (post,) = tried.newest
    assert (post.title, post.text, post.rating) == ("Late", "Came two weeks late", Rating(2, 5))
    assert (post.author, post.author_name, post.lang) == ("c1", "Haneul", "en")
    assert post.url == f"{upstream.url}/reviews/1"
    assert post.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert dict(upstream.requests[0].query) == {
        "business": "42",
        "perPage": "100",
        "orderBy": "created.desc",
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON, way=st.sampled_from(["page", "cursor", "next"]))
async def test_no_answer_breaks_the_connector(
    upstream: HttpUpstream, tools: Tools, answer: Any, way: str
) -> None:
    upstream.answer, upstream.paging = answer, way
    follow = connector(upstream, Tools(tools.outbound, budget=Budget(5)), order="none")

    with suppress(SourceBroken, SourceBusy):
        posts, _ = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts)


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "ftp://x"},
        {"address": "https://kim:pw@example.com/"},
        {"items": "reviews"},
        {"items": ""},
        {"post_id": ""},
        {"post_text": "$[?match(@.a, '(a*)*b')]"},
        {"post_created_at": ""},
        {"paging": "cursor", "next_at": ""},
        {"auth": "bearer", "secret": None},
        {"auth": "header", "auth_name": "X Key"},
        {"auth": "header", "auth_name": "X-Key", "secret": "a\r\nHost: b"},
        {"auth": "oauth", "token_address": ""},
        {"auth": "oauth", "token_address": "file:///etc"},
        {"headers": ["Authorization: x"]},
        {"headers": ["X-A: b\r\nHost: c"]},
        {"headers": ["X-A"]},
        {"sorted_by": "edited", "post_edited_at": ""},
        {"order": "none", "since_parameter": "since", "post_created_at": ""},
        {"nonsense": 1},
    ],
)
def test_settings_that_can_not_work_are_refused(changes: dict[str, Any]) -> None:
    values = {**HttpUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        HttpSettings.model_validate(values)

    assert KEY not in str(refused.value)
