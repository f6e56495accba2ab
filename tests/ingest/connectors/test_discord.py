"""What is special to Discord; what every connector must do is in `test_conformance.py`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
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
    Page,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.connectors.discord import DiscordConnector, DiscordSettings
from maru_ingest.discord_gateway import neighbour
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import Manners, open_outbound
from upstreams.discord import CHANNEL, FORUM, GUILD, HIDDEN, TOKEN, DiscordUpstream, snowflake

Happen = Callable[[], None]
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maru_ingest.connector._BATCH_SECONDS", 0.05)


@pytest.fixture
async def upstream() -> AsyncIterator[DiscordUpstream]:
    async with DiscordUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: DiscordUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host], manners=Manners(patience=10_000)) as outbound:
        yield Tools(outbound, deadline=30.0)


def connector(upstream: DiscordUpstream, tools: Tools, **changes: Any) -> DiscordConnector:
    values = {**upstream.settings(), **changes}
    return DiscordConnector(DiscordSettings.model_validate(values), tools)


async def until(
    follow: DiscordConnector, cursor: Cursor, holds: Callable[[list[Page]], bool]
) -> list[Page]:
    """The pages up to the one after which something holds, or all if the connection ends."""
    found: list[Page] = []
    async with asyncio.timeout(30), aclosing(follow.pages(cursor)) as pages:
        async for page in pages:
            found.append(page)
            if holds(found):
                break
    return found


def caught_up(pages: list[Page]) -> bool:
    """Whether both channels are: each ends with a page that only moves its mark."""
    return sum(not page.rows for page in pages) == 2


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


async def missed(follow: DiscordConnector, cursor: Cursor | None = None) -> list[Page]:
    """What is caught up before one listens."""
    return await until(follow, cursor or {}, caught_up)


async def listened(
    follow: DiscordConnector, cursor: Cursor, happen: Happen, wanted: int
) -> list[Page]:
    """What comes once all is caught up, when something happens then, up to a number of things."""
    before: list[Page] = []
    found: list[Page] = []
    async with asyncio.timeout(30), aclosing(follow.pages(cursor)) as pages:
        async for page in pages:
            if caught_up(before):
                found.append(page)
            else:
                before.append(page)
                if caught_up(before):
                    happen()
            if sum(len(one.rows) + len(one.deleted) for one in found) >= wanted > 0:
                break
    return found


async def test_a_post_of_a_forum_has_its_title_and_answers(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    asked = upstream.open_thread("Dark mode", "Please!")
    upstream.write("me too")
    upstream.write("Yes!", parent=upstream.posts[-1].native_id)
    follow = connector(upstream, tools)

    pages = await missed(follow)
    live = await listened(follow, pages[-1].cursor, lambda: upstream.write("soon?") and None, 1)

    assert [(it.title, it.text, it.in_reply_to) for it in posts(pages)] == [
        ("Dark mode", "Please!", ""),
        ("", "me too", asked.native_id),
        ("", "Yes!", upstream.posts[1].native_id),
    ]
    assert posts(pages)[0].url == (
        f"https://discord.com/channels/{GUILD}/{asked.native_id}/{asked.native_id}"
    )
    assert [(it.text, it.in_reply_to) for it in posts(live)] == [("soon?", asked.native_id)]


async def test_a_thread_that_was_opened_and_archived_while_nobody_looked_is_found(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.write("before", at=NOW - timedelta(days=9))
    for number in range(25):  # more than one page of archived threads, and of old ones
        old = upstream.open_thread("old", f"old {number}", at=NOW - timedelta(days=20))
        upstream.archive(old.native_id, NOW - timedelta(days=19) + timedelta(minutes=number))
    follow = connector(upstream, tools)
    first = await missed(follow)
    upstream.forget()
    for number in range(23):
        new = upstream.open_thread(f"{number}", f"new {number}", at=NOW - timedelta(days=2))
        upstream.archive(new.native_id, NOW - timedelta(days=1) + timedelta(minutes=number))

    lost = await missed(follow, first[-1].cursor)
    found = await missed(follow, lost[-1].cursor)

    assert set(texts(first)) == {"before", *(f"old {number}" for number in range(5, 25))}
    assert {text for text in texts(found) if "new" in text} == {
        f"new {number}" for number in range(23)
    }


async def test_a_look_that_is_cut_off_anywhere_goes_on_and_loses_nothing(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.bucket = 1_000
    start = {**(await missed(connector(upstream, tools)))[-1].cursor, "session": None}
    for number in range(30):
        upstream.write(f"message {number}")
    for number in range(3):
        upstream.open_thread(f"thread {number}", f"post {number}")
        for answer in range(25):
            upstream.write(f"answer {number}.{answer}")
    wanted = {one.text for one in upstream.posts}
    whole = await missed(connector(upstream, tools), start)

    for number in range(1, len(whole)):
        had = await until(connector(upstream, tools), start, lambda them, n=number: len(them) == n)
        cut = {**had[-1].cursor, "session": None}  # so that nothing comes by the Gateway again
        rest = await missed(connector(upstream, tools), cut)
        assert {*texts(had), *texts(rest)} == wanted

    assert set(texts(whole)) == wanted
    assert len(whole) > 8


async def test_a_thread_that_cannot_be_looked_up_now_is_not_forgotten(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    begun = await missed(follow)

    def happen() -> None:
        upstream.mode = "half"
        upstream.open_thread("Dark mode", "Please!")

    with pytest.raises(SourceBroken, match="can't be read"):
        await listened(follow, begun[-1].cursor, happen, 1)
    upstream.mode = "ok"
    found = await until(follow, begun[-1].cursor, lambda them: bool(texts(them)))

    assert texts(found) == ["Please!"]


async def test_the_first_look_shows_the_threads_that_are_talked_in(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    for number in range(30):
        upstream.open_thread("t", f"post {number}", at=NOW - timedelta(hours=40 - number))

    found = await missed(connector(upstream, tools))

    assert texts(found) == [f"post {number}" for number in range(5, 30)]


async def test_what_happens_while_a_connection_is_broken_comes_when_it_is_resumed(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    edited, deleted = upstream.write("dark mode"), upstream.write("spam")
    follow = connector(upstream, tools)
    pages = await missed(follow)
    upstream.edit(edited, "dark mode, please")
    upstream.delete(deleted)
    fresh = connector(upstream, tools)  # as after a restart

    found = await until(fresh, pages[-1].cursor, lambda them: bool(them[-1].deleted))

    assert texts(found)[-1] == "dark mode, please"
    assert posts(found)[-1].edited_at == edited.edited_at
    assert found[-1].deleted == [deleted.native_id]
    assert (upstream.identified, upstream.resumed) == (1, 1)
    assert found[-1].cursor["session"]["seq"] > pages[-1].cursor["session"]["seq"]


async def test_a_session_that_is_gone_is_begun_anew_and_nothing_is_lost(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.write("before", at=NOW - timedelta(hours=1))
    follow = connector(upstream, tools)
    pages = await missed(follow)
    upstream.forget()
    upstream.write("meanwhile")

    refused = await missed(follow, pages[-1].cursor)
    found = await missed(follow, refused[-1].cursor)

    assert refused[-1].cursor == {**pages[-1].cursor, "session": None}
    assert texts(refused) == []
    assert texts(found) == ["before", "meanwhile"]  # what was said last is read again
    assert upstream.identified == 2


@pytest.mark.parametrize("code", [4_007, 4_009])
async def test_a_close_may_end_the_session(
    upstream: DiscordUpstream, tools: Tools, code: int
) -> None:
    upstream.close_code = code

    found = await listened(connector(upstream, tools), {}, upstream.hang_up, 0)

    assert found[-1].cursor["session"] is None


async def test_when_discord_asks_to_connect_again_the_session_stays(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    def happen() -> None:
        upstream.orders = [1, 7]  # a heartbeat at once, then go
        upstream.write("now")

    found = await listened(connector(upstream, tools), {}, happen, 0)

    assert texts(found) == ["now"]
    assert found[-1].cursor["session"]["id"] in upstream.sessions
    assert upstream.beats == 1


@pytest.mark.parametrize(
    ("code", "expected", "reason"),
    [
        (4_004, CredentialsRefused, "does not take the bot's token"),
        (4_008, SourceBusy, "patience"),
        (4_011, SourceBroken, "shard"),
        (4_014, SourceBroken, "Message Content Intent"),
    ],
)
async def test_close_codes_are_told_in_words(
    upstream: DiscordUpstream, tools: Tools, *, code: int, expected: type[Exception], reason: str
) -> None:
    upstream.close_code = code

    with pytest.raises(expected, match=reason):
        await listened(connector(upstream, tools), {}, upstream.hang_up, 0)


async def test_a_bot_without_the_intent_is_told_what_to_switch_on(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.intended = False

    with pytest.raises(SourceBroken, match="Message Content Intent"):
        await missed(connector(upstream, tools))


async def test_heartbeats_show_that_both_sides_live(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.heartbeat = 0.02
    follow = connector(upstream, tools)
    pages = await listened(follow, {}, lambda: upstream.write("a") and None, 1)
    async with asyncio.timeout(30), aclosing(follow.pages(pages[-1].cursor)) as listening:
        await anext(listening)
        beats = upstream.beats
        while upstream.beats < beats + 3:
            await asyncio.sleep(0.01)
    upstream.deaf = True

    ended = await until(follow, pages[-1].cursor, lambda _: False)

    assert texts(pages) == ["a"]
    assert ended[-1].cursor["session"]["id"] in upstream.sessions


async def test_a_session_that_cannot_be_had_where_it_is_kept_is_resumed_at_the_gateway(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    pages = await missed(follow)
    elsewhere = f"ws://10.0.0.1:{upstream.host.rpartition(':')[2]}"  # where nobody may go
    found: list[Page] = []

    async def take(cursor: Cursor) -> None:
        async for page in follow.pages(cursor):
            found.append(page)  # noqa: PERF401 - what came before it raised

    with pytest.raises(SourceBroken, match=r"10\.0\.0\.1"):
        await take(
            {**pages[-1].cursor, "session": {**pages[-1].cursor["session"], "url": elsewhere}}
        )
    await missed(follow, found[-1].cursor)

    assert (upstream.identified, upstream.resumed) == (1, 1)


@pytest.mark.parametrize(
    ("home", "named", "asked"),
    [
        ("wss://gateway.discord.gg", "wss://gateway-us-east1-b.discord.gg", None),
        ("wss://gateway.discord.gg", "wss://gateway-us-east1-b.discord.gg/", None),
        ("wss://gateway.discord.gg", "ws://gateway-us-east1-b.discord.gg", ""),
        ("wss://gateway.discord.gg", "wss://evil.example", ""),
        ("wss://gateway.discord.gg", "wss://evildiscord.gg", ""),
        ("wss://gateway.discord.gg", "wss://a@b.discord.gg", ""),
        ("wss://gateway.discord.gg", "wss://b.discord.gg:1", ""),
        ("wss://gateway.discord.gg", "wss://b.discord.gg/path", ""),
        ("wss://gateway.discord.gg", "wss://[", ""),
        ("wss://localhost", "wss://other", ""),
    ],
)
def test_the_token_goes_to_the_gateways_own_domain_alone(
    home: str, named: str, asked: str | None
) -> None:
    assert neighbour(home, named) == (named.rstrip("/") if asked is None else home)


async def test_bots_are_heard_only_where_that_is_wanted(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    bot = {"author": {"id": "1", "username": "b", "bot": True}}
    upstream.write("from a bot").extra["message"] = bot
    upstream.write("from a webhook").extra["message"] = {"webhook_id": "1"}
    upstream.write("from people")

    people = await missed(connector(upstream, tools))
    all_of_them = await missed(connector(upstream, tools, bots=True))

    assert texts(people) == ["from people"]
    assert texts(all_of_them) == ["from a bot", "from a webhook", "from people"]


async def test_pictures_without_words_say_nothing_and_links_are_the_same_each_time(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    url = "https://cdn.discordapp.com/attachments/1/2/a.png"
    picture = {"attachments": [{"content_type": "image/png", "url": f"{url}?ex=1&is=2&hm=3"}]}
    upstream.write("").extra["message"] = picture
    upstream.write("see").extra["message"] = picture

    found = await missed(connector(upstream, tools))

    assert [(post.text, post.media[0].url) for post in posts(found)] == [("see", url)]


async def test_a_channel_that_the_bot_may_not_see_is_named_and_stops_no_other(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    follow = connector(upstream, tools, channels=[HIDDEN, CHANNEL])
    found: list[Page] = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.append(page)
            if page.trouble and len(texts(found)) == 1:
                upstream.write("and light mode")
            elif len(texts(found)) == 2:
                upstream.hang_up()

    with pytest.raises(SourceBroken, match=f"{HIDDEN}.*Missing Access"):
        async with asyncio.timeout(30):
            await take()

    assert texts(found) == ["dark mode", "and light mode"]
    assert all(HIDDEN in page.trouble for page in found if "and light mode" in texts([page]))
    assert list(found[-1].cursor["marks"]) == [CHANNEL]


async def test_what_was_missed_in_a_channel_that_could_not_be_read_comes_later(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    begun = await missed(follow)
    upstream.open_thread("Dark mode", "missed", at=NOW - timedelta(hours=1))
    upstream.unreadable = {FORUM}
    upstream.here = CHANNEL
    cut = {**begun[-1].cursor, "session": None}  # so that it does not come by the Gateway
    found: list[Page] = []
    async with asyncio.timeout(30), aclosing(follow.pages(cut)) as pages:
        async for page in pages:
            found.append(page)
            if "live" in texts(found):
                break
            if page.trouble:
                upstream.write("live")
    upstream.unreadable = set()
    rest = await missed(follow, {**found[-1].cursor, "session": None})

    assert "missed" not in texts(found)
    assert "missed" in texts(rest)


async def test_a_channel_that_cannot_be_read_is_tried_again_and_the_session_stays(
    upstream: DiscordUpstream, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maru_ingest.connectors.discord._AGAIN", 0.0)
    follow = connector(upstream, tools, channels=[HIDDEN, CHANNEL])
    found: list[Page] = []

    async def take() -> None:
        async for page in follow.pages({}):
            found.append(page)
            if page.trouble and not page.rows:
                upstream.write("live")

    with pytest.raises(SourceBroken, match="Missing Access"):
        async with asyncio.timeout(30):
            await take()
    upstream.write("later")
    rest = await until(follow, found[-1].cursor, lambda them: "later" in texts(them))

    assert texts(found) == ["live"]
    assert "later" in texts(rest)
    assert (upstream.identified, upstream.resumed) == (1, 1)


async def test_a_source_of_which_nothing_can_be_read_does_not_listen(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    with pytest.raises(SourceBroken, match=f"{HIDDEN}.*Missing Access"):
        await missed(connector(upstream, tools, channels=[HIDDEN]))


async def test_a_channel_that_is_added_later_shows_its_newest_messages(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.open_thread("Dark mode", "Please!", at=NOW - timedelta(days=3))
    upstream.here = CHANNEL
    upstream.write("here", at=NOW - timedelta(hours=1))
    one = connector(upstream, tools, channels=[CHANNEL])
    first = await until(one, {}, lambda them: not them[-1].rows)

    found = await missed(connector(upstream, tools), first[-1].cursor)

    assert texts(first) == ["here"]
    assert "Please!" in texts(found)


async def test_what_is_said_elsewhere_is_not_heard_and_asked_about_once(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    def happen() -> None:
        for where, guild in ((HIDDEN, GUILD), (HIDDEN, GUILD), ("290000000000000009", "1" * 18)):
            elsewhere = {"id": "1" * 18, "channel_id": where, "guild_id": guild}
            upstream.happen("MESSAGE_CREATE", {**elsewhere, "author": {}, "content": "no"})
            upstream.happen("MESSAGE_DELETE", elsewhere)
        upstream.happen("TYPING_START", {"channel_id": CHANNEL})
        upstream.happen("MESSAGE_UPDATE", {"id": "1" * 18, "channel_id": CHANNEL, "embeds": []})
        upstream.write("here")

    found = await listened(connector(upstream, tools), {}, happen, 1)

    assert texts(found) == ["here"]
    assert not any(page.deleted for page in found)
    asked = [request.path for request in upstream.requests if HIDDEN in request.path]
    assert asked == [f"/api/v10/channels/{HIDDEN}"]


async def test_many_messages_may_be_deleted_at_once(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    ids = [upstream.write(f"spam {number}").native_id for number in range(3)]
    where = {"channel_id": CHANNEL, "guild_id": GUILD}
    follow = connector(upstream, tools)

    def happen() -> None:
        upstream.happen("MESSAGE_DELETE_BULK", {"ids": ids, **where})

    found = await listened(follow, {}, happen, 3)

    assert found[-1].deleted == ids


async def test_a_bucket_that_is_used_up_is_waited_for(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    follow = connector(upstream, tools)
    pages = await missed(follow)
    for number in range(upstream.page * 7):
        upstream.write(f"post {number}")

    found = await missed(follow, pages[-1].cursor)

    assert len(texts(found)) == upstream.page * 7


async def test_a_bot_that_has_begun_many_sessions_waits(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.starts = 3

    with pytest.raises(SourceBusy, match="3 more sessions") as told:
        await missed(connector(upstream, tools))

    assert told.value.retry_after == 3_600
    assert upstream.identified == 0


async def test_each_request_is_one_of_the_sources_quota(
    upstream: DiscordUpstream, tools: Tools
) -> None:
    upstream.write("dark mode")
    budget = Budget(3)

    with pytest.raises(SourceBusy, match="used up"):
        await missed(connector(upstream, replace(tools, budget=budget)))

    assert len(upstream.requests) == budget.used == 3


async def test_an_id_from_the_future_hides_nothing(upstream: DiscordUpstream, tools: Tools) -> None:
    upstream.write("late", at=NOW + timedelta(days=400))

    found = await missed(connector(upstream, tools))

    assert texts(found) == ["late"]
    assert found[-1].cursor["marks"][CHANNEL] < snowflake(NOW + timedelta(days=1))


_NAMES = ["id", "guild_id", "channel_id", "type", "last_message_id", "threads", "thread_metadata"]
_NAMES += ["archive_timestamp", "has_more", "author", "content", "message", "code", "timestamp"]
_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
_VALUES |= st.sampled_from([CHANNEL, FORUM, GUILD, "2026-01-01T00:00:00Z"])
_JSON = st.recursive(
    _VALUES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
    ),
    max_leaves=10,
)
_FUZZ = settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@_FUZZ
@given(answer=_JSON)
async def test_no_answer_breaks_the_connector(
    upstream: DiscordUpstream, tools: Tools, answer: Any
) -> None:
    follow = connector(upstream, tools, channels=[CHANNEL])
    channel = {"id": CHANNEL, "guild_id": GUILD, "type": 0, "last_message_id": "9" * 19}
    upstream.answer = {**channel, **answer} if isinstance(answer, dict) else answer

    with suppress(SourceBroken, SourceBusy):
        found = [page async for page in follow.history(NOW - timedelta(days=1), NOW, {})]
        assert all(isinstance(page, Page) for page in found)


@_FUZZ
@given(frame=_JSON | st.fixed_dictionaries({"op": st.integers(0, 12), "d": _JSON, "t": _VALUES}))
async def test_no_frame_breaks_the_connector(
    upstream: DiscordUpstream, tools: Tools, frame: Any
) -> None:
    upstream.noise = [json.dumps(frame)]

    with suppress(SourceBroken, SourceBusy):
        await until(connector(upstream, tools), {}, caught_up)


@_FUZZ
@given(
    kind=st.sampled_from(["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE_BULK"]),
    data=st.dictionaries(st.sampled_from([*_NAMES, "ids"]), _JSON, max_size=6),
)
async def test_no_event_breaks_the_connector(
    upstream: DiscordUpstream, tools: Tools, kind: str, data: dict[str, Any]
) -> None:
    follow = connector(upstream, tools)
    await follow._of(CHANNEL, 0, {})

    rows, gone = await follow._told([{"op": 0, "t": kind, "d": {**data, "channel_id": CHANNEL}}])

    assert all(isinstance(row, ParsedPost | BadRow) for row in rows)
    assert all(isinstance(name, str) for name in gone)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": []},
        {"channels": ["general"]},
        {"channels": ["12345678901234567/messages"]},
        {"bot_token": ""},
        {"address": "discord.com"},
        {"gateway": "https://gateway.discord.gg"},
    ],
)
def test_settings_that_follow_nothing_are_refused(changes: dict[str, Any]) -> None:
    values = {**DiscordUpstream().settings(), **changes}

    with pytest.raises(ValidationError) as refused:
        DiscordSettings.model_validate(values)

    assert TOKEN not in str(refused.value)
