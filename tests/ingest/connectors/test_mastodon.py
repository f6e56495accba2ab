"""What is special to Mastodon; what every connector must do is asked in test_conformance."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    Tools,
)
from maru_ingest.connectors import mastodon
from maru_ingest.connectors.mastodon import CONNECTOR, MastodonConnector, MastodonSettings
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_kit.outbound import Fetched, open_outbound
from maru_kit.outbound.sse import Event
from upstreams.mastodon import MastodonUpstream
from upstreams.upstream import Written

Open = Callable[..., MastodonConnector]
TOKEN = MastodonUpstream.secret


class CountingUpstream(MastodonUpstream):
    """A server whose ids count its posts and tell no time, as those of old servers do."""

    def local_id(self, written: Written) -> str:
        return written.native_id.rpartition("/")[2]


@pytest.fixture
async def upstream() -> AsyncIterator[MastodonUpstream]:
    async with MastodonUpstream().serving() as upstream:
        yield upstream


@pytest.fixture
async def tools(upstream: MastodonUpstream) -> AsyncIterator[Tools]:
    async with open_outbound(allow=[upstream.host, "127.0.0.1"]) as outbound:
        yield Tools(outbound, deadline=30.0)


@pytest.fixture
def visitor(upstream: MastodonUpstream, tools: Tools) -> Open:
    """Make a connector without a token, which polls unless one is given."""

    def make(**settings: Any) -> MastodonConnector:
        asked = settings or {"hashtag": "maru"}
        model = MastodonSettings.model_validate({"server": upstream.url, **asked})
        return MastodonConnector(model, tools)

    return make


async def poll(
    connector: MastodonConnector, cursor: Cursor, found: list[Page] | None = None
) -> tuple[list[Page], Cursor]:
    """All pages of a poll, and the cursor as the database gives it back.

    `found` takes the pages that come before an error.
    """
    pages = [] if found is None else found
    async for page in connector.pages(cursor):
        pages.append(page)
    return pages, json.loads(json.dumps(pages[-1].cursor if pages else cursor))


def posts(pages: list[Page]) -> list[ParsedPost]:
    return [row for page in pages for row in page.rows if isinstance(row, ParsedPost)]


def texts(pages: list[Page]) -> list[str]:
    return [post.text for post in posts(pages)]


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("mastodon.social", "https://mastodon.social"),
        (" https://Mastodon.Social/ ", "https://mastodon.social"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    ],
)
def test_a_server_goes_by_its_name_or_address(server: str, address: str) -> None:
    assert MastodonSettings(server=server, hashtag=" #마루 ").server == address


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "follow one of these"),
        ({"hashtag": "a", "timeline": "local"}, "follow one of these"),
        ({"hashtag": " # "}, "follow one of these"),
        ({"timeline": "home"}, "need an access token"),
        ({"list_id": "5", "access_token": " "}, "need an access token"),
        ({"hashtag": "a", "server": "https://a.example/@haneul"}, "must be a server's address"),
        ({"hashtag": "a", "server": "https://me:pw@a.example"}, "must be a server's address"),
        ({"hashtag": "a", "server": "ftp://a.example"}, "must be a server's address"),
        ({"hashtag": "a", "server": "https://[::1"}, ""),
        ({"hashtag": "a", "access_token": "sec\nret"}, "letters, digits and signs"),
    ],
)
def test_settings_that_do_not_fit_say_why(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        MastodonSettings.model_validate({"server": "a.example", **settings})

    assert reason in str(error.value)
    assert "ret'" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"hashtag": "#마루"}, "/api/v1/timelines/tag/마루"),
        ({"timeline": "public"}, "/api/v1/timelines/public"),
        ({"timeline": "local"}, "/api/v1/timelines/public"),
        ({"account": "@haneul@b.example"}, "/api/v1/accounts/9/statuses"),
        ({"account": "@haneul@127.0.0.1"}, "/api/v1/accounts/9/statuses"),
    ],
)
async def test_each_thing_to_follow_has_its_timeline(
    upstream: MastodonUpstream, visitor: Open, asked: dict[str, str], path: str
) -> None:
    upstream.write("dark mode")

    pages, _ = await poll(visitor(**asked), {})

    assert texts(pages) == ["dark mode"]
    assert upstream.requests[-1].path == path
    assert (upstream.requests[-1].query.get("local") == "true") == (asked == {"timeline": "local"})


@pytest.mark.parametrize(
    ("asked", "stream"),
    [
        ({"hashtag": "마루"}, "/api/v1/streaming/hashtag?tag=%EB%A7%88%EB%A3%A8"),
        ({"timeline": "public"}, "/api/v1/streaming/public"),
        ({"timeline": "local"}, "/api/v1/streaming/public/local"),
        ({"timeline": "home"}, "/api/v1/streaming/user"),
        ({"list_id": "5"}, "/api/v1/streaming/list?list=5"),
    ],
)
async def test_each_timeline_has_its_stream_and_no_address_holds_the_token(
    upstream: MastodonUpstream, visitor: Open, asked: dict[str, str], stream: str
) -> None:
    upstream.write("dark mode")
    connector = visitor(**asked, access_token=TOKEN)

    async with aclosing(connector.pages({})) as pages:
        await anext(pages)

    assert stream in [str(request.rel_url) for request in upstream.requests]
    assert not [one for one in upstream.requests if TOKEN in str(one.rel_url)]


async def test_an_account_that_the_server_does_not_know_is_named(visitor: Open) -> None:
    with pytest.raises(SourceGone, match="knows no account @nobody"):
        await poll(visitor(account="@nobody@c.example"), {})


async def test_a_poll_notices_edits_deletions_and_late_posts_and_repeats_nothing(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    written = [upstream.write(f"post {number}") for number in range(5)]
    _, cursor = await poll(visitor(), {})
    upstream.edit(written[2], "post 2, edited")
    upstream.delete(written[3])
    upstream.write("late", at=written[1].at + timedelta(milliseconds=1))
    upstream.write("new")

    pages, after = await poll(visitor(), cursor)
    again, _ = await poll(visitor(), after)

    assert sorted(texts(pages)) == ["late", "new", "post 2, edited"]
    assert [one for page in pages for one in page.deleted] == [written[3].native_id]
    assert texts(again) == []
    assert not [page for page in again if page.deleted]


async def test_a_post_that_has_only_left_the_timeline_is_not_deleted(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    written = [upstream.write(f"post {number}") for number in range(3)]
    _, cursor = await poll(visitor(), {})
    upstream.moved.add(written[1].native_id)

    pages, after = await poll(visitor(), cursor)
    asked = len(upstream.asked)
    await poll(visitor(), after)

    assert not [page for page in pages if page.deleted]
    assert "statuses" not in "".join(one.path for one in upstream.requests[asked:])


async def test_a_deletion_in_the_stream_names_the_post_also_after_a_restart(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    first, second = upstream.write("first"), upstream.write("second")
    connector = visitor(hashtag="maru", access_token=TOKEN)
    async with aclosing(connector.pages({})) as pages:
        cursor = (await anext(pages)).cursor
        upstream.delete(first)
        async for page in pages:
            if page.deleted:
                break
    assert page.deleted == [first.native_id]

    upstream.write("third")
    async with aclosing(connector.pages(page.cursor)) as pages:
        await anext(pages)
        upstream.delete(second)
        async for page in pages:
            if page.deleted:
                break
    assert page.deleted == [second.native_id]
    assert set(page.cursor["posts"]) < {*cursor["posts"], upstream.local_id(upstream.posts[2])}


async def test_what_the_stream_says_beside_posts_is_passed_over(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    upstream.noise = (
        b"event: notification\ndata: {}\n\nevent: filters_changed\ndata: undefined\n\n"
        b"event: delete\ndata: 5\n\nevent: update\ndata: {oops\n\nevent: update\ndata: [1]\n\n"
    )
    upstream.write("before")
    connector = visitor(hashtag="maru", access_token=TOKEN)
    found: list[Page] = []
    async with aclosing(connector.pages({})) as pages:
        async for page in pages:
            found.append(page)
            if len(found) == 2:
                upstream.write("after")
            if "after" in texts(found):
                break

    bad = [row for page in found for row in page.rows if isinstance(row, BadRow)]
    assert texts(found) == ["before", "after"]
    assert [row.original for row in bad] == [b"{oops", b"[1]"]
    assert not [page for page in found if page.deleted]


async def test_a_reply_in_the_stream_names_the_post_that_came_before(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    parent = upstream.write("dark mode")
    connector = visitor(hashtag="maru", access_token=TOKEN)
    async with aclosing(connector.pages({})) as pages:
        found = [await anext(pages)]
        upstream.write("Yes!", parent=parent.native_id)
        async for page in pages:
            found.append(page)
            if page.rows:
                break

    assert posts(found)[-1].in_reply_to == parent.native_id


async def test_an_old_post_that_was_edited_is_no_place_to_go_on_from(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    old = upstream.write("old", at=datetime.now(UTC) - timedelta(days=400))
    upstream.moved.add(old.native_id)
    upstream.write("new")
    connector = visitor(hashtag="maru", access_token=TOKEN)
    async with aclosing(connector.pages({})) as pages:
        found = [await anext(pages)]
        upstream.edit(old, "old, edited")
        async for page in pages:
            found.append(page)
            if page.rows:
                break

    assert texts(found) == ["new", "old, edited"]
    assert list(found[-1].cursor["posts"]) == [upstream.local_id(upstream.posts[1])]


async def test_a_quiet_stream_gives_a_sign_of_life(
    upstream: MastodonUpstream, visitor: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mastodon, "_SILENCE", 0.2)
    upstream.heartbeat = 0.05
    upstream.write("before")
    connector = visitor(hashtag="maru", access_token=TOKEN)
    async with aclosing(connector.pages({})) as pages:
        first = await anext(pages)
        second = await anext(pages)

    assert (list(second.rows), second.cursor) == ([], first.cursor)
    assert len([one for one in upstream.requests if "streaming" in one.path]) == 1


@pytest.mark.parametrize("why", ["not there", "refused", "cut off", "elsewhere", "no stream"])
async def test_without_a_stream_the_timeline_is_polled(
    upstream: MastodonUpstream, visitor: Open, why: str
) -> None:
    upstream.streams = why != "not there"
    upstream.cuts = why == "cut off"
    upstream.streaming = "wss://127.0.0.1:1" if why == "elsewhere" else ""
    upstream.stream_kind = "text/html" if why == "no stream" else upstream.stream_kind
    token = upstream.app_token if why == "refused" else TOKEN
    upstream.write("dark mode")

    pages, _ = await poll(visitor(hashtag="maru", access_token=token), {})

    assert texts(pages) == ["dark mode"]
    tries = [one for one in upstream.requests if "streaming" in one.path]
    assert len(tries) == {"cut off": 3, "elsewhere": 0}.get(why, 1)


async def test_credentials_that_the_timeline_refuses_are_told_of(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    with pytest.raises(CredentialsRefused, match="401"):
        await poll(visitor(hashtag="maru", access_token="another"), {})
    upstream.closed = True
    with pytest.raises(CredentialsRefused, match="This API requires a user"):
        await poll(visitor(), {})


async def test_only_what_everybody_may_read_is_taken(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    for visibility in ("public", "unlisted", "private", "direct"):
        upstream.write(visibility).extra["visibility"] = visibility

    pages, cursor = await poll(visitor(), {})
    upstream.write("later").extra["visibility"] = "private"
    later, _ = await poll(visitor(), cursor)

    assert texts(pages) == ["public", "unlisted"]
    assert texts(later) == []


@pytest.mark.parametrize("longest", [10, 20])
async def test_a_server_with_short_pages_is_caught_up_with(
    upstream: MastodonUpstream, visitor: Open, longest: int
) -> None:
    upstream.longest_page = longest
    for number in range(30):
        upstream.write(f"before {number}")
    _, cursor = await poll(visitor(), {})
    later = [upstream.write(f"later {number}").text for number in range(50)]

    for _ in range(2):
        pages, cursor = await poll(visitor(), cursor)
        assert texts(pages) == later
        later = []


async def test_the_first_posts_of_a_timeline_that_was_empty_all_come(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    _, cursor = await poll(visitor(), {})
    upstream.write("long ago", at=datetime.now(UTC) - timedelta(days=1))
    for number in range(100):
        upstream.write(f"post {number}")

    pages, cursor = await poll(visitor(), cursor)
    upstream.write("one more")
    more, _ = await poll(visitor(), cursor)

    assert set(texts(pages)) >= {f"post {number}" for number in range(100)}
    assert all(not page.cursor["posts"] for page in pages[:-1])
    assert texts(more) == ["one more"]


async def test_a_home_timeline_that_is_being_made_is_asked_for_later(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    upstream.write("dark mode")
    upstream.regenerating = True

    with pytest.raises(SourceBusy) as error:
        await poll(visitor(timeline="home", access_token=TOKEN), {})

    assert error.value.retry_after > 0


async def test_a_limit_is_kept_before_it_is_reached(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    for number in range(100):
        upstream.write(f"post {number}")
    _, cursor = await poll(visitor(), {})
    for number in range(100):
        upstream.write(f"later {number}")
    upstream.left = 2
    pages: list[Page] = []

    with pytest.raises(SourceBusy) as error:
        await poll(visitor(), cursor, pages)
    asked = len(upstream.asked)
    with pytest.raises(SourceBusy):
        await poll(visitor(), pages[-1].cursor)

    assert texts(pages) == [f"later {number}" for number in range(60)]
    assert 0 < error.value.retry_after <= 3
    assert len(upstream.asked) == asked


async def test_pages_that_go_on_elsewhere_are_not_followed_there(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    async with MastodonUpstream().serving() as stranger:
        upstream.links_to = stranger.url
        upstream.write("first")
        _, cursor = await poll(visitor(), {})
        for number in range(90):
            upstream.write(f"post {number}")
        pages, _ = await poll(visitor(), cursor)

    assert len(texts(pages)) == 90
    assert stranger.asked == []


async def test_an_old_range_is_found_by_the_time_in_ids(
    upstream: MastodonUpstream, visitor: Open
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(1_000):
        upstream.write(f"new {number}", at=now - timedelta(minutes=number))
    upstream.write("then", at=now - timedelta(days=300))

    since = now - timedelta(days=301)
    pages = [page async for page in visitor().history(since, since + timedelta(days=2), {})]

    assert texts(pages) == ["then"]
    assert len(upstream.asked) <= 3


async def test_an_old_range_is_paged_back_to_where_ids_only_count(tools: Tools) -> None:
    async with CountingUpstream().serving() as upstream:
        now = datetime.now(UTC).replace(microsecond=0)
        for number in reversed(range(200)):
            upstream.write(f"post {number}", at=now - timedelta(hours=number))
        settings = MastodonSettings(server=upstream.url, hashtag="maru")
        connector = MastodonConnector(settings, tools)

        since, until = now - timedelta(hours=150), now - timedelta(hours=99)
        pages = [page async for page in connector.history(since, until, {})]
        first = [page.text for page in posts((await poll(connector, {}))[0])]

    assert sorted(texts(pages)) == sorted(f"post {number}" for number in range(100, 151))
    assert first == [f"post {number}" for number in reversed(range(40))]


@pytest.mark.parametrize(
    ("server", "named", "address"),
    [
        ("https://m.social", "wss://m.social", "https://m.social"),
        ("https://m.social", "wss://streaming.m.social", "https://streaming.m.social"),
        ("https://social.a.example", "wss://ws.a.example", "https://ws.a.example"),
        ("http://127.0.0.1:80", "ws://127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("https://m.social", "ws://streaming.m.social", ""),
        ("https://m.social", "wss://evil-m.social", ""),
        ("https://m.social", "wss://b.social", ""),
        ("https://m.social", "wss://x@m.social", ""),
        ("https://m.social", "file:///etc/passwd", ""),
        ("https://m.social", "wss://[", ""),
        ("https://m.social", "", ""),
    ],
)
def test_the_token_goes_to_no_streaming_server_but_a_neighbour(
    server: str, named: str, address: str
) -> None:
    assert mastodon.neighbour(server, named) == address


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not JSON"),
        (b'{"error": "Record not found"}', "Record not found"),
        (b'[{"id": "1", "acct": "a", "locked": false}]', "a Mastodon account holds no posts"),
        (b"[1, 2]", "it holds no posts"),
        (b"null", "a single value"),
    ],
)
def test_what_is_no_list_of_posts_says_what_it_is(body: bytes, reason: str) -> None:
    fetched = Fetched(200, {}, body, "https://a.example/api/v1/timelines/public", None)

    with pytest.raises(SourceBroken, match=reason) as error:
        mastodon.read(fetched, {})

    assert str(error.value).startswith("a.example answers with what are no posts: ")


def test_one_bad_post_among_good_ones_is_a_bad_row() -> None:
    upstream = MastodonUpstream()
    good = upstream.status(upstream.write("dark mode"))
    body = json.dumps([{"id": "999", "content": None}, good, 5]).encode()

    answer = mastodon.read(Fetched(200, {}, body, "https://a.example", None), {})

    assert [type(row) for row in answer.rows] == [ParsedPost, BadRow, BadRow]
    assert set(answer.posts) == {"999", good["id"]}


def test_what_it_can_do_and_how_often_it_asks() -> None:
    settings = MastodonSettings(server="a.example", hashtag="maru", interval_seconds=60)

    assert CONNECTOR.interval(settings) == timedelta(minutes=1)
    assert CONNECTOR.stream


_FIELDS = (
    "id uri content account visibility reblog edited_at created_at quote in_reply_to_id poll"
    " media_attachments ancestors descendants error acct"
)
_NAMES = st.sampled_from(_FIELDS.split())
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["public", "direct", "113", "2026-11-01T10:00:00Z", "<p>hi</p>"])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=5), inner)
    ),
    max_leaves=20,
)
_STATUS = st.fixed_dictionaries(
    {"id": _JSON, "content": _JSON, "account": _JSON, "visibility": _JSON},
    optional={"uri": _JSON, "reblog": _JSON, "edited_at": _JSON, "created_at": _JSON},
)


@given(
    body=st.binary(max_size=50)
    | (_JSON | st.lists(_STATUS | _JSON, max_size=4)).map(lambda it: json.dumps(it).encode()),
    link=st.text(max_size=80) | st.from_regex(mastodon._LINK),
)
def test_no_answer_breaks_the_connector(body: bytes, link: str) -> None:
    fetched = Fetched(200, {"link": link}, body, "https://a.example/", None)
    try:
        answer = mastodon.read(fetched, {})
    except SourceBroken:
        return

    json.dumps([answer.posts, answer.newer, answer.older]).encode()
    assert mastodon.read(fetched, answer.posts).posts == answer.posts


@given(
    st.lists(
        st.builds(
            Event,
            event=st.sampled_from(["update", "status.update", "delete"]),
            data=st.text(max_size=50) | (_STATUS | _JSON).map(json.dumps),
            id=st.just(""),
            retry=st.none(),
        ),
        max_size=5,
    )
)
def test_no_event_breaks_the_connector(events: list[Event]) -> None:
    rows, known, gone = mastodon.heard(events, {})

    assert all(isinstance(row, (ParsedPost, BadRow)) for row in rows)
    assert len(gone) == len([one for one in events if one.event == "delete"])
    json.dumps(known).encode()
