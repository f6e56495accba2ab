"""Slack's Web API as far as messages of channels go, and its events.

Made after https://docs.slack.dev/reference/methods: errors with the status 200, pages by a cursor
with the newest message first in a channel and the oldest first in a thread, times as ids; and after
https://docs.slack.dev/apis/events-api, its envelope and signature.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from upstreams.upstream import Happened, Upstream, Written

CHANNEL = "C024BE91L"
QUIET = "C0G9QF9GZ"
TOKEN = "xoxb-s3cret-of-an-app"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
PERSON = "U123ABC456"


class SlackUpstream(Upstream):
    """A workspace with a channel that the app is in.

    `error` is what every method answers with (its fields), `answer` what stands in its place;
    `names` are display names of people; `forgets` says that no cursor is known any more;
    `left_out` that a channel shows nothing unless it is asked for a time, and
    `closed` are first messages whose threads can't be had, and `cut` such of whose threads only
    the first page can be.
    """

    edits = True
    deletes = True
    secret = TOKEN

    def __init__(self) -> None:
        super().__init__()
        self.error: Mapping[str, Any] | None = None
        self.answer: Any = None
        self.names = {PERSON: "하늘"}
        self.forgets = False
        self.left_out = False
        self.closed: set[str] = set()
        self.cut: set[str] = set()
        self._at = datetime.now(UTC)

    def settings(self) -> dict[str, Any]:
        return {
            "bot_token": TOKEN,
            "channels": [CHANNEL],
            "signing_secret": SECRET,
            "interval_seconds": 1,
            "address": f"{self.url}/api",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/api/auth.test", self._auth),
            web.get("/api/conversations.history", self._history),
            web.get("/api/conversations.replies", self._replies),
            web.get("/api/users.info", self._user),
        ]

    def name(self, number: int) -> str:
        del number  # messages go by their time
        taken = {one.native_id for one in self.posts}
        while f"{CHANNEL}/{ts(self._at)}" in taken:
            self._at += timedelta(microseconds=1)
        return f"{CHANNEL}/{ts(self._at)}"

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        self._at = at or self._now()
        return super().write(text, at=self._at, parent=parent)

    def message(self, one: Written) -> dict[str, Any]:
        """A message as the API shows it, with what a thread's first message says of its answers."""
        mine = _ts(one)
        answers = [_ts(it) for it in self.shown() if it.parent == one.native_id]
        thread = {
            "thread_ts": mine,
            "reply_count": len(answers),
            "latest_reply": max(answers, default=""),
        }
        text = one.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {
            "type": "message",
            "user": PERSON,
            "text": text,
            "ts": mine,
            "team": "T061EG9R6",
            **({"edited": {"user": PERSON, "ts": ts(one.edited_at)}} if one.edited_at else {}),
            **(thread if answers else {}),
            **({"thread_ts": one.parent.partition("/")[2]} if one.parent else {}),
            **one.extra,
        }

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        message, now = self.message(written), ts(datetime.now(UTC))
        event: dict[str, Any] = {"channel": CHANNEL, "channel_type": "channel", "event_ts": now}
        if happened == "written":
            return self.event({**message, **event})
        changed = {"type": "message", "ts": now, "hidden": True, **event}
        if happened == "deleted":
            told = {"deleted_ts": _ts(written), "previous_message": message}
            return self.event({**changed, "subtype": "message_deleted", **told})
        return self.event({**changed, "subtype": "message_changed", "message": message})

    def event(self, event: Mapping[str, Any]) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of an event."""
        name = f"Ev{hashlib.sha256(json.dumps(event).encode()).hexdigest()[:9].upper()}"
        outer = {"type": "event_callback", "event_id": name, "event_time": int(time.time())}
        return self.signed({"team_id": "T061EG9R6", "api_app_id": "A1", **outer, "event": event})

    def signed(self, said: Any, *, at: float | None = None) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of what Slack sends."""
        body, moment = json.dumps(said).encode(), str(int(time.time() if at is None else at))
        base = b"v0:" + moment.encode() + b":" + body
        signature = hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
        return {
            "X-Slack-Request-Timestamp": moment,
            "X-Slack-Signature": f"v0={signature}",
        }, body

    async def _auth(self, request: web.Request) -> web.Response:
        return self._answered(request, {"url": "https://maker.slack.com/", "team": "Maker"})

    async def _history(self, request: web.Request) -> web.Response:
        tops = [one for one in reversed(self.shown()) if not one.parent]
        if self.left_out and "oldest" not in request.query:
            tops = []
        if request.query["channel"] == QUIET:
            return self._answered(request, {"error": "not_in_channel"})
        return self._page(request, tops)

    async def _replies(self, request: web.Request) -> web.Response:
        parent = f"{CHANNEL}/{request.query['ts']}"
        first = [one for one in self.shown() if one.native_id == parent]
        if not first:
            return self._answered(request, {"error": "thread_not_found"})
        is_cut = parent in self.cut and "cursor" in request.query
        if parent in self.closed or (is_cut and request.query["channel"] == CHANNEL):
            return self._answered(request, {"error": "cant_read"})
        answers = [one for one in self.shown() if one.parent == parent]
        return self._page(request, answers, first)

    async def _user(self, request: web.Request) -> web.Response:
        name = self.names.get(request.query["user"])
        if name is None:
            return self._answered(request, {"error": "user_not_found"})
        profile = {"display_name": name, "real_name": "Haneul Kim"}
        return self._answered(request, {"user": {"id": PERSON, "name": "h", "profile": profile}})

    def _page(
        self, request: web.Request, found: Sequence[Written], first: Sequence[Written] = ()
    ) -> web.Response:
        """Answer with a page of messages; those of `first` stand before every page."""
        asked = request.query
        oldest, latest = asked.get("oldest", "0"), asked.get("latest", "9")
        ends = (oldest, latest) if asked.get("inclusive") == "true" else ()
        found = [one for one in found if oldest < _ts(one) < latest or _ts(one) in ends]
        start = 0
        if cursor := asked.get("cursor"):
            if self.forgets:
                return self._answered(request, {"error": "invalid_cursor"})
            after = base64.b64decode(cursor).decode()
            start = next(n for n, one in enumerate(found, 1) if _ts(one) == after)
        shown = found[start : start + min(int(asked.get("limit", 100)), self.page)]
        more = start + len(shown) < len(found)
        name = base64.b64encode(_ts(shown[-1]).encode()).decode() if more else ""
        messages = [self.message(one) for one in (*first, *shown)]
        told = {"messages": messages, "has_more": more, "response_metadata": {"next_cursor": name}}
        return self._answered(request, told)

    def _answered(self, request: web.Request, told: Mapping[str, Any]) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" or TOKEN in request.path_qs:
            told = {"error": "invalid_auth"}
        elif self.answer is not None:
            return web.json_response(self.answer)
        elif self.error is not None:
            told = self.error
        return web.json_response({"ok": "error" not in told, **told})


def _ts(written: Written) -> str:
    return written.native_id.partition("/")[2]


def ts(at: datetime) -> str:
    """A time as Slack writes it."""
    micros = (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    return f"{micros // 10**6}.{micros % 10**6:06}"


UPSTREAM = SlackUpstream
