"""A blog whose feed names a hub, and the hub (https://www.w3.org/TR/websub/), on one server."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Literal, Self

import httpx
from aiohttp import web

from upstreams.feed import FeedUpstream

Behaviour = Literal[
    "ok", "early", "forgetful", "denies", "rejects", "down", "busy", "hang", "moved", "circles"
]
"""How the hub takes what it is asked: verifies after its answer, or before it; accepts and does
nothing more; denies afterwards; 400; 500; 429; no answer; names another hub; names itself."""

Offer = Literal["headers", "header", "elements", "json", "none"]
"""Where the feed names its hub: two Link headers, one, elements of its head, JSON, nowhere."""

_TOPIC = "/topic.xml"


@dataclass
class Granted:
    """What a subscriber has confirmed."""

    secret: str
    lease: int


@dataclass
class Pushed:
    """What a subscriber answered to a push."""

    status: int
    told: Any


@dataclass
class Hub:
    """Whom the hub pushes to, and what it was asked."""

    subscriber: httpx.AsyncClient
    behaviour: Behaviour = "ok"
    lease: int | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    granted: dict[tuple[str, str], Granted] = field(default_factory=dict)

    def forms(self, mode: str) -> list[dict[str, str]]:
        """What it was asked in that mode."""
        return [form for form in self.asked if form["hub.mode"] == mode]

    async def verify(self, form: dict[str, str]) -> int:
        """Ask the subscriber whether it meant it; act on its answer, and return its status."""
        mode, topic, callback = (form[f"hub.{name}"] for name in ("mode", "topic", "callback"))
        challenge = token_hex(16)
        lease = self.lease or int(form.get("hub.lease_seconds", "864000"))
        query = {"hub.mode": mode, "hub.topic": topic, "hub.challenge": challenge}
        if mode == "subscribe":
            query["hub.lease_seconds"] = str(lease)
        answer = await self.subscriber.get(callback, params=query)
        if answer.is_success and answer.text == challenge:
            if mode == "subscribe":
                self.granted[topic, callback] = Granted(form["hub.secret"], lease)
            else:
                self.granted.pop((topic, callback), None)
        return answer.status_code

    async def deny(self, topic: str, callback: str, reason: str) -> int:
        """Tell the subscriber that it gets nothing, or nothing more."""
        self.granted.pop((topic, callback), None)
        query = {"hub.mode": "denied", "hub.topic": topic, "hub.reason": reason}
        return (await self.subscriber.get(callback, params=query)).status_code

    async def push(
        self,
        body: bytes,
        *,
        kind: str = "application/rss+xml",
        method: str = "sha256",
        signature: str | None = None,
    ) -> list[Pushed]:
        """Send a feed to all subscribers, signed unless `signature` says otherwise."""
        answers = []
        for (topic, callback), granted in list(self.granted.items()):
            signed = hmac.new(granted.secret.encode(), body, method).hexdigest()
            headers = {"Content-Type": kind, "Link": f'<{topic}>; rel="self"'}
            given = f"{method}={signed}" if signature is None else signature
            if given:
                headers["X-Hub-Signature"] = given
            answer = await self.subscriber.post(callback, content=body, headers=headers)
            if answer.status_code == 410:
                del self.granted[topic, callback]
            answers.append(Pushed(answer.status_code, answer.json()))
        return answers


class PushedBlog(FeedUpstream):
    """A blog that is pushed by `hub`, which is set before anything is asked."""

    hub: Hub
    offer: Offer = "elements"

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "interval_seconds": 3_600}

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            *super().routes(),
            web.post("/hub", self._asked),
            web.post("/other-hub", self._asked),
        ]

    @property
    def topic(self) -> str:
        """The address that the feed gives itself, which is not where it was found."""
        return self.url + _TOPIC

    @property
    def hub_url(self) -> str:
        """Where the hub is asked."""
        return f"{self.url}/hub"

    def document(self) -> bytes:
        """The feed, which names the hub where `offer` says."""
        if self.offer == "json":
            return self._json()
        self.head = (
            f'<link xmlns="http://www.w3.org/2005/Atom" rel="hub" href="{self.hub_url}"/>'
            f'<link xmlns="http://www.w3.org/2005/Atom" rel="self" href="{self.topic}"/>'
            if self.offer == "elements"
            else ""
        )
        return super().document()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        self._verifying: set[asyncio.Task[int]] = set()
        async with super().serving():
            yield self
            await asyncio.gather(*self._verifying, return_exceptions=True)

    def _json(self) -> bytes:
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "feed_url": self.topic,
            "hubs": [
                {"type": "rssCloud", "url": f"{self.url}/cloud"},
                {"type": "WebSub", "url": self.hub_url},
            ],
            "items": [{"id": one.native_id, "content_text": one.text} for one in self.shown()],
        }
        return json.dumps(feed).encode()

    async def _feed(self, request: web.Request) -> web.Response:
        answer = await super()._feed(request)
        hub, itself = f'<{self.hub_url}>; rel="hub"', f'<{self.topic}>; title="a, b"; rel=self'
        if self.offer == "headers":
            answer.headers.add("Link", hub)
            answer.headers.add("Link", itself)
        elif self.offer == "header":
            answer.headers["Link"] = f"{hub}, {itself}"
        return answer

    async def _asked(  # noqa: C901 - one line a behaviour
        self, request: web.Request
    ) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        hub = self.hub
        hub.asked.append({**form, "path": request.path})
        match hub.behaviour:
            case "ok":
                self._later(hub.verify(form))
            case "early":
                await hub.verify(form)
            case "denies":
                self._later(hub.deny(form["hub.topic"], form["hub.callback"], "not for you"))
            case "rejects":
                return web.Response(status=400, text=f"No: {form['hub.callback']}")
            case "down":
                return web.Response(status=500)
            case "busy":
                return web.Response(status=429, headers={"Retry-After": "3600"})
            case "hang":
                await asyncio.sleep(3_600)
            case "moved" if request.path == "/hub":
                return web.Response(status=308, headers={"Location": "/other-hub"})
            case "moved":
                self._later(hub.verify(form))
            case "circles":
                return web.Response(status=307, headers={"Location": "/hub"})
        return web.Response(status=202)

    def _later(self, verification: Any) -> None:
        task = asyncio.get_running_loop().create_task(verification)
        self._verifying.add(task)
        task.add_done_callback(self._verifying.discard)
