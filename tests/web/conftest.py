"""The built board behind a fake gateway, and a Chromium that looks at it."""

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from time import monotonic, sleep
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from web.fake_gateway import State, create_app

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "services" / "gateway" / "maru_gateway" / "static"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Board:
    """A served board: where it is and what its fake gateway will answer."""

    url: str
    state: State


@dataclass
class Visit:
    """A page with everything that went wrong on it; `errors` must stay empty."""

    page: Page
    errors: list[str] = field(default_factory=list)


Visitor = Callable[..., Awaitable[Visit]]


@pytest.fixture(scope="session")
def built() -> Path:
    script = ROOT / "services" / "gateway" / "web" / "build.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return STATIC


@contextmanager
def serving(static: Path, state: State) -> Iterator[str]:
    """Serve the board with a fake gateway on a free port; gives the address."""
    config = uvicorn.Config(
        create_app(static, state), port=0, log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = monotonic() + 10
    while not server.started and monotonic() < deadline:
        sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def board(built: Path) -> Iterator[Board]:
    state = State()
    with serving(built, state) as url:
        yield Board(url=url, state=state)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    assert chromium, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield running
        await running.close()


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncIterator[Visitor]:
    """Open paths below an address; keywords go to the browser's context."""
    async with AsyncExitStack() as open_contexts:

        async def go(path: str = "/", **options: Any) -> Visit:
            context = await browser.new_context(**{"locale": "en-US"} | options)
            open_contexts.push_async_callback(context.close)
            seen = Visit(await context.new_page())
            seen.page.set_default_timeout(5_000)
            await seen.page.add_init_script(
                "addEventListener('securitypolicyviolation', e => "
                "console.error('csp', e.violatedDirective, e.blockedURI))"
            )
            seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
            seen.page.on("console", lambda message: _note(seen, message.type, message.text))
            await seen.page.goto(url + path)
            return seen

        yield go


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, board: Board) -> AsyncIterator[Visitor]:
    """Open a path of the board with the fake gateway."""
    async with visiting(browser, board.url) as go:
        yield go


def _note(seen: Visit, kind: str, text: str) -> None:
    # Chromium reports every refused request; what the board makes of those, the tests say.
    if kind in {"error", "warning"} and "the server responded with a status of" not in text:
        seen.errors.append(text)
