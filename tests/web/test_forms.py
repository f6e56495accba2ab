"""Forms in a real browser: on their own page, and in a dialog on a strict site of somebody else."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from cli.conftest import Maru
from web.conftest import Visit, Visitor, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 360, "height": 740}
SLOW = 30_000
Opened = Callable[..., Awaitable[Visit]]


@pytest.fixture(scope="module")
def house(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    assert built.is_dir()
    with Maru(tmp_path_factory.mktemp("house") / "home").up() as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, house: httpx.Client) -> AsyncIterator[Visitor]:
    async with visiting(browser, str(house.base_url).rstrip("/")) as go:
        yield go


class Site:
    """A company's own site, whose policy allows Maru what the docs say, and nothing else."""

    def __init__(self, maru: str) -> None:
        self.policy = f"default-src 'none'; script-src {maru}; frame-src {maru}"
        self.tag = ""
        self.url = ""

    async def home(self, _: web.Request) -> web.Response:
        page = f"<!doctype html><html lang=en><title>Shop</title><h1>Shop</h1>{self.tag}"
        return web.Response(
            text=page, content_type="text/html", headers={"Content-Security-Policy": self.policy}
        )

    async def icon(self, _: web.Request) -> web.Response:
        return web.Response(status=204)


@pytest_asyncio.fixture(loop_scope="session")
async def site(house: httpx.Client) -> AsyncIterator[Site]:
    made = Site(str(house.base_url).rstrip("/"))
    app = web.Application()
    app.add_routes([web.get("/", made.home), web.get("/favicon.ico", made.icon)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://localhost:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def add(house: httpx.Client, **settings: Any) -> str:
    texts = {"title": "What is missing?", "consent": "You may keep it.", **settings}
    wanted = {"kind": "form", "name": f"Form {uuid4().hex[:8]}", "settings": texts}
    return str(house.post("/api/v1/sources", json=wanted).raise_for_status().json()["id"])


def posts_of(house: httpx.Client, source: str) -> int:
    return int(house.get(f"/api/v1/sources/{source}").raise_for_status().json()["posts"])


async def fill(page: Any, words: str) -> None:
    """Write what a person would; nobody is quicker than the two seconds that the form waits for."""
    await page.get_by_label("Your message").fill(words)
    await page.get_by_label("You may keep it.").check()
    send, thanks = page.get_by_role("button", name="Send"), page.get_by_text("Thank you!")
    fast = page.get_by_text("That was very fast")
    await send.click()
    while not await thanks.is_visible():
        await expect(thanks.or_(fast)).to_be_visible(timeout=SLOW)
        if await fast.is_visible():
            await send.click()


async def violations(page: Page) -> dict[str, str]:
    results = await Axe().run(page)
    return {it["id"]: it["help"] for it in results.response["violations"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_works_without_scripts_and_says_what_is_wrong(
    visit: Visitor, house: httpx.Client, scheme: str
) -> None:
    source = add(house)
    seen = await visit(
        f"/forms/{source}", viewport=PHONE, color_scheme=scheme, java_script_enabled=False
    )
    page = seen.page
    await page.get_by_label("Your message").fill("Dark mode, please")
    await page.get_by_label("E-mail (optional)").fill("kim@example")
    await page.get_by_label("You may keep it.").check()
    await page.get_by_role("button", name="Send").click()

    email = page.get_by_label("E-mail (optional)")
    await expect(page.get_by_role("alert")).to_contain_text("This is no e-mail address.")
    await expect(email).to_have_accessible_description(
        "Only to answer you. It is never shown in public. "
        "This is no e-mail address. You can also leave it empty."
    )
    await expect(page.get_by_label("Your message")).to_have_value("Dark mode, please")
    await email.fill("")
    await fill(page, "Dark mode, please")

    assert posts_of(house, source) == 1
    width = await page.locator("html").bounding_box()
    assert width is not None
    assert width["width"] <= PHONE["width"]
    assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_for_eyes_and_ears(
    visit: Visitor, house: httpx.Client, scheme: str
) -> None:
    source = add(house, title_ko="무엇이 아쉬우신가요?")
    page = (
        await visit(f"/forms/{source}", viewport=PHONE, color_scheme=scheme, bypass_csp=True)
    ).page
    assert await violations(page) == {}

    await page.get_by_label("Your message").fill("x")
    await page.get_by_label("E-mail (optional)").fill("kim@example")
    await page.get_by_label("You may keep it.").check()
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await violations(page) == {}
    await expect(page.get_by_label("E-mail (optional)")).to_be_focused()

    await page.get_by_role("link", name="한국어").click()
    await expect(page.get_by_role("heading", name="무엇이 아쉬우신가요?")).to_be_visible()
    assert await violations(page) == {}


async def test_a_tag_on_a_strict_site_opens_the_form_in_a_dialog(
    browser: Browser, house: httpx.Client, site: Site
) -> None:
    maru = str(house.base_url).rstrip("/")
    source = add(house, origins=[site.url])
    site.tag = f'<script async src="{maru}/widget/1.js" data-form="{source}"></script>'
    async with visiting(browser, site.url) as go:
        seen = await go("/", viewport=PHONE)
        page = seen.page
        opener = page.get_by_role("button", name="Feedback")
        await opener.click()
        dialog = page.get_by_role("dialog", name="Feedback")
        await expect(dialog).to_be_visible()
        framed = page.frame_locator("iframe")
        await fill(framed, "Offline mode, please")
        await page.get_by_role("button", name="Close").click()
        await expect(dialog).to_be_hidden()
        await expect(opener).to_be_focused()
        assert await violations(page) in ({}, {"landmark-one-main": ANY_MAIN, "region": ANY_REGION})
        assert seen.errors == []

    assert posts_of(house, source) == 1


ANY_MAIN = "Document should have one main landmark"
ANY_REGION = "All page content should be contained by landmarks"


async def test_a_site_that_was_not_named_can_not_frame_it(
    browser: Browser, house: httpx.Client, site: Site
) -> None:
    maru = str(house.base_url).rstrip("/")
    source = add(house, origins=["https://www.example.com"])
    site.tag = f'<script async src="{maru}/widget/1.js" data-form="{source}"></script>'
    async with visiting(browser, site.url) as go:
        seen = await go("/")
        async with seen.page.expect_console_message(
            lambda message: "frame-ancestors" in message.text, timeout=SLOW
        ):
            await seen.page.get_by_role("button", name="Feedback").click()
        framed = seen.page.frame_locator("iframe")
        await expect(framed.get_by_label("Your message")).to_have_count(0)


async def test_a_button_of_ones_own_opens_it_in_the_pages_language(
    browser: Browser, house: httpx.Client, site: Site
) -> None:
    maru = str(house.base_url).rstrip("/")
    source = add(house, origins=[site.url], title_ko="무엇이 아쉬우신가요?")
    site.tag = (
        f'<button id="own">Tell us</button><script async src="{maru}/widget/1.js" '
        f'data-form="{source}" data-button="#own" data-lang="ko"></script>'
    )
    async with visiting(browser, site.url) as go:
        page = (await go("/")).page
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.wait_for_load_state("load")
        await page.get_by_role("button", name="Tell us").click()
        framed = page.frame_locator("iframe")
        await expect(framed.get_by_role("heading")).to_have_text("무엇이 아쉬우신가요?")
        await expect(page.get_by_role("dialog", name="의견 보내기")).to_be_visible()


async def test_a_form_is_made_on_the_board_which_shows_address_and_tag(
    browser: Browser, house: httpx.Client
) -> None:
    secret = house.headers["Authorization"].removeprefix("Bearer ")
    async with visiting(browser, str(house.base_url).rstrip("/")) as go:
        seen = await go(f"/sources/new#key={secret}")
        page = seen.page
        name = f"Form {uuid4().hex[:8]}"
        await page.get_by_role("radio", name="Feedback form").check()
        await page.get_by_label("Title", exact=True).fill("What is missing?")
        await page.get_by_role("textbox", name="Name").fill(name)
        await page.get_by_role("button", name="Follow").click()

        address = await page.get_by_label("Address of the form").input_value()
        tag = await page.get_by_label("Tag for your site").input_value()
        await page.get_by_role("region").get_by_role("link", name="All sources").click()
        await page.get_by_role("button", name=re.compile(f"^Address.*{name}")).click()
        await expect(page.get_by_label("Tag for your site")).to_have_value(tag)
        source = address.rsplit("/", 1)[1]
        assert f'/widget/1.js" data-form="{source}"' in tag
        await page.goto(address)
        await expect(page.get_by_role("heading", name="What is missing?")).to_be_visible()
        assert seen.errors == []
