"""The pages of sources with all of Maru behind them, and a feed server on loopback."""

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect

from cli.conftest import Maru, until
from upstreams.feed import FeedServer, feed_server_beside
from web.conftest import Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 360, "height": 740}}
SLOW = 20_000
"""Milliseconds for what takes a poll on a busy machine."""

Opened = Callable[..., Awaitable[Visit]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the running Maru."""
    return tmp_path_factory.mktemp("house") / "home"


@pytest.fixture(scope="module")
def house(built: Path, home: Path) -> Iterator[httpx.Client]:
    """A running Maru that may read from loopback; the client has an administrator's key."""
    assert built.is_dir()
    settings = {"MARU_INGEST_ALLOW_HOSTS": json.dumps(["127.0.0.1", "localhost"])}
    with Maru(home, settings).up() as client:
        yield client


@pytest.fixture(autouse=True)
def forgotten(house: httpx.Client) -> Iterator[None]:
    """Follow nothing after a test: a host whose servers are gone is left alone for a while."""
    yield
    for source in listed(house):
        house.delete(f"/api/v1/sources/{source['id']}").raise_for_status()


@pytest.fixture
def blog() -> Iterator[FeedServer]:
    with feed_server_beside([("1", "Please add a dark mode"), ("2", "다크 모드 주세요")]) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, house: httpx.Client) -> AsyncIterator[Opened]:
    """Open a path of the running board as an administrator, or as nobody without a key."""
    secret = house.headers["Authorization"].removeprefix("Bearer ")
    async with visiting(browser, str(house.base_url).rstrip("/")) as go:

        async def opening(path: str, *, key: str = secret, **options: Any) -> Visit:
            return await go(f"{path}#key={key}" if key else path, **options)

        yield opening


@pytest.fixture
def name() -> str:
    """A name that no other test gives its source."""
    return f"Blog {uuid4().hex[:8]}"


def followed(house: httpx.Client, name: str) -> dict[str, Any] | None:
    return next((it for it in listed(house) if it["name"] == name), None)


def listed(house: httpx.Client) -> list[dict[str, Any]]:
    answer = house.get("/api/v1/sources", params={"limit": 100}).raise_for_status()
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def reader(house: httpx.Client, name: str) -> str:
    wanted = {"name": f"reader of {name}", "role": "reader"}
    return str(house.post("/api/v1/keys", json=wanted).raise_for_status().json()["key"])


def holds(file: Path, words: str) -> bool:
    return words in file.read_text("utf-8")


def add(house: httpx.Client, name: str, kind: str, **settings: object) -> dict[str, Any]:
    wanted = {"kind": kind, "name": name, "settings": settings}
    added: dict[str, Any] = house.post("/api/v1/sources", json=wanted).raise_for_status().json()
    return added


def row(page: Page, name: str) -> Locator:
    begins = re.compile(f"^{re.escape(name)}")
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=begins))


async def test_a_feed_is_tried_followed_paused_resumed_and_removed(
    opened: Opened, house: httpx.Client, blog: FeedServer, name: str
) -> None:
    seen = await opened("/sources")
    page = seen.page
    await page.get_by_role("link", name="Add a source").click()
    await page.get_by_role("radio", name="Feeds").check()
    await page.get_by_label("URL").fill(blog.url())
    await page.get_by_label("Interval seconds").fill("1")
    await page.get_by_role("textbox", name="Name").fill(name)

    await page.get_by_role("button", name="Try it").click()
    tried = page.get_by_role("region", name="The first posts")
    await expect(tried.get_by_role("heading", level=3)).to_have_count(2, timeout=SLOW)
    await expect(tried).to_contain_text("다크 모드 주세요")
    await expect(tried).to_contain_text("Nothing of this was stored.")
    assert followed(house, name) is None

    await page.get_by_role("button", name="Follow").click()
    mine = row(page, name)
    await expect(mine).to_contain_text("Healthy")
    await expect(mine).to_contain_text("2 posts", timeout=SLOW)
    await expect(
        mine.get_by_role("img", name="Posts by day: 1 day with posts, at most 2")
    ).to_have_count(1)
    await expect(page).to_have_url(re.compile("/sources$"))

    await mine.get_by_role("button", name="Pause").click()
    await expect(mine).to_contain_text("Paused")
    blog.posts.append(("3", "Night theme!"))
    await mine.get_by_role("button", name="Resume").click()
    await expect(mine).to_contain_text("3 posts", timeout=SLOW)

    await mine.get_by_role("button", name="Remove").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(mine).to_have_count(0)
    await expect(page.get_by_text(f"“{name}” is followed no more.")).to_be_visible()
    assert followed(house, name) is None
    assert seen.errors == []


async def test_a_source_whose_credentials_end_soon_says_so(
    opened: Opened, house: httpx.Client, home: Path, name: str
) -> None:
    source = add(house, name, "webhook")
    soon = datetime.now(UTC) + timedelta(days=3)
    with closing(sqlite3.connect(home / "ingest.db")) as database, database:
        database.execute(
            "UPDATE sources SET credentials_expire_at = ? WHERE id = ?",
            (int(soon.timestamp() * 1_000_000), source["id"]),
        )

    seen = await opened("/sources")
    mine = row(seen.page, name)

    await expect(mine).to_contain_text("Credentials end soon")
    await expect(mine).to_contain_text("Its credentials end on")


async def test_what_is_wrong_is_said_at_its_field(
    opened: Opened, house: httpx.Client, name: str
) -> None:
    page = (await opened("/sources/new")).page
    await page.get_by_role("radio", name="Feeds").check()
    url, interval = page.get_by_label("URL"), page.get_by_label("Interval seconds")

    await page.get_by_role("button", name="Follow").click()
    await expect(url).to_have_accessible_description(re.compile("This is needed."))
    await expect(url).to_be_focused()
    await expect(page.get_by_role("textbox", name="Name")).to_have_attribute("aria-invalid", "true")

    await url.fill("https://blog.example/feed.xml")
    await page.get_by_role("textbox", name="Name").fill(name)
    await interval.fill("often")
    await page.get_by_role("button", name="Follow").click()
    await expect(interval).to_have_accessible_description(re.compile("must be a number"))

    await interval.fill("0")  # that it must be 1 at least, the gateway says
    await page.get_by_role("button", name="Follow").click()
    await expect(interval).to_have_accessible_description(re.compile("greater than or equal to 1"))
    await expect(url).to_have_attribute("aria-invalid", "false")
    assert followed(house, name) is None


async def test_an_address_that_is_refused_says_why(opened: Opened) -> None:
    page = (await opened("/sources/new")).page
    await page.get_by_role("radio", name="Feeds").check()
    await page.get_by_label("URL").fill("http://169.254.169.254/latest")

    await page.get_by_role("button", name="Try it").click()

    await expect(page.get_by_role("alert")).to_contain_text("169.254.169.254", timeout=SLOW)
    await expect(page.get_by_role("region", name="The first posts")).to_have_count(0)


async def test_a_page_s_address_leads_to_its_feed(opened: Opened) -> None:
    with feed_server_beside([("1", "Hello")]) as feed, feed_server_beside() as site:
        site.mode = "raw"
        site.body = (
            '<!doctype html><html><head><title>Shop</title><link rel="alternate" '
            f'type="application/rss+xml" title="News" href="{feed.url()}"></head></html>'
        ).encode()
        page = (await opened("/sources/new")).page
        await page.get_by_role("radio", name="Feeds").check()
        await page.get_by_label("URL").fill(site.url("/"))

        await page.get_by_role("button", name="Try it").click()
        await page.get_by_role("button", name="News").click(timeout=SLOW)

        await expect(page.get_by_role("region", name="The first posts")).to_contain_text(
            "Hello", timeout=SLOW
        )
        await expect(page.get_by_label("URL")).to_have_value(feed.url())
        await expect(page.get_by_role("textbox", name="Name")).to_have_value("News")


async def test_any_list_of_json_is_followed_by_paths_and_its_stars_are_seen(opened: Opened) -> None:
    with feed_server_beside() as shop:
        review = {"no": 7, "words": "너무 느려요", "when": "2026-11-20T09:00:00Z", "stars": 2}
        shop.mode, shop.body = "raw", json.dumps({"reviews": [review]}).encode()
        page = (await opened("/sources/new")).page
        await page.get_by_role("radio", name="JSON over HTTP").check()
        fields = {
            "Address": shop.url("/reviews"),
            "Items": "$.reviews[*]",
            "Post ID": "$.no",
            "Post text": "$.words",
            "Post created at": "$.when",
            "Post rating": "$.star",
        }
        for label, written in fields.items():
            await page.get_by_role("textbox", name=re.compile(f"^{label}")).first.fill(written)
        tried = page.get_by_role("region", name="The first posts")

        await page.get_by_role("button", name="Try it").click()
        await expect(tried).to_contain_text("너무 느려요", timeout=SLOW)
        await expect(tried).not_to_contain_text("Rated")

        await page.get_by_role("textbox", name=re.compile("^Post rating")).fill("$.stars")
        await page.get_by_role("button", name="Try it").click()
        await expect(tried).to_contain_text("Rated 2 of 5", timeout=SLOW)
        await expect(tried).to_contain_text("★★☆☆☆")


async def test_a_webhook_s_secret_is_shown_once(
    opened: Opened, house: httpx.Client, name: str
) -> None:
    seen = await opened("/sources/new", permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    await page.get_by_role("radio", name="Webhooks").check()
    await expect(page.get_by_role("button", name="Try it")).to_have_count(0)
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("button", name="Follow").click()

    secret = page.get_by_label("The signing secret")
    await expect(secret).to_have_value(re.compile("^whsec_"))
    added = followed(house, name)
    assert added is not None
    await expect(page.get_by_label("Send to")).to_have_value(re.compile(f"/hooks/{added['id']}$"))
    await page.get_by_role("button", name=re.compile("^Copy.*secret$")).click()
    assert await page.evaluate("navigator.clipboard.readText()") == await secret.input_value()

    await page.get_by_role("region").get_by_role("link", name="All sources").click()
    await expect(row(page, name)).to_contain_text("When sent")
    assert "whsec_" not in await page.content()
    assert seen.errors == []


async def test_a_broken_source_says_why_and_is_filtered_and_mended(
    opened: Opened, house: httpx.Client, blog: FeedServer, name: str
) -> None:
    blog.mode, blog.status = "status", 410
    source = add(house, name, "feed", url=blog.url("/gone.xml"), interval_seconds=1)
    until(lambda: (followed(house, name) or {})["health"] == "broken", seconds=60)
    add(house, f"Quiet {name}", "webhook")
    page = (await opened("/sources")).page

    await page.get_by_label("State").select_option("broken")
    await expect(row(page, name)).to_contain_text("410")
    await expect(row(page, f"Quiet {name}")).to_have_count(0)

    blog.mode = "ok"
    await row(page, name).get_by_role("button", name="Edit").click()
    form = page.get_by_role("form", name=f"Edit: {name}")
    await form.get_by_label("URL").fill(blog.url("/new.xml"))
    await form.get_by_label("Requests a day at most").fill("5000")
    await form.get_by_label("Authorization").fill("Bearer hush")
    await form.get_by_role("button", name="Save").click()
    await expect(page.get_by_text(f"“{name}” was changed.")).to_be_visible()
    await row(page, name).get_by_role("button", name="Try now").click()
    await page.get_by_label("State").select_option("")
    await expect(row(page, name)).to_contain_text("Healthy", timeout=SLOW)
    await expect(row(page, name)).to_contain_text("of 5,000 requests today")

    # A second change keeps the secret, which the form never holds.
    await row(page, name).get_by_role("button", name="Edit").click()
    await expect(form.get_by_label("Authorization")).to_have_value("")
    await form.get_by_label("Product").fill("Maru Notes")
    await form.get_by_role("button", name="Save").click()
    await expect(row(page, name)).to_contain_text("Maru Notes")
    changed = followed(house, name)
    assert changed is not None
    assert changed["id"] == source["id"]
    assert changed["settings"]["url"] == blog.url("/new.xml")
    assert changed["daily_requests"] == 5000
    seen_before = len(blog.seen_headers)
    until(lambda: len(blog.seen_headers) > seen_before, seconds=30)
    assert blog.seen_headers[-1]["authorization"] == "Bearer hush"


async def test_a_source_begins_anew_when_that_is_confirmed(
    opened: Opened, house: httpx.Client, blog: FeedServer, name: str
) -> None:
    add(house, name, "feed", url=blog.url(), interval_seconds=3600)
    until(lambda: (followed(house, name) or {})["posts"] == 2, seconds=60)
    page = (await opened("/sources")).page
    asked = blog.requests["/feed.xml"]

    await row(page, name).get_by_role("button", name="Begin anew").click()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert blog.requests["/feed.xml"] == asked
    await row(page, name).get_by_role("button", name="Begin anew").click()
    await page.get_by_role("dialog").get_by_role("button", name="Begin anew").click()

    await expect(page.get_by_text(f"“{name}” begins anew.")).to_be_visible()
    until(lambda: blog.requests["/feed.xml"] > asked, seconds=30)
    until(lambda: (followed(house, name) or {})["duplicates"] == 2, seconds=30)


async def test_older_posts_are_fetched_where_the_kind_can(
    opened: Opened, house: httpx.Client, name: str
) -> None:
    add(house, name, "mastodon", server="http://localhost:9", hashtag="maru")
    add(house, f"Feed {name}", "feed", url="http://localhost:9/feed.xml")
    page = (await opened("/sources")).page
    await expect(
        row(page, f"Feed {name}").get_by_role("button", name="Fetch older posts")
    ).to_have_count(0)

    await row(page, name).get_by_role("button", name="Fetch older posts").click()
    form = page.get_by_role("form", name=f"Fetch older posts: {name}")
    await form.get_by_label("From").fill("2026-03-01")
    await form.get_by_label("Up to").fill("2026-03-31")
    await form.get_by_role("button", name="Fetch").click()

    await expect(
        page.get_by_text("Fetching older posts, Mar 1, 2026 to Mar 31, 2026")
    ).to_be_visible()
    look = (followed(house, name) or {})["backfill"]
    assert look["since"].startswith("2026-03-01T00:00:00")
    assert look["until"].startswith("2026-04-01T00:00:00")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_text("Fetching older posts,")).to_have_count(0)
    assert (followed(house, name) or {})["backfill"] is None


async def test_lists_are_imported_and_exported(
    opened: Opened, house: httpx.Client, blog: FeedServer, name: str, tmp_path: Path
) -> None:
    add(house, f"Known {name}", "feed", url=blog.url("/known.xml"))
    outlines = "".join(
        f'<outline type="rss" text="{text}" xmlUrl="{url}"/>'
        for text, url in [(name, blog.url("/listed.xml")), ("Known", blog.url("/known.xml"))]
    )
    file = tmp_path / "list.opml"
    file.write_text(f'<opml version="2.0"><body>{outlines}</body></opml>')
    page = (await opened("/sources")).page

    await page.get_by_label("Import OPML").last.set_input_files(file)
    await expect(page.get_by_text("1 feed added, 1 followed already.")).to_be_visible()
    await expect(row(page, name)).to_be_visible()

    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Export OPML").click()
    download = await downloading.value
    assert download.suggested_filename == "maru-feeds.opml"
    assert holds(await download.path(), blog.url("/listed.xml"))

    file.write_text("<html>")
    await page.get_by_label("Import OPML").last.set_input_files(file)
    await expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()


async def test_a_reader_sees_sources_and_changes_none(
    opened: Opened, house: httpx.Client, name: str
) -> None:
    add(house, name, "webhook")
    key = reader(house, name)

    page = (await opened("/sources", key=key)).page
    await expect(row(page, name)).to_be_visible()
    assert await row(page, name).get_by_role("button").count() == 0
    await expect(page.get_by_role("link", name="Add a source")).to_have_count(0)
    page = (await opened("/sources/new", key=key)).page
    await expect(page.get_by_text("Only owners may add sources.")).to_be_visible()
    page = (await opened("/sources", key="")).page
    await expect(page.get_by_text("This board needs a key")).to_be_visible()


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark", "locale": "ko-KR"} | PHONE],
    ids=["light", "dark-korean-phone"],
)
async def test_axe_finds_no_violation(
    opened: Opened, house: httpx.Client, blog: FeedServer, name: str, options: dict[str, Any]
) -> None:
    add(house, name, "mastodon", server="http://localhost:9", hashtag="maru")
    page = (await opened("/sources", reduced_motion="reduce", **options)).page
    mine = row(page, name)
    await expect(mine).to_be_visible()
    for opener in reversed(await mine.get_by_role("button", expanded=False).all()):
        await opener.click()
    await expect(mine.get_by_role("form")).to_have_count(2)
    await _fine(page)

    page = (await opened("/sources/new", reduced_motion="reduce", **options)).page
    await page.locator("[value=feed]").check()
    await page.locator("form .field").first.fill(blog.url())
    await page.locator("form .button").first.click()
    await expect(page.locator("#trial")).to_be_visible(timeout=SLOW)
    await page.locator("form .main").click()  # without a name
    await _fine(page)


async def _fine(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("() => document.body.scrollWidth <= innerWidth")
