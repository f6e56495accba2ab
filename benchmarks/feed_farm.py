"""Ten thousand blogs on loopback: a feed each, of which a tenth has a new post every interval."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from xml.sax.saxutils import escape

from aiohttp import web

from benchmarks import material
from benchmarks.stage import free_port

_POSTS = 10
"""Posts that a feed shows."""
_TURNS = 10
"""Intervals until a feed has its next post."""
_FEEDS_OF_A_HOST = 50
_ITEM = (
    "<item><guid>tag:example.org,2026:{feed}/{number}</guid>"
    "<description>{text}</description></item>"
)


@dataclass
class Farm:
    """Feeds with ETags. `asked` holds the moments (seconds since 1970) at which each was asked."""

    count: int
    interval: float
    port: int
    texts: Sequence[str]
    begun: float = field(default_factory=time.time)
    asked: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    unchanged: int = 0

    @property
    def hosts(self) -> list[str]:
        """The addresses that the feeds are spread over: no host is asked at full speed."""
        return [f"127.0.1.{1 + number}" for number in range(-(-self.count // _FEEDS_OF_A_HOST))]

    def url(self, feed: int) -> str:
        """Where a feed is."""
        return f"http://{self.hosts[feed % len(self.hosts)]}:{self.port}/{feed}"

    async def answer(self, request: web.Request) -> web.Response:
        """Answer 304 to whoever knows the feed as it is."""
        feed = int(request.match_info["feed"])
        now = time.time()
        self.asked[feed].append(now)
        version = (feed + int((now - self.begun) / self.interval)) // _TURNS - feed // _TURNS
        tag = f'"{feed}-{version}"'
        if request.headers.get("If-None-Match") == tag:
            self.unchanged += 1
            return web.Response(status=304, headers={"ETag": tag})
        items = "".join(
            _ITEM.format(
                feed=feed, number=number, text=self.texts[(feed + number) % len(self.texts)]
            )
            for number in range(version + _POSTS, version, -1)
        )
        body = f'<rss version="2.0"><channel><title>{feed}</title>{items}</channel></rss>'
        return web.Response(text=body, content_type="application/rss+xml", headers={"ETag": tag})


@asynccontextmanager
async def feed_farm(count: int, interval: float) -> AsyncIterator[Farm]:
    """Serve the feeds around a block."""
    texts = [escape(text) for text in islice(material.wishes(), 1_000)]
    farm = Farm(count, interval, free_port(), texts)
    app = web.Application()
    app.add_routes([web.get("/{feed}", farm.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        for host in farm.hosts:
            await web.TCPSite(runner, host, farm.port).start()
        yield farm
    finally:
        await runner.cleanup()
