"""Hacker News: the search by Algolia, and its own API, as far as posts go.

Pages and fields are those of https://hn.algolia.com/api and https://github.com/HackerNews/API.
"""

import html
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written


class HackerNewsUpstream(Upstream):
    """Stories that all hold the same word, and comments on them.

    `unfound` are posts that the search leaves out, `answer` is what it says in place of posts,
    `item` what every item is, `shows` how many posts of what is found can be paged through.
    """

    edits = True
    deletes = True
    shows = 1_000

    def __init__(self) -> None:
        super().__init__()
        self.unfound: set[str] = set()
        self.answer: Any = ...
        self.item: Any = ...
        self.searches: list[dict[str, str]] = []

    def settings(self) -> dict[str, Any]:
        return {
            "query": "maru",
            "interval_seconds": 1,
            "search_address": f"{self.url}/api/v1",
            "items_address": f"{self.url}/v0",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/api/v1/search_by_date", self._search),
            web.get("/v0/updates.json", self._updates),
            web.get(r"/v0/item/{id:\d+}.json", self._item),
        ]

    def name(self, number: int) -> str:
        return f"hn/{40_000_000 + number}"

    async def _search(self, request: web.Request) -> web.Response:
        self.searches.append(dict(request.query))
        if self.answer is not ...:
            return web.json_response(self.answer)
        asked = request.query
        first, last = 0, 2**40
        for bound in asked["numericFilters"].split(","):
            if bound.startswith("created_at_i>="):
                first = int(bound.removeprefix("created_at_i>="))
            elif bound.startswith("created_at_i<"):
                last = int(bound.removeprefix("created_at_i<"))
            else:
                return web.json_response({"message": "invalid filter", "status": 400}, status=400)
        there = [one for one in reversed(self.shown()) if first <= second(one.at) < last]
        found = [one for one in there if one.native_id not in self.unfound]
        limit, number = min(int(asked["hitsPerPage"]), self.page), int(asked.get("page", 0))
        shown = found[: self.shows]
        return web.json_response(
            {
                "hits": [hit(one) for one in shown[number * limit :][:limit]],
                "nbHits": len(found),
                "page": number,
                "nbPages": -(-len(shown) // limit),
                "hitsPerPage": limit,
                "exhaustiveNbHits": True,
                "query": asked["query"],
            }
        )

    async def _updates(self, _: web.Request) -> web.Response:
        changed = [bare(one) for one in self.posts if one.edited_at or one.deleted]
        return web.json_response({"items": [int(name) for name in changed], "profiles": ["kim"]})

    async def _item(self, request: web.Request) -> web.Response:
        if self.item is not ...:
            return web.json_response(self.item)
        named = {bare(one): one for one in self.posts}
        one = named.get(request.match_info["id"])
        return web.json_response(item(one) if one is not None else None)


def hit(one: Written) -> dict[str, Any]:
    """A post as the search shows it."""
    is_comment = bool(one.parent)
    words = f"<p>{html.escape(one.text)}"
    return {
        "objectID": bare(one),
        "author": "kim",
        "created_at": f"{one.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "created_at_i": second(one.at),
        "updated_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "_tags": ["comment" if is_comment else "story", "author_kim", f"story_{bare(one)}"],
        **(
            {"comment_text": words, "parent_id": int(one.parent.removeprefix("hn/"))}
            if is_comment
            else {"story_text": words, "points": 7, "num_comments": 2, "title": ""}
        ),
    }


def item(one: Written) -> dict[str, Any]:
    """A post as Hacker News itself shows it."""
    is_comment = bool(one.parent)
    common = {"id": int(bare(one)), "type": "comment" if is_comment else "story"}
    if one.deleted:
        return {**common, "deleted": True, "time": second(one.at)}
    return {
        **common,
        "by": "kim",
        "time": second(one.at),
        "text": f"<p>{html.escape(one.text)}",
        **({"parent": int(one.parent.removeprefix("hn/"))} if is_comment else {"score": 7}),
        **one.extra,
    }


def bare(one: Written) -> str:
    """The number of a post."""
    return one.native_id.removeprefix("hn/")


def second(moment: datetime) -> int:
    """The whole second of a moment."""
    return int(moment.timestamp())


UPSTREAM = HackerNewsUpstream
