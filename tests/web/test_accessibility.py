"""axe finds nothing to complain of: both schemes, both languages, wide and narrow."""

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from web.conftest import Visitor
from web.fake_gateway import KEY
from web.sample_ideas import IDEAS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 360, "height": 740}}
PATHS = ["/", f"/ideas/{IDEAS[0]['id']}#key={KEY}", f"/topics#key={KEY}", "/docs"]


@pytest.mark.parametrize("path", PATHS, ids=["ideas", "idea", "topics", "docs"])
@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark", "locale": "ko-KR"} | PHONE],
    ids=["light", "dark-korean-phone"],
)
async def test_axe_finds_no_violation(visit: Visitor, path: str, options: dict[str, Any]) -> None:
    seen = await visit(path, reduced_motion="reduce", **options)
    await expect(seen.page.get_by_role("article").first).to_be_visible()

    found = await Axe().run(seen.page)

    assert found.violations_count == 0, found.generate_report()
    assert await seen.page.evaluate("() => document.body.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark", "locale": "ko-KR"} | PHONE],
    ids=["light", "dark-korean-phone"],
)
async def test_correcting_a_post_is_accessible_too(visit: Visitor, options: dict[str, Any]) -> None:
    seen = await visit(PATHS[1], reduced_motion="reduce", **options)
    post = seen.page.get_by_role("article").first
    await post.get_by_role("button").first.click()
    await post.get_by_role("combobox").last.select_option("other")
    form = post.get_by_role("group").first
    await form.get_by_role("button").first.click()
    await expect(form.get_by_role("checkbox").first).to_be_visible()
    await form.get_by_role("button").click()
    await expect(post.get_by_role("status")).not_to_be_empty()
    await post.get_by_role("button").first.click()

    found = await Axe().run(seen.page)

    assert found.violations_count == 0, found.generate_report()
    assert await seen.page.evaluate("() => document.body.scrollWidth <= innerWidth")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
@pytest.mark.parametrize("width", [320, 360, 412])
async def test_the_head_fits_on_a_phone(visit: Visitor, width: int, locale: str) -> None:
    seen = await visit(PATHS[1], viewport={"width": width, "height": 740}, locale=locale)
    await expect(seen.page.get_by_role("article").first).to_be_visible()

    wide = "({scrollWidth, clientWidth}) => scrollWidth <= clientWidth"
    assert await seen.page.locator("html").evaluate(wide)
    for label in await seen.page.locator("header nav").get_by_role("button").all():
        box = await label.bounding_box()
        assert box is None or box["height"] < 40  # one line


async def test_the_sign_in_dialog_is_accessible_too(visit: Visitor) -> None:
    seen = await visit()
    await seen.page.get_by_role("button", name="Sign in").click()

    found = await Axe().run(seen.page)

    assert found.violations_count == 0, found.generate_report()
    await expect(seen.page.get_by_role("textbox", name="API key")).to_be_focused()
    await seen.page.keyboard.press("Escape")
    await expect(seen.page.get_by_role("dialog")).to_have_count(0)
