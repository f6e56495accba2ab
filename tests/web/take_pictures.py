"""Take the pictures of the docs: `PYTHONPATH=tests python tests/web/take_pictures.py`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import httpx
from playwright.async_api import async_playwright

from servers.ports import free_ports
from upstreams.feed import FeedServer, feed_server_beside
from web.conftest import QUIET, ROOT

IMAGES = ROOT / "docs" / "images"
_READY = 60.0
_SAMPLE_IS_IN = 20.0
_SOURCES_ARE_ASKED = 5.0
_POSTS = [("1", "Dark mode, please"), ("2", "다크 모드 주세요"), ("3", "Sync is slow on trains")]


@contextmanager
def sample_workspace() -> Iterator[tuple[str, str]]:
    """Run all of Maru with the sample posts; yields its address and its key."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "MARU_HOME": home, "MARU_PORT": str(port)}
        env["MARU_INGEST_ALLOW_HOSTS"] = json.dumps(["127.0.0.1"])
        command = [str(Path(sys.executable).with_name("maru")), "up", "--sample"]
        maru = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            time.sleep(_SAMPLE_IS_IN)
            key = (Path(home) / "admin.key").read_text("utf-8").strip()
            yield f"http://127.0.0.1:{port}", key
        finally:
            maru.send_signal(signal.SIGINT)
            maru.wait(15)


def _wait(url: str) -> None:
    deadline = time.monotonic() + _READY
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass  # not there yet
        time.sleep(0.1)
    raise TimeoutError(f"{url} was not ready in {_READY} s")


def follow(url: str, key: str, blog: FeedServer, gone: FeedServer) -> None:
    """Follow some sources, and wait until each has been asked."""
    gone.mode, gone.status = "status", 410
    sources = [
        ("feed", "Customer blog", "blog", {"url": blog.url()}),
        ("feed", "Old forum", "community", {"url": gone.url()}),
        ("webhook", "Support desk", "mail", {}),
    ]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        for kind, name, channel, settings in sources:
            wanted = {"kind": kind, "name": name, "channel": channel, "settings": settings}
            client.post("/api/v1/sources", json=wanted | {"product": "Maru Notes"})
    time.sleep(_SOURCES_ARE_ASKED)


async def main() -> None:
    """Take the pictures."""
    with (
        feed_server_beside(_POSTS) as blog,
        feed_server_beside() as gone,
        sample_workspace() as (url, key),
    ):
        follow(url, key, blog, gone)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=which("chromium"), args=QUIET
            )
            page = await browser.new_page(
                viewport={"width": 1200, "height": 800}, device_scale_factor=1.5, locale="en-US"
            )
            for path, picture in (("/", "board.png"), ("/sources", "sources.png")):
                await page.goto(f"{url}{path}#key={key}")
                await page.get_by_role("article").first.wait_for()
                await page.screenshot(path=IMAGES / picture, full_page=path != "/")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
