"""Naver's search, at NAVER API HUB and at the older Naver Developers.

Parameters, fields and errors are those of https://api.ncloud-docs.com/docs/naver-api-hub-search-blog
and https://developers.naver.com/docs/serviceapi/search/blog/blog.md: the newest first, from a
number on that is 1,000 at most, found words in bold, a blog's day without a time.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from html import escape
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written

CLIENT_ID = "id-of-somebody"
SECRET = "s3cret-of-somebody"
KOREA = timezone(timedelta(hours=9))
_HUB = ("X-NCP-APIGW-API-KEY-ID", "X-NCP-APIGW-API-KEY")
_DEVELOPERS = ("X-Naver-Client-Id", "X-Naver-Client-Secret")
_LAST = 1_000
_MOST = 100


class NaverUpstream(Upstream):
    """A search for "다크 모드". A post is news, unless its `extra` names another `service`.

    `error` (status and body) and `answer` are what everything is answered with; `closed` are
    services that answer with an error.
    """

    secret = SECRET

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, Any] | None = None
        self.answer: Any = None
        self.closed: set[str] = set()

    def settings(self) -> dict[str, Any]:
        return {
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "query": "다크 모드",
            "services": ["news"],
            "interval_seconds": 1,
            "address": f"{self.url}/search/v1",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/search/v1/{service}", self._hub),
            web.get("/v1/search/{service}.json", self._developers),
        ]

    def name(self, number: int) -> str:
        return f"https://press.example/{number}"

    async def _hub(self, request: web.Request) -> web.Response:
        if not _has_keys(request, _HUB):
            told = {"errorCode": "200", "message": "Authentication Failed", "details": "No such id"}
            return web.json_response({"error": told}, status=401)
        return self._found(request)

    async def _developers(self, request: web.Request) -> web.Response:
        if not _has_keys(request, _DEVELOPERS):
            return error(401, "024", "Authentication failed. (인증에 실패했습니다.)")
        return self._found(request)

    def _found(self, request: web.Request) -> web.Response:
        if self.error is not None:
            return web.json_response(self.error[1], status=self.error[0])
        if self.answer is not None:
            return web.json_response(self.answer)
        if wrong := _wrong(request):
            return wrong
        service = request.match_info["service"]
        if service in self.closed:
            return error(404, "SE05", "Invalid search api (존재하지 않는 검색 api 입니다.)")
        start, display = int(request.query["start"]), int(request.query["display"])
        found = self.of(service)
        shown = found[start - 1 :][: min(display, self.page)]
        return web.json_response(
            {
                "lastBuildDate": format_datetime(datetime.now(KOREA)),
                "total": len(found),
                "start": start,
                "display": len(shown),
                "items": [ITEMS[service](one) for one in shown],
            }
        )

    def of(self, service: str) -> Sequence[Written]:
        """The posts of a service, newest first."""
        posts = reversed(self.shown())
        return [one for one in posts if one.extra.get("service", "news") == service]


def _has_keys(request: web.Request, names: tuple[str, str]) -> bool:
    given = tuple(request.headers.get(name) for name in names)
    return given == (CLIENT_ID, SECRET) and SECRET not in request.path_qs


def _wrong(request: web.Request) -> web.Response | None:
    asked = request.query
    if not asked.get("query") or asked.get("sort") != "date":
        return error(400, "SE01", "Incorrect query request (잘못된 쿼리요청입니다.)")
    if not 1 <= int(asked["display"]) <= _MOST:
        return error(400, "SE02", "Invalid display value (부적절한 display 값입니다.)")
    if not 1 <= int(asked["start"]) <= _LAST:
        return error(400, "SE03", "Invalid start value (부적절한 start 값입니다.)")
    return None


def error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"errorMessage": message, "errorCode": code}, status=status)


def words(one: Written) -> dict[str, Any]:
    text = escape(one.text).replace("dark", "<b>dark</b>")
    return {"title": f"<b>다크 모드</b> {one.native_id[-1]}", "description": text}


def news(one: Written) -> dict[str, Any]:
    return {
        **words(one),
        "originallink": one.native_id,
        "link": f"https://n.news.naver.com/mnews/article/001/{one.native_id[-1]}?sid=101",
        "pubDate": format_datetime(one.at.astimezone(KOREA)),
    }


def blog(one: Written) -> dict[str, Any]:
    return {
        **words(one),
        "link": one.extra.get("link", one.native_id),
        "bloggername": "하늘 &amp; 바다",
        "bloggerlink": "blog.naver.com/haneul",
        "postdate": f"{one.at.astimezone(KOREA):%Y%m%d}",
    }


def cafearticle(one: Written) -> dict[str, Any]:
    return {
        **words(one),
        "link": one.extra.get("link", one.native_id),
        "cafename": "앱 모임",
        "cafeurl": "https://cafe.naver.com/apps",
    }


def kin(one: Written) -> dict[str, Any]:
    return {**words(one), "link": one.extra.get("link", one.native_id)}


ITEMS = {"news": news, "blog": blog, "cafearticle": cafearticle, "kin": kin}
UPSTREAM = NaverUpstream
