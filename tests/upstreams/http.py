"""A site of reviews that nobody foresaw: its API lists them as JSON, and turns pages as told.

A review's stars are what its number leaves when it is divided by five, plus one.
"""

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.authorization import CLIENT, SECRET, Authorization
from upstreams.upstream import Upstream, Written

KEY = "q9+key of/a shop"


class HttpUpstream(Upstream):
    """A list of reviews.

    `paging`, `order` and `sorted_by` are how it lists them, `auth` how it wants to know who asks,
    `elsewhere` the address that further pages are said to be at, `wrapped` whether the list is in
    an object, `answer` what everything is answered with, `turns` whether its pages turn at all.
    """

    edits = True
    secret = KEY

    def __init__(self) -> None:
        super().__init__()
        self.paging = "page"
        self.order = "newest"
        self.sorted_by = "written"
        self.auth = "query"
        self.elsewhere = ""
        self.wrapped = True
        self.turns = True
        self.answer: Any = None
        self.authorization = Authorization()

    def settings(self) -> dict[str, Any]:
        signs = {"query": "api_key", "header": "X-Api-Key"}
        return {
            "address": f"{self.url}/v1/reviews?business=4%202",
            "items": "$.data.reviews" if self.wrapped else "$",
            "post_id": "$.reviewId",
            "post_text": "$['text','more']",
            "post_title": "$.title",
            "post_created_at": "$.created",
            "post_edited_at": "$.updated",
            "post_author": "$.consumer.id",
            "post_author_name": "$.consumer.displayName",
            "post_rating": "$.answers[?@.question=='overall'].stars",
            "post_parent": "$.about",
            "post_url": "$.links.self",
            "post_likes": "$.votes.helpful",
            "post_language": "$.locale",
            "post_media": "$.pictures[*].url",
            "order": self.order,
            "sorted_by": self.sorted_by,
            "paging": self.paging,
            "page_parameter": {"offset": "skip", "cursor": "after"}.get(self.paging, "page"),
            "next_at": {"cursor": "$.next", "next": "$.links.next"}.get(self.paging, ""),
            "auth": self.auth,
            "auth_name": signs.get(self.auth, ""),
            "user": CLIENT if self.auth == "oauth" else "shop",
            "token_address": f"{self.url}/token" if self.auth == "oauth" else "",
            "scopes": ["reviews"],
            "secret": SECRET if self.auth == "oauth" else KEY,
            "headers": ["X-Api-Version: 2"],
            "interval_seconds": 1,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/v1/reviews", self._list),
            web.post("/token", self.authorization.token),
        ]

    def name(self, number: int) -> str:
        return f"r-{number}"

    async def _list(self, request: web.Request) -> web.Response:
        if not self._is_known(request):
            told = {"error": f"Nobody we know: {request.query.get('api_key')}"}
            return web.json_response(told, status=401)
        if self.answer is not None:
            return web.json_response(self.answer)
        if request.query["business"] != "4 2" or request.headers["X-Api-Version"] != "2":
            return web.json_response({"error": "No such business"}, status=404)
        listed = self._listed(request)
        start = self._start(request) if self.turns else 0
        shown, rest = listed[start : start + self.page], listed[start + self.page :]
        following = self._following(request, start + self.page) if rest else ""
        body: dict[str, Any] = {"data": {"reviews": [self._review(one) for one in shown]}}
        headers = {}
        if self.paging == "cursor":
            body["next"] = f"c{start + self.page}" if rest else None
        elif self.paging == "next":
            body["links"] = {"next": following or None}
        elif self.paging == "link" and following:
            headers["Link"] = f'<{self.url}/v1>; rel="up", <{following}>; rel="next"'
        return web.json_response(body if self.wrapped else body["data"]["reviews"], headers=headers)

    def _is_known(self, request: web.Request) -> bool:
        if self.auth == "oauth":
            return self.authorization.accepts(request)
        told = request.headers.get("Authorization")
        basic = base64.b64encode(f"shop:{KEY}".encode()).decode()
        said: Mapping[str, tuple[str | None, str | None]] = {
            "none": (None, None),
            "query": (request.query.get("api_key"), KEY),
            "header": (request.headers.get("X-Api-Key"), KEY),
            "bearer": (told, f"Bearer {KEY}"),
            "basic": (told, f"Basic {basic}"),
        }
        given, wanted = said[self.auth]
        return given == wanted

    def _listed(self, request: web.Request) -> list[Written]:
        since = request.query.get("since")
        begins = (
            datetime.fromtimestamp(int(since), UTC) if since else datetime.min.replace(tzinfo=UTC)
        )
        known = [one for one in self.shown() if self._time(one) >= begins]
        return sorted(known, key=self._time, reverse=self.order != "oldest")

    def _time(self, one: Written) -> datetime:
        return (one.edited_at or one.at) if self.sorted_by == "edited" else one.at

    def _start(self, request: web.Request) -> int:
        asked = request.query
        if self.paging == "page":
            return (int(asked.get("page", 1)) - 1) * self.page
        if self.paging == "offset":
            return int(asked.get("skip", 0))
        if self.paging == "cursor":
            return int(asked.get("after", "c0")[1:])
        return int(asked.get("from", 0))

    def _following(self, request: web.Request, start: int) -> str:
        """Where the next page is; a careless site repeats the whole question, key and all."""
        there = request.url.update_query({"from": str(start)})
        return str(there) if not self.elsewhere else f"{self.elsewhere}{there.raw_path_qs}"

    def _review(self, one: Written) -> dict[str, Any]:
        number = int(one.native_id.removeprefix("r-"))
        return {
            "reviewId": one.native_id,
            "text": one.text,
            "created": _stamp(one.at),
            "updated": _stamp(one.edited_at) if one.edited_at else None,
            "consumer": {"id": 71, "displayName": "하늘"},
            "answers": [{"question": "overall", "stars": number % 5 + 1}],
            "about": one.parent or None,
            "links": {"self": f"/reviews/{one.native_id}"},
            "votes": {"helpful": 3},
            **one.extra,
        }


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


UPSTREAM = HttpUpstream
