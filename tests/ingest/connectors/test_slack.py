"""What is special to Slack; what every connector must do is in `test_conformance.py`."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
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
    Tools,
)
from maru_ingest.connectors import slack
from maru_ingest.connectors.slack import SlackConnector, SlackSettings
from maru_ingest.formats.parsed import Document, ParsedPost, Unreadable
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.receiving import Receiver
from maru_ingest.service.sources import NewSource, Sources
from maru_kit.outbound import Manners, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.slack import CHANNEL, PERSON, QUIET, SECRET, TOKEN, SlackUpstream

NOW = datetime.now(UTC)
KIND = slack.CONNECTOR


@pytest.fixture(autouse=True)
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "_WORKSPACES", {})


@pytest.fixture
async def upstream() -> AsyncIterator[SlackUpstream]:
    async with SlackUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: SlackUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: SlackUpstream, tools: Tools, **changes: Any) -> SlackConnector:
    assert KIND.open is not None
    values = {**upstream.settings(), **changes}
    found = KIND.open(SlackSettings.model_validate(values), tools)
    assert isinstance(found, SlackConnector)
    return found


async def looked(follow: SlackConnector, cursor: Cursor | None = None) -> list[Page]:
    return [page async for page in follow.pages(cursor or {})]


async def looked_until_it_broke(follow: SlackConnector, found: list[Page]) -> None:
    async for page in follow.pages({}):
        found.append(page)  # noqa: PERF401 - what came before it raised


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


def asked(upstream: SlackUpstream) -> list[str]:
    """The methods that were called, but for names."""
    methods = [request.path.rpartition("/")[2] for request in upstream.requests]
    return [method for method in methods if method not in {"users.info", "auth.test"}]


def hour_later(cursor: Cursor) -> Cursor:
    """The cursor as if late answers had been looked for two hours ago."""
    then = (NOW - timedelta(hours=2)).isoformat()
    places = {name: {**place, "again": then} for name, place in cursor["places"].items()}
    return {**cursor, "places": places}


async def test_a_thread_is_read_when_it_has_new_answers_and_only_then(
    upstream: SlackUpstream, tools: Tools
) -> None:
    top = upstream.write("dark mode")
    for number in range(45):  # more than two pages
        upstream.write(f"answer {number}", parent=top.native_id)
    follow = connector(upstream, tools)

    first = await looked(follow)
    upstream.requests.clear()
    quiet = await looked(follow, first[-1].cursor)
    upstream.write("one more", parent=top.native_id)
    last = await looked(follow, quiet[-1].cursor)

    answers = [post for post in posts(first) if post.text != "dark mode"]
    assert [post.text for post in answers] == [f"answer {number}" for number in range(45)]
    assert {post.in_reply_to for post in answers} == {top.native_id}
    assert texts(quiet) == ["dark mode"]
    assert "one more" in texts(last)
    assert "answer 44" not in texts(last)
    assert asked(upstream) == ["conversations.history"] * 2 + ["conversations.replies"]


async def test_late_answers_to_old_messages_are_found_within_the_hour(
    upstream: SlackUpstream, tools: Tools
) -> None:
    old = upstream.write("offline mode", at=NOW - timedelta(days=3))
    ancient = upstream.write("ancient", at=NOW - timedelta(days=30))
    for number in range(50):
        at = NOW - timedelta(days=2) + timedelta(minutes=number)
        upstream.write(f"later {number}", at=at)
    follow = connector(upstream, tools)
    first = await looked(follow)
    upstream.write("late answer", parent=old.native_id)
    upstream.write("far too late", parent=ancient.native_id)

    soon = await looked(follow, first[-1].cursor)
    later = await looked(follow, hour_later(soon[-1].cursor))

    assert "late answer" not in texts(soon)
    assert "late answer" in texts(later)
    assert later[-1].cursor["places"][CHANNEL]["again"] > NOW.isoformat()


async def test_a_look_that_is_cut_off_anywhere_goes_on_and_loses_nothing(
    upstream: SlackUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    start = (await looked(follow))[-1].cursor
    for number in range(45):
        top = upstream.write(f"message {number}")
        if number % 20 == 0:
            for answer in range(25):
                upstream.write(f"answer {number}.{answer}", parent=top.native_id)
    wanted = {one.text for one in upstream.posts}
    whole = await looked(follow, start)

    for number in range(len(whole)):
        async with aclosing(follow.pages(start)) as pages:
            had = [await anext(pages) for _ in range(number + 1)]
        rest = await looked(follow, had[-1].cursor)
        again = await looked(follow, rest[-1].cursor)
        assert {*texts(had), *texts(rest), *texts(again)} == wanted

    assert set(texts(whole)) == wanted
    assert len(whole) > 6


async def test_a_thread_that_cannot_be_had_holds_up_no_other_message(
    upstream: SlackUpstream, tools: Tools
) -> None:
    top = upstream.write("dark mode")
    upstream.write("answer", parent=top.native_id)
    upstream.write("offline mode")
    upstream.closed = {top.native_id}
    found: list[Page] = []

    with pytest.raises(SourceBroken, match="cant_read"):
        await looked_until_it_broke(connector(upstream, tools), found)

    assert texts(found) == ["dark mode", "offline mode"]
    assert found[-1].cursor["places"][CHANNEL]["mark"] == ""


async def test_a_thread_that_breaks_off_while_another_channel_is_read_comes_whole_later(
    upstream: SlackUpstream, tools: Tools
) -> None:
    top = upstream.write("dark mode")
    for number in range(45):  # more than two pages
        upstream.write(f"answer {number}", parent=top.native_id)
    upstream.cut = {top.native_id}
    follow = connector(upstream, tools, channels=[CHANNEL, "C0THER"])
    found: list[Page] = []

    with pytest.raises(SourceBroken, match="cant_read"):
        await looked_until_it_broke(follow, found)
    upstream.cut = set()
    found += await looked(follow, found[-1].cursor)

    came = {post.native_id for post in posts(found)}
    assert {one.native_id for one in upstream.posts} <= came


async def test_where_slack_has_forgotten_a_place_a_look_begins_anew(
    upstream: SlackUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    start = (await looked(follow))[-1].cursor
    for number in range(30):
        upstream.write(f"message {number}")
    async with aclosing(follow.pages(start)) as pages:
        had = await anext(pages)
    upstream.forgets = True
    upstream.page = 100

    rest = await looked(follow, had.cursor)

    assert had.cursor["places"][CHANNEL]["down"]
    assert {*texts([had]), *texts(rest)} == {f"message {number}" for number in range(30)}
    assert rest[-1].cursor["places"][CHANNEL]["down"] == ""


async def test_messages_have_names_addresses_and_plain_words(
    upstream: SlackUpstream, tools: Tools
) -> None:
    written = upstream.write("")
    written.extra["text"] = "<@U2> see <https://a.example|the docs> &amp; &lt;tell&gt; <#C1|talk>"
    follow = connector(upstream, tools)

    (post,) = posts(await looked(follow))
    await looked(follow)

    assert post.text == "@U2 see the docs & <tell> #talk"
    assert (post.author, post.author_name) == (PERSON, "하늘")
    digits = written.native_id.partition("/")[2].replace(".", "")
    assert post.url == f"https://maker.slack.com/archives/{CHANNEL}/p{digits}"
    assert [request.path for request in upstream.requests].count("/api/users.info") == 1


async def test_without_the_scope_for_names_messages_come_all_the_same(
    upstream: SlackUpstream, tools: Tools
) -> None:
    upstream.names = {}
    upstream.write("dark mode")

    (post,) = posts(await looked(connector(upstream, tools)))

    assert (post.text, post.author, post.author_name) == ("dark mode", PERSON, "")


async def test_bots_and_what_has_no_words_are_left_out(
    upstream: SlackUpstream, tools: Tools
) -> None:
    upstream.write("by an app").extra["bot_id"] = "B1"
    upstream.write("by a hook").extra["subtype"] = "bot_message"
    upstream.write("joined").extra["subtype"] = "channel_join"
    upstream.write("")
    upstream.write("by people")

    people = await looked(connector(upstream, tools))
    all_of_them = await looked(connector(upstream, tools, bots=True))

    assert texts(people) == ["by people"]
    assert texts(all_of_them) == ["by an app", "by a hook", "by people"]


async def test_what_is_missing_was_deleted_unless_it_is_old_or_out_of_sight(
    upstream: SlackUpstream, tools: Tools
) -> None:
    old = upstream.write("old", at=NOW - timedelta(days=8))
    high, gone = upstream.write("high"), upstream.write("gone")
    upstream.write("answered").extra["subtype"] = "tombstone"
    tomb = upstream.posts[-1]
    upstream.write("low")
    follow = connector(upstream, tools)
    first = await looked(follow)
    upstream.delete(old)  # as a free workspace hides what is old
    upstream.delete(gone)
    second = await looked(follow, first[-1].cursor)
    for number in range(25):  # the first page no longer reaches the others
        upstream.write(f"message {number}")
    upstream.delete(high)
    third = await looked(follow, second[-1].cursor)

    deleted = [
        [name for page in pages for name in page.deleted_if_known]
        for pages in (first, second, third)
    ]
    assert deleted == [[tomb.native_id], [gone.native_id, tomb.native_id], [tomb.native_id]]


async def test_what_one_answer_leaves_out_is_not_deleted_yet(
    upstream: SlackUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    follow = connector(upstream, tools)
    cursor = (await looked(follow))[-1].cursor
    places = {CHANNEL: {**cursor["places"][CHANNEL]}}
    upstream.left_out = True

    found = await looked(follow, {"places": places})

    assert [name for page in found for name in page.deleted_if_known] == []
    assert texts(found) == []


async def test_a_channel_that_the_app_is_not_in_is_named_and_stops_no_other(
    upstream: SlackUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    found: list[Page] = []

    with pytest.raises(SourceBroken, match=f"{QUIET}.*/invite.*not_in_channel"):
        await looked_until_it_broke(connector(upstream, tools, channels=[QUIET, CHANNEL]), found)

    assert texts(found) == ["dark mode"]


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        ({"error": "invalid_auth"}, CredentialsRefused, "not valid"),
        ({"error": "token_revoked"}, CredentialsRefused, "revoked"),
        ({"error": "account_inactive"}, CredentialsRefused, "removed"),
        (
            {"error": "missing_scope", "needed": "channels:history"},
            SourceBroken,
            "channels:history",
        ),
        ({"error": "ratelimited"}, SourceBusy, "patience"),
        ({"error": "internal_error"}, SourceBusy, "patience"),
        ({"error": "channel_not_found"}, SourceBroken, "no such channel"),
        ({"error": "something_else"}, SourceBroken, "something_else"),
        ({"error": 5}, SourceBroken, "no reason"),
    ],
)
async def test_slacks_errors_are_told_in_words(
    upstream: SlackUpstream,
    tools: Tools,
    *,
    error: Mapping[str, Any],
    expected: type[Exception],
    reason: str,
) -> None:
    upstream.error = error

    with pytest.raises(expected, match=reason) as told:
        await looked(connector(upstream, tools))

    assert TOKEN not in str(told.value)
    assert isinstance(told.value, CredentialsRefused) == (expected is CredentialsRefused)


async def test_each_request_is_one_of_the_sources_quota(
    upstream: SlackUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    budget = Budget(3)
    follow = connector(upstream, replace(tools, budget=budget))

    pages = await looked(follow)
    with pytest.raises(SourceBusy, match="used up"):
        await looked(follow, pages[-1].cursor)

    assert len(upstream.requests) == budget.used == 3


async def test_history_has_the_answers_to_messages_of_the_days_before(
    upstream: SlackUpstream, tools: Tools
) -> None:
    since = NOW - timedelta(days=3)
    top = upstream.write("before", at=since - timedelta(days=2))
    upstream.write("within", at=since + timedelta(hours=1), parent=top.native_id)
    upstream.write("too late", at=since + timedelta(days=2), parent=top.native_id)
    follow = connector(upstream, tools)

    pages = [page async for page in follow.history(since, since + timedelta(days=1), {})]

    assert texts(pages) == ["within"]


def read(
    upstream: SlackUpstream, message: tuple[Mapping[str, str], bytes], **changes: Any
) -> Document:
    assert KIND.hook is not None
    headers, body = message
    model = SlackSettings.model_validate({**upstream.settings(), **changes})
    return KIND.hook.read(model, {name.lower(): it for name, it in headers.items()}, body)


async def test_what_polls_learn_of_people_pushes_know(
    upstream: SlackUpstream, tools: Tools
) -> None:
    stranger = upstream.pushed(upstream.write("dark mode"), "written")
    before = read(upstream, stranger)
    await looked(connector(upstream, tools))
    after = read(upstream, stranger)

    shown = [(row.author_name, row.url) for row in before.rows if isinstance(row, ParsedPost)]
    known = [(row.author_name, row.url) for row in after.rows if isinstance(row, ParsedPost)]
    assert shown == [("", "")]
    assert known[0][0] == "하늘"
    assert known[0][1].startswith(f"https://maker.slack.com/archives/{CHANNEL}/p")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message", "channel": "C0THER", "text": "no", "ts": "1767225600.000100"},
        {"type": "reaction_added", "item": {"channel": CHANNEL}},
        {"type": "app_mention", "channel": CHANNEL, "text": "twice", "ts": "1767225600.000100"},
        {"type": "message", "channel": CHANNEL, "bot_id": "B1", "text": "x", "ts": "1.0"},
        {"type": "message", "channel": CHANNEL, "subtype": "channel_join", "text": "x", "ts": "1"},
    ],
)
def test_events_that_are_no_concern_of_the_source_bring_nothing(event: dict[str, Any]) -> None:
    upstream = SlackUpstream()

    found = read(upstream, upstream.event(event))

    assert (list(found.rows), found.deleted) == ([], ())


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_event_of_another_time_is_refused(seconds: int) -> None:
    upstream = SlackUpstream()
    message = upstream.signed({"type": "event_callback"}, at=time.time() + seconds)

    with pytest.raises(Forged, match="five minutes"):
        read(upstream, message)


def test_without_a_signing_secret_no_event_is_taken() -> None:
    upstream = SlackUpstream()

    with pytest.raises(Forged, match="no signing secret"):
        read(upstream, upstream.signed({"type": "event_callback"}), signing_secret=None)


async def test_an_event_that_comes_again_late_and_in_other_letters_changes_nothing(
    publisher: Publisher,
) -> None:
    upstream, vault = SlackUpstream(), Vault([new_key()])
    kinds = {KIND.kind: KIND}
    added = NewSource("w", "p", "it", "slack", None, upstream.settings())
    source = await Sources(publisher.database, kinds, vault).add(added)

    async def receive(message: tuple[Mapping[str, str], bytes]) -> tuple[int, int, int]:
        headers = {name.lower(): value for name, value in message[0].items()}
        taken = await Receiver(publisher, vault, kinds).receive(source.id, headers, message[1])
        return taken.counts.published, taken.counts.duplicates, taken.counts.deleted

    written = upstream.write("dark mode")
    first = upstream.pushed(written, "written")
    again = upstream.event({"subtype": "", **json.loads(first[1])["event"]})
    upstream.edit(written, "dark mode, please")
    edited = upstream.pushed(written, "edited")
    upstream.delete(written)
    gone = upstream.pushed(written, "deleted")

    told = [await receive(one) for one in (first, first, again, edited, edited, gone, gone, again)]

    assert told == [
        (1, 0, 0),
        (0, 1, 0),
        (0, 1, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (0, 0, 0),
        (0, 1, 0),
    ]


_NAMES = ["ok", "error", "messages", "ts", "thread_ts", "latest_reply", "reply_count", "text"]
_NAMES += ["user", "edited", "subtype", "response_metadata", "next_cursor", "url", "type", "event"]
_NAMES += ["channel", "message", "challenge", "profile", "deleted_ts"]
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["1767225600.000100", "1767225601.000100", CHANNEL, PERSON, "message"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
    ),
    max_leaves=10,
)
_FUZZ = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@_FUZZ
@given(answer=_JSON, messages=st.lists(_JSON, max_size=4))
async def test_no_answer_breaks_the_connector(
    upstream: SlackUpstream, tools: Tools, answer: Any, messages: list[Any]
) -> None:
    whole = {"ok": True, "messages": messages, **answer} if isinstance(answer, dict) else answer
    upstream.answer = whole
    follow = connector(upstream, replace(tools, budget=Budget(20)))

    with suppress(SourceBroken, SourceBusy):
        found = await looked(follow)
        assert all(isinstance(post, ParsedPost) for post in posts(found))


@_FUZZ
@given(said=_JSON, event=st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6))
def test_no_event_breaks_the_connector(said: Any, event: dict[str, Any]) -> None:
    upstream = SlackUpstream()
    assert KIND.hook is not None
    assert KIND.hook.reply is not None
    model = SlackSettings.model_validate(upstream.settings())
    event = {"type": "message", "channel": CHANNEL, **event}
    for each in (said, {"type": "event_callback", "event": event}):
        headers, body = upstream.signed(each)
        low = {name.lower(): value for name, value in headers.items()}
        with suppress(Unreadable):
            assert isinstance(KIND.hook.reply(model, low, body), str)
            assert isinstance(KIND.hook.read(model, low, body), Document)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": []},
        {"channels": ["#general"]},
        {"channels": ["C024BE91L/../x"]},
        {"channels": ["D024BE91L"]},
        {"bot_token": ""},
        {"days": 0},
        {"address": "slack.com"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**SlackUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        SlackSettings.model_validate(values)

    assert TOKEN not in str(refused.value)
    assert SECRET not in str(refused.value)
