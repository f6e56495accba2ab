"""Bluesky on loopback: accounts' feeds, search for who is signed in, profiles, and Jetstream.

Made after the lexicons app.bsky.feed, app.bsky.actor and com.atproto.server, the rate limits at
https://docs.bsky.app/docs/advanced-guides/rate-limits, and what Jetstream's documentation says of
`/subscribe`: replay from a cursor in microseconds, filters by collection and account, events of
identities and accounts whatever the collection.
"""

import asyncio
import json
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSMsgType, web

from upstreams.upstream import RETRY_SECONDS, Upstream, Written

_POST = "app.bsky.feed.post"
_LIMIT = 3_000
_MAX_PAGE = 100
_MAX_PROFILES = 25


class BlueskyUpstream(Upstream):
    """One network, where one account writes all of it.

    - `handles`: accounts by DID; `did` is who writes
    - `events`: what Jetstream remembers, with `time_us`; `forgotten` is from when on
    - `tokens`: access tokens that hold; `signed_in` and `refreshed` count
    - `subscriptions`: what was asked of Jetstream, each time; `noise` comes first on each stream
    - `streams`: whether Jetstream can be had
    - `searches`, `feeds`: what was asked of them
    """

    page = 20
    edits = True
    deletes = True
    secret = "z9aa-app-pass-word"
    did = "did:plc:haneul234567haneul234567"
    handle = "haneul.example"
    other = "did:plc:baram2345678baram2345678"

    def __init__(self) -> None:
        super().__init__()
        self.handles = {self.did: self.handle, self.other: "baram.example"}
        self.events: list[dict[str, Any]] = []
        self.forgotten = 0
        self.tokens: set[str] = set()
        self.refreshable: set[str] = set()
        self.signed_in = 0
        self.refreshed = 0
        self.streams = True
        self.subscriptions: list[Mapping[str, Any]] = []
        self.noise: list[str] = []
        self.searches: list[dict[str, str]] = []
        self.feeds: list[dict[str, str]] = []
        self.reposts: list[Written] = []

    def settings(self) -> dict[str, Any]:
        return {
            "search": ["#maru"],
            "handle": self.handle,
            "app_password": self.secret,
            "server": self.url,
            "app_view": self.url,
            "jetstreams": [self.stream_url],
            "interval_seconds": 1,
        }

    @property
    def stream_url(self) -> str:
        """Where Jetstream is."""
        return f"ws://{self.host}/subscribe"

    def name(self, number: int) -> str:
        return f"at://{self.did}/{_POST}/3m{number:011d}"

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/xrpc/app.bsky.feed.getAuthorFeed", self._author_feed),
            web.get("/xrpc/app.bsky.feed.searchPosts", self._search),
            web.get("/xrpc/app.bsky.actor.getProfiles", self._profiles),
            web.post("/xrpc/com.atproto.server.createSession", self._create_session),
            web.post("/xrpc/com.atproto.server.refreshSession", self._refresh_session),
            web.get("/subscribe", self._subscribe),
        ]

    def throttle_headers(self) -> Mapping[str, str]:
        return _limits(0)

    def record(self, written: Written) -> dict[str, Any]:
        """A post as its author's repository keeps it."""
        reply = {"uri": written.parent, "cid": "bafyreiparent"}
        return {
            "$type": _POST,
            "createdAt": _moment(written.at),
            "langs": ["ko"],
            "tags": ["maru"],
            "text": written.text,
            **({"reply": {"parent": reply, "root": reply}} if written.parent else {}),
            **written.extra.get("record", {}),
        }

    def view(self, written: Written) -> dict[str, Any]:
        """A post as a feed shows it (app.bsky.feed.defs#postView)."""
        did = _owner(written)
        return {
            "uri": written.native_id,
            "cid": "bafyreicid",
            "author": {
                "did": did,
                "handle": self.handles[did],
                "displayName": "하늘",
                "labels": [],
            },
            "record": self.record(written),
            "replyCount": 1,
            "repostCount": 2,
            "likeCount": 3,
            "quoteCount": 0,
            "indexedAt": _moment(written.at),
            "labels": [],
            **written.extra.get("view", {}),
        }

    def _tell(self, written: Written) -> None:
        operation = "update" if written.edited_at else "create"
        commit = {
            "rev": "3mmoojp7vgo2g",
            "operation": "delete" if written.deleted else operation,
            "collection": _POST,
            "rkey": written.native_id.rpartition("/")[2],
        }
        if not written.deleted:
            commit |= {"record": self.record(written), "cid": "bafyreicid"}
        self.happen({"kind": "commit", "commit": commit}, did=_owner(written))

    def happen(self, event: dict[str, Any], *, did: str) -> None:
        """Have Jetstream tell of an event."""
        self.events.append({"did": did, "time_us": time.time_ns() // 1000, **event})
        for queue in self._listening:
            queue.put_nowait(Written("", "", datetime.now(UTC)))

    def expire(self) -> None:
        """Let every access token run out."""
        self.tokens.clear()

    async def _author_feed(self, request: web.Request) -> web.Response:
        self.feeds.append(dict(request.query))
        actor = request.query["actor"]
        dids = [did for did, handle in self.handles.items() if actor in (did, handle)]
        if not dids:
            return _failed(400, "InvalidRequest", "Profile not found")
        shown = [{"post": self.view(one)} for one in self._found(dids[0])]
        reposter = {"did": dids[0], "handle": self.handles[dids[0]]}
        for one in self.reposts:
            reason = {"$type": "app.bsky.feed.defs#reasonRepost", "by": reposter}
            shown.insert(0, {"post": self.view(one), "reason": reason})
        return self._paged(request, "feed", shown)

    async def _search(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            return web.Response(status=403, text="<html>Forbidden</html>")
        if token not in self.tokens:
            return _failed(400, "ExpiredToken", "Token has expired")
        asked = dict(request.query)
        self.searches.append(asked)
        since = datetime.fromisoformat(asked.get("since", "1970-01-01T00:00:00Z"))
        until = datetime.fromisoformat(asked.get("until", "9999-01-01T00:00:00Z"))
        terms = asked["q"].lower().replace('"', "").split()
        found = [
            self.view(one)
            for one in self._found()
            if since <= one.at < until
            and all(term in f"{one.text} #maru".lower() for term in terms)
        ]
        return self._paged(request, "posts", found)

    def _found(self, did: str = "") -> list[Written]:
        return [one for one in self.shown()[::-1] if not did or _owner(one) == did]

    def _paged(self, request: web.Request, name: str, found: list[Any]) -> web.Response:
        limit = int(request.query.get("limit", "50"))
        if not 1 <= limit <= _MAX_PAGE:
            return _failed(400, "InvalidRequest", "Error: limit can not be greater than 100")
        start = int(request.query.get("cursor", "0"))
        end = start + min(limit, self.page)
        cursor = {"cursor": str(end)} if end < len(found) else {}
        return web.json_response({name: found[start:end], **cursor}, headers=_limits(_LIMIT))

    async def _profiles(self, request: web.Request) -> web.Response:
        actors = request.query.getall("actors")
        if len(actors) > _MAX_PROFILES:
            return _failed(
                400, "InvalidRequest", "Error: actors must not have more than 25 elements"
            )
        profiles = [
            {"did": did, "handle": handle, "displayName": "하늘", "followersCount": 7}
            for did, handle in self.handles.items()
            if did in actors or handle in actors
        ]
        return web.json_response({"profiles": profiles}, headers=_limits(_LIMIT))

    async def _create_session(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked != {"identifier": self.handle, "password": self.secret}:
            return _failed(401, "AuthenticationRequired", "Invalid identifier or password")
        self.signed_in += 1
        return self._session()

    async def _refresh_session(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.refreshable:
            return _failed(400, "ExpiredToken", "Token has been revoked")
        self.refreshable.discard(token)
        self.refreshed += 1
        return self._session()

    def _session(self) -> web.Response:
        number = self.signed_in + self.refreshed
        access, refresh = f"z9-access-{number}", f"z9-refresh-{number}"
        self.tokens.add(access)
        self.refreshable.add(refresh)
        return web.json_response(
            {"accessJwt": access, "refreshJwt": refresh, "handle": self.handle, "did": self.did}
        )

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        if not self.streams:
            return web.Response(status=503, text="service not ready: cursor replay warming up")
        query = {name: request.query.getall(name) for name in request.query}
        self.subscriptions.append(query)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        queue: asyncio.Queue[Written | None] = asyncio.Queue()
        self._listening.add(queue)
        with suppress(ConnectionError):
            await self._play(socket, request, query, queue)
        self._listening.discard(queue)
        return socket

    async def _play(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        query: Mapping[str, list[str]],
        queue: asyncio.Queue[Written | None],
    ) -> None:
        """Replay what happened since the cursor, then go on with what happens."""
        if self.mode in ("half", "cut"):
            await self._break_off(socket, request)
            return
        for said in self.noise:
            await socket.send_str(said)
        cursor = max(int(query.get("cursor", ["0"])[0]), self.forgotten)
        sent = 0
        gone = asyncio.create_task(self._left(socket, queue))
        try:
            while True:
                while sent < len(self.events):
                    event = self.events[sent]
                    sent += 1
                    if event["time_us"] > cursor and _wants(query, event):
                        await socket.send_str(json.dumps(event, ensure_ascii=False))
                if await queue.get() is None:
                    break
        finally:
            gone.cancel()
        await socket.close()

    async def _left(
        self, socket: web.WebSocketResponse, queue: asyncio.Queue[Written | None]
    ) -> None:
        """Notice when the reader has gone."""
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass
        queue.put_nowait(None)

    async def _break_off(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        event = {"did": self.did, "time_us": time.time_ns() // 1000, "kind": "identity"}
        said = json.dumps(event)
        if self.mode == "half":
            await socket.send_str(said[: len(said) // 2])
            return
        assert request.transport is not None
        request.transport.write(bytes([0x81, len(said)]) + said[: len(said) // 2].encode())
        request.transport.close()


def _wants(query: Mapping[str, list[str]], event: Mapping[str, Any]) -> bool:
    dids, collections = query.get("wantedDids"), query.get("wantedCollections")
    if dids and event["did"] not in dids:
        return False
    return (
        not collections or event.get("commit", {}).get("collection", collections[0]) in collections
    )


def _owner(written: Written) -> str:
    return written.native_id.split("/")[2]


def _failed(status: int, error: str, message: str) -> web.Response:
    return web.json_response({"error": error, "message": message}, status=status)


def _limits(left: int) -> dict[str, str]:
    """What an answer says of the limit; a fresh one comes after the seconds of the suite."""
    return {
        "RateLimit-Limit": str(_LIMIT),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(math.ceil(time.time()) + RETRY_SECONDS),
        "RateLimit-Policy": f"{_LIMIT};w=300",
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UPSTREAM = BlueskyUpstream
