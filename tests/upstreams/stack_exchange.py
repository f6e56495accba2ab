"""Stack Exchange's API 2.3, as far as questions with what is below them go.

Pages, filters, errors and fields are those of https://api.stackexchange.com/docs: times in whole
seconds, errors with the status 400, answers packed with gzip.
"""

import html
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from upstreams.upstream import Upstream, Written

HOST = "stackoverflow.com"
KEY = "U4DMV-s3cret-of-an-application"
FILTER = "!6VvPDzQ)wlg1u"
_MAX_PAGE = 25


class StackExchangeUpstream(Upstream):
    """A site. What answers a question is an answer, what answers an answer a comment.

    `extra` of a post overrides its fields. `error` (id, name, message) is what every method
    answers, `answer` what every search; `backoff` and `quota` are what answers say of further ones;
    `untagged` are questions that the search does not find any more.
    """

    edits = True
    deletes = True
    secret = KEY

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, str, str] | None = None
        self.answer: Any = ...
        self.backoff = 0
        self.quota = 10_000
        self.untagged: set[str] = set()
        self._children: defaultdict[str, list[Written]] = defaultdict(list)

    def settings(self) -> dict[str, Any]:
        return {
            "site": "stackoverflow",
            "tags": ["maru"],
            "key": KEY,
            "interval_seconds": 1,
            "address": f"{self.url}/2.3",
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/2.3/filters/create", self._filters),
            web.get("/2.3/search/advanced", self._search),
            web.get(r"/2.3/questions/{ids:[\d;]+}", self._questions),
        ]

    def name(self, number: int) -> str:
        return f"{HOST}/q/{number}"

    def write(self, *args: Any, parent: str = "", is_comment: bool = False, **more: Any) -> Written:
        written = super().write(*args, parent=parent, **more)
        self._children[parent].append(written)
        if parent:
            kind = "c" if is_comment or "/a/" in parent else "a"
            written.native_id = f"{HOST}/{kind}/{len(self.posts)}"
        return written

    async def _filters(self, request: web.Request) -> web.Response:
        fields = request.query["include"].split(";")
        if refused := self._refused(request):
            return refused
        if request.query["base"] != "none" or not {".items", "question.answers"} <= {*fields}:
            return error(400, "bad_parameter", "include")
        made = {"filter": FILTER, "filter_type": "safe", "included_fields": fields}
        return self._wrapped([made], has_more=False)

    async def _search(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        if self.answer is not ...:
            return web.json_response(self.answer)
        asked = request.query
        low, until = int(asked.get("min", 0)), int(asked.get("todate", 2**40))
        found = [
            one
            for one in (self._question(it) for it in self.shown() if not it.parent)
            if one["last_activity_date"] >= low and one["creation_date"] <= until
        ]
        found = [one for one in found if f"{HOST}/q/{one['question_id']}" not in self.untagged]
        found.sort(key=lambda one: one["last_activity_date"], reverse=asked["order"] == "desc")
        limit, number = min(int(asked["pagesize"]), self.page), int(asked["page"])
        if number > _MAX_PAGE and "key" not in asked:
            return error(403, "access_denied", "page above 25 requires access token or app key")
        start = (number - 1) * limit
        return self._wrapped(found[start:][:limit], has_more=len(found) > start + limit)

    async def _questions(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        names = {f"{HOST}/q/{number}" for number in request.match_info["ids"].split(";")}
        found = [self._question(one) for one in self.shown() if one.native_id in names]
        return self._wrapped(found[: int(request.query["pagesize"])], has_more=False)

    def _refused(self, request: web.Request) -> web.Response | None:
        if self.error is not None:
            return error(*self.error)
        asked = request.query
        if asked.get("key", KEY) != KEY:
            return error(400, "bad_parameter", "`key` doesn't match a known application")
        if not request.path.endswith("/filters/create"):
            if asked.get("site") != "stackoverflow":
                return error(400, "bad_parameter", f"No site found for name `{asked.get('site')}`")
            if asked.get("filter") != FILTER:
                return error(400, "bad_parameter", "filter")
        return None

    def _wrapped(self, items: list[Any], *, has_more: bool) -> web.Response:
        self.quota -= 1
        answer = web.json_response(
            {
                "items": items,
                "has_more": has_more,
                "quota_remaining": self.quota,
                **({"backoff": self.backoff} if self.backoff else {}),
            }
        )
        if self.mode == "ok":
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    def _question(self, one: Written) -> dict[str, Any]:
        answers = [it for it in self._below(one) if "/a/" in it.native_id]
        changed = [at for it in (one, *answers) for at in (it.at, it.edited_at) if at is not None]
        return {
            **self._said(one),
            "title": "",
            "link": f"https://{HOST}/questions/{bare(one)}/a-question",
            "view_count": 12,
            "last_activity_date": int(max(changed).timestamp()),
            "answer_count": len(answers),
            **({"answers": [self._answer(one, it) for it in answers]} if answers else {}),
            **self._comments(one, "question"),
            **one.extra,
        }

    def _answer(self, question: Written, one: Written) -> dict[str, Any]:
        return {
            **self._said(one),
            "answer_id": int(bare(one)),
            "question_id": int(bare(question)),
            "link": f"https://{HOST}/a/{bare(one)}",
            **self._comments(one, "answer"),
            **one.extra,
        }

    def _comments(self, one: Written, of: str) -> dict[str, Any]:
        said = [it for it in self._below(one) if "/c/" in it.native_id]
        comments = [
            {
                **self._said(it),
                "comment_id": int(bare(it)),
                "post_id": int(bare(one)),
                "post_type": of,
                "link": f"https://{HOST}/questions/1/a-question#comment{bare(it)}_{bare(one)}",
            }
            for it in said
        ]
        shown: Mapping[str, Any] = {"comments": comments} if comments else {}
        return {"comment_count": len(comments), **shown}

    def _below(self, one: Written) -> list[Written]:
        return [it for it in self._children[one.native_id] if not it.deleted]

    def _said(self, one: Written) -> dict[str, Any]:
        edited = {"last_edit_date": int(one.edited_at.timestamp())} if one.edited_at else {}
        numbered = {"question_id": int(bare(one))} if "/q/" in one.native_id else {}
        return {
            **numbered,
            **edited,
            "body": f"<p>{html.escape(one.text)}</p>\n",
            "owner": {"user_id": 7, "display_name": "kim &amp; co"},
            "creation_date": int(one.at.timestamp()),
            "score": 5,
        }


def bare(one: Written) -> str:
    """The number of a post."""
    return one.native_id.rpartition("/")[2]


def error(number: int, name: str, message: str) -> web.Response:
    """Say what is wrong as Stack Exchange does."""
    told = {"error_id": number, "error_name": name, "error_message": message}
    return web.json_response(told, status=400)


UPSTREAM = StackExchangeUpstream
