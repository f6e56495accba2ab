"""What strangers wrote is text and nothing else."""

import pytest
from playwright.async_api import expect

from web.conftest import Visitor
from web.fake_gateway import KEY
from web.sample_ideas import HOSTILE, IDEAS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VILLAIN = IDEAS[-1]


async def test_markup_in_an_idea_is_shown_as_it_was_written(visit: Visitor) -> None:
    seen = await visit("/?q=hostile")

    await expect(seen.page.get_by_role("article").get_by_role("heading")).to_have_text(
        f"Hostile {HOSTILE}"
    )
    assert await seen.page.evaluate("() => window.pwned") is None
    assert seen.errors == []


async def test_markup_in_a_post_never_runs(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{VILLAIN['id']}#key={KEY}")

    await expect(seen.page.get_by_text(f"{HOSTILE} javascript")).to_be_visible()
    assert await seen.page.locator("main img, main script, main i[onerror]").count() == 0
    assert await seen.page.evaluate("() => window.pwned") is None
    assert seen.errors == []


async def test_only_web_addresses_become_links(visit: Visitor) -> None:
    seen = await visit(f"/ideas/{VILLAIN['id']}")

    await expect(seen.page.get_by_role("article")).to_have_count(5)
    links = seen.page.get_by_role("article").get_by_role("link")
    addresses = await links.evaluate_all("all => all.map(it => it.protocol)")
    assert addresses == ["https:"] * 3
