"""Take the README's pictures: `PYTHONPATH=tests python tests/web/take_pictures.py`."""

import asyncio
from shutil import which
from typing import Any

from playwright.async_api import Browser, async_playwright

from web.conftest import QUIET, ROOT, STATIC, serving
from web.fake_gateway import KEY, State
from web.sample_ideas import HOSTILE, IDEAS

PICTURES = ROOT / "docs" / "images"
WIDE = {"viewport": {"width": 1200, "height": 800}, "device_scale_factor": 1.5}
PHONE = {"viewport": {"width": 390, "height": 800}, "device_scale_factor": 1.5}


async def picture(browser: Browser, url: str, name: str, **options: Any) -> None:
    context = await browser.new_context(**{"locale": "en-US"} | options)
    page = await context.new_page()
    await page.goto(url)
    await page.get_by_role("article").first.wait_for()
    await page.screenshot(path=PICTURES / name)
    await context.close()


async def main() -> None:
    ideas = [it for it in State().ideas if HOSTILE not in it["title"]]
    posts = [it for it in State().posts if HOSTILE not in it["text"]]
    state = State(ideas=ideas, posts=posts)
    idea = f"/ideas/{IDEAS[0]['id']}#key={KEY}"
    with serving(STATIC, state) as url:
        async with async_playwright() as playwright:
            chromium = which("chromium")
            browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
            await picture(browser, url, "board.png", **WIDE)
            await picture(
                browser, f"{url}/", "board-dark.png", color_scheme="dark", locale="ko-KR", **WIDE
            )
            await picture(browser, url + idea, "idea.png", **WIDE)
            await picture(browser, url + idea, "idea-phone.png", locale="ko-KR", **PHONE)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
