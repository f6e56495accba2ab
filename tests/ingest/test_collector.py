import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from maru_contracts.posts import Post
from maru_ingest import connectors
from maru_ingest.collector import Collector
from maru_ingest.connector import Cursor, Page, SourceBroken, Tools
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.service.trying import Trying
from maru_ingest.store import sources as stored_sources
from maru_ingest.store.sources import Source
from maru_kit.database import Database
from maru_kit.errors import Unprocessable
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.feed import FeedServer, feed_server

VAULT = Vault([new_key()])
Read = Callable[[], Awaitable[list[Post]]]


@pytest.fixture
async def server() -> AsyncIterator[FeedServer]:
    async with feed_server([("a-1", "dark mode"), ("a-2", "offline mode")]) as server:
        yield server


@pytest.fixture
def sources(ingest_database: Database) -> Sources:
    return Sources(ingest_database, connectors.kinds(), VAULT)


async def follow(sources: Sources, url: str, *, name: str = "blog", every: float = 1) -> Source:
    settings = {"url": url, "interval_seconds": every}
    return await sources.add(NewSource("w", "p", name, "feed", None, settings))


@asynccontextmanager
async def collecting(publisher: Publisher, *hosts: str) -> AsyncIterator[Collector]:
    stop = asyncio.Event()
    async with open_outbound(allow=hosts) as outbound, asyncio.TaskGroup() as group:
        collector = Collector(
            publisher, connectors.kinds(), Tools(outbound), VAULT, "i1", tick_seconds=0.02
        )
        group.create_task(collector.run(stop))
        try:
            yield collector
        finally:
            stop.set()


async def until(
    sources: Sources, source: Source, holds: Callable[[Source], bool], *, seconds: float = 10
) -> Source:
    ends = time.monotonic() + seconds
    while not holds(found := await sources.find("w", source.id)):
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.02)
    return found


async def make_due(database: Database, source: Source) -> None:
    async with database.transaction() as connection:
        await stored_sources.set_state(
            connection, source.id, "active", next_poll_at=source.created_at
        )


async def test_a_feed_arrives_oldest_first_and_only_once(
    publisher: Publisher, sources: Sources, server: FeedServer, collected: Read
) -> None:
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        await until(sources, source, lambda one: one.posts == 2)
        server.posts.append(("a-3", "export to PDF"))
        found = await until(sources, source, lambda one: one.posts == 3)

    assert [post.native_id for post in await collected()] == ["a-1", "a-2", "a-3"]
    assert (await collected())[0].url == server.url("/posts/a-1")
    assert (found.state, found.reason) == ("active", "")


async def test_an_edited_post_is_the_next_revision(
    publisher: Publisher, sources: Sources, server: FeedServer, collected: Read
) -> None:
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        await until(sources, source, lambda one: one.posts == 2)
        server.posts[0] = ("a-1", "dark mode, please")
        await until(sources, source, lambda one: one.posts == 3)

    last = (await collected())[-1]
    assert (last.native_id, last.revision, last.text) == ("a-1", 1, "dark mode, please")


async def test_what_a_platform_says_is_gone_is_deleted(
    server: FeedServer, publisher: Publisher, sources: Sources, collected: Read
) -> None:
    story = {"id": 8863, "type": "story", "by": "a", "time": 1_700_000_000, "title": "Dark mode"}
    server.mode, server.body = "raw", json.dumps(story).encode()
    source = await follow(sources, server.url())

    async with collecting(publisher, server.host):
        await until(sources, source, lambda one: one.posts == 1)
        server.body = json.dumps({"id": 8863, "type": "story", "deleted": True}).encode()
        ends = time.monotonic() + 10
        while len(posts := await collected()) < 2 and time.monotonic() < ends:
            await asyncio.sleep(0.02)

    assert [(post.text, post.deleted) for post in posts] == [("Dark mode", False), ("", True)]


async def test_what_has_not_changed_is_not_sent_again(
    publisher: Publisher, sources: Sources, server: FeedServer
) -> None:
    server.mode = "unchanged"
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        await until(sources, source, lambda _: server.requests["/feed.xml"] >= 2)
        found = await until(sources, source, lambda one: one.last_success_at is not None)

    assert server.seen_headers[1]["if-none-match"].startswith('"')
    assert server.seen_headers[1]["if-modified-since"] == "Mon, 23 Nov 2026 10:00:00 GMT"
    assert (found.posts, found.duplicates) == (2, 0)


@pytest.mark.parametrize("mode", ["gzip", "ok"])
async def test_the_feeds_own_pace_is_kept(
    publisher: Publisher, sources: Sources, server: FeedServer, mode: str
) -> None:
    server.mode, server.ttl = mode, 30
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        found = await until(sources, source, lambda one: one.posts == 2 and one.last_success_at)

    assert found.next_poll_at is not None
    assert found.last_success_at is not None
    assert (found.next_poll_at - found.last_success_at).total_seconds() >= 30 * 60


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("status", "answers 500"),
        ("half", "ends in the middle"),
        ("bomb", "larger than"),
        ("endless", "larger than"),
        ("cycle", "redirects more than"),
        ("page", "HTML page"),
    ],
)
async def test_a_broken_source_says_why_and_disturbs_no_other_and_recovers(
    publisher: Publisher,
    sources: Sources,
    server: FeedServer,
    mode: str,
    reason: str,
) -> None:
    server.mode = mode
    async with feed_server([("b-1", "widget")]) as healthy:
        bad = await follow(sources, server.url())
        good = await follow(sources, healthy.url(), name="other")
        async with collecting(publisher, server.host, healthy.host):
            broken = await until(sources, bad, lambda one: one.state == "broken")
            await until(sources, good, lambda one: one.posts == 1)
            server.mode = "ok"
            await make_due(publisher.database, bad)
            recovered = await until(sources, bad, lambda one: one.posts == 2)

    assert reason in broken.reason
    assert (broken.failures, broken.cursor) == (1, {})
    assert recovered.state == "active"


async def test_retry_after_is_waited_for(
    publisher: Publisher, sources: Sources, server: FeedServer
) -> None:
    server.mode, server.status = "status", 429
    server.answer_headers = {"Retry-After": "120"}
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        broken = await until(sources, source, lambda one: one.state == "throttled")

    assert broken.next_poll_at is not None
    assert broken.last_polled_at is not None
    assert 119 <= (broken.next_poll_at - broken.last_polled_at).total_seconds() <= 180
    assert server.requests["/feed.xml"] == 1


@pytest.mark.parametrize("said", [{}, {"Retry-After": "0"}, {"Retry-After": "soon"}])
async def test_who_is_asked_too_much_is_left_alone_without_saying_how_long(
    publisher: Publisher, sources: Sources, server: FeedServer, said: dict[str, str]
) -> None:
    server.mode, server.status, server.answer_headers = "status", 429, said
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        told = await until(sources, source, lambda one: one.state != "active")

    assert told.state == "throttled"
    assert told.next_poll_at is not None
    assert told.last_polled_at is not None
    assert (told.next_poll_at - told.last_polled_at).total_seconds() >= 59


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("feed", {"url": "{}/feed.xml"}), ("mastodon", {"server": "{}", "hashtag": "maru"})],
)
async def test_a_server_that_hangs_is_tried_out_in_vain(
    server: FeedServer, kind: str, settings: dict[str, str]
) -> None:
    server.mode = "hang"
    settings = {name: value.format(server.url("")) for name, value in settings.items()}
    async with open_outbound(allow=[server.host]) as outbound:
        trying = Trying(connectors.kinds(), Tools(outbound), seconds=0.5)
        with pytest.raises(Unprocessable, match=r"did not (answer|finish) within 0\.[45] s"):
            await trying.try_out(kind, settings, most=3)


async def test_a_source_of_many_slow_fetches_did_not_answer_in_time() -> None:
    kind = replace(connectors.kinds()["feed"], open=lambda *_: Quiet())
    async with open_outbound() as outbound:
        seconds = 0.1
        told = Trying({"feed": kind}, Tools(outbound), seconds=seconds)
        with pytest.raises(Unprocessable, match=r"The source did not answer within 0\.1 s"):
            await told.try_out("feed", {"url": "https://example.com/feed"}, most=3)
        stream = Trying({"feed": replace(kind, stream=True)}, Tools(outbound), seconds=seconds)
        tried = await stream.try_out("feed", {"url": "https://example.com/feed"}, most=3)

    assert (tried.posts, tried.is_waiting) == (0, True)


class Quiet:
    """A connector that shows one empty page and then nothing."""

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        yield Page([], cursor)
        await asyncio.Event().wait()


@pytest.mark.parametrize("settled", [False, True])
async def test_a_row_of_a_file_that_is_being_written_waits_for_its_end(
    tmp_path: Path, *, settled: bool
) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b'id,text\n1,one\n2,"first half\n3,three\n')
    if settled:
        os.utime(file, (0, 0))
    async with open_outbound() as outbound:
        kind = connectors.kinds()["file"]
        connector = kind.open(kind.settings(path=file.name), Tools(outbound, tmp_path))
        rows = [row async for page in connector.pages({}) for row in page.rows]

    told = [getattr(row, "text", None) or row.reason for row in rows]
    assert told == (["one", "a quote that is never closed", "three"] if settled else ["one"])


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.csv", "rows.txt"])
async def test_a_file_that_is_still_empty_is_no_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    async with open_outbound() as outbound:
        kind = connectors.kinds()["file"]
        connector = kind.open(kind.settings(path=name), Tools(outbound, tmp_path))

        assert [page async for page in connector.pages({})] == []


async def test_the_own_network_is_out_of_bounds(
    publisher: Publisher, sources: Sources, server: FeedServer
) -> None:
    source = await follow(sources, server.url())
    async with collecting(publisher):
        broken = await until(sources, source, lambda one: one.state == "broken")

    assert broken.reason
    assert not server.requests


async def test_pause_stops_a_poll_that_hangs_and_resume_begins_at_once(
    publisher: Publisher, sources: Sources, server: FeedServer
) -> None:
    server.mode = "hang"
    source = await follow(sources, server.url(), every=3_600)
    async with collecting(publisher, server.host):
        await until(sources, source, lambda _: bool(server.requests))
        await sources.pause("w", source.id)
        server.mode = "ok"
        await asyncio.sleep(0.1)
        await sources.resume("w", source.id)
        found = await until(sources, source, lambda one: one.posts == 2, seconds=3)

    assert found.state == "active"


async def test_a_removed_source_is_let_go_and_its_posts_stay_known(
    publisher: Publisher, sources: Sources, server: FeedServer, collected: Read
) -> None:
    first = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        await until(sources, first, lambda one: one.posts == 2)
        await sources.remove("w", first.id)
        again = await follow(sources, server.url())
        found = await until(sources, again, lambda one: one.last_success_at is not None)

    assert (found.posts, found.duplicates) == (0, 2)
    assert len(await collected()) == 2


async def test_stopping_ends_a_hanging_poll_soon(
    publisher: Publisher, sources: Sources, server: FeedServer
) -> None:
    server.mode = "hang"
    source = await follow(sources, server.url())
    async with collecting(publisher, server.host):
        await until(sources, source, lambda _: bool(server.requests))
        begun = time.monotonic()

    assert time.monotonic() - begun < 6


async def test_a_file_is_followed_as_it_grows(
    tmp_path: Path, publisher: Publisher, sources: Sources, collected: Read
) -> None:
    path = tmp_path / "files" / "rows.ndjson"
    path.parent.mkdir()
    path.write_text('{"id":"f-1","text":"a"}\n{"id":"f-2","te', "utf-8")
    tools_root = path.parent
    settings = {"path": "rows.ndjson", "interval_seconds": 0.1}
    source = await sources.add(NewSource("w", "p", "rows", "file", None, settings))
    stop = asyncio.Event()
    async with open_outbound() as outbound, asyncio.TaskGroup() as group:
        tools = Tools(outbound, tools_root)
        collector = Collector(publisher, connectors.kinds(), tools, VAULT, "i1", tick_seconds=0.02)
        group.create_task(collector.run(stop))
        await until(sources, source, lambda one: one.posts == 1)
        with path.open("a", encoding="utf-8") as file:
            file.write('xt":"b"}\n[]\n')
        found = await until(sources, source, lambda one: one.posts == 2 and one.rejected == 1)
        stop.set()

    assert [post.text for post in await collected()] == ["a", "b"]
    assert found.state == "active"


async def test_a_file_of_records_is_read_once_it_has_settled_and_anew_when_it_changes(
    tmp_path: Path, publisher: Publisher, sources: Sources, collected: Read
) -> None:
    path = tmp_path / "call.vtt"

    def write(*said: str) -> None:
        cues = (f"00:0{n}.000 --> 00:0{n}.500\n<v P{n}>{words}\n\n" for n, words in enumerate(said))
        path.write_text(f"WEBVTT {'-' * 1024}\n\n" + "".join(cues), "utf-8")
        os.utime(path, (1_700_000_000 + len(said),) * 2)

    write("a", "b")
    settings = {"path": path.name, "interval_seconds": 0.1}
    source = await sources.add(NewSource("w", "p", "calls", "file", None, settings))
    stop = asyncio.Event()
    async with open_outbound() as outbound, asyncio.TaskGroup() as group:
        tools = Tools(outbound, tmp_path)
        collector = Collector(publisher, connectors.kinds(), tools, VAULT, "i1", tick_seconds=0.02)
        group.create_task(collector.run(stop))
        await until(sources, source, lambda one: one.posts == 2)
        write("a", "b", "c")
        await until(sources, source, lambda one: one.posts == 3)
        stop.set()

    assert [post.text for post in await collected()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("root", "reason"), [(None, "MARU_INGEST_FILES_ROOT"), ("files", "outside the folder")]
)
async def test_a_file_outside_the_root_is_refused(
    tmp_path: Path, root: str | None, reason: str
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "link").symlink_to("/etc")
    async with open_outbound() as outbound:
        tools = Tools(outbound, tmp_path / root if root else None)
        for path in ("../secret.ndjson", "/etc/passwd", "link/passwd"):
            with pytest.raises(SourceBroken, match=reason):
                tools.file(path)
