"""YouTube's Data API v3, as far as comments go.

Pages, errors and fields are those of https://developers.google.com/youtube/v3/docs: comment threads
newest first, at most five answers in a thread, times in whole seconds, the key in a header.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written

CHANNEL = "UC" + "a" * 22
HANDLE = "@maker"
KEY = "AIza-s3cret-of-somebody"
VIDEO = "video-00001"
_SHOWN = 5


class YouTubeUpstream(Upstream):
    """A channel with one video.

    `error` (status, reason, message) and `answer` are what everything is answered with; `closed`
    are videos whose comments are turned off; `units` is what was spent of the day's quota.
    """

    edits = True
    secret = KEY

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, str, str] | None = None
        self.closed: set[str] = set()
        self.units = 0
        self.answer: Any = None

    def settings(self) -> dict[str, Any]:
        return {
            "api_key": KEY,
            "channel": CHANNEL,
            "interval_seconds": 1,
            "address": f"{self.url}/youtube/v3",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/youtube/v3/commentThreads", self._threads),
            web.get("/youtube/v3/comments", self._comments),
            web.get("/youtube/v3/channels", self._channels),
        ]

    def name(self, number: int) -> str:
        return f"Ugx{number:06}"

    async def _threads(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        asked = request.query
        if asked.get("videoId", VIDEO) in self.closed:
            return error(403, "commentsDisabled", "The video has disabled comments.")
        if asked.get("allThreadsRelatedToChannelId", CHANNEL) != CHANNEL:
            return error(404, "channelNotFound", "The channel could not be found.")
        shown = list(reversed(self.shown()))
        tops = [one for one in shown if not one.parent]
        return self._page(request, "commentThread", [self._thread(one) for one in tops])

    async def _comments(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        return self._page(
            request, "comment", [comment(one) for one in self._answers(request.query["parentId"])]
        )

    async def _channels(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        found = [{"kind": "youtube#channel", "id": CHANNEL}]
        items = found if request.query["forHandle"] == HANDLE else []
        return web.json_response({"kind": "youtube#channelListResponse", "items": items})

    def _refused(self, request: web.Request) -> web.Response | None:
        self.units += 1
        if request.headers.get("X-Goog-Api-Key") != KEY or KEY in request.path_qs:
            return error(400, "badRequest", "API key not valid. Please pass a valid API key.")
        if self.error is not None:
            return error(*self.error)
        return None if self.answer is None else web.json_response(self.answer)

    def _page(self, request: web.Request, kind: str, items: list[Any]) -> web.Response:
        token = request.query.get("pageToken", "")
        limit = min(int(request.query.get("maxResults", 20)), self.page)
        names = [one["id"] for one in items]
        if token and token not in names:
            return error(400, "invalidPageToken", "The page token is invalid.")
        start = names.index(token) if token else 0
        rest = items[start + limit :]
        answer = {
            "kind": f"youtube#{kind}ListResponse",
            "pageInfo": {"totalResults": len(items), "resultsPerPage": limit},
            "items": items[start : start + limit],
            **({"nextPageToken": rest[0]["id"]} if rest else {}),
        }
        return web.json_response(answer)

    def _answers(self, parent: str) -> list[Written]:
        return [one for one in reversed(self.shown()) if one.parent == parent]

    def _thread(self, top: Written) -> dict[str, Any]:
        answers = self._answers(top.native_id)
        shown = [comment(one) for one in answers[:_SHOWN]]
        return {
            "kind": "youtube#commentThread",
            "id": top.native_id,
            "snippet": {
                "channelId": CHANNEL,
                "videoId": VIDEO,
                "topLevelComment": comment(top),
                "canReply": True,
                "totalReplyCount": len(answers),
                "isPublic": True,
            },
            **({"replies": {"comments": shown}} if shown else {}),
        }


def comment(one: Written) -> dict[str, Any]:
    return {
        "kind": "youtube#comment",
        "id": one.native_id,
        "snippet": {
            "textDisplay": one.text,
            "authorDisplayName": "@kim",
            "authorChannelId": {"value": "UCkim"},
            "likeCount": 3,
            "publishedAt": stamp(one.at),
            "updatedAt": stamp(one.edited_at or one.at),
            **({"parentId": one.parent} if one.parent else {}),
        },
    }


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def error(status: int, reason: str, message: str) -> web.Response:
    errors = [{"message": message, "domain": "youtube.comment", "reason": reason}]
    told = {"error": {"code": status, "message": message, "errors": errors}}
    return web.json_response(told, status=status)


UPSTREAM = YouTubeUpstream
