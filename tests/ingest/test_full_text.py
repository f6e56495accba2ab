"""Feeds whose posts get the text of the articles behind them, with a newspaper of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import ValidationError

from maru_contracts.posts import Channel, Post
from maru_ingest import connectors, full_text
from maru_ingest.collector import Collector
from maru_ingest.connector import Budget, Cursor, Page, Tools
from maru_ingest.connectors.feed import FeedConnector, FeedSettings
from maru_ingest.domain import Origin
from maru_ingest.extraction import Extraction, NoArticle, open_extraction
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.service.publishing import Publisher
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.service.trying import Trying
from maru_kit.outbound import Manners, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.press import Answer, PressUpstream, html, page, words

ORIGIN = Origin("s", "paper", "feed", "w", "p", Channel.PRESS)
Read = Callable[[], Awaitable[list[Post]]]


@dataclass
class Stage:
    """A newspaper, and the connector that follows it."""

    press: PressUpstream
    tools: Tools

    def connector(self, **changes: Any) -> FeedConnector:
        settings = FeedSettings.model_validate({**self.press.settings(), **changes})
        return FeedConnector(settings, self.tools)

    async def page(self, cursor: Cursor | None = None, **changes: Any) -> Page:
        (page,) = [page async for page in self.connector(**changes).pages(cursor or {})]
        return page


@pytest.fixture(scope="module")
def extraction() -> Iterator[Extraction]:
    """One worker for all tests: its start takes longer than they do."""
    extraction = Extraction()
    yield extraction
    asyncio.run(extraction.close())


@pytest.fixture
async def stage(extraction: Extraction) -> AsyncIterator[Stage]:
    async with (
        PressUpstream().serving() as press,
        open_outbound(allow=[press.host], manners=Manners(patience=10_000)) as outbound,
    ):
        yield Stage(press, Tools(outbound, deadline=30.0, extraction=extraction, page_delay=0.0))


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_text, "_SECONDS", 60.0)
    monkeypatch.setattr(full_text, "_DEADLINE", 30.0)


def texts(page: Page) -> list[str]:
    return [row.text for row in page.rows if isinstance(row, ParsedPost)]


async def test_articles_take_the_place_of_summaries_under_the_same_id(
    stage: Stage, publisher: Publisher, collected: Read
) -> None:
    stage.press.announce("어두운 화면 …")
    canonical = f"<link rel='canonical' href='{stage.press.url}/a/1'>"
    stage.press.pages["/news/1"] = html(page("기사", head=canonical))

    short = await stage.page(full_text=False)
    await publisher.publish(ORIGIN, short.rows, cursor=short.cursor)
    whole = await stage.page(short.cursor)
    await publisher.publish(ORIGIN, whole.rows, cursor=whole.cursor)
    quiet = await stage.page(whole.cursor)

    first, second = await collected()
    assert (first.text, second.text) == ("어두운 화면 …", words("기사"))
    assert (second.id, second.revision, second.channel) == (first.id, 1, Channel.PRESS)
    assert second.url == f"{stage.press.url}/a/1"
    assert quiet.rows == ()
    assert stage.press.fetched == {"/news/1": 1}


async def test_a_page_in_the_encoding_of_old_papers_is_read(stage: Stage) -> None:
    named = "<meta http-equiv='Content-Type' content='text/html; charset=euc-kr'>"
    for number, (kind, head) in enumerate(
        [("text/html", named), ("text/html; charset=EUC-KR", ""), ("text/html", "")], start=1
    ):
        stage.press.announce("…")
        body = page("똠방각하 펲시콜라", head=head).encode("cp949")  # letters beyond EUC-KR
        stage.press.pages[f"/news/{number}"] = Answer(body, kind)

    assert texts(await stage.page()) == [words("똠방각하 펲시콜라")] * 3


@pytest.mark.parametrize(
    "answer",
    [
        html("<html><body></body></html>"),
        html(page("기사", head='<script>{"isAccessibleForFree": "False"}</script>')),
        Answer(b"%PDF-1.7 " + b"x" * 4_000, "application/pdf"),
        html(page("기사").replace("<p>", "<p>" + "길" * 600_000)),
        Answer(b"\x00\xff<" * 500),
        Answer(b"gone", status=404),
    ],
    ids=["empty", "paywall", "pdf", "huge", "noise", "gone"],
)
async def test_a_page_without_an_article_leaves_the_feeds_words(
    stage: Stage, answer: Answer
) -> None:
    stage.press.announce("the first")
    stage.press.announce("the second")
    stage.press.pages["/news/1"] = answer

    first = await stage.page()

    assert texts(first) == ["the first", words("기사 /news/2")]


async def test_pages_that_fail_hold_nothing_up_and_are_tried_three_times(
    stage: Stage, publisher: Publisher, collected: Read
) -> None:
    for number in range(4):
        stage.press.announce(f"post {number}")
    stage.press.pages["/news/3"] = Answer(b"oops", status=500)
    looked = await stage.page()
    await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)
    for _ in range(3):
        looked = await stage.page(looked.cursor)
        await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)

    posts = await collected()
    assert [post.text for post in posts] == [
        words("기사 /news/1"), words("기사 /news/2"), "post 2", words("기사 /news/4")
    ]  # fmt: skip
    assert stage.press.fetched["/news/3"] == 3
    assert stage.press.fetched["/news/4"] == 1
    assert "etag" in looked.cursor


async def test_pages_that_fail_between_others_stop_none_of_them(stage: Stage) -> None:
    for number in range(1, 9):
        stage.press.announce(f"post {number}")
        if number % 2:
            stage.press.pages[f"/news/{number}"] = Answer(b"oops", status=500)

    found = texts(await stage.page())

    assert found[::2] == [f"post {number}" for number in (1, 3, 5, 7)]
    assert found[1::2] == [words(f"기사 /news/{number}") for number in (2, 4, 6, 8)]


async def test_a_feed_without_validators_tells_nothing_twice(stage: Stage) -> None:
    stage.press.is_tagged = False
    stage.press.announce("post")
    first = await stage.page()
    second = await stage.page(first.cursor)
    stage.press.announce("another")
    third = await stage.page(second.cursor)

    found = [texts(page) for page in (first, second, third)]
    assert found == [[words("기사 /news/1")], [], [words("기사 /news/2")]]


async def test_a_site_that_fails_is_soon_left_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_text, "_DEADLINE", 0.2)
    for number in range(1, 11):
        stage.press.announce(f"post {number}")
        stage.press.hanging.add(f"/news/{number}")

    looked = await stage.page()

    assert texts(looked) == [f"post {number}" for number in range(1, 11)]
    assert (await stage.page(looked.cursor)).rows == ()  # the feed itself still answers
    assert stage.press.fetched.total() <= 2


async def test_what_a_site_forbids_is_not_fetched(stage: Stage) -> None:
    stage.press.robots = "User-agent: *\nDisallow: /news/"
    stage.press.announce("post")

    assert texts(await stage.page()) == ["post"]
    assert not stage.press.fetched


async def test_a_site_that_lets_no_program_in_is_not_asked_again_and_again(
    stage: Stage,
) -> None:
    for number in range(1, 6):
        stage.press.announce(f"post {number}")
        stage.press.pages[f"/news/{number}"] = Answer(b"no", status=403)

    looked = await stage.page()
    again = await stage.page(looked.cursor)
    stage.press.announce("news")
    changed = await stage.page(again.cursor)

    assert texts(looked) == [f"post {number}" for number in range(1, 6)]
    assert again.rows == ()
    assert stage.press.fetched == {f"/news/{number}": 1 for number in range(2, 7)}
    assert texts(changed) == ["post 1", "post 2", "post 3", words("기사 /news/6")]


async def test_a_site_that_asks_for_silence_gets_it(stage: Stage) -> None:
    for number in range(1, 4):
        stage.press.announce(f"post {number}")
    stage.press.pages["/news/3"] = Answer(b"slow down", status=429, retry_after="600")

    looked = await stage.page()

    assert texts(looked) == ["post 1", "post 2", "post 3"]
    assert stage.press.fetched == {"/news/3": 1}
    assert sorted(looked.cursor["articles"].values()) == [2, 3, 3]


async def test_many_articles_come_over_several_looks_the_newest_first(
    stage: Stage, publisher: Publisher, collected: Read
) -> None:
    for number in range(45):
        stage.press.announce(f"post {number}")
    looked = await stage.page()
    await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)
    first = texts(looked)
    for _ in range(3):
        looked = await stage.page(looked.cursor)
        await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)

    assert first[:25] == [f"post {number}" for number in range(25)]
    assert first[25:] == [words(f"기사 /news/{number}") for number in range(26, 46)]
    last = {post.native_id: post for post in await collected()}
    assert [post.text for post in last.values() if post.text.startswith("post")] == []
    assert {post.revision for post in last.values()} == {0, 1}
    assert set(stage.press.fetched.values()) == {1}
    assert len(stage.press.fetched) == 45


async def test_a_post_that_its_feed_changes_is_read_again(
    stage: Stage, publisher: Publisher, collected: Read
) -> None:
    written = stage.press.announce("post")
    looked = await stage.page()
    await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)
    stage.press.edit(written, "post, corrected")
    stage.press.announce("another")
    stage.press.pages["/news/1"] = html(page("바로잡은 기사"))
    looked = await stage.page(looked.cursor)
    await publisher.publish(ORIGIN, looked.rows, cursor=looked.cursor)

    posts = await collected()
    assert [(post.text, post.revision) for post in posts] == [
        (words("기사 /news/1"), 0), (words("바로잡은 기사"), 1), (words("기사 /news/2"), 0)
    ]  # fmt: skip
    assert stage.press.fetched == {"/news/1": 2, "/news/2": 1}


async def test_a_feed_of_strangers_leads_to_no_page_of_the_own_network(stage: Stage) -> None:
    stage.press.announce("post")
    feed = await stage.page(full_text=False)

    told = await full_text.completed(feed.rows, {}, stage.tools, feed="https://stranger.example/")

    assert texts(Page(told.rows, {})) == ["post"]
    assert not stage.press.fetched


async def test_each_page_is_one_of_the_days_requests(stage: Stage) -> None:
    for number in range(5):
        stage.press.announce(f"post {number}")
    stage.tools = replace(stage.tools, budget=Budget(3))

    looked = await stage.page()

    assert texts(looked)[:3] == ["post 0", "post 1", "post 2"]
    assert stage.press.fetched.total() == 2


async def test_hubs_are_not_asked_to_push_what_would_come_without_its_articles(
    stage: Stage,
) -> None:
    stage.press.head = (
        '<link xmlns="http://www.w3.org/2005/Atom" rel="hub" href="https://h.example/"/>'
    )
    stage.press.announce("post")

    whole, short = await stage.page(), await stage.page(full_text=False)

    assert whole.push is not None
    assert short.push is not None
    assert (list(whole.push.hubs), list(short.push.hubs)) == ([], ["https://h.example/"])


async def test_a_page_that_takes_too_long_ends_and_the_next_is_read() -> None:
    endless = page("기사").replace("</article>", "<p>x y z</p>" * 150_000 + "</article>")
    async with open_extraction(seconds=1.0) as extraction:
        with pytest.raises(NoArticle, match="too long"):
            await extraction.article(endless.encode(), url="https://a.example/1", content_type="")

        found = await extraction.article(
            page("기사").encode(), url="https://a.example/2", content_type=""
        )

    assert found.text == words("기사")


async def test_a_source_of_press_is_followed_and_tried_out_with_its_articles(
    stage: Stage, publisher: Publisher, collected: Read
) -> None:
    stage.press.announce("the first")
    kinds, vault = connectors.kinds(), Vault([new_key()])
    sources = Sources(publisher.database, kinds, vault)
    wanted = NewSource("w", "p", "paper", "feed", Channel.PRESS, stage.press.settings())

    tried = await Trying(kinds, stage.tools).try_out("feed", stage.press.settings(), most=10)
    source = await sources.add(wanted)
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        following = Collector(publisher, kinds, stage.tools, vault, "i1", tick_seconds=0.02)
        group.create_task(following.run(stop))
        while len(posts := await collected()) < 2:
            if len(posts) == 1 and len(stage.press.posts) == 1:
                stage.press.announce("the second")
            await asyncio.sleep(0.02)
        stop.set()

    assert [post.text for post in tried.newest] == [words("기사 /news/1")]
    assert [post.text for post in posts] == [words(f"기사 /news/{number}") for number in (1, 2)]
    assert {(post.channel, post.revision) for post in posts} == {(Channel.PRESS, 0)}
    assert (await sources.find("w", source.id)).state == "active"


def test_a_file_has_no_pages_behind_it() -> None:
    with pytest.raises(ValidationError, match="full_text is for feeds at"):
        FeedSettings(url="file:///feed.xml", full_text=True)
