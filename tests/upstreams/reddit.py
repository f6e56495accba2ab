"""Reddit's API for apps, as far as listings go.

Listings, their limits and fields are those of https://www.reddit.com/dev/api: newest first, a part
goes on after a full name, `raw_json`; the limits' headers and the rule of User-Agent those of
https://github.com/reddit-archive/reddit/wiki/API, tokens those of its page OAuth2.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from upstreams.authorization import CLIENT, SECRET, Authorization
from upstreams.upstream import RETRY_SECONDS, Upstream, Written

SUBREDDIT = "apps"
_SHOWN = 1_000
_AGENT = re.compile(r"[\w.]+:[\w.-]+:v[\w.]+ \(by /u/[\w-]+\)")


class RedditUpstream(Upstream):
    """A subreddit. What has a parent is a comment (t1), the rest are posts (t3).

    `error` (status, body) and `answer` are what everything is answered with but tokens; `left` is
    how many requests an app has left; `removed` says who took a post away.
    """

    edits = True
    deletes = True
    secret = SECRET

    def __init__(self) -> None:
        super().__init__()
        self.authorization = Authorization(lives=86_400)
        self.error: tuple[int, Any] | None = None
        self.answer: Any = None
        self.left = 996
        self.removed: dict[str, str] = {}

    def settings(self) -> dict[str, Any]:
        return {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "username": "somebody",
            "subreddits": [SUBREDDIT],
            "interval_seconds": 1,
            "address": self.url,
            "token_address": f"{self.url}/api/v1/access_token",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.post("/api/v1/access_token", self._token),
            web.get("/r/{names:apps|apps\\+phones}/new", self._posts),
            web.get("/r/{names:apps|apps\\+phones}/comments", self._comments),
            web.get("/r/{names:apps|apps\\+phones}/search", self._found),
            web.get("/r/{unknown}/{listing}", self._elsewhere),
            web.get("/subreddits/search", self._subreddits),
            web.get("/search", self._found),
            web.get("/api/info", self._info),
        ]

    def name(self, number: int) -> str:
        return f"t3_{number:06x}"

    def write(self, text: str, **where: Any) -> Written:
        written = super().write(text, **where)
        if written.parent:
            written.native_id = f"t1_{len(self.posts):06x}"
        return written

    def throttle_headers(self) -> Mapping[str, str]:
        return limits(0, RETRY_SECONDS)

    def remove(self, written: Written, by: str = "moderator") -> None:
        """Have a moderator, or a filter, take a post away."""
        self.removed[written.native_id] = by
        self.delete(written)

    async def _token(self, request: web.Request) -> web.Response:
        return refused(429) if not is_named(request) else await self.authorization.token(request)

    async def _posts(self, request: web.Request) -> web.Response:
        return self._listing(request, [one for one in self.shown() if not one.parent])

    async def _comments(self, request: web.Request) -> web.Response:
        return self._listing(request, [one for one in self.shown() if one.parent])

    async def _found(self, request: web.Request) -> web.Response:
        words = request.query["q"].lower().split()
        posts = [one for one in self.shown() if not one.parent]
        found = [one for one in posts if all(word in one.text.lower() for word in words)]
        return self._listing(request, found)

    async def _info(self, request: web.Request) -> web.Response:
        names = request.query["id"].split(",")
        assert len(names) <= 100
        found = [one for one in self.posts if one.native_id in names]
        return self._answer(request, found, None)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(f"/subreddits/search?q={request.match_info['unknown']}&raw_json=1")

    async def _subreddits(self, request: web.Request) -> web.Response:
        return self._answer(request, [], None)

    def _listing(self, request: web.Request, posts: Sequence[Written]) -> web.Response:
        shown = list(reversed(posts))[:_SHOWN]
        names = [one.native_id for one in shown]
        after = request.query.get("after", "")
        start = names.index(after) + 1 if after in names else 0
        limit = min(int(request.query.get("limit", 25)), 100, self.page)
        part = shown[start : start + limit]
        goes_on = start + limit < len(shown)
        return self._answer(request, part, part[-1].native_id if goes_on else None)

    def _answer(
        self, request: web.Request, posts: Sequence[Written], after: str | None
    ) -> web.Response:
        self.left -= 1
        if not is_named(request):
            return refused(429)
        if not self.authorization.accepts(request):
            return refused(401)
        if self.error is not None:
            return web.json_response(self.error[1], status=self.error[0])
        assert request.query.get("raw_json") == "1"
        children = [self._thing(one) for one in posts]
        data = {"after": after, "dist": len(children), "before": None, "children": children}
        told = {"kind": "Listing", "data": data} if self.answer is None else self.answer
        return web.json_response(told, headers=limits(self.left, 300))

    def _thing(self, one: Written) -> dict[str, Any]:
        by = self.removed.get(one.native_id, "deleted")
        kind = one.native_id[:2]
        taken = "[deleted]" if by == "deleted" else "[removed]"
        words = taken if one.deleted else one.text
        data = {
            "name": one.native_id,
            "id": one.native_id[3:],
            "author": taken if one.deleted else "kim",
            "subreddit": SUBREDDIT,
            "subreddit_type": "public",
            "permalink": f"/r/{SUBREDDIT}/comments/{one.native_id[3:]}/it/",
            "created_utc": one.at.timestamp(),
            "edited": one.edited_at.timestamp() if one.edited_at else False,
            "score": 1,
            "removed_by_category": by if one.deleted and kind == "t3" else None,
            **(
                {"body": words, "parent_id": one.parent, "link_id": one.parent}
                if kind == "t1"
                else {}
            ),
            **({"title": "", "selftext": words, "num_comments": 0} if kind == "t3" else {}),
            **one.extra,
        }
        return {"kind": kind, "data": data}


def is_named(request: web.Request) -> bool:
    """Whether the program says what it is and whose, as Reddit asks of all."""
    return bool(_AGENT.fullmatch(request.headers.get("User-Agent", "")))


def limits(left: float, reset: int) -> Mapping[str, str]:
    return {
        "x-ratelimit-remaining": f"{left:.1f}",
        "x-ratelimit-used": str(int(1_000 - left)),
        "x-ratelimit-reset": str(reset),
    }


def refused(status: int) -> web.Response:
    message = {401: "Unauthorized", 429: "Too Many Requests"}[status]
    return web.json_response({"message": message, "error": status}, status=status)


UPSTREAM = RedditUpstream
