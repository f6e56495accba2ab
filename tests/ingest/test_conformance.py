"""What every connector must do, whatever it follows: each file of `connectors/` runs all of this.

The platform is played by the file of the same name in `tests/upstreams`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import cast

import pytest

from maru_contracts.posts import Post
from maru_ingest import collector, connector, connectors, domain
from maru_ingest.collector import Collector
from maru_ingest.connector import (
    Backfilling,
    Capability,
    Connector,
    ConnectorKind,
    Page,
    SourceSettings,
    Tools,
)
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.receiving import Receiver
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.service.trying import Trying
from maru_ingest.store import leases
from maru_ingest.store import sources as stored_sources
from maru_ingest.store.leases import Polled, Taker
from maru_ingest.store.sources import Counts, Source
from maru_kit.errors import Unauthorized, Unavailable
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.upstream import RETRY_SECONDS, Mode, Upstream, Written

VAULT = Vault([new_key()])
Read = Callable[[], Awaitable[list[Post]]]


class Eager(ConnectorKind):
    """A kind whose sources are polled again at once, so that no test waits for a second look."""

    def interval(self, settings: SourceSettings) -> timedelta:
        return super().interval(settings) / 20


KINDS: dict[str, ConnectorKind] = {
    name: Eager(**{each.name: getattr(kind, each.name) for each in fields(kind)})
    for name, kind in connectors.kinds().items()
    if kind.open is not None
}
PLAYED: dict[str, type[Upstream]] = {
    name: import_module(f"upstreams.{name}").UPSTREAM for name in KINDS
}
FAULTS: list[tuple[str, Mode]] = [
    (name, mode) for name, played in PLAYED.items() for mode in sorted(played.misbehaves)
]
_DEADLINE = 1.0
_QUIET = 1.0  # seconds after which a connector that listens has caught up, too


def able(wanted: Capability) -> list[str]:
    return [name for name, kind in KINDS.items() if wanted in kind.capabilities]


def pushing() -> list[str]:
    return [name for name, kind in KINDS.items() if kind.hook is not None]


def with_fault(wanted: Mode) -> list[str]:
    return [name for name, mode in FAULTS if mode == wanted]


@dataclass
class Stage:
    """A platform that is played, and the service that follows it."""

    name: str
    upstream: Upstream
    tools: Tools
    publisher: Publisher
    collected: Read

    @property
    def sources(self) -> Sources:
        return Sources(self.publisher.database, KINDS, VAULT)

    async def follow(self) -> Source:
        settings = self.upstream.settings()
        return await self.sources.add(NewSource("w", "p", "it", self.name, None, settings))

    def connector(self) -> Connector:
        kind = KINDS[self.name]
        assert kind.open is not None
        return kind.open(kind.settings.model_validate(self.upstream.settings()), self.tools)

    @asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            following = Collector(self.publisher, KINDS, self.tools, VAULT, "i1", tick_seconds=0.02)
            group.create_task(following.run(stop))
            try:
                yield
            finally:
                stop.set()

    async def until(
        self, source: Source, holds: Callable[[Source], bool], *, seconds: float = 20
    ) -> Source:
        ends = time.monotonic() + seconds
        while not holds(found := await self.sources.find("w", source.id)):
            assert time.monotonic() < ends, found
            await asyncio.sleep(0.02)
        return found

    async def until_posts(self, source: Source, number: int, *, seconds: float = 20) -> Source:
        return await self.until(source, lambda one: one.posts == number, seconds=seconds)

    async def receive(self, source: Source, headers: Mapping[str, str], body: bytes) -> Counts:
        low = {name.lower(): value for name, value in headers.items()}
        taken = await Receiver(self.publisher, VAULT, KINDS).receive(source.id, low, body)
        return taken.counts

    async def look(self, source: Source) -> None:
        """Have what is polled be polled soon; what streams is left alone."""
        if not KINDS[self.name].stream:
            await self.make_due(source)

    async def make_due(self, source: Source) -> None:
        async with self.publisher.database.transaction() as connection:
            await stored_sources.set_state(
                connection, source.id, "active", next_poll_at=source.created_at
            )


@pytest.fixture
async def stage(
    name: str, publisher: Publisher, collected: Read, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setattr(connector, "_BATCH_SECONDS", 0.1)
    async with (
        PLAYED[name]().serving() as upstream,
        open_outbound(allow=[upstream.host]) as outbound,
    ):
        tools = Tools(outbound, upstream.folder, deadline=_DEADLINE)
        yield Stage(name, upstream, tools, publisher, collected)


def texts(page: Page) -> list[str]:
    return [row.text for row in page.rows if isinstance(row, ParsedPost)]


def an_answer(stage: Stage) -> Written:
    """Have somebody write what every platform pushes, if it pushes anything."""
    return stage.upstream.write("Yes!", parent=stage.upstream.write("dark mode").native_id)


@pytest.mark.parametrize("name", KINDS)
async def test_what_is_there_and_what_comes_arrives_once_and_in_order(stage: Stage) -> None:
    written = [stage.upstream.write(f"Dark mode, please ({number})") for number in range(3)]
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 3)
        written += [stage.upstream.write(f"오프라인에서도 되면 좋겠어요 😀 {n}") for n in range(2)]
        await stage.look(source)
        found = await stage.until_posts(source, 5)

    posts = await stage.collected()
    assert [post.text for post in posts] == [one.text for one in written]
    assert len({post.id for post in posts}) == 5
    assert {post.revision for post in posts} == {0}
    assert (found.state, found.reason, found.rejected) == ("active", "", 0)


@pytest.mark.parametrize("name", KINDS)
async def test_nothing_is_lost_between_two_polls_however_much_came(stage: Stage) -> None:
    stage.upstream.write("the first")
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 1)
    many = stage.upstream.page * 3 + 1
    for number in range(many):
        stage.upstream.write(f"while nobody looked {number}")
    await stage.make_due(source)
    async with stage.collecting():
        found = await stage.until_posts(source, many + 1)

    assert len({post.text for post in await stage.collected()}) == many + 1
    assert found.rejected == 0


@pytest.mark.parametrize("is_saved", [True, False])
@pytest.mark.parametrize("name", KINDS)
async def test_a_poll_that_is_cut_off_goes_on_where_it_was(stage: Stage, *, is_saved: bool) -> None:
    stage.upstream.write("the first")
    source = await stage.follow()
    connector, publisher = stage.connector(), stage.publisher
    async with aclosing(connector.pages({})) as pages:
        page = await anext(pages)
        await publisher.publish(source.origin(), page.rows, cursor=page.cursor)
    many = stage.upstream.page * 2
    for number in range(many):
        stage.upstream.write(f"later {number}")
    known = await stage.sources.find("w", source.id)
    async with aclosing(connector.pages(known.cursor)) as pages:
        page = await anext(pages)
        cursor = page.cursor if is_saved else None
        await publisher.publish(source.origin(), page.rows, cursor=cursor)
    async with stage.collecting():
        await stage.until_posts(source, many + 1)

    posts = await stage.collected()
    assert sorted(post.text for post in posts) == sorted(it.text for it in stage.upstream.posts)
    assert {post.revision for post in posts} == {0}


@pytest.mark.parametrize(("name", "mode"), FAULTS)
async def test_a_platform_that_misbehaves_is_told_of_and_loses_nothing(
    stage: Stage, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    stage.upstream.write("before")
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 1)
        stage.upstream.mode = mode
        stage.upstream.hang_up()
        await stage.look(source)
        broken = await stage.until(source, lambda one: one.state != "active")
        stage.upstream.write("meanwhile")
        stage.upstream.mode = "ok"
        if mode == "throttled":
            await asyncio.sleep(RETRY_SECONDS)
        await stage.make_due(source)
        await stage.until_posts(source, 2)
        stage.upstream.write("after")
        await stage.look(source)
        await stage.until_posts(source, 3)
        mended = await stage.until(source, lambda one: one.state == "active")

    assert mended.reason == ""
    assert broken.reason
    assert "An error in the connector" not in broken.reason
    if stage.upstream.secret:
        assert stage.upstream.secret not in broken.reason + caplog.text
    assert [post.text for post in await stage.collected()] == ["before", "meanwhile", "after"]


@pytest.mark.parametrize("name", with_fault("throttled"))
async def test_who_asks_for_silence_is_left_alone(stage: Stage) -> None:
    stage.upstream.write("before")
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 1)
        stage.upstream.mode = "throttled"
        stage.upstream.hang_up()
        await stage.look(source)
        await stage.until(source, lambda one: one.state != "active")
        asked = list(stage.upstream.asked)
        await stage.make_due(source)
        await asyncio.sleep(asked[-1] + RETRY_SECONDS - 0.5 - time.monotonic())

        assert stage.upstream.asked == asked


@pytest.mark.parametrize("name", with_fault("refused"))
async def test_credentials_that_are_refused_are_not_tried_again_at_once(stage: Stage) -> None:
    stage.upstream.mode = "refused"
    source = await stage.follow()
    async with stage.collecting():
        broken = await stage.until(source, lambda one: one.state == "broken")

    assert all(words in broken.reason for words in stage.upstream.refusal)
    assert broken.next_poll_at is not None
    assert broken.next_poll_at - datetime.now(UTC) > timedelta(minutes=10)


@pytest.mark.parametrize("name", [name for name in able(Capability.LIVE) if KINDS[name].stream])
async def test_what_is_streamed_comes_without_a_poll(stage: Stage) -> None:
    stage.upstream.write("before")
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 1)
        ends = time.monotonic() + 10
        while not stage.upstream.listeners or stage.upstream.quiet_for < _QUIET:
            assert time.monotonic() < ends, "no stream was opened, or it is polled all the same"
            await asyncio.sleep(0.02)
        asked = list(stage.upstream.asked)
        stage.upstream.write("now")
        await stage.until_posts(source, 2, seconds=3)

        assert stage.upstream.asks_again or stage.upstream.asked == asked


@pytest.mark.parametrize("name", [name for name in able(Capability.LIVE) if KINDS[name].stream])
async def test_a_stream_that_has_lasted_is_forgiven_its_past_failures(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "_LIFE_SECONDS", 0.0)
    source = await stage.follow()
    async with stage.publisher.database.transaction() as connection:
        now = domain.utc_now()
        await leases.take(connection, Taker("i1", [source.kind], now), VAULT, until=now, limit=1)
        failed = Polled(source, now, now, "broken", "no")
        await leases.note(connection, [failed], instance="i1", now=now)
    async with stage.collecting():
        for number in range(3):
            stage.upstream.write(f"post {number}")
            await stage.until_posts(source, number + 1)
        found = await stage.until(source, lambda one: one.failures == 0)

    assert (found.state, found.reason) == ("active", "")
    assert found.last_success_at is not None


@pytest.mark.parametrize("name", pushing())
async def test_what_is_pushed_comes_without_a_poll_and_once(stage: Stage) -> None:
    source = await stage.follow()
    written = stage.upstream.write("dark mode")
    async with stage.collecting():
        await stage.until_posts(source, 1)
    now = stage.upstream.write("Yes!", parent=written.native_id)
    message = stage.upstream.pushed(now, "written")

    first, again = await stage.receive(source, *message), await stage.receive(source, *message)
    async with stage.collecting():  # what was pushed is polled, too
        await stage.make_due(source)
        asked = len(stage.upstream.asked)
        await stage.until(source, lambda _: len(stage.upstream.asked) > asked)
        await stage.until_posts(source, 2)

    posts = await stage.collected()
    assert (first.published, again.published, again.duplicates) == (1, 0, 1)
    assert [(post.text, post.revision) for post in posts] == [("dark mode", 0), ("Yes!", 0)]
    assert posts[1].in_reply_to == posts[0].native_id


@pytest.mark.parametrize("name", [name for name in pushing() if "deleted" in PLAYED[name].tells])
async def test_what_is_pushed_is_edited_and_ended_too(stage: Stage) -> None:
    source = await stage.follow()
    written = stage.upstream.write("dark mode")
    await stage.receive(source, *stage.upstream.pushed(written, "written"))
    stage.upstream.edit(written, "dark mode, please")
    await stage.receive(source, *stage.upstream.pushed(written, "edited"))
    stage.upstream.delete(written)
    ended = await stage.receive(source, *stage.upstream.pushed(written, "deleted"))

    first, second, gone = await stage.collected()
    assert (second.id, second.revision, second.text) == (first.id, 1, "dark mode, please")
    assert (gone.id, gone.deleted, ended.deleted) == (first.id, True, 1)


@pytest.mark.parametrize("name", pushing())
async def test_what_is_pushed_and_not_signed_is_refused_and_not_stored(stage: Stage) -> None:
    source = await stage.follow()
    headers, body = stage.upstream.pushed(an_answer(stage), "written")

    for odd in ({}, {name: f"{value[:-1]}-" for name, value in headers.items()}):
        with pytest.raises(Unauthorized):
            await stage.receive(source, odd, body)
    if stage.upstream.signs:
        with pytest.raises(Unauthorized):
            await stage.receive(source, headers, body + b" ")

    assert await stage.collected() == []


@pytest.mark.parametrize("name", pushing())
async def test_while_a_source_is_paused_what_is_pushed_is_to_come_again(stage: Stage) -> None:
    source = await stage.follow()
    await stage.sources.pause("w", source.id)
    message = stage.upstream.pushed(an_answer(stage), "written")

    with pytest.raises(Unavailable):
        await stage.receive(source, *message)

    await stage.sources.resume("w", source.id)
    assert (await stage.receive(source, *message)).published == 1


@pytest.mark.parametrize("name", able(Capability.BACKFILL))
async def test_history_is_the_range_that_was_asked_for_and_can_be_cut_off(stage: Stage) -> None:
    since = datetime.now(UTC).replace(microsecond=0) - stage.upstream.reach
    until = since + timedelta(days=3)
    many = stage.upstream.page * 2 + 1
    step = (until - since) / many
    stage.upstream.write("too early", at=since - timedelta(hours=1))
    written = [stage.upstream.write(f"then {n}", at=since + step * n) for n in range(many)]
    stage.upstream.write("too late", at=until)
    wanted = {one.text for one in written}
    connector = cast("Backfilling", stage.connector())

    whole = [texts(page) async for page in connector.history(since, until, {})]
    cursors = [page.cursor async for page in connector.history(since, until, {})]

    assert sorted(text for page in whole for text in page) == sorted(wanted)
    assert len([page for page in whole if page]) > 1
    for number, cursor in enumerate(cursors[:-1]):
        rest = [page async for page in connector.history(since, until, cursor)]
        after = {text for page in rest for text in texts(page)}
        assert {text for page in whole[: number + 1] for text in page} | after == wanted


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if played.edits])
async def test_an_edited_post_is_the_next_revision_of_the_same(stage: Stage) -> None:
    written = stage.upstream.write("dark mode")
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 1)
        stage.upstream.edit(written, "dark mode, please")
        await stage.until_posts(source, 2)

    first, second = await stage.collected()
    assert first.id == second.id
    assert (second.revision, second.text) == (1, "dark mode, please")


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if played.deletes])
async def test_a_deleted_post_is_gone_and_the_others_stay(stage: Stage) -> None:
    written = [stage.upstream.write(f"dark mode {number}") for number in range(3)]
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 3)
        stage.upstream.delete(written[1])
        stage.upstream.write("offline mode")
        await stage.until_posts(source, 4)
        ends = time.monotonic() + 15
        while not (gone := [post for post in await stage.collected() if post.deleted]):
            assert time.monotonic() < ends, "the deletion was not told"
            await stage.make_due(source)
            await asyncio.sleep(0.2)

    first = (await stage.collected())[1]
    assert first.text == "dark mode 1"
    assert [post.id for post in gone] == [first.id]


@pytest.mark.parametrize("name", able(Capability.REPLIES))
async def test_a_reply_names_what_it_answers(stage: Stage) -> None:
    parent = stage.upstream.write("dark mode")
    stage.upstream.write("Yes!", parent=parent.native_id)
    source = await stage.follow()
    async with stage.collecting():
        await stage.until_posts(source, 2)

    posts = {post.text: post for post in await stage.collected()}
    assert posts["Yes!"].in_reply_to == posts["dark mode"].native_id


@pytest.mark.parametrize("name", KINDS)
async def test_trying_a_source_out_shows_the_newest_posts_and_stores_nothing(
    stage: Stage,
) -> None:
    for number in range(12):
        stage.upstream.write(f"post {number}")

    trying = Trying(KINDS, stage.tools, seconds=3.0)
    tried = await trying.try_out(stage.name, stage.upstream.settings(), most=10)

    assert [post.text for post in tried.newest] == [f"post {n}" for n in range(11, 1, -1)]
    assert not tried.rejected
    assert await stage.collected() == []
    assert await stage.sources.page("w", after=None, limit=10) == []


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if played.secret])
async def test_a_secret_is_never_shown_again(stage: Stage) -> None:
    secret = stage.upstream.secret
    source = await stage.follow()

    model = KINDS[stage.name].settings.model_validate(source.settings)

    assert secret in str(source.settings)
    assert secret not in repr(model) + model.model_dump_json()
