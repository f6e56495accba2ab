"""A newspaper: a feed that only announces, and the pages of its articles."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from upstreams.feed import FeedUpstream
from upstreams.upstream import Written

_WORDS = (
    "이 앱에 어두운 화면이 없어 불편하다는 독자들의 의견이 이어졌다. 회사는 살피고 있다고 밝혔다."
)


class PressUpstream(FeedUpstream):
    """Serves the article of post n at `/news/n`, unless `pages` holds another answer for it.

    `hanging` are paths that are never answered; `fetched` counts the requests for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, Answer] = {}
        self.hanging: set[str] = set()
        self.fetched: Counter[str] = Counter()
        self.robots = ""

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "full_text": True}

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/robots.txt", self._robots),
            web.get("/news/{number}", self._page),
        ]

    def announce(self, text: str, link: str = "") -> Written:
        """Have an article announced; `link` is where the feed says that it stands."""
        written = self.write(text)
        written.extra["link"] = link or f"{self.url}/news/{len(self.posts)}"
        return written

    def item(self, one: Written) -> str:
        return super().item(one) + f"<link>{one.extra['link']}</link>"

    async def _robots(self, _: web.Request) -> web.Response:
        return web.Response(text=self.robots)

    async def _page(self, request: web.Request) -> web.Response:
        self.fetched[request.path] += 1
        if request.path in self.hanging:
            await asyncio.sleep(3_600)
        answer = self.pages.get(request.path) or html(page(f"기사 {request.path}"))
        return answer.response()


def words(name: str) -> str:
    """What the article of that name says."""
    return "\n".join(f"{name}, {number}째 문단. {_WORDS}" for number in range(1, 5))


def page(name: str, *, head: str = "") -> str:
    """The page of an article, with what stands around it."""
    paragraphs = "".join(f"<p>{line}</p>" for line in words(name).split("\n"))
    menu = "".join(f"<li><a href='/s/{n}'>구독 {n}</a></li>" for n in range(20))
    return (
        f"<!doctype html><html><head><title>{name} - 마루신문</title>{head}</head><body>"
        f"<nav><ul>{menu}</ul></nav><article>{paragraphs}</article>"
        "<footer><p>저작권 마루신문</p></footer></body></html>"
    )


@dataclass(frozen=True)
class Answer:
    """What a page is answered with."""

    body: bytes
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    retry_after: str = ""

    def response(self) -> web.Response:
        headers = {"Content-Type": self.kind}
        if self.retry_after:
            headers["Retry-After"] = self.retry_after
        return web.Response(body=self.body, status=self.status, headers=headers)


def html(body: str) -> Answer:
    return Answer(body.encode())
