"""Pages are fetched as their sites allow (RFC 9309); feeds and APIs are not asked about."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.misbehaving import Call, Server, misbehaving
from maru_kit.outbound import (
    AskedToWait,
    Blocked,
    Disallowed,
    Manners,
    Outbound,
    TimedOut,
    open_outbound,
)
from maru_kit.outbound.robots import MAX_BYTES, rules_of

PAGE = "https://a.example/page"


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("", True),
        ("User-agent: *\nDisallow: /\n", False),
        ("User-agent: *\nDisallow:\n", True),
        ("User-agent: Maru\nDisallow: /page\n", False),
        ("USER-AGENT: mARU # us\nDISALLOW: /page # this\n", False),
        ("User-agent: Maru/1.0\nDisallow: /page\n", False),
        ("User-agent: Maru-news\nDisallow: /\n", True),
        ("User-agent: m\nDisallow: /\n", True),
        ("User-agent: other\nUser-agent: maru\nDisallow: /page\n", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: Maru\nDisallow: /x\n", True),
        ("User-agent: Maru\nDisallow: /\n\nUser-agent: *\nAllow: /\n", False),
        ("User-agent: Maru\nAllow: /\n\nUser-agent: maru\nDisallow: /page\n", False),
        ("User-agent: *\nDisallow: /\nAllow: /page\n", True),
        ("User-agent: *\nAllow: /page\nDisallow: /page\n", True),
        ("User-agent: *\nDisallow: /*ge$\n", False),
        ("User-agent: *\nDisallow: /pag$\n", True),
        ("User-agent: *\nDisallow: /%70age\n", False),
        ("Disallow: /\n", True),
        ("User-agent: *\r\nDisallow: /page\r\n", False),
        ("User-agent: *\rDisallow: /page\r", False),
        ("<html>\nUser-agent: *\n<p>Disallow: /</p>", True),
        ("Sitemap: x\nUser-agent: *\nCrawl-delay: 1\nDisallow: /page", False),
        ("User-agent\nDisallow: /\n", True),
        ("User agent: *\nDisallow: /page\n", False),
    ],
)
def test_rules_are_read_as_the_standard_says(text: str, is_allowed: bool) -> None:  # noqa: FBT001
    assert rules_of(text).can_fetch(PAGE, "Maru") is is_allowed


LINES = st.sampled_from(
    [
        "User-agent: *",
        "User-agent: maru",
        "User-agent: x",
        "User-agent:",
        "Disallow: /",
        "Allow: /p",
    ]
)


@given(st.lists(st.one_of(LINES, st.text(max_size=20)), max_size=12))
def test_no_text_is_an_error(lines: list[str]) -> None:
    assert rules_of("\n".join(lines)).can_fetch(PAGE, "Maru") in {True, False}


@pytest.mark.parametrize(
    "text",
    [
        "User-agent: a{}\n",
        "useragent {}b\n",
        "Disallow: /{}*x*y*z$\n",
        "Disallow: /" + "*a" * 1000 + "{}\n",
        "User-agent: maru\nDisallow: /{}\n",
    ],
)
def test_a_text_that_means_harm_takes_seconds_at_most(text: str) -> None:
    many = "User-agent: *\n" + "".join(text.format(number) for number in range(100_000))
    body = many[: MAX_BYTES // 2] + "\n" + "Disallow: /x\n" * (MAX_BYTES // 26)
    began = time.process_time()

    rules_of(body).can_fetch("https://a.example/" + "a" * 2000, "Maru")

    assert time.process_time() - began < 10


@dataclass
class Site:
    """A site with one page everywhere, and a robots.txt as a test says."""

    robots: bytes = b""
    status: int = 200
    headers: str = ""
    stays: bool = False
    paths: list[str] = field(default_factory=list)

    async def answer(self, call: Call) -> None:
        path = call.head.split()[1]
        self.paths.append(path)
        if path != "/robots.txt":
            await call.say(_answer(200, b"page"))
        elif self.stays:
            await call.hang()
        elif self.status:
            await call.say(_answer(self.status, self.robots, self.headers))


def _answer(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


class Clock:
    """A clock that goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def visiting(
    site: Site, clock: Clock | None = None
) -> AsyncIterator[tuple[Server, Outbound]]:
    manners = Manners(clock=clock or Clock(), patience=1000)
    async with (
        misbehaving(site.answer) as server,
        open_outbound(allow=[server.host], manners=manners) as outbound,
    ):
        yield server, outbound


async def test_a_page_is_fetched_if_its_site_allows_and_its_rules_are_asked_for_once() -> None:
    site = Site(b"User-agent: Maru\nDisallow: /private")
    async with visiting(site) as (server, outbound):
        for _ in range(2):
            assert (await outbound.page(server.url("/public"))).body == b"page"
            with pytest.raises(Disallowed, match=r"robots\.txt"):
                await outbound.page(server.url("/private/x"))
        assert (await outbound.get(server.url("/private/x"))).body == b"page", "as for a feed"

    assert site.paths == ["/robots.txt", "/public", "/public", "/private/x"]


async def test_rules_are_asked_for_anew_each_day() -> None:
    site, clock = Site(), Clock()
    async with visiting(site, clock) as (server, outbound):
        await outbound.page(server.url("/"))
        site.robots = b"User-agent: *\nDisallow: /"
        clock.now += 24 * 3600 - 1
        await outbound.page(server.url("/"))
        clock.now += 1
        with pytest.raises(Disallowed):
            await outbound.page(server.url("/"))


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 429])
async def test_a_site_without_rules_allows_everything(status: int) -> None:
    site = Site(b"User-agent: *\nDisallow: /", status)
    async with visiting(site) as (server, outbound):
        assert (await outbound.page(server.url("/"))).body == b"page"


@pytest.mark.parametrize("status", [0, 500, 502, 503])
async def test_rules_that_cannot_be_read_forbid_everything_for_a_while(status: int) -> None:
    site, clock = Site(status=status), Clock()
    async with visiting(site, clock) as (server, outbound):
        for _ in range(3):
            with pytest.raises(Disallowed, match="can't be read"):
                await outbound.page(server.url("/"))
        assert site.paths == ["/robots.txt"]
        site.status = 404
        clock.now += 600
        assert (await outbound.page(server.url("/"))).body == b"page"


async def test_a_site_that_asks_to_wait_is_not_asked_for_the_page_either() -> None:
    site = Site(status=429, headers="Retry-After: 60\r\n")
    async with visiting(site) as (server, outbound):
        for _ in range(2):
            with pytest.raises(AskedToWait):
                await outbound.page(server.url("/"))
    assert site.paths == ["/robots.txt"]


async def test_rules_that_do_not_come_end_at_the_deadline() -> None:
    site = Site(stays=True)
    async with visiting(site) as (server, outbound):
        began = time.monotonic()
        with pytest.raises(TimedOut):
            await outbound.page(server.url("/"), deadline=0.3)
        assert time.monotonic() - began < 1


async def test_of_rules_without_an_end_the_beginning_counts() -> None:
    site = Site(b"User-agent: *\nDisallow: /a\n#" + b"x" * MAX_BYTES + b"\nDisallow: /b\n")
    async with visiting(site) as (server, outbound):
        with pytest.raises(Disallowed):
            await outbound.page(server.url("/a"))
        assert (await outbound.page(server.url("/b"))).body == b"page"


async def test_rules_are_found_behind_five_redirects() -> None:
    async def answer(call: Call) -> None:
        path = call.head.split()[1]
        seen.append(path)
        step = 0 if path == "/robots.txt" else int(path.removeprefix("/"))
        if step == 5:
            await call.say(_answer(200, b"User-agent: *\nDisallow: /"))
        else:
            await call.say(_answer(302, b"", f"Location: /{step + 1}\r\n"))

    seen: list[str] = []
    async with misbehaving(answer) as server, open_outbound(allow=[server.host]) as outbound:
        with pytest.raises(Disallowed):
            await outbound.page(server.url("/page"))
    assert seen == ["/robots.txt", "/1", "/2", "/3", "/4", "/5"]


async def test_a_page_that_leads_to_another_is_allowed_by_both_or_not_fetched() -> None:
    async def answer(call: Call) -> None:
        path = call.head.split()[1]
        seen.append(path)
        if path == "/robots.txt":
            await call.say(_answer(200, b"User-agent: *\nDisallow: /there"))
        else:
            await call.say(_answer(302, b"", "Location: /there\r\n"))

    seen: list[str] = []
    async with misbehaving(answer) as server, open_outbound(allow=[server.host]) as outbound:
        with pytest.raises(Disallowed):
            await outbound.page(server.url("/here"))
    assert seen == ["/robots.txt", "/here"]


async def test_rules_inside_are_not_read() -> None:
    site = Site(status=302, headers="Location: http://169.254.169.254/robots.txt\r\n")
    async with visiting(site) as (server, outbound):
        with pytest.raises(Blocked):
            await outbound.page(server.url("/"))
    assert site.paths == ["/robots.txt"]


async def test_many_who_ask_at_once_read_the_rules_once_and_no_secret_is_shown_for_them() -> None:
    site = Site()
    async with visiting(site) as (server, outbound):
        pages = [
            outbound.page(server.url("/"), headers={"Authorization": "canary"}) for _ in range(6)
        ]
        await asyncio.gather(*pages)
        [robots] = [head for head in server.heads if "/robots.txt" in head]
    assert "canary" not in robots
    assert site.paths.count("/robots.txt") == 1


async def test_large_rules_of_many_sites_fill_no_memory() -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8"]

    from kit.test_outbound_manners import Internet

    site = Site(b"User-agent: x\n" + b"Disallow: /\n" * 40_000)
    async with misbehaving(site.answer) as server:
        internet = Internet(server.port)
        async with open_outbound(resolver=resolver, network=internet) as outbound:
            for number in range(10):
                await outbound.page(f"http://{number}.example/")
            sizes = [one.size for one in outbound._robots._sites.values()]
    assert site.paths.count("/robots.txt") == 10
    assert 0 < sum(sizes) <= 2 * 1024 * 1024
