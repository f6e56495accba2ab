"""Kakao's search of Daum.

Parameters, fields and errors are those of
https://developers.kakao.com/docs/latest/en/daum-search/dev-guide: pages of up to 50, the newest
first, found words in bold, times in Korea.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta, timezone
from html import escape
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written

KEY = "0123456789abcdef-of-somebody"
KOREA = timezone(timedelta(hours=9))
_MOST = 50


class KakaoUpstream(Upstream):
    """A search for "다크 모드". A post is a blog's, unless its `extra` names another `service`.

    `error` (status and body) and `answer` are what everything is answered with; `pageable` is how
    many results of each service may be seen.
    """

    secret = KEY

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, Any] | None = None
        self.answer: Any = None
        self.pageable = 2_500

    def settings(self) -> dict[str, Any]:
        return {
            "rest_api_key": KEY,
            "query": "다크 모드",
            "services": ["blog"],
            "interval_seconds": 1,
            "address": f"{self.url}/v2/search",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/v2/search/{service}", self._found)]

    def name(self, number: int) -> str:
        return f"https://haneul.tistory.example/{number}"

    async def _found(self, request: web.Request) -> web.Response:
        if self.error is not None:
            return web.json_response(self.error[1], status=self.error[0])
        if wrong := _wrong(request):
            return wrong
        if self.answer is not None:
            return web.json_response(self.answer)
        service = request.match_info["service"]
        page, size = int(request.query["page"]), min(int(request.query["size"]), self.page)
        found = self.of(service)
        seen = found[: self.pageable]
        shown = seen[(page - 1) * size : page * size]
        meta = {
            "total_count": len(found),
            "pageable_count": len(seen),
            "is_end": page * size >= len(seen),
        }
        return web.json_response({"meta": meta, "documents": [document(it) for it in shown]})

    def of(self, service: str) -> Sequence[Written]:
        """The posts of a service, newest first."""
        posts = reversed(self.shown())
        return [one for one in posts if one.extra.get("service", "blog") == service]


def _wrong(request: web.Request) -> web.Response | None:
    given = request.headers.get("Authorization", "")
    asked = request.query
    if not given.startswith("KakaoAK "):
        return error(401, "AccessDeniedError", "cannot find Authorization : KakaoAK header")
    if given != f"KakaoAK {KEY}" or KEY in request.path_qs:
        key = given.removeprefix("KakaoAK ")
        return error(401, "AccessDeniedError", f"wrong appKey({key}) format")
    if not asked.get("query") or asked.get("sort") != "recency":
        return error(400, "MissingParameter", "query parameter required")
    if not (1 <= int(asked["page"]) <= _MOST and 1 <= int(asked["size"]) <= _MOST):
        return error(400, "InvalidArgument", "page is more than max")
    return None


def document(one: Written) -> dict[str, Any]:
    service = one.extra.get("service", "blog")
    named = {"blog": {"blogname": "하늘 &amp; 바다"}, "cafe": {"cafename": "앱 모임"}, "web": {}}
    pictures = {} if service == "web" else {"thumbnail": one.extra.get("thumbnail", "")}
    return {
        "title": f"<b>다크 모드</b> {one.native_id[-1]}",
        "contents": escape(one.text).replace("dark", "<b>dark</b>"),
        "url": one.native_id,
        "datetime": one.at.astimezone(KOREA).isoformat(timespec="milliseconds"),
        **named[service],
        **pictures,
    }


def error(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"errorType": kind, "message": message}, status=status)


UPSTREAM = KakaoUpstream
