"""Discord on loopback: a server's channels and threads by the REST API, and the Gateway.

Made after https://docs.discord.com/developers: ids that hold the time of what they name, pages of
the messages next to an id with the newest first, buckets of requests, threads that are active and
archived, and a Gateway (v10) whose sessions are identified, beaten for and resumed.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSMsgType, web

from upstreams.upstream import RETRY_SECONDS, Upstream, Written

GUILD = "290000000000000001"
CHANNEL = "290000000000000002"
FORUM = "290000000000000003"
HIDDEN = "290000000000000004"
TOKEN = "MTk4.s3cret.of-a-bot"
_EPOCH = 1_420_070_400_000
_FIRST = 10


class DiscordUpstream(Upstream):
    """A server with a channel, a forum, and a channel that the bot may not see.

    - `here`: where the next message is written; `threads`: channel objects of threads
    - `events`: what happened, as the Gateway tells it; `sessions`: those that can be resumed
    - `intended`: whether the bot may have the content of messages; `starts`: sessions left today
    - `answer`: what the API answers with, if not None; `noise`: what the Gateway says first
    - `close_code`: how `hang_up` closes; `heartbeat`: seconds between two, `beats` counts them;
      `deaf`: it acknowledges none
    - `unreadable`: channels that the bot may not see for now
    - `bucket`: requests of one route within `bucket_seconds`
    - `orders`: opcodes that the Gateway sends beside the next event
    - `identified`, `resumed`: how often
    """

    edits = True
    deletes = True
    secret = TOKEN

    def __init__(self) -> None:
        super().__init__()
        self.here = CHANNEL
        self.threads: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.sessions: set[str] = set()
        self.intended = True
        self.starts = 1_000
        self.answer: Any = None
        self.noise: list[str] = []
        self.close_code = 4_000
        self.heartbeat = 41.25
        self.beats = 0
        self.deaf = False
        self.unreadable: set[str] = set()
        self.bucket = 5
        self.bucket_seconds = 0.3
        self.orders: list[int] = []
        self.identified = 0
        self.resumed = 0
        self._at = datetime.now(UTC)
        self._used: dict[tuple[str, ...], tuple[float, int]] = {}

    def settings(self) -> dict[str, Any]:
        return {
            "bot_token": TOKEN,
            "channels": [CHANNEL, FORUM],
            "interval_seconds": 1,
            "address": f"{self.url}/api/v10",
            "gateway": f"ws://{self.host}",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        api = "/api/v10"
        return [
            web.get(f"{api}/gateway/bot", self._gateway),
            web.get(f"{api}/channels/{{id}}", self._channel),
            web.get(f"{api}/channels/{{id}}/messages", self._messages),
            web.get(f"{api}/guilds/{{id}}/threads/active", self._active),
            web.get(f"{api}/channels/{{id}}/threads/archived/public", self._archived),
            web.get("/", self._listen),
        ]

    def throttle_headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(RETRY_SECONDS), "X-RateLimit-Global": "true"}

    def name(self, number: int) -> str:
        return str(snowflake(self._at) + number)

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        self._at = at or self._now()
        return super().write(text, at=self._at, parent=parent)

    def open_thread(self, title: str, text: str, *, at: datetime | None = None) -> Written:
        """Have somebody write a post in the forum, and go on there."""
        self._at = at or self._now()
        name = self.name(len(self.posts) + 1)
        self.threads[name] = {"id": name, "parent_id": FORUM, "type": 11, "name": title}
        self.here = name
        return self.write(text, at=self._at)

    def archive(self, thread: str, at: datetime) -> None:
        """Let a thread fall asleep."""
        self.threads[thread]["thread_metadata"] = {
            "archived": True,
            "archive_timestamp": stamp(at),
        }

    def message(self, written: Written) -> dict[str, Any]:
        """A message as the API shows it."""
        where = written.extra["channel"]
        reference = {"channel_id": where, "message_id": written.parent, "type": 0}
        return {
            "id": written.native_id,
            "channel_id": where,
            "type": 19 if written.parent else 0,
            "author": {"id": "80351110224678912", "username": "haneul", "global_name": "하늘"},
            "content": written.text if self.intended else "",
            "timestamp": stamp(written.at),
            "edited_timestamp": stamp(written.edited_at) if written.edited_at else None,
            "mentions": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            **({"message_reference": reference} if written.parent else {}),
            **written.extra.get("message", {}),
        }

    def _tell(self, written: Written) -> None:
        written.extra.setdefault("channel", self.here)
        where = {"channel_id": written.extra["channel"], "guild_id": GUILD}
        if written.deleted:
            self.happen("MESSAGE_DELETE", {"id": written.native_id, **where})
        else:
            kind = "MESSAGE_UPDATE" if written.edited_at else "MESSAGE_CREATE"
            self.happen(kind, {**self.message(written), **where})

    def happen(self, kind: str, data: dict[str, Any]) -> None:
        """Have the Gateway tell of an event."""
        self.events.append((kind, data))
        for queue in self._listening:
            queue.put_nowait(Written("", "", datetime.now(UTC)))

    def forget(self) -> None:
        """Let every session run out."""
        self.sessions.clear()

    def _in(self, place: str) -> list[Written]:
        found = [one for one in self.shown() if one.extra["channel"] == place]
        return sorted(found, key=lambda one: int(one.native_id))

    def _place(self, name: str) -> dict[str, Any] | None:
        kinds = {CHANNEL: 0, FORUM: 15}
        found = self.threads.get(name) or (
            {"id": name, "type": kinds[name], "name": "talk"} if name in kinds else None
        )
        if found is None:
            return None
        said = [one.native_id for one in self._in(name)]
        opened = [one for one, it in self.threads.items() if it["parent_id"] == name]
        last = max([*said, *opened], key=int, default=None)
        return {"guild_id": GUILD, "last_message_id": last, **found}

    def _refused(self, request: web.Request) -> web.Response | None:
        """Return the error for who is not let in or asks too often, or what a test asked for."""
        if request.headers.get("Authorization") != f"Bot {TOKEN}":
            return failed(401, 0, "401: Unauthorized")
        name = request.match_info.get("id", "")
        if name in (HIDDEN, *self.unreadable):
            return failed(403, 50001, "Missing Access")
        if "channels" in request.path and self._place(name) is None:
            return failed(404, 10003, "Unknown Channel")
        if name == FORUM and request.path.endswith("/messages"):
            return failed(400, 50024, "Cannot execute action on this channel type")
        return None if self.answer is None else web.json_response(self.answer)

    def _answered(self, request: web.Request, value: Any) -> web.Response:
        """Answer unless there is a reason not to, and say what is left of the bucket."""
        if refused := self._refused(request):
            return refused
        assert request.match_info.route.resource is not None
        key = (request.match_info.route.resource.canonical, request.match_info.get("id", ""))
        begun, used = self._used.get(key, (0.0, 0))
        now = time.monotonic()
        if now - begun >= self.bucket_seconds:
            begun, used = now, 0
        left = begun + self.bucket_seconds - now
        if used >= self.bucket:
            told = {"message": "You are being rate limited.", "retry_after": left, "global": False}
            return web.json_response(told, status=429, headers={"Retry-After": "1"})
        self._used[key] = begun, used + 1
        headers = {
            "X-RateLimit-Limit": str(self.bucket),
            "X-RateLimit-Remaining": str(self.bucket - used - 1),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": "abcd1234",
        }
        return web.json_response(value, headers=headers)

    async def _gateway(self, request: web.Request) -> web.Response:
        limit = {"total": 1000, "remaining": self.starts, "reset_after": 7_200_000}
        told = {"url": f"ws://{self.host}", "shards": 1, "session_start_limit": limit}
        return self._answered(request, told)

    async def _channel(self, request: web.Request) -> web.Response:
        return self._answered(request, self._place(request.match_info["id"]))

    async def _messages(self, request: web.Request) -> web.Response:
        limit = min(int(request.query.get("limit", 50)), self.page)
        found = self._in(request.match_info["id"])
        if after := request.query.get("after"):
            found = [one for one in found if int(one.native_id) > int(after)][:limit]
        return self._answered(request, [self.message(one) for one in found[-limit:][::-1]])

    async def _active(self, request: web.Request) -> web.Response:
        found = [name for name, one in self.threads.items() if "thread_metadata" not in one]
        return self._answered(request, {"threads": list(map(self._place, found)), "members": []})

    async def _archived(self, request: web.Request) -> web.Response:
        limit = min(int(request.query.get("limit", 50)), self.page)
        before = datetime.fromisoformat(request.query.get("before", "9999-01-01T00:00:00Z"))
        asleep = {
            name: datetime.fromisoformat(one["thread_metadata"]["archive_timestamp"])
            for name, one in self.threads.items()
            if "thread_metadata" in one and one["parent_id"] == request.match_info["id"]
        }
        found = sorted((n for n, at in asleep.items() if at < before), key=asleep.__getitem__)
        threads = list(map(self._place, found[-limit:][::-1]))
        told = {"threads": threads, "members": [], "has_more": len(found) > limit}
        return self._answered(request, told)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        queue: asyncio.Queue[Written | None] = asyncio.Queue()
        with suppress(ConnectionError):
            for said in self.noise:
                await socket.send_str(said)
            await _say(socket, 10, {"heartbeat_interval": int(self.heartbeat * 1000)})
            resumes = self.resumed
            session, sent = await self._welcome(socket)
            resumed = self.resumed > resumes
            if session:
                self._listening.add(queue)
                await self._play(socket, queue, sent, resumed=resumed)
                self._listening.discard(queue)
            if socket.close_code in (1_000, 1_001):
                self.sessions.discard(session)
        return socket

    async def _welcome(self, socket: web.WebSocketResponse) -> tuple[str, int]:
        """Return the session that is begun or resumed, if any, and how many events it knows."""
        while True:
            asked = await socket.receive()
            if asked.type is not WSMsgType.TEXT:
                return "", 0
            frame = asked.json()
            if frame["op"] == 1:
                await self._beat(socket)
                continue
            data = frame["d"]
            if data["token"] != TOKEN:
                await socket.close(code=4_004, message=b"Authentication failed.")
            elif frame["op"] == 6 and data["session_id"] not in self.sessions:
                await _say(socket, 9, data=False)
                await socket.receive()
            elif frame["op"] == 6:
                self.resumed += 1
                return data["session_id"], data["seq"] - _FIRST + 1
            elif data["intents"] & 1 << 15 and not self.intended:
                await socket.close(code=4_014, message=b"Disallowed intent(s).")
            else:
                return await self._identify(socket)
            return "", 0

    async def _identify(self, socket: web.WebSocketResponse) -> tuple[str, int]:
        self.identified += 1
        session, known = f"session-{self.identified}", len(self.events)
        self.sessions.add(session)
        ready = {"v": 10, "session_id": session, "resume_gateway_url": f"ws://{self.host}"}
        await _say(socket, 0, ready, s=known + _FIRST - 1, t="READY")
        return session, known

    async def _play(
        self,
        socket: web.WebSocketResponse,
        queue: asyncio.Queue[Written | None],
        sent: int,
        *,
        resumed: bool,
    ) -> None:
        """Tell what happened since, and what happens, until one of both hangs up."""
        answering = asyncio.create_task(self._answer(socket, queue))
        try:
            while True:
                while sent < len(self.events):
                    kind, data = self.events[sent]
                    await _say(socket, 0, data, s=sent + _FIRST, t=kind)
                    sent += 1
                if resumed:
                    await _say(socket, 0, {}, s=sent + _FIRST - 1, t="RESUMED")
                    resumed = False
                while self.orders:
                    await _say(socket, self.orders.pop(0))
                if await queue.get() is None:
                    break
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        if not socket.closed:
            await socket.close(code=self.close_code)

    async def _answer(
        self, socket: web.WebSocketResponse, queue: asyncio.Queue[Written | None]
    ) -> None:
        while (said := await socket.receive()).type is WSMsgType.TEXT:
            if said.json()["op"] == 1:
                await self._beat(socket)
        queue.put_nowait(None)

    async def _beat(self, socket: web.WebSocketResponse) -> None:
        self.beats += 1
        if not self.deaf:
            await _say(socket, 11)


async def _say(socket: web.WebSocketResponse, op: int, data: object = None, **more: object) -> None:
    frame = {"op": op, "d": data, "s": None, "t": None, **more}
    await socket.send_str(json.dumps(frame, ensure_ascii=False))


def snowflake(at: datetime) -> int:
    """The first id of a millisecond."""
    return (int(at.timestamp() * 1000) - _EPOCH) << 22


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def failed(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"message": message, "code": code}, status=status)


UPSTREAM = DiscordUpstream
