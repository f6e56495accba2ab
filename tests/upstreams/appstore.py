"""The feeds of customer reviews of Apple's App Store, as they are served for each country.

Fifty reviews on a page, ten pages, the last changed first; a list of one entry is an object, one of
none is not there. All that is written is written in Korea.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written

APP = "284882215"
_DEPTH = 10
_CUPERTINO = timezone(timedelta(hours=-7))


class AppStoreUpstream(Upstream):
    """An app's reviews.

    `abroad` are countries where the app is sold and has no reviews, `hidden` pages that are just
    now shown without reviews, `leads` whether the app itself comes first, `answer` what everything
    is answered with, `status` with what status.
    """

    page = 50
    edits = True

    def __init__(self) -> None:
        super().__init__()
        self.abroad: set[str] = set()
        self.hidden: set[int] = set()
        self.leads = False
        self.status = 200
        self.answer: Any = None

    def settings(self) -> dict[str, Any]:
        return {
            "app": APP,
            "countries": ["kr"],
            "interval_seconds": 1,
            "pause_seconds": 0,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/{country}/rss/customerreviews/page={page}/id={app}/{sort}/json", self._feed)
        ]

    def name(self, number: int) -> str:
        return str(10_743_046_470 + number)

    async def _feed(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status, text="<html>no</html>")
        if self.answer is not None:
            return web.json_response(self.answer)
        told = request.match_info
        page = int(told["page"])
        if told["country"] not in {"kr", *self.abroad} or told["app"] != APP:
            return web.Response(status=404, text="Not Found")
        if page > _DEPTH or told["sort"] != "sortby=mostrecent":
            text = "CustomerReviews RSS page depth is limited to 10"
            return web.Response(status=400, text=text)
        return web.json_response(self._shown(told["country"], page))

    def _shown(self, country: str, page: int) -> dict[str, Any]:
        posts = [] if country in self.abroad else self.shown()
        listed = sorted(posts, key=_changed, reverse=True)[: self.page * _DEPTH]
        last = max(1, -(-len(listed) // self.page))
        shown = [] if page in self.hidden else listed[(page - 1) * self.page : page * self.page]
        entries = [_entry(country, one) for one in shown]
        if self.leads and page == 1:
            entries = [{"im:name": {"label": "Notes"}, "id": {"label": "x"}}, *entries]
        there = f"https://itunes.apple.com/{country}/rss/customerreviews/page={last}/id={APP}/json"
        return {
            "feed": {
                "author": {"name": {"label": "iTunes Store"}},
                **({"entry": entries if len(entries) > 1 else entries[0]} if entries else {}),
                "id": {"label": f"https://itunes.apple.com/{country}/rss/customerreviews/json"},
                "link": [{"attributes": {"rel": "last", "href": there}}],
            }
        }


def _changed(one: Written) -> datetime:
    return one.edited_at or one.at


def _entry(country: str, one: Written) -> dict[str, Any]:
    plain = {
        "im:voteSum": "4",
        "im:version": "2.1",
        "im:rating": "2",
        "id": one.native_id,
        "updated": _changed(one).astimezone(_CUPERTINO).isoformat(timespec="microseconds"),
        "title": "",
    }
    return {
        "author": {
            "uri": {"label": f"https://itunes.apple.com/{country}/reviews/id71"},
            "name": {"label": "하늘"},
        },
        **{name: {"label": value} for name, value in plain.items()},
        "content": {"label": one.text, "attributes": {"type": "text"}},
        "link": {
            "attributes": {"rel": "related", "href": f"https://itunes.apple.com/{country}/review"}
        },
        **one.extra,
    }


UPSTREAM = AppStoreUpstream
