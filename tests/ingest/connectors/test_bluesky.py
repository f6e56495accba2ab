"""What is special to Bluesky; what every connector must do is asked in test_conformance."""

import asyncio
import json
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from maru_ingest.collector import Collector
from maru_ingest.connector import (
    Budget,
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.connectors import bluesky
from maru_ingest.connectors.bluesky import BlueskyConnector, BlueskySettings, Sessions
from maru_ingest.formats.jetstream import Event
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_ingest.formats.searches import Search, fold
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.tables import seen
from maru_kit.outbound import Fetched, Outbound, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.bluesky import BlueskyUpstream

Open = Callable[..., BlueskyConnector]
DID = BlueskyUpstream.did
OTHER = BlueskyUpstream.other
CID = "bafkreiawa4vn5k37h2mlpwuhaqmeog3hsfe3z47iot7reqxjlff6juyge4"


@pytest.fixture
async def upstream() -> AsyncIterator[BlueskyUpstream]:
    async with BlueskyUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: BlueskyUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host]) as outbound:
        yield Tools(outbound, deadline=30.0, budget=Budget())


@pytest.fixture
def follow(upstream: BlueskyUpstream, tools: Tools) -> Open:
    """Make a connector; it follows the account that writes unless settings say otherwise."""
    sessions = Sessions()

    def make(**settings: Any) -> BlueskyConnector:
        where = {name: upstream.settings()[name] for name in ("server", "app_view", "jetstreams")}
        asked = settings or {"authors": [upstream.handle]}
        if "search" in asked:
            asked = {"handle": upstream.handle, "app_password": upstream.secret, **asked}
        return BlueskyConnector(BlueskySettings.model_validate({**where, **asked}), tools, sessions)

    return make


async def first(connector: BlueskyConnector, cursor: Cursor, number: int) -> list[Page]:
    """The first pages that are not empty."""
    found: list[Page] = []
    async with asyncio.timeout(10), aclosing(connector.pages(cursor)) as pages:
        async for page in pages:
            if page.rows or page.deleted_if_known:
                found.append(page)
            if len(found) == number:
                break
    return found


async def listened(
    connector: BlueskyConnector, cursor: Cursor, happen: Callable[[], None], wanted: int
) -> list[Page]:
    """What comes from a stream after something happened, until there is enough of it."""
    found: list[Page] = []
    happen()
    async with asyncio.timeout(10), aclosing(connector.pages(cursor)) as pages:
        async for page in pages:
            found.append(page)
            if sum(len(one.rows) + len(one.deleted_if_known) for one in found) >= wanted:
                break
    return found


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


def now() -> int:
    return time.time_ns() // 1000


def settings_of(**given: Any) -> BlueskySettings:
    return BlueskySettings.model_validate({"authors": ["a.example"], **given})


@pytest.mark.parametrize(
    ("written", "account"),
    [
        ("@Name.bsky.social", "name.bsky.social"),
        (" https://bsky.app/profile/name.example/ ", "name.example"),
        ("https://bsky.app/profile/did:plc:abc", "did:plc:abc"),
        ("did:web:Name.example", "did:web:Name.example"),
    ],
)
def test_an_account_goes_by_its_handle_did_or_address(written: str, account: str) -> None:
    assert settings_of(authors=[written, account]).authors == (account,)


def test_lists_may_be_written_with_commas_or_lines_between() -> None:
    settings = settings_of(authors="a.example, @b.example", search="dark mode\n#maru\n")

    assert settings.authors == ("a.example", "b.example")
    assert settings.search == ("dark mode", "#maru")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"authors": []}, "name accounts to follow"),
        ({"authors": ["no handle"]}, "an account is a handle"),
        ({"authors": ["a.example&x=1"]}, "an account is a handle"),
        ({"handle": "a.example"}, "come together"),
        ({"app_password": "x"}, "come together"),
        ({"search": ["from:a.example crash"]}, "no operators"),
        ({"search": ["crash OR freeze"]}, "no operators"),
        ({"search": ["crash -windows"]}, "no operators"),
        ({"search": ['""']}, "must hold words"),
        ({"search": ["#"]}, "must hold words"),
        ({"search": ["x" * 201]}, "200 letters"),
        ({"server": "bsky.social"}, "https://"),
        ({"server": "https://a:b@bsky.social"}, "https://"),
        ({"jetstreams": ["https://jetstream.example"]}, "wss://"),
        ({"jetstreams": []}, "at least 1"),
    ],
)
def test_settings_that_do_not_fit_say_why(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings_of(**settings)


@pytest.mark.parametrize(
    ("line", "text", "holds"),
    [
        ("dark mode", "A MODE that is Dark", True),
        ("dark mode", "dark", False),
        ('"dark mode"', "a mode that is dark", False),
        ('"dark mode"', "Dark mode!", True),
        ("art", "start", False),
        ("art", "(art)", True),
        ("다크모드", "다크모드를 켜 주세요", True),
        ("다크모드", unicodedata.normalize("NFD", "다크모드를"), True),
        ("iPhone", "iphone에서 안 돼요", True),
        ("C++", "in c++ it is", True),
        ("Straße", "STRASSE", True),
        ("@maru.example", "hi @maru.example!", True),
        ("😀", "fine😀", True),
        ("#maru", "no tag: maru", False),
    ],
)
def test_a_post_holds_all_words_of_a_line(line: str, text: str, *, holds: bool) -> None:
    assert Search.of(line).holds({"text": text}) is holds


@pytest.mark.parametrize(
    "record",
    [
        {"text": "x", "tags": ["Maru"]},
        {"text": "#maru", "facets": [{"features": [{"tag": "maru"}]}]},
    ],
)
def test_a_hashtag_is_one_whatever_its_case(record: dict[str, Any]) -> None:
    assert Search.of("#MARU").holds(record)
    assert not Search.of("#marunae").holds(record)


_WORDS = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["다크모드", "Straße", "İ", "a b", "#x"]
)


@given(
    word=_WORDS,
    before=_WORDS,
    after=_WORDS,
    escaped=st.booleans(),
    form=st.sampled_from(["NFC", "NFD"]),
)
def test_no_post_that_holds_a_search_is_passed_over_unread(
    *, word: str, before: str, after: str, escaped: bool, form: Any
) -> None:
    word = word.replace('"', "")
    text = unicodedata.normalize(form, f"{before} {word} {after}")
    search = Search.of(f'"{word}"')
    event = {"commit": {"record": {"text": text}}}
    try:
        message = json.dumps(event, ensure_ascii=escaped).encode().decode()
    except UnicodeEncodeError:  # half a letter, which Jetstream cannot send
        return

    if search.holds({"text": text}):
        assert search.may_hold(fold(message))


async def test_accounts_are_filtered_by_jetstream(upstream: BlueskyUpstream, follow: Open) -> None:
    stranger = f"at://{OTHER}/app.bsky.feed.post/3mstranger"
    upstream.write("mine")
    upstream.posts.append(replace(upstream.posts[0], native_id=stranger, text="not mine"))

    upstream._tell(upstream.posts[1])

    pages = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    assert texts(pages) == ["mine"]
    assert upstream.subscriptions[-1]["wantedDids"] == [DID]
    assert upstream.subscriptions[-1]["wantedCollections"] == ["app.bsky.feed.post"]
    assert posts(pages)[0].author == upstream.handle


async def test_accounts_and_searches_are_followed_together(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    connector = follow(authors=[OTHER], search=["오프라인"])
    upstream.write("오프라인에서도")
    upstream.write("something else")
    theirs = upstream.write("whatever they say")
    theirs.native_id = f"at://{OTHER}/app.bsky.feed.post/3mtheirs"
    upstream.events.pop()
    upstream._tell(theirs)

    pages = await listened(connector, {"time_us": now() - 10_000_000}, lambda: None, 2)

    assert texts(pages) == ["오프라인에서도", "whatever they say"]
    assert "wantedDids" not in upstream.subscriptions[-1]
    assert [post.author for post in posts(pages)] == ["haneul.example", "baram.example"]


async def test_a_beginning_that_is_cut_off_begins_again(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("오프라인에서도")
    connector = follow(authors=[DID], search=["오프라인"])

    one, two = await first(connector, {}, 2)

    assert one.cursor == {}
    assert now() - 70_000_000 < two.cursor["time_us"] < now() - 60_000_000


async def test_an_account_that_nobody_has_is_named(follow: Open) -> None:
    with pytest.raises(SourceBroken, match=r"no account gone\.example"):
        await first(follow(authors=["gone.example", "haneul.example"]), {}, 1)


async def test_an_account_that_is_shown_to_nobody_is_listened_to_all_the_same(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("hello")
    del upstream.handles[DID]

    pages = await first(follow(authors=[DID]), {"time_us": now() - 10_000_000}, 1)

    assert [(post.text, post.author) for post in posts(pages)] == [("hello", DID)]


async def test_a_hundred_accounts_are_looked_up_in_four_requests(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    names = [f"did:plc:{number:024d}" for number in range(99)]
    connector = follow(authors=[*names, upstream.handle])
    upstream.write("hello")

    await first(connector, {"time_us": now() - 10_000_000}, 1)

    asked = [request.path for request in upstream.requests]
    assert asked == ["/xrpc/app.bsky.actor.getProfiles"] * 4 + ["/subscribe"]


async def test_reposts_are_no_posts_of_who_reposts(upstream: BlueskyUpstream, follow: Open) -> None:
    upstream.reposts.append(upstream.write("passed on"))
    upstream.write("said")

    pages = await first(follow(), {}, 1)

    assert texts(pages) == ["passed on", "said"]


async def test_the_stream_goes_on_a_little_before_where_it_was(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("hello")
    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)
    assert page.cursor == {"time_us": upstream.events[0]["time_us"]}

    await first(follow(), page.cursor, 1)

    asked = int(upstream.subscriptions[-1]["cursor"][0])
    assert asked == upstream.events[0]["time_us"] - 5_000_000


async def test_a_time_in_the_future_moves_the_cursor_no_further_than_now(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("hello")
    upstream.events[0]["time_us"] = now() + 10**12

    (page,) = await first(follow(), {"time_us": now()}, 1)

    assert page.cursor["time_us"] <= now()


async def test_what_was_missed_for_longer_than_jetstream_remembers_is_read_from_the_feed(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    began = datetime.now(UTC) - timedelta(days=4)
    upstream.write("known", at=began - timedelta(hours=1))
    many = upstream.page * 2 + 1
    for number in range(many):
        upstream.write(f"missed {number}", at=began + timedelta(hours=number))
    upstream.events.clear()
    cursor: Cursor = {"time_us": int(began.timestamp() * 1_000_000)}

    (page,) = await first(follow(), cursor, 1)
    rest = await first(follow(), json.loads(json.dumps(page.cursor)), 2)

    assert sorted(texts([page, *rest])) == sorted(f"missed {number}" for number in range(many))
    assert [asked.get("cursor") for asked in upstream.feeds] == [None, "20", "40"]
    assert page.cursor["time_us"] == cursor["time_us"]


async def test_after_a_long_absence_the_stream_goes_on_from_where_the_feed_ended(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("missed", at=datetime.now(UTC) - timedelta(days=1))
    upstream.events.clear()
    began = now()

    pages = await listened(
        follow(), {"time_us": began - 2 * 86_400_000_000}, lambda: upstream.write("new"), 3
    )

    assert texts(pages) == ["missed", "new", "new"]
    asked = int(upstream.subscriptions[-1]["cursor"][0])
    assert began - 66_000_000 < asked < now() - 60_000_000


async def test_search_is_asked_day_by_day_so_that_its_pages_end(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    until = datetime.now(UTC).replace(microsecond=0)
    since = until - timedelta(days=2, hours=1)
    wanted = [upstream.write(f"then {n}", at=since + timedelta(hours=n)) for n in range(49)]
    upstream.write("too late", at=until)

    history = follow(search=["#maru"]).history(since, until, {})
    pages = [page async for page in history]

    assert sorted(texts(pages)) == sorted(one.text for one in wanted)
    spans = {(asked["since"], asked["until"]) for asked in upstream.searches}
    assert len(spans) == 3
    assert texts(pages[:2])[-1] == "then 3"  # of the first day, its newest page comes first


async def test_the_history_of_an_account_is_paged_back_to_its_beginning_and_not_further(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
    since = until - timedelta(days=1)
    for number in range(upstream.page * 3):
        upstream.write(f"before {number}", at=since - timedelta(hours=number + 1))
    upstream.write("then", at=since)
    upstream.write("after", at=until)

    pages = [page async for page in follow().history(since, until, {})]

    assert texts(pages) == ["then"]
    assert len(upstream.feeds) == 1


async def test_what_search_finds_must_hold_the_words_as_live_posts_must(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("It crashes")
    upstream.write("A crash")

    pages = await first(follow(search=["crash"]), {}, 1)

    assert texts(pages) == ["A crash"]


async def test_deletions_and_edits_come_with_the_stream_and_the_last_word_counts(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    kept, gone, brief = (upstream.write(text) for text in ("kept", "gone", "brief"))
    upstream.edit(kept, "kept, and better")
    upstream.delete(gone)
    upstream.delete(brief)

    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    assert texts([page]) == ["kept, and better"]
    assert sorted(page.deleted_if_known) == sorted([gone.native_id, brief.native_id])
    (post,) = posts([page])
    assert post.native_id == kept.native_id
    assert post.edited_at is not None
    assert abs(datetime.now(UTC) - post.edited_at) < timedelta(seconds=10)


async def test_deletions_come_for_searches_too_whatever_was_said(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    gone = upstream.write("no such word")
    upstream.delete(gone)

    (page,) = await first(follow(search=["오프라인"]), {"time_us": now() - 10_000_000}, 1)

    assert page.deleted_if_known == (gone.native_id,)


async def test_nothing_is_noted_of_the_deletions_of_a_whole_network(
    upstream: BlueskyUpstream, tools: Tools, publisher: Publisher
) -> None:
    ours = upstream.write("ours")
    settings = upstream.settings() | {"search": ["ours"]}
    kinds, vault = {"bluesky": bluesky.CONNECTOR}, Vault([new_key()])
    sources = Sources(publisher.database, kinds, vault)
    collector = Collector(publisher, kinds, tools, vault, "i1", tick_seconds=0.02)
    source = await sources.add(NewSource("w", "p", "it", "bluesky", None, settings))
    stop = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(collector.run(stop))
        while not upstream.listeners:
            await asyncio.sleep(0.02)
        for number in range(5):
            upstream.delete(upstream.write(f"another's {number}"))
        upstream.delete(ours)
        while await noted(publisher) != [True]:
            await asyncio.sleep(0.02)
        stop.set()

    assert await noted(publisher) == [True]
    assert (await sources.find("w", source.id)).posts == 1


async def noted(publisher: Publisher) -> list[bool]:
    """Of each post that is known, whether it is gone."""
    async with publisher.database.reading() as connection:
        found = await connection.scalars(select(seen.c.deleted_at))
        return [time is not None for time in found]


@pytest.mark.parametrize(
    ("embed", "view"),
    [
        (
            {"images": [{"image": {"ref": {"$link": CID}}, "alt": "a button"}]},
            {"images": [{"fullsize": f"https://cdn.bsky.app/img/feed_fullsize/plain/{DID}/{CID}",
                         "alt": "a button"}]},
        ),
        (
            {"media": {"video": {"ref": {"$link": CID}}, "alt": "a film"},
             "record": {"record": {"uri": "at://x"}}},
            {"media": {"playlist": "https://video.bsky.app/watch/did%3Aplc%3A"
                       f"haneul234567haneul234567/{CID}/playlist.m3u8", "alt": "a film"}},
        ),
    ],
)  # fmt: skip
async def test_a_post_is_the_same_from_the_stream_and_from_a_feed(
    upstream: BlueskyUpstream, follow: Open, embed: dict[str, Any], view: dict[str, Any]
) -> None:
    written = upstream.write("look")
    written.extra |= {"record": {"embed": embed}, "view": {"embed": view}}
    upstream.events.clear()
    upstream._tell(written)

    (shown,) = posts(await first(follow(), {}, 1))
    (heard,) = posts(await first(follow(), {"time_us": now() - 10_000_000}, 1))

    assert shown.media
    assert shown.metrics == {"likes": 3, "shares": 2, "replies": 1}
    assert replace(heard, metrics=shown.metrics, followers=None) == shown


async def test_a_new_handle_is_learnt_from_the_stream(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    identity = {"did": DID, "handle": "new.example", "seq": 1, "time": "2026-11-01T00:00:00Z"}
    upstream.happen({"kind": "identity", "identity": identity}, did=DID)
    upstream.write("hello")

    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    (post,) = posts([page])
    assert (post.author, post.url) == (
        "new.example",
        f"https://bsky.app/profile/new.example/post/{post.native_id.rpartition('/')[2]}",
    )


async def test_what_the_stream_says_beside_posts_is_passed_over(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    like = {"operation": "create", "collection": "app.bsky.feed.like", "rkey": "1", "record": {}}
    at = now()
    upstream.noise = [
        json.dumps({"did": DID, "time_us": at, **said})
        for said in (
            {"kind": "account", "account": {"active": False, "status": "deleted"}},
            {"kind": "commit", "commit": like},
            {"kind": "commit", "commit": {**like, "collection": "app.bsky.feed.post", "rkey": "/"}},
            {"kind": "news"},
        )
    ] + ["{}"]
    upstream.write("hello")

    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    assert texts([page]) == ["hello"]
    assert not page.deleted_if_known


async def test_one_bad_post_in_the_stream_is_a_bad_row(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "1", "record": []}
    upstream.happen({"kind": "commit", "commit": commit}, did=DID)
    upstream.write("hello")

    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    assert texts([page]) == ["hello"]
    (bad,) = (row for row in page.rows if isinstance(row, BadRow))
    assert bad.reason == "not a post of Bluesky"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("[" * 5_000 + "]" * 5_000, "nested too deep"),
        (f'{{"$type": "app.bsky.feed.post", "text": "x", "tags": [{"0," * 100_001}0]}}', "100,000"),
    ],
)
async def test_a_post_that_nobody_can_read_holds_up_nobody(
    upstream: BlueskyUpstream, follow: Open, record: str, reason: str
) -> None:
    commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "1", "record": 0}
    event = {"did": DID, "time_us": now(), "kind": "commit", "commit": commit}
    upstream.noise = [json.dumps(event).replace('"record": 0', f'"record": {record}')]
    upstream.write("hello")

    (page,) = await first(follow(), {"time_us": now() - 10_000_000}, 1)

    assert texts([page]) == ["hello"]
    (bad,) = (row for row in page.rows if isinstance(row, BadRow))
    assert reason in bad.reason


@pytest.mark.parametrize("search", [[], ["오프라인"]])
async def test_a_stream_of_something_else_is_told_of_and_nothing_is_passed_over(
    upstream: BlueskyUpstream, follow: Open, search: list[str]
) -> None:
    upstream.noise = ["<h1>Welcome to nginx</h1>"]

    with pytest.raises(SourceBroken, match="Jetstream sends what is no event: not JSON"):
        await first(follow(authors=[DID], search=search), {"time_us": now()}, 1)


async def test_a_quiet_stream_gives_a_sign_of_life(
    upstream: BlueskyUpstream, follow: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluesky, "_SILENCE", 0.1)
    cursor: Cursor = {"time_us": now()}

    async with asyncio.timeout(5), aclosing(follow().pages(cursor)) as pages:
        quiet = [await anext(pages) for _ in range(2)]
        upstream.write("hello")
        page = await anext(pages)

    assert quiet == [Page([], cursor)] * 2
    assert texts([page]) == ["hello"]
    assert len(upstream.subscriptions) == 1


async def test_the_cursor_moves_on_while_nothing_is_for_us(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.write("nothing of interest")
    async with (
        asyncio.timeout(5),
        aclosing(follow(search=["x"]).pages({"time_us": now() - 60_000_000})) as pages,
    ):
        page = await anext(pages)

    assert not page.rows
    assert page.cursor == {"time_us": upstream.events[0]["time_us"]}


async def test_the_next_server_is_asked_when_one_has_no_stream(
    upstream: BlueskyUpstream, follow: Open, tools: Tools
) -> None:
    upstream.write("hello")
    async with BlueskyUpstream().serving() as broken:
        broken.streams = False
        connector = follow(
            authors=[DID], jetstreams=[broken.stream_url, "ws://127.0.0.1:1/subscribe",
                                       upstream.stream_url]
        )  # fmt: skip
        async with open_outbound(allow=["127.0.0.1"]) as outbound:
            connector.tools = replace(tools, outbound=outbound)
            (page,) = await first(connector, {"time_us": now() - 10_000_000}, 1)

    assert texts([page]) == ["hello"]


async def test_what_the_first_server_says_is_told_when_none_has_a_stream(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    upstream.streams = False

    with pytest.raises(SourceBusy, match=r"answers 503 \(Service Unavailable\)"):
        await first(follow(), {"time_us": now()}, 1)


async def test_an_account_signs_in_once_and_renews_its_session(
    upstream: BlueskyUpstream, follow: Open, tools: Tools
) -> None:
    upstream.write("hello")
    for _ in range(3):
        assert texts(await first(follow(search=["#maru"]), {}, 1)) == ["hello"]
    assert (upstream.signed_in, upstream.refreshed) == (1, 0)

    upstream.expire()
    assert texts(await first(follow(search=["#maru"]), {}, 1)) == ["hello"]
    assert (upstream.signed_in, upstream.refreshed) == (1, 1)

    upstream.expire()
    upstream.refreshable.clear()
    assert texts(await first(follow(search=["#maru"]), {}, 1)) == ["hello"]
    assert (upstream.signed_in, upstream.refreshed) == (2, 1)
    assert tools.budget is not None
    assert tools.budget.used == len(upstream.requests)


async def test_a_password_that_is_refused_is_in_no_reason(follow: Open) -> None:
    with pytest.raises(CredentialsRefused, match="Invalid identifier or password") as refused:
        await first(follow(search=["#maru"], app_password="wrong-pass-word"), {}, 1)

    assert "wrong-pass-word" not in str(refused.value)


async def test_searching_without_an_account_says_what_is_missing(follow: Open) -> None:
    with pytest.raises(CredentialsRefused, match=r"403.*needs a handle and an app password"):
        await first(follow(search=["#maru"], handle=None, app_password=None), {}, 1)


async def test_a_stranger_is_looked_up_once(upstream: BlueskyUpstream, follow: Open) -> None:
    for number in range(3):
        upstream.write(f"오프라인 {number}")

    await first(follow(search=["오프라인"]), {"time_us": now() - 10_000_000}, 1)

    profiles = [request for request in upstream.requests if "getProfiles" in request.path]
    assert len(profiles) == 1


async def test_a_source_has_no_more_requests_than_its_day_allows(
    upstream: BlueskyUpstream, follow: Open
) -> None:
    connector = follow(search=["#maru"])
    connector.tools = replace(connector.tools, budget=Budget(left=1))

    with pytest.raises(SourceBusy, match="for today are used up"):
        await first(connector, {}, 1)

    assert len(upstream.requests) == 1


class Canned:
    """A way out on which every question has the same answer."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def request(self, _: str, url: str, **__: object) -> Fetched:
        return Fetched(200, {}, self.body, url, None)

    async def get(self, url: str, **_: object) -> Fetched:
        return await self.request("GET", url)


def answered(body: bytes, **settings: Any) -> BlueskyConnector:
    """A connector to which everything is answered with `body`."""
    return BlueskyConnector(
        settings_of(**settings), Tools(cast("Outbound", Canned(body))), Sessions()
    )


async def read_all(connector: BlueskyConnector) -> list[Page]:
    until = datetime(2026, 11, 2, tzinfo=UTC)
    history = connector.history(until - timedelta(days=2), until, {})
    return [page async for page in history]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "sends what can't be read: not JSON"),
        (b"[]", "no profiles"),
        (b'{"profiles": [], "feed": {}}', "what are no posts: JSON of no known platform"),
        (b'{"profiles": [], "error": "Failure", "message": "Oops"}', "Failure: Oops"),
        (b'{"profiles": [], "feed": [], "cursor": "%s"}' % (b"x" * 2_001), "cursor of 2,001"),
    ],
)  # fmt: skip
async def test_an_answer_of_another_shape_says_what_it_is(body: bytes, reason: str) -> None:
    with pytest.raises(SourceBroken, match=reason):
        await read_all(answered(body, authors=[DID]))


async def test_a_feed_that_always_goes_on_from_the_same_place_ends() -> None:
    body = b'{"profiles": [], "feed": [{"post": 1}], "cursor": "again"}'

    pages = await read_all(answered(body, authors=[DID]))

    assert [[type(row) for row in page.rows] for page in pages] == [[BadRow], [BadRow]]


_FIELDS = (
    "profiles feed posts post record value reason $type uri cid did handle author text createdAt"
    " indexedAt reply parent embed images items media image video ref $link alt fullsize playlist"
    " facets features tag index byteStart byteEnd tags langs cursor error message commit operation"
    " collection rkey time_us kind identity labels"
)
_NAMES = st.sampled_from(_FIELDS.split())
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([DID, CID, "app.bsky.feed.post", "create", "delete", "2026-11-01T10:00:00Z"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=5), inner)
    ),
    max_leaves=20,
)
_RECORD = st.fixed_dictionaries(
    {"$type": st.just("app.bsky.feed.post"), "text": _JSON},
    optional={"createdAt": _JSON, "embed": _JSON, "facets": _JSON, "tags": _JSON, "reply": _JSON},
)
_SHOWN = st.fixed_dictionaries(
    {"uri": _JSON, "author": _JSON, "record": _RECORD | _JSON},
    optional={"indexedAt": _JSON, "embed": _JSON},
)
_ANSWER = st.fixed_dictionaries(
    {
        "profiles": st.lists(st.fixed_dictionaries({"did": st.just(DID), "handle": _JSON}) | _JSON),
        "feed": st.lists(_SHOWN | _SHOWN.map(lambda it: {"post": it}) | _JSON, max_size=4) | _JSON,
        "posts": st.lists(_SHOWN | _JSON, max_size=4) | _JSON,
        "accessJwt": st.just("a") | _JSON,
        "refreshJwt": st.just("b") | _JSON,
    },
    optional={"cursor": st.sampled_from(["1", "2"]) | _JSON},
)


@given(st.binary(max_size=50) | (_ANSWER | _JSON).map(lambda it: json.dumps(it).encode()))
def test_no_answer_breaks_the_connector(body: bytes) -> None:
    account = {"handle": "a.example", "app_password": "p"}
    for settings in ({"authors": [DID]}, {"authors": [], "search": ["a"], **account}):
        try:
            pages = asyncio.run(read_all(answered(body, **settings)))
        except (SourceBroken, SourceBusy):
            continue

        json.dumps([page.cursor for page in pages])


_EVENT = st.fixed_dictionaries(
    {
        "did": st.sampled_from([DID, OTHER]) | _JSON,
        "time_us": st.integers(min_value=10**15, max_value=10**16) | _JSON,
        "kind": st.sampled_from(["commit", "identity"]) | _JSON,
        "commit": st.fixed_dictionaries(
            {
                "operation": st.sampled_from(["create", "update", "delete"]) | _JSON,
                "collection": st.just("app.bsky.feed.post") | _JSON,
                "rkey": st.just("3m") | _JSON,
                "record": _RECORD | _JSON,
            }
        )
        | _JSON,
        "identity": _JSON,
    }
)


@given(
    st.lists(
        st.text(max_size=50)
        | st.binary(max_size=50)
        | (_EVENT | _JSON).map(json.dumps)
        | _EVENT.map(lambda it: json.dumps(it).encode()),
        max_size=5,
    ),
    st.sampled_from([{"authors": [DID]}, {"search": ["a"]}]),
)
def test_no_event_breaks_the_connector(messages: list[str | bytes], settings: Any) -> None:
    connector = answered(b'{"profiles": []}', **settings)
    heard = []
    for message in messages:
        try:
            said = connector.look(message)
        except SourceBroken:
            continue
        assert said.at <= now()
        heard.append(said)

    page = asyncio.run(connector._told(heard, {}))

    uris = {one.uri for one in heard if isinstance(one, Event)}
    unread = [one for one in heard if isinstance(one, bluesky._Bad)]
    assert len(page.rows) + len(page.deleted_if_known) == len(uris) + len(unread)
