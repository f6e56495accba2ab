"""What is special to Telegram; what every connector must do is in `test_conformance.py`."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_contracts.posts import Channel, Post
from maru_ingest import collector, connectors
from maru_ingest.collector import Collector
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
from maru_ingest.connectors.telegram import CONNECTOR, TelegramConnector, TelegramSettings
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Unreadable
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.service.trying import Trying
from maru_kit.bus import Bus, Outgoing
from maru_kit.errors import Unavailable
from maru_kit.outbound import Manners, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.telegram import CHAT, SECRET, TOKEN, TelegramUpstream

_NAMES = [
    "ok", "result", "update_id", "message", "edited_channel_post", "chat", "id", "type", "date",
    "message_id", "text", "username", "description", "parameters", "retry_after",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("group"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5)
        | inner.map(lambda it: {"ok": True, "result": [it]})
        | inner.map(lambda it: {"update_id": 9, "message": {"chat": {"type": "group"}, "x": it}})
    ),
    max_leaves=20,
)


@pytest.fixture
async def upstream() -> AsyncIterator[TelegramUpstream]:
    async with TelegramUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: TelegramUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def opened(upstream: TelegramUpstream, tools: Tools, **changes: Any) -> TelegramConnector:
    values = {**upstream.settings(), **changes}
    return TelegramConnector(TelegramSettings.model_validate(values), tools)


async def first(connector: TelegramConnector, cursor: Cursor | None = None) -> Page:
    """Return the first page, whose posts are then in nobody's log."""
    async with aclosing(connector.pages(cursor or {})) as pages:
        return await anext(pages)


def texts(page: Page | Document) -> list[str]:
    return [row.text for row in page.rows if isinstance(row, ParsedPost)]


def pushed(headers: Mapping[str, str], body: bytes, **changes: Any) -> Document:
    values = {**TelegramUpstream().settings(), **changes}
    assert CONNECTOR.hook is not None
    low = {name.lower(): value for name, value in headers.items()}
    return CONNECTOR.hook.read(TelegramSettings.model_validate(values), low, body)


async def test_telegram_is_told_of_an_arrival_only_by_who_asks_on(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.page = 2
    for number in range(6):
        upstream.write(f"post {number}")
    follow = opened(upstream, tools)

    again = [await first(follow) for _ in range(2)]
    untold = len(upstream.pending)
    async with aclosing(follow.pages(again[0].cursor)) as pages:
        later = await anext(pages)
        told = len(upstream.pending)
        await anext(pages)

    assert [texts(page) for page in again] == [["post 0", "post 1"]] * 2
    assert texts(later) == ["post 2", "post 3"]
    assert (untold, told, len(upstream.pending)) == (6, 4, 2)


class Deaf:
    """A log that acknowledges nothing while it is deaf; `asked` counts who tried."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.is_deaf = False
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def append(self, topic: str, records: Sequence[Outgoing]) -> None:
        self.asked += 1
        if self.is_deaf:
            raise Unavailable("The log does not answer.")
        await self._bus.append(topic, records)


async def test_what_the_log_did_not_take_telegram_still_has(
    upstream: TelegramUpstream,
    tools: Tools,
    publisher: Publisher,
    collected: Callable[[], Awaitable[list[Post]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collector, "_HOLD_SECONDS", 0.05)
    log, vault, stop = Deaf(publisher.bus), Vault([new_key()]), asyncio.Event()
    deaf = replace(publisher, bus=cast("Bus", log))
    sources = Sources(publisher.database, connectors.kinds(), vault)
    new = NewSource("w", "p", "it", "telegram", None, upstream.settings())
    source = await sources.add(new)
    upstream.write("before")
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        following = Collector(deaf, connectors.kinds(), tools, vault, "i1", tick_seconds=0.02)
        group.create_task(following.run(stop))
        while (await sources.find("w", source.id)).posts < 1 or upstream.pending:
            await asyncio.sleep(0.02)
        log.is_deaf, log.asked = True, 0
        upstream.write("meanwhile")
        while log.asked < 3:
            await asyncio.sleep(0.02)
        untold = len(upstream.pending)
        log.is_deaf = False
        while upstream.pending:
            await asyncio.sleep(0.02)
        stop.set()

    assert untold == 1
    assert [post.text for post in await collected()] == ["before", "meanwhile"]


async def test_a_try_takes_nothing_away(upstream: TelegramUpstream, tools: Tools) -> None:
    upstream.page = 2
    for number in range(6):
        upstream.write(f"post {number}")

    trying = Trying(connectors.kinds(), tools)
    tried = await trying.try_out("telegram", upstream.settings(), most=10)

    assert [post.text for post in tried.newest] == ["post 1", "post 0"]
    assert len(upstream.pending) == 6


async def test_after_a_week_of_silence_numbers_may_begin_anew(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=7)
    upstream.next = 40
    upstream.write("dark mode")
    follow = opened(upstream, tools)

    page = await first(follow, {"offset": 870_000_001, "at": long_ago.isoformat()})
    soon = await first(follow, page.cursor)

    assert texts(page) == ["dark mode"]
    assert page.cursor["offset"] == 42
    assert texts(soon) == []


PERSON = {"id": 7, "type": "private", "username": "kim"}
CHANNEL = {"id": -100_2, "type": "channel", "username": "MakerNews", "title": "News"}
CLOSED = {"id": -100_3, "type": "group", "title": "Family"}
TO_A_CHANNEL = {"id": -100_4, "type": "supergroup", "is_direct_messages": True}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"group", "channel", "closed"}),
        ({"private_chats": True}, {"group", "channel", "closed", "person", "to a channel"}),
        ({"chats": "@makernews"}, {"channel"}),
        ({"chats": [str(CHAT), "-1003"]}, {"group", "closed"}),
        ({"chats": ["7"]}, {"person"}),
        ({"chats": ["@MakerNews"], "private_chats": True}, {"channel", "person", "to a channel"}),
    ],
)
async def test_only_the_wanted_chats_are_taken(
    upstream: TelegramUpstream, tools: Tools, changes: dict[str, Any], expected: set[str]
) -> None:
    others = {
        "person": PERSON, "channel": CHANNEL, "closed": CLOSED, "to a channel": TO_A_CHANNEL,
    }  # fmt: skip
    upstream.write("group")
    for text, chat in others.items():
        written = upstream.write(text)
        written.extra["chat"] = chat
        kind = "channel_post" if chat is CHANNEL else "message"
        upstream.pending[-1] = upstream.update(kind, written)

    page = await first(opened(upstream, tools, **changes))

    assert set(texts(page)) == expected
    assert page.cursor["offset"] == upstream.next + 1


async def test_posts_say_where_they_stand(upstream: TelegramUpstream, tools: Tools) -> None:
    group = upstream.write("dark mode")
    news = upstream.write("news")
    news.extra["chat"] = CHANNEL
    upstream.pending[-1] = upstream.update("channel_post", news)
    upstream.edit(group, "dark mode, please")

    found = {row.text: row for row in (await first(opened(upstream, tools))).rows
             if isinstance(row, ParsedPost)}  # fmt: skip

    assert found["dark mode"].native_id == found["dark mode, please"].native_id == f"{CHAT}/1"
    assert found["dark mode"].url == "https://t.me/makers/1"
    assert (found["dark mode"].channel, found["news"].channel) == (
        Channel.COMMUNITY,
        Channel.MICROBLOG,
    )
    assert found["dark mode"].edited_at is None
    assert found["dark mode, please"].edited_at is not None


async def test_what_says_nothing_is_left_out_and_what_is_odd_is_a_bad_row(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    joined = upstream.message(upstream.posts[0])
    del joined["text"]
    picture = {**joined, "message_id": 3, "photo": [{"file_id": "x"}]}
    odd = {key: value for key, value in joined.items() if key != "date"}
    for number, message in enumerate(({**joined, "new_chat_members": []}, picture, odd)):
        upstream.pending.append({"update_id": upstream.next + 1 + number, "message": message})

    page = await first(opened(upstream, tools))

    assert texts(page) == ["dark mode"]
    assert [type(row) for row in page.rows] == [ParsedPost, BadRow]
    assert page.cursor["offset"] == upstream.next + 4


@pytest.mark.parametrize(
    ("status", "description", "parameters", "expected", "reason", "wait"),
    [
        (429, "Too Many Requests: retry after 14", {"retry_after": 14}, SourceBusy, "patience", 14),
        (429, "Too Many Requests", {}, SourceBusy, "patience", 30),
        (401, "Unauthorized", {}, CredentialsRefused, "no bot with this token", 0),
        (404, "Not Found", {}, CredentialsRefused, "no bot with this token", 0),
        (409, "Conflict: terminated by other getUpdates request", {}, SourceBroken, "Another", 0),
        (400, "Bad Request: invalid timeout", {}, SourceBroken, "invalid timeout", 0),
        (502, "Bad Gateway", {}, SourceBusy, "Bad Gateway", 0),
    ],
)
async def test_telegrams_refusals_are_understood(
    upstream: TelegramUpstream,
    tools: Tools,
    *,
    status: int,
    description: str,
    parameters: Mapping[str, Any],
    expected: type[Exception],
    reason: str,
    wait: float,
) -> None:
    upstream.error = status, description, parameters

    with pytest.raises(expected, match=reason) as told:
        await first(opened(upstream, tools))

    assert getattr(told.value, "retry_after", 0) == wait
    assert TOKEN not in str(told.value)


async def test_while_telegram_pushes_it_is_asked_seldom(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.has_webhook = True
    cursor = {"offset": 7, "at": datetime.now(UTC).isoformat()}

    pages = [page async for page in opened(upstream, tools).pages(cursor)]

    assert pages == [Page((), cursor, timedelta(minutes=15))]
    with pytest.raises(SourceBroken, match="give its secret, or delete it"):
        await first(opened(upstream, tools, webhook_secret=None), cursor)


async def test_questions_that_are_held_open_keep_no_other_bot_waiting(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.mode = "hang"
    asking = [asyncio.create_task(first(opened(upstream, tools))) for _ in range(3)]
    async with asyncio.timeout(30):
        while len(upstream.asked) < 3:
            await asyncio.sleep(0.02)

    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_a_server_that_holds_no_question_open_is_not_asked_without_a_pause(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.answer = {"ok": True, "result": []}

    async with aclosing(opened(upstream, tools).pages({})) as pages:
        for _ in range(3):
            await anext(pages)

    assert upstream.asked[2] - upstream.asked[1] >= 0.4


async def test_the_token_is_in_no_log(
    upstream: TelegramUpstream, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.write("dark mode")
    page = await first(opened(upstream, tools))
    told = []
    for mode in ("down", "half", "cut", "refused"):
        upstream.mode = mode
        with pytest.raises((SourceBroken, SourceBusy)) as error:
            await first(opened(upstream, tools), page.cursor)
        told.append(str(error.value))

    assert texts(page) == ["dark mode"]
    said = "".join(record.getMessage() for record in caplog.records if "aiohttp" not in record.name)
    assert TOKEN not in said + "".join(told)


async def test_each_question_is_one_of_the_sources_quota(
    upstream: TelegramUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    follow = opened(upstream, replace(tools, budget=Budget(1)))

    page = await first(follow)
    with pytest.raises(SourceBusy, match="used up"):
        await first(follow, page.cursor)

    assert len(upstream.requests) == 1


def update(**changes: Any) -> bytes:
    upstream = TelegramUpstream()
    told = upstream.update("message", upstream.write("dark mode"))
    return json.dumps({**told, **changes}).encode()


def test_a_push_is_known_by_the_secret_that_telegram_was_given() -> None:
    good = {"X-Telegram-Bot-Api-Secret-Token": SECRET}

    assert texts(pushed(good, update())) == ["dark mode"]
    assert pushed(good, update(), chats=["@others"]) == Document(())
    for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "\udcff"}):
        with pytest.raises(Forged):
            pushed(headers, update())
    for none in (None, ""):
        with pytest.raises(Forged, match="no webhook secret"):
            pushed({"X-Telegram-Bot-Api-Secret-Token": ""}, update(), webhook_secret=none)
    with pytest.raises(Unreadable):
        pushed(good, b"[]")
    assert CONNECTOR.hook is not None
    with pytest.raises(Forged, match="asks nothing"):
        CONNECTOR.hook.greet(TelegramSettings.model_validate(TelegramUpstream().settings()), {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_JSON, offset=st.sampled_from([0, 5]))
async def test_no_answer_breaks_the_connector(
    upstream: TelegramUpstream, tools: Tools, answer: Any, offset: int
) -> None:
    upstream.answer = answer
    cursor = {"offset": offset, "at": datetime.now(UTC).isoformat()} if offset else {}

    with suppress(SourceBroken, SourceBusy):
        page = await first(opened(upstream, tools), cursor)
        assert page.cursor.get("offset", offset) >= offset


@given(answer=_JSON)
def test_no_push_breaks_the_connector(answer: Any) -> None:
    body = json.dumps(answer).encode()

    with suppress(Unreadable):
        pushed({"X-Telegram-Bot-Api-Secret-Token": SECRET}, body)


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_token": "AAE-s3cret_of_a_bot_00000000000000000"},
        {"bot_token": f"{TOKEN}/../x"},
        {"webhook_secret": "two words"},
        {"chats": ["makers"]},
        {"wait_seconds": 51},
        {"address": "https://api.telegram.org/"},
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        TelegramSettings.model_validate({**TelegramUpstream().settings(), **changes})

    assert "s3cret" not in str(refused.value)
