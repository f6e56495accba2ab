"""A Mastodon server on loopback: timelines, an account, the stream, and what it says of its limits.

Made after https://docs.joinmastodon.org: pages by `min_id`, `max_id` and `since_id`, newest first,
with Link headers; ids that hold the time of their posts; a stream only for a user's token.
"""

import asyncio
import html
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from upstreams.upstream import RETRY_SECONDS, Upstream, Written

_LIMIT = 300
_MAX_PAGE = 40
_USUAL_PAGE = 20


class MastodonUpstream(Upstream):
    """One timeline, which is shown under each name, and one account that writes all of it.

    - `closed`: it shows nothing to visitors; `app_token` is an application's, which streams refuse
    - `streams`: whether there are streams, `streaming` what it says of where, `stream_kind` their
      content type, `noise` what they say first, `cuts` that they end after it
    - `left`: how many requests its limit still allows
    - `longest_page`: the posts in one answer; `links_to`: the server that pages go on at, it says
    - `moved`: native ids of posts that its timelines no longer show
    - `regenerating`: it has only a part of its timelines as yet
    """

    page = _MAX_PAGE
    edits = True
    deletes = True
    secret = "z9-token-of-a-user"
    app_token = "z9-token-of-an-app"

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.streams = True
        self.streaming = ""
        self.heartbeat = 15.0
        self.left = _LIMIT
        self.longest_page = _MAX_PAGE
        self.stream_kind = "text/event-stream"
        self.noise = b""
        self.cuts = False
        self.links_to = ""
        self.moved: set[str] = set()
        self.regenerating = False

    def settings(self) -> dict[str, Any]:
        return {
            "server": self.url,
            "hashtag": "maru",
            "access_token": self.secret,
            "interval_seconds": 1,
        }

    def name(self, number: int) -> str:
        return f"https://b.example/users/haneul/statuses/{number}"

    def routes(self) -> Iterable[web.RouteDef]:
        timelines = ("timelines/public", "timelines/home", "timelines/tag/{tag}")
        timelines += ("timelines/list/{list}", "accounts/9/statuses")
        return [
            *(web.get(f"/api/v1/{path}", self._timeline) for path in timelines),
            web.get("/api/v1/accounts/lookup", self._lookup),
            web.get("/api/v1/statuses/{id}", self._status),
            web.get("/api/v2/instance", self._instance),
            web.get("/api/v1/streaming/{timeline:.+}", self._stream),
        ]

    def throttle_headers(self) -> Mapping[str, str]:
        self.left = _LIMIT
        return _limits(0)

    def local_id(self, written: Written) -> str:
        """The id of a post on this server: the milliseconds of its time, and 16 more bits."""
        number = int(written.native_id.rpartition("/")[2])
        return str((int(written.at.timestamp() * 1000) << 16) | (number & 0xFFFF))

    def status(self, written: Written) -> dict[str, Any]:
        """A post as the API shows it."""
        parents = [one for one in self.posts if one.native_id == written.parent]
        edited = written.edited_at
        return {
            "id": self.local_id(written),
            "created_at": _moment(written.at),
            "in_reply_to_id": self.local_id(parents[0]) if parents else None,
            "in_reply_to_account_id": "9" if parents else None,
            "sensitive": False,
            "spoiler_text": "",
            "visibility": "public",
            "language": "ko",
            "uri": written.native_id,
            "url": written.native_id.replace("/users/", "/@").replace("/statuses", ""),
            "replies_count": 0,
            "reblogs_count": 1,
            "favourites_count": 2,
            "edited_at": _moment(edited) if edited else None,
            "content": f"<p>{html.escape(written.text)}</p>",
            "reblog": None,
            "account": self._account(),
            "media_attachments": [],
            "mentions": [],
            "tags": [{"name": "maru", "url": f"{self.url}/tags/maru"}],
            "emojis": [],
            "card": None,
            "poll": None,
            **written.extra,
        }

    def _account(self) -> dict[str, Any]:
        return {
            "id": "9",
            "username": "haneul",
            "acct": "haneul@b.example",
            "display_name": "하늘",
            "url": "https://b.example/@haneul",
            "followers_count": 7,
        }

    def _refusal(self, request: web.Request, *, closed: bool) -> web.Response | None:
        token = request.headers.get("Authorization")
        if token in {f"Bearer {self.secret}", f"Bearer {self.app_token}"}:
            return None
        if token is None and not closed:
            return None
        error = "The access token is invalid" if token else "This API requires a user"
        return web.json_response({"error": error}, status=401)

    async def _timeline(self, request: web.Request) -> web.Response:
        personal = "/home" in request.path or "/list/" in request.path
        if refused := self._refusal(request, closed=self.closed or personal):
            return refused
        if self.left <= 0:
            return web.json_response(
                {"error": "Too many requests"}, status=429, headers=self.throttle_headers()
            )
        self.left -= 1
        found = self._page(request.query)
        return web.json_response(
            [self.status(one) for one in found],
            status=206 if self.regenerating else 200,
            headers={**_limits(self.left), **self._links(request, found)},
        )

    def _page(self, asked: Mapping[str, str]) -> list[Written]:
        """The newest posts between two ids, or the oldest ones after `min_id`; newest first."""
        limit = min(int(asked.get("limit", _USUAL_PAGE)), self.longest_page)
        above = int(asked.get("min_id", asked.get("since_id", "0")))
        below = int(asked.get("max_id", "9" * 20))
        shown = [one for one in self.shown() if one.native_id not in self.moved]
        posts = sorted(shown, key=lambda one: int(self.local_id(one)), reverse=True)
        found = [one for one in posts if above < int(self.local_id(one)) < below]
        return found[-limit:] if "min_id" in asked else found[:limit]

    def _links(self, request: web.Request, found: list[Written]) -> dict[str, str]:
        if not found:
            return {}
        kept = {k: v for k, v in request.query.items() if k not in {"min_id", "max_id"}}
        older, newer = ({"max_id": self.local_id(found[-1])}, {"min_id": self.local_id(found[0])})
        address = f"{self.links_to or self.url}{request.path}"
        to = [
            f'<{address}?{urlencode({**kept, **where})}>; rel="{relation}"'
            for relation, where in (("next", older), ("prev", newer))
        ]
        return {"Link": ", ".join(to)}

    async def _status(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request, closed=self.closed):
            return refused
        for one in self.shown():
            if self.local_id(one) == request.match_info["id"]:
                return web.json_response(self.status(one), headers=_limits(self.left))
        return web.json_response({"error": "Record not found"}, status=404)

    async def _lookup(self, request: web.Request) -> web.Response:
        if request.query.get("acct") in {"haneul", "haneul@b.example"}:
            return web.json_response(self._account())
        return web.json_response({"error": "Record not found"}, status=404)

    async def _instance(self, _: web.Request) -> web.Response:
        streaming = self.streaming or self.url.replace("http", "ws", 1)
        return web.json_response(
            {"domain": "a.example", "configuration": {"urls": {"streaming": streaming}}}
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if not self.streams:
            return web.json_response({"error": "Not found"}, status=404)
        if request.headers.get("Authorization") != f"Bearer {self.secret}":
            return web.json_response({"error": "Invalid access token"}, status=401)
        answer = web.StreamResponse(
            headers={"Content-Type": self.stream_kind, "Cache-Control": "private, no-store"}
        )
        await answer.prepare(request)
        writing = asyncio.Lock()
        beating = asyncio.create_task(self._beat(answer, writing))
        try:
            with suppress(ConnectionError):
                await answer.write(b":)\n" + self.noise)
                if self.cuts:
                    return answer
                async for written in self.listen():
                    async with writing:
                        await answer.write(self._event(written))
        finally:
            beating.cancel()
        return answer

    async def _beat(self, answer: web.StreamResponse, writing: asyncio.Lock) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            async with writing:
                await answer.write(b":thump\n")

    def _event(self, written: Written) -> bytes:
        if written.deleted:
            return f"event: delete\ndata: {self.local_id(written)}\n\n".encode()
        kind = "status.update" if written.edited_at else "update"
        return f"event: {kind}\ndata: {json.dumps(self.status(written))}\n\n".encode()


def _limits(left: int) -> dict[str, str]:
    """What an answer says of the limit; a fresh one comes after the seconds of the suite."""
    reset = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(seconds=RETRY_SECONDS)
    return {
        "X-RateLimit-Limit": str(_LIMIT),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": reset.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UPSTREAM = MastodonUpstream
