"""An X on loopback: recent search, the filtered stream and its rules.

https://docs.x.com/x-api/posts/search/introduction
https://docs.x.com/x-api/posts/filtered-stream/introduction
"""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from aiohttp import web

from upstreams.upstream import RETRY_SECONDS, Upstream, Written

_EPOCH = 1_288_834_974_657  # of its ids: milliseconds, and 22 bits more
_LIMIT = 450
_PROBLEMS = "https://api.twitter.com/2/problems"
_WEEK = timedelta(days=7)
_TIMES = {"start_time", "end_time"}
_IDS = {"since_id", "until_id"}


class XUpstream(Upstream):
    """An app's view of X, where every post matches every query.

    - `rules`: the rules of the stream by their ids; `refused_rule` is what it says of a new one
    - `hides_rules`: it lists none, and finds out that one is there already when it is to be made
    - `heartbeat`: the seconds between two empty lines of the stream
    - `lag`: the seconds by which the search is behind the stream
    - `farewell`: it says why it ends a stream; `noise` is what a stream says first
    - `stream_answer`: what is answered in place of a stream: status, headers and body
    - `search_answer`: what is answered in place of a page of a search
    - `empty_pages`: how many pages without posts come before the others
    """

    page = 20
    edits = True
    reach = timedelta(days=6)
    secret = "AAAAz9%2Bbearer"

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, dict[str, str]] = {}
        self.refused_rule: dict[str, Any] | None = None
        self.hides_rules = False
        self.heartbeat = 20.0
        self.lag = 0.0
        self.farewell = False
        self.noise = b""
        self.left = _LIMIT
        self.stream_answer: tuple[int, dict[str, str], dict[str, Any]] | None = None
        self.search_answer: tuple[int, dict[str, str], Any] | None = None
        self.empty_pages = 0
        self.edited: dict[str, list[datetime]] = {}
        self._numbers = count(1_166_895_166_390_583_299)
        self._streams: list[web.Request] = []

    def settings(self) -> dict[str, Any]:
        return {
            "bearer_token": self.secret,
            "query": "(maru OR 마루) -is:retweet",
            "live": True,
            "interval_seconds": 1,
            "address": self.url,
        }

    def name(self, number: int) -> str:
        return str(number)

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/2/tweets/search/recent", self._search),
            web.get("/2/tweets/search/stream", self._stream),
            web.get("/2/tweets/search/stream/rules", self._rules),
            web.post("/2/tweets/search/stream/rules", self._change_rules),
        ]

    def throttle_headers(self) -> Mapping[str, str]:
        self.left = _LIMIT
        return _limits(0)

    def edit(self, written: Written, text: str) -> None:
        self.edited.setdefault(written.native_id, []).append(datetime.now(UTC))
        super().edit(written, text)

    def versions(self, written: Written) -> list[str]:
        """The ids of all versions of a post, oldest first."""
        number = int(written.native_id)
        times = [written.at, *self.edited.get(written.native_id, ())]
        return [str(id_at(time) | (n << 16) | (number & 0xFFFF)) for n, time in enumerate(times)]

    def tweet(self, written: Written) -> dict[str, Any]:
        """A post as the API shows it: its latest version."""
        versions = self.versions(written)
        parents = [one for one in self.posts if one.native_id == written.parent]
        at = written.edited_at or written.at
        answers = [{"type": "replied_to", "id": self.versions(one)[-1]} for one in parents]
        return {
            "id": versions[-1],
            "text": written.text.replace("&", "&amp;").replace("<", "&lt;"),
            "edit_history_tweet_ids": versions,
            "author_id": "9",
            "conversation_id": versions[0],
            "created_at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "lang": "ko",
            "public_metrics": {
                "retweet_count": 1,
                "reply_count": 0,
                "like_count": 2,
                "quote_count": 0,
                "bookmark_count": 0,
                "impression_count": 70,
            },
            **({"referenced_tweets": answers, "in_reply_to_user_id": "9"} if answers else {}),
            **written.extra,
        }

    def includes(self, posts: Iterable[Written]) -> dict[str, Any]:
        """What the expansions bring."""
        parents = {one.parent for one in posts if one.parent}
        referred = [self.tweet(one) for one in self.posts if one.native_id in parents]
        user = {
            "id": "9",
            "name": "하늘",
            "username": "haneul",
            "protected": False,
            "public_metrics": {"followers_count": 7},
        }
        return {"users": [user], **({"tweets": referred} if referred else {})}

    async def _search(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request):
            return refused
        if self.search_answer is not None:
            status, headers, body = self.search_answer
            return web.json_response(body, status=status, headers=headers)
        if self.left <= 0:
            return _problem(429, "Too Many Requests", "about:blank", self.throttle_headers())
        self.left -= 1
        if wrong := _wrong(request.query):
            return web.json_response(
                {
                    "errors": [{"parameters": {}, "message": wrong}],
                    "title": "Invalid Request",
                    "detail": "One or more parameters to your request was invalid.",
                    "type": f"{_PROBLEMS}/invalid-request",
                },
                status=400,
            )
        return web.json_response(self._page(request.query), headers=_limits(self.left))

    def _page(self, asked: Mapping[str, str]) -> dict[str, Any]:
        token = asked.get("next_token", "")
        _, empties, last = token.split("-") if token else ("", "0", "")
        if int(empties) < self.empty_pages:
            return {"meta": {"result_count": 0, "next_token": f"b26v-{int(empties) + 1}-{last}"}}
        seen_until = datetime.now(UTC) - timedelta(seconds=self.lag)
        ids = {int(self.versions(one)[-1]): one for one in self.shown() if one.at <= seen_until}
        above = int(asked.get("since_id", id_at(datetime.now(UTC) - _WEEK)))
        below = int(last or asked.get("until_id", "9" * 19))
        found = [name for name in sorted(ids, reverse=True) if above < name < below]
        shown = found[: min(self.page, int(asked.get("max_results", "10")))]
        meta: dict[str, Any] = {"result_count": len(shown)}
        if not shown:
            return {"meta": meta}
        meta |= {"newest_id": str(shown[0]), "oldest_id": str(shown[-1])}
        if len(found) > len(shown):
            meta["next_token"] = f"b26v-{empties}-{shown[-1]}"
        posts = [ids[name] for name in shown]
        return {
            "data": [self.tweet(one) for one in posts],
            "includes": self.includes(posts),
            "meta": meta,
        }

    async def _rules(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request):
            return refused
        listed = [] if self.hides_rules else list(self.rules.values())
        meta = {"sent": datetime.now(UTC).isoformat(), "result_count": len(listed)}
        return web.json_response({**({"data": listed} if listed else {}), "meta": meta})

    async def _change_rules(self, request: web.Request) -> web.Response:
        if refused := self._refusal(request):
            return refused
        asked = await request.json()
        if "delete" in asked:
            for name in asked["delete"]["ids"]:
                del self.rules[name]
            summary = {"deleted": len(asked["delete"]["ids"]), "not_deleted": 0}
            return web.json_response({"meta": {"sent": "", "summary": summary}})
        (wanted,) = asked["add"]
        twins = [one for one in self.rules.values() if one["value"] == wanted["value"]]
        error = self.refused_rule
        if twins:
            error = {
                "value": wanted["value"],
                "id": twins[0]["id"],
                "title": "DuplicateRule",
                "type": f"{_PROBLEMS}/duplicate-rules",
            }
        if error is not None:
            summary = {"created": 0, "not_created": 1, "valid": 0, "invalid": 1}
            return web.json_response(
                {"meta": {"sent": "", "summary": summary}, "errors": [error]}, status=201
            )
        name = str(next(self._numbers))
        self.rules[name] = {"id": name, **wanted}
        summary = {"created": 1, "not_created": 0, "valid": 1, "invalid": 0}
        return web.json_response(
            {"data": [self.rules[name]], "meta": {"sent": "", "summary": summary}}, status=201
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refusal(request):
            return refused
        if self.stream_answer is not None:
            status, headers, body = self.stream_answer
            return web.json_response(body, status=status, headers=headers)
        if not self.rules:
            return _problem(409, "RuleConfigurationIssue", f"{_PROBLEMS}/rule-configuration", {})
        if any(one.transport and not one.transport.is_closing() for one in self._streams):
            return web.json_response(too_many(), status=429, headers=_limits(49))
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        self._streams.append(request)
        writing = asyncio.Lock()
        beating = asyncio.create_task(self._beat(answer, writing))
        try:
            with suppress(ConnectionError):
                await answer.write(b"\r\n" + self.noise)
                async for written in self.listen():
                    async with writing:
                        await answer.write(self.frame(written))
                if self.farewell:
                    await answer.write(json.dumps({"errors": [_FAREWELL]}).encode() + b"\r\n")
        finally:
            self._streams.remove(request)
            beating.cancel()
        return answer

    def frame(self, written: Written) -> bytes:
        """A post as the stream says it; of a deletion it says nothing."""
        if written.deleted:
            return b"\r\n"
        rules = [{"id": one["id"], "tag": one.get("tag", "")} for one in self.rules.values()]
        said = {"data": self.tweet(written), "includes": self.includes([written])}
        return json.dumps({**said, "matching_rules": rules}).encode() + b"\r\n"

    async def _beat(self, answer: web.StreamResponse, writing: asyncio.Lock) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            async with writing:
                await answer.write(b"\r\n")

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {self.secret}":
            return None
        return _problem(401, "Unauthorized", "about:blank", {})


_FAREWELL = {
    "title": "operational-disconnect",
    "disconnect_type": "UpstreamOperationalDisconnect",
    "detail": "This stream has been disconnected upstream for operational reasons.",
    "type": f"{_PROBLEMS}/operational-disconnect",
}


def id_at(moment: datetime) -> int:
    """The lowest id of a post of this moment."""
    return (int(moment.timestamp() * 1000) - _EPOCH) << 22


def too_many() -> dict[str, Any]:
    """What an app is told that has a stream already."""
    return {
        "title": "ConnectionException",
        "detail": "This stream is currently at the maximum allowed connection limit.",
        "connection_issue": "TooManyConnections",
        "type": f"{_PROBLEMS}/streaming-connection",
    }


def _wrong(asked: Mapping[str, str]) -> str:
    """Say what is wrong with a search; empty when nothing is."""
    if asked.keys() & _TIMES and asked.keys() & _IDS:
        return (
            "Invalid use of 'since_id' or 'until_id' in conjunction with 'start_time' or 'end_time'"
        )
    if not 10 <= int(asked.get("max_results", "10")) <= 100:
        return "The `max_results` query parameter value is not between 10 and 100"
    oldest = id_at(datetime.now(UTC) - _WEEK)
    for name in _IDS & asked.keys():
        if int(asked[name]) < oldest:
            return f"'{name}' must be a tweet id created after {oldest}"
        if int(asked[name]) > id_at(datetime.now(UTC)):
            return f"'{name}' must be a tweet id that was made already"
    return "" if asked.get("query") else "The `query` query parameter can not be empty"


def _problem(status: int, title: str, kind: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response(
        {"title": title, "type": kind, "status": status, "detail": title},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _limits(left: int) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(_LIMIT),
        "x-rate-limit-remaining": str(left),
        "x-rate-limit-reset": str(int(time.time()) + RETRY_SECONDS),
    }


UPSTREAM = XUpstream
