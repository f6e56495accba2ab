"""Take the README's picture: `PYTHONPATH=tests python tests/web/take_pictures.py`."""

import asyncio
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
from web.conftest import QUIET, ROOT

PICTURE = ROOT / "docs" / "images" / "board.png"
_READY = 60.0
_SAMPLE_IS_IN = 20.0


@contextmanager
def sample_workspace() -> Iterator[str]:
    """Run all of Maru with the sample posts; yields the board's address with the key in it."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "MARU_HOME": home, "MARU_PORT": str(port)}
        command = [str(Path(sys.executable).with_name("maru")), "up", "--sample"]
        maru = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            time.sleep(_SAMPLE_IS_IN)
            key = (Path(home) / "admin.key").read_text("utf-8").strip()
            yield f"http://127.0.0.1:{port}/#key={key}"
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


async def main() -> None:
    """Take the picture."""
    with sample_workspace() as url:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=which("chromium"), args=QUIET
            )
            page = await browser.new_page(
                viewport={"width": 1200, "height": 800}, device_scale_factor=1.5, locale="en-US"
            )
            await page.goto(url)
            await page.get_by_role("article").first.wait_for()
            await page.screenshot(path=PICTURE)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
