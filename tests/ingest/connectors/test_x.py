"""What is special to X; what every connector must do is asked in test_conformance."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
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
from maru_ingest.connectors import x
from maru_ingest.connectors.x import CONNECTOR, XConnector, XSettings, id_at
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import Fetched, open_outbound
from upstreams.x import XUpstream, too_many

Open = Callable[..., XConnector]
STREAM = "/2/tweets/search/stream"
SEARCH = "/2/tweets/search/recent"


@pytest.fixture
async def upstream() -> AsyncIterator[XUpstream]:
    async with XUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: XUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host]) as outbound:
        yield Tools(outbound, deadline=30.0)


@pytest.fixture
def searching(upstream: XUpstream, tools: Tools) -> Open:
    """Make a connector that searches, unless it is told to be live."""

    def make(**settings: Any) -> XConnector:
        asked = {**upstream.settings(), "live": False, **settings}
        return XConnector(XSettings.model_validate(asked), tools)

    return make


async def poll(
    connector: XConnector, cursor: Cursor, found: list[Page] | None = None
) -> tuple[list[Page], Cursor]:
    """All pages of a poll, and the cursor as the database gives it back.

    `found` takes the pages that come before an error.
    """
    pages = [] if found is None else found
    async for page in connector.pages(cursor):
        pages.append(page)
    return pages, json.loads(json.dumps(pages[-1].cursor if pages else cursor))


async def listened(connector: XConnector, cursor: Cursor, number: int) -> list[Page]:
    """The first pages of a stream."""
    async with aclosing(connector.pages(cursor)) as pages, asyncio.timeout(10):
        return [await anext(pages) for _ in range(number)]


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


def paths(upstream: XUpstream) -> list[str]:
    return [request.path for request in upstream.requests]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"query": "  "}, "must say what to look for"),
        ({"query": "a" * 5_000}, "at most 4096"),
        ({"bearer_token": "sec\nret"}, "letters, digits and signs"),
        ({"bearer_token": ""}, "letters, digits and signs"),
        ({"address": "ftp://a.example"}, "match pattern"),
    ],
)
def test_settings_that_do_not_fit_say_why(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        XSettings.model_validate({"query": "maru", "bearer_token": "t", **settings})

    assert reason in str(error.value)
    assert "ret'" not in str(error.value)


async def test_a_poll_asks_for_what_is_new_and_for_all_that_belongs_to_it(
    upstream: XUpstream, searching: Open
) -> None:
    old = datetime.now(UTC) - timedelta(hours=1)
    upstream.write("dark mode", at=old)
    pages, cursor = await poll(searching(), {})
    upstream.write("offline < online")

    pages, _ = await poll(searching(), cursor)
    post = posts(pages)[-1]
    asked = upstream.requests[-1].query

    assert paths(upstream) == [SEARCH, SEARCH]
    assert (post.text, post.author, post.followers) == ("offline < online", "haneul", 7)
    assert post.metrics == {"likes": 2, "shares": 1, "replies": 0, "views": 70}
    assert asked["query"] == "(maru OR 마루) -is:retweet"
    assert id_at(old) - (61_000 << 22) < int(asked["since_id"]) < id_at(old)
    assert "start_time" not in asked


async def test_a_post_that_the_search_learns_of_late_is_not_passed_over(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("on time")
    _, cursor = await poll(searching(), {})
    upstream.write("late", at=datetime.now(UTC) - timedelta(seconds=40))

    pages, _ = await poll(searching(), cursor)

    assert "late" in texts(pages)


async def test_a_post_that_comes_after_an_empty_search_is_found_however_many_come(
    upstream: XUpstream, searching: Open
) -> None:
    _, cursor = await poll(searching(), {})
    for number in range(upstream.page * 2):
        upstream.write(f"post {number}")

    pages, _ = await poll(searching(), cursor)

    assert len(texts(pages)) == upstream.page * 2


async def test_catching_up_goes_on_below_where_it_was_cut_off_and_then_above(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("known", at=datetime.now(UTC) - timedelta(hours=1))
    _, cursor = await poll(searching(), {})
    for number in range(50):
        upstream.write(
            f"post {number}", at=datetime.now(UTC) - timedelta(seconds=4 * (60 - number))
        )
    async with aclosing(searching().pages(cursor)) as pages:
        first = await anext(pages)
    upstream.write("meanwhile", at=datetime.now(UTC) - timedelta(seconds=1))

    rest, after = await poll(searching(), json.loads(json.dumps(first.cursor)))

    everything = {"known", "meanwhile", *(f"post {n}" for n in range(50))}
    assert {*texts([first]), *texts(rest)} == everything
    assert set(after) == {"since"}
    assert len(texts(rest)) < len(everything)


async def test_a_place_from_before_the_search_begins_is_no_error(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    ago = datetime.now(UTC) - timedelta(days=30)
    cursor = {"since": str(id_at(ago)), "until": str(id_at(ago) + 9), "newest": str(id_at(ago))}

    pages, after = await poll(searching(), cursor)

    assert set(texts(pages)) == {"new"}
    assert int(after["since"]) > id_at(ago)


async def test_pages_without_posts_are_turned_but_not_for_ever(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    upstream.empty_pages = 3
    cursor = {"since": str(id_at(datetime.now(UTC) - timedelta(hours=1)))}
    pages, _ = await poll(searching(), cursor)

    assert texts(pages) == ["new"]
    upstream.empty_pages = 1_000
    with pytest.raises(SourceBroken, match="lead nowhere"):
        await poll(searching(), cursor)
    assert len(upstream.requests) < 20


async def test_pages_that_go_in_circles_are_left(upstream: XUpstream, searching: Open) -> None:
    post = upstream.tweet(upstream.write("again and again"))
    meta = {"result_count": 1, "next_token": "b26v"}
    upstream.search_answer = (200, {}, {"data": [post], "meta": meta})
    cursor = {"since": str(id_at(datetime.now(UTC) - timedelta(hours=1)))}

    with pytest.raises(SourceBroken, match="lead nowhere"):
        await poll(searching(), cursor)
    assert len(upstream.requests) == 2


async def test_an_edit_goes_by_the_first_version_and_so_does_an_answer_to_it(
    upstream: XUpstream, searching: Open
) -> None:
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    parent = upstream.write("dark mdoe", at=made)
    upstream.edit(parent, "dark mode")
    upstream.write("Yes!", parent=parent.native_id)

    pages, _ = await poll(searching(), {})
    edited, answer = posts(pages)

    first, last = upstream.versions(parent)
    assert (edited.native_id, edited.created_at) == (first, made)
    assert edited.edited_at is not None
    assert edited.edited_at > made
    assert edited.url.endswith(last)
    assert answer.in_reply_to == first


async def test_one_bad_post_is_a_bad_row_and_holds_up_no_other(
    upstream: XUpstream, searching: Open
) -> None:
    good = upstream.tweet(upstream.write("good"))
    bad: list[Any] = [{"id": "12"}, 5, {"id": {}, "text": []}]
    for found in ([good, *bad], bad):
        meta = {"result_count": len(found)}
        upstream.search_answer = (200, {}, {"data": found, "meta": meta})
        pages, _ = await poll(searching(), {})

        rows = [row for page in pages for row in page.rows]
        assert len([row for row in rows if isinstance(row, BadRow)]) == len(bad)
        assert len(rows) == len(found)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (
            (
                429,
                {
                    "account_id": 9,
                    "product_name": "standard-basic",
                    "title": "UsageCapExceeded",
                    "period": "Monthly",
                    "scope": "Product",
                    "detail": "Usage cap exceeded: Monthly product cap",
                    "type": "https://api.twitter.com/2/problems/usage-capped",
                },
            ),
            SourceBusy,
            "no more posts: Usage cap exceeded: Monthly product cap",
        ),
        (
            (
                400,
                {
                    "errors": [{"message": "There were errors: no viable alternative at 'OR'"}],
                    "title": "Invalid Request",
                    "detail": "One or more parameters to your request was invalid.",
                    "type": "https://api.twitter.com/2/problems/invalid-request",
                },
            ),
            SourceBroken,
            "no viable alternative",
        ),
        (
            (
                403,
                {
                    "client_id": "9",
                    "detail": "You must use keys from an App that is attached to a Project.",
                    "registration_url": "https://developer.x.com/en/docs/projects/overview",
                    "title": "Client Forbidden",
                    "required_enrollment": "Appropriate Level of API Access",
                    "reason": "client-not-enrolled",
                    "type": "https://api.twitter.com/2/problems/client-forbidden",
                },
            ),
            CredentialsRefused,
            "attached to a Project",
        ),
        (
            (
                200,
                {
                    "errors": [
                        {
                            "title": "Not Found Error",
                            "detail": "Could not find it.",
                            "type": "https://api.twitter.com/2/problems/resource-not-found",
                        }
                    ]
                },
            ),
            SourceBroken,
            "Could not find it",
        ),
        ((200, {"meta": {"result_count": 1}, "data": {}}), SourceBroken, "no page of posts"),
        ((200, {"meta": {"result_count": 0, "next_token": 5}}), SourceBroken, "no page of posts"),
        (
            (200, {"meta": {"result_count": 0, "next_token": "https://evil.example/"}}),
            SourceBroken,
            "leads to no other",
        ),
        ((404, {}), SourceBroken, "404"),
        ((418, []), SourceBroken, "418"),
    ],
)
async def test_what_x_says_of_an_error_is_the_reason(
    upstream: XUpstream,
    searching: Open,
    answer: tuple[int, object],
    error: type[Exception],
    reason: str,
) -> None:
    status, body = answer
    upstream.search_answer = (status, {}, body)

    with pytest.raises(error, match=reason) as raised:
        await poll(searching(), {})

    assert XUpstream.secret not in str(raised.value)
    if "UsageCap" in str(body):
        assert isinstance(raised.value, SourceBusy)
        assert raised.value.retry_after >= 3_600


async def test_a_used_up_limit_is_kept_without_asking(upstream: XUpstream, searching: Open) -> None:
    upstream.left = 1
    upstream.write("new")
    await poll(searching(), {})

    with pytest.raises(SourceBusy) as raised:
        await poll(searching(), {})

    assert 0 < raised.value.retry_after <= 2
    assert len(upstream.requests) == 1


async def test_every_request_counts(upstream: XUpstream, tools: Tools) -> None:
    budget = Budget(left=4)
    upstream.write("new")
    settings = XSettings.model_validate(upstream.settings())
    counted = Tools(tools.outbound, deadline=30.0, budget=budget)

    await listened(XConnector(settings, counted), {}, 1)

    assert budget.used == len(upstream.requests) == 4  # rules twice, the stream, the search
    with pytest.raises(SourceBusy, match="used up"):
        await poll(XConnector(settings, counted), {})


async def test_a_stream_begins_with_a_rule_that_is_made_once(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    pages = await listened(searching(live=True), {}, 1)
    await listened(searching(live=True), pages[0].cursor, 1)

    (rule,) = upstream.rules.values()
    assert rule["value"] == "(maru OR 마루) -is:retweet"
    assert rule["tag"].startswith("maru ")
    assert pages[0].cursor["rule"] == rule["id"]
    assert paths(upstream).count(f"{STREAM}/rules") == 3
    assert not [one for one in upstream.requests if XUpstream.secret in str(one.rel_url)]


@pytest.mark.parametrize("hides_rules", [True, False])
async def test_a_rule_of_the_same_query_is_used_whoever_made_it(
    upstream: XUpstream, searching: Open, *, hides_rules: bool
) -> None:
    upstream.rules["7"] = {"id": "7", "value": "(maru OR 마루) -is:retweet", "tag": "theirs"}
    upstream.hides_rules = hides_rules

    (page,) = await listened(searching(live=True), {}, 1)

    assert list(upstream.rules) == ["7"]
    assert page.cursor["rule"] == "7"


async def test_when_the_query_changes_its_old_rule_goes_and_those_of_others_stay(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.rules["7"] = {"id": "7", "value": "theirs", "tag": "theirs"}
    (page,) = await listened(searching(live=True), {}, 1)

    await listened(searching(live=True, query="other"), page.cursor, 1)
    await listened(searching(live=True, query="third"), {"rule": "7"}, 1)

    assert sorted(one["value"] for one in upstream.rules.values()) == ["other", "theirs", "third"]


async def test_a_query_that_is_no_rule_says_why_and_is_searched_for_all_the_same(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    upstream.refused_rule = {
        "value": "from:",
        "details": ["Reference to invalid operator 'from:'"],
        "title": "UnprocessableEntity",
        "type": "https://api.twitter.com/2/problems/invalid-rules",
    }
    found: list[Page] = []

    with pytest.raises(SourceBroken, match="no rule of the query: Reference to invalid operator"):
        await poll(searching(live=True), {}, found)

    assert texts(found) == ["new"]


async def test_a_stream_that_another_one_has_is_told_of_and_the_search_asked_meanwhile(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    upstream.stream_answer = (429, {"x-rate-limit-remaining": "49"}, too_many())
    found: list[Page] = []

    with pytest.raises(SourceBusy, match=r"one stream: .*maximum allowed") as raised:
        await poll(searching(live=True), {}, found)

    assert texts(found) == ["new"]
    assert raised.value.retry_after == 60


async def test_a_stream_above_the_access_level_is_told_of_and_the_search_asked(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.write("new")
    body = {"title": "Forbidden", "detail": "Your access level has no stream.", "status": 403}
    upstream.stream_answer = (403, {}, body)
    found: list[Page] = []

    with pytest.raises(CredentialsRefused, match="Your access level has no stream"):
        await poll(searching(live=True), {}, found)

    assert texts(found) == ["new"]


async def test_posts_of_other_rules_and_broken_lines_disturb_nothing(
    upstream: XUpstream, searching: Open
) -> None:
    theirs = {"data": {"id": "12", "text": "theirs", "edit_history_tweet_ids": ["12"]}}
    other = {**theirs, "matching_rules": [{"id": "1", "tag": "theirs"}]}
    upstream.noise = json.dumps(other).encode() + b"\r\n{half\r\n"

    pages = await listened(searching(live=True), {}, 2)

    (row,) = pages[1].rows
    assert isinstance(row, BadRow)
    assert row.original == b"{half"


async def test_what_was_written_while_the_stream_broke_is_found_though_the_search_lags(
    upstream: XUpstream, searching: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x, "_SETTLING", 1.2)
    monkeypatch.setattr(x, "_SIGN_OF_LIFE", 0.3)
    upstream.lag = 1.0
    upstream.write("gap", at=datetime.now(UTC) - timedelta(milliseconds=10))
    since = str(id_at(datetime.now(UTC) - timedelta(minutes=5)))
    found: list[str] = []

    async with aclosing(searching(live=True).pages({"since": since})) as pages:
        async with asyncio.timeout(10):
            first = await anext(pages)
            upstream.write("live")
            while set(found) != {"gap", "live"}:
                page = await anext(pages)
                found += texts([page])
                if "gap" not in found:
                    assert page.cursor["since"] == since

    assert texts([first]) == []


async def test_a_stream_that_ends_is_opened_again_and_three_times_at_once_is_told(
    upstream: XUpstream, searching: Open
) -> None:
    upstream.farewell = True
    found: list[Page] = []

    async def hang_up() -> None:
        while True:
            await asyncio.sleep(0.05)
            upstream.hang_up()

    ending = asyncio.create_task(hang_up())
    with pytest.raises(SourceBroken, match="3 times in a row: This stream has been disconnected"):
        await poll(searching(live=True), {}, found)
    ending.cancel()

    assert paths(upstream).count(STREAM) == 3
    assert paths(upstream).count(SEARCH) == 3


async def test_a_stream_without_signs_of_life_is_given_up(
    upstream: XUpstream, searching: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x, "_SILENCE", 0.3)
    upstream.heartbeat = 60.0

    with pytest.raises(SourceBroken, match="3 times in a row"):
        await poll(searching(live=True), {})


async def test_empty_lines_keep_a_quiet_stream_open(
    upstream: XUpstream, searching: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x, "_SILENCE", 0.5)
    monkeypatch.setattr(x, "_SIGN_OF_LIFE", 1.2)
    upstream.heartbeat = 0.1

    pages = await listened(searching(live=True), {}, 3)

    assert [page.rows for page in pages] == [[], [], []]
    assert paths(upstream).count(STREAM) == 1


async def test_many_posts_at_once_come_in_batches(upstream: XUpstream, searching: Open) -> None:
    async with aclosing(searching(live=True).pages({})) as pages, asyncio.timeout(10):
        await anext(pages)
        while not upstream.listeners:
            await asyncio.sleep(0.01)
        for number in range(120):
            upstream.write(f"post {number}")
        found: list[Page] = []
        while len(texts(found)) < 120:
            found.append(await anext(pages))

    assert texts(found) == [f"post {n}" for n in range(120)]
    assert len(found) <= 4


async def test_a_history_out_of_reach_says_so_and_one_in_part_brings_what_is_left(
    upstream: XUpstream, searching: Open
) -> None:
    now = datetime.now(UTC)
    upstream.write("three weeks ago", at=now - timedelta(days=21))
    upstream.write("yesterday", at=now - timedelta(days=1))
    upstream.write("just now")

    with pytest.raises(SourceBroken, match="no further back than seven days"):
        await anext(searching().history(now - timedelta(days=30), now - timedelta(days=20), {}))
    since, until = now - timedelta(days=30), now + timedelta(days=1)
    pages = [page async for page in searching().history(since, until, {})]

    assert texts(pages) == ["yesterday", "just now"]


async def test_no_log_holds_a_token(searching: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    connector = searching(live=True, bearer_token="wrong-token-9")

    with pytest.raises(CredentialsRefused) as raised:
        await poll(connector, {})

    said = caplog.text + str(raised.value) + repr(connector)
    assert "wrong-token-9" not in said


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda it: st.lists(it, max_size=4) | st.dictionaries(st.text(max_size=10), it, max_size=4),
    max_leaves=20,
)
_IDS = _JSON | st.from_regex(r"[0-9]{1,25}", fullmatch=True)
_POST = st.fixed_dictionaries(
    {"id": _IDS, "text": _JSON},
    optional={
        "edit_history_tweet_ids": st.lists(_IDS, max_size=3) | _JSON,
        "created_at": _JSON,
        "referenced_tweets": st.lists(
            st.fixed_dictionaries({"type": st.just("replied_to"), "id": _IDS}), max_size=2
        ),
    },
)
_ANSWER = st.fixed_dictionaries(
    {},
    optional={
        "data": _JSON | st.lists(_POST | _JSON, max_size=4) | _POST,
        "meta": _JSON
        | st.fixed_dictionaries(
            {"result_count": _JSON}, optional={"next_token": _JSON | st.just("b26v")}
        ),
        "includes": _JSON | st.fixed_dictionaries({"tweets": st.lists(_POST, max_size=3)}),
        "errors": _JSON | st.lists(_JSON, max_size=2),
        "matching_rules": _JSON,
        "title": _JSON,
        "connection_issue": _JSON,
    },
)
_BODIES = st.binary(max_size=50) | (_JSON | _ANSWER).map(lambda it: json.dumps(it).encode())


@given(_BODIES)
def test_no_answer_breaks_the_connector(body: bytes) -> None:
    try:
        answer = x.read(body)
    except SourceBroken:
        return

    place = x._Place(since=5)
    place.turn(answer.ids, is_last=not answer.token)
    assert x._Place.of(json.loads(json.dumps(place.cursor()))) == place


@given(st.lists(_BODIES | st.none(), max_size=5))
def test_no_line_breaks_the_connector(lines: list[bytes | None]) -> None:
    rows, ids, ending = x.heard(lines, "7")

    assert len(ids) <= len(rows)
    assert isinstance(ending, str)


@given(_BODIES, st.integers(200, 599))
def test_no_error_breaks_the_connector(body: bytes, status: int) -> None:
    model = XSettings.model_validate({"query": "maru", "bearer_token": "t"})
    connector = CONNECTOR.open and CONNECTOR.open(model, Tools(None))  # type: ignore[arg-type]
    assert isinstance(connector, XConnector)
    with suppress(SourceBroken, SourceBusy):
        connector._check(Fetched(status, {}, body, "https://api.x.com/2", None))
        assert status < 400


@given(st.datetimes(datetime(2011, 1, 1), datetime(2070, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_ids_tell_times(moment: datetime) -> None:
    assert id_at(moment) < id_at(moment + timedelta(milliseconds=2))
    assert 0 <= (id_at(moment) >> 22) + 1_288_834_974_657 - moment.timestamp() * 1000 < 1.01
