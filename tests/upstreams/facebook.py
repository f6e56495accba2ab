"""Facebook's Graph API, as far as a page's posts and their comments go, and its webhooks.

Pages, errors, headers and messages are those of https://developers.facebook.com/docs/graph-api:
newest first, the newest comments within their post, a cursor and an address in `paging`.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.upstream import Happened, Upstream, Written

PAGE = "100000000000001"
TOKEN = "EAAB-s3cret-of-a-page"
SECRET = "s3cret-of-the-app"
APP = "138483919580948"
VERIFY = "words-of-ours"


class FacebookUpstream(Upstream):
    """A page. What has a parent is a comment, or an answer to one.

    `error` (status, body of `error`) and `answer` are what everything is answered with, `usage` the
    headers of limits; `most` is how many posts one answer may be asked for, `ends` what is
    said of the token's end (None: nobody is told)
    """

    edits = True
    secret = TOKEN
    edge = "feed"
    account = PAGE
    object = "page"

    def __init__(self) -> None:
        super().__init__()
        self.error: tuple[int, Mapping[str, Any]] | None = None
        self.usage: dict[str, str] = {}
        self.most = 100
        self.token = TOKEN
        self.ends: dict[str, Any] | None = {"expires_at": 0, "data_access_expires_at": 0}
        self.answer: Any = None

    def settings(self) -> dict[str, Any]:
        return {
            "page": PAGE,
            "access_token": self.token,
            "app_secret": SECRET,
            "verify_token": VERIFY,
            "interval_seconds": 1,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get(f"/v24.0/{self.account}/{self.edge}", self._posts),
            web.get("/v24.0/{id}/comments", self._comments),
            web.get("/v24.0/debug_token", self._token),
            web.get("/v24.0/app", self._app),
        ]

    def name(self, number: int) -> str:
        return f"{self.account}_{900000000000000 + number}"

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        item = "comment" if written.parent else "status"
        said = {
            "item": item,
            "verb": {"written": "add", "edited": "edited", "deleted": "remove"}[happened],
            "post_id": self._top(written).native_id,
            "from": {"id": "7", "name": "Kim"},
            "created_time": int(written.at.timestamp()),
            **({"comment_id": written.native_id, "parent_id": written.parent} if written.parent
               else {}),
            **({"message": written.text} if happened != "deleted" else {}),
        }  # fmt: skip
        return self.signed([{"field": "feed", "value": said}])

    def signed(
        self, changes: Sequence[Any], *, entry: str = "", secret: str = SECRET
    ) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of a webhook."""
        at = datetime.now(UTC).timestamp()
        told = {"id": entry or self.account, "time": int(at), "changes": changes}
        body = json.dumps({"object": self.object, "entry": [told]}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-Hub-Signature-256": f"sha256={signature}"}, body

    async def _app(self, request: web.Request) -> web.Response:
        return self.refused(request) or self.json({"id": APP})

    async def _token(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {APP}|{SECRET}"
        assert request.query["input_token"] == self.token
        if self.ends is None:
            told = {"message": "You must be a developer of the app", "code": 100}
            return error(400, told)
        held = {"app_id": APP, "type": "PAGE", "is_valid": True, **self.ends}
        return self.json({"data": held})

    async def _posts(self, request: web.Request) -> web.Response:
        if refused := self.refused(request):
            return refused
        asked = request.query
        limit = int(asked["limit"])
        if limit > self.most:
            told = "Please reduce the amount of data you're asking for, then retry your request"
            return error(500, {"message": told, "type": "OAuthException", "code": 1})
        since, until = int(asked.get("since", 0)), int(asked.get("until", 2**40))
        tops = [
            one
            for one in reversed(self.shown())
            if not one.parent and since <= one.at.timestamp() <= until
        ]
        part = self.part(tops, limit, asked.get("after", ""))
        if part is None:
            return error(400, {"message": "Invalid cursor", "type": "OAuthException", "code": 100})
        inner = int((re.findall(r"comments[^{]*limit\((\d+)\)", asked["fields"]) or ["0"])[0])
        data = [self.post(one, inner) for one in part[0]]
        return self.json({"data": data, "paging": part[1]})

    async def _comments(self, request: web.Request) -> web.Response:
        if refused := self.refused(request):
            return refused
        asked = request.query
        said = self.said(request.match_info["id"])
        part = self.part(said, int(asked["limit"]), asked.get("after", ""))
        known = {one.native_id for one in self.shown()}
        if part is None or request.match_info["id"] not in known:
            told = "Unsupported get request. Object does not exist"
            return error(400, {"message": told, "code": 100, "error_subcode": 33})
        return self.json({"data": [self.comment(one) for one in part[0]], "paging": part[1]})

    def json(self, answer: Any) -> web.Response:
        return web.json_response(answer, headers=self.usage)

    def refused(self, request: web.Request) -> web.Response | None:
        """Return the error for who is not let in, or what a test has everything answered with."""
        proof = hmac.new(SECRET.encode(), self.token.encode(), hashlib.sha256).hexdigest()
        is_proven = request.query.get("appsecret_proof") == proof
        is_known = request.headers.get("Authorization") == f"Bearer {self.token}"
        if not is_proven or not is_known or self.token in request.path_qs:
            told = {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}
            return error(401, told)
        if self.error is not None:
            return error(*self.error, headers=self.usage)
        return None if self.answer is None else web.json_response(self.answer)

    def part(
        self, whole: Sequence[Written], limit: int, after: str
    ) -> tuple[Sequence[Written], dict[str, Any]] | None:
        """Return what comes after a cursor, and the paging; None for a cursor that is not known."""
        names = [f"Q{one.native_id}" for one in whole]
        if after and after not in names:
            return None
        start = names.index(after) + 1 if after else 0
        found = whole[start : start + min(limit, self.page)]
        if not found:
            return [], {}
        last = f"Q{found[-1].native_id}"
        paging: dict[str, Any] = {"cursors": {"before": f"Q{found[0].native_id}", "after": last}}
        if last != names[-1]:
            paging["next"] = f"http://elsewhere.invalid/?access_token=EAAB&after={last}"
        return found, paging

    def _top(self, written: Written) -> Written:
        named = {one.native_id: one for one in self.posts}
        while written.parent in named:
            written = named[written.parent]
        return written

    def said(self, post: str) -> list[Written]:
        """The comments below a post, of any depth, newest first."""
        return [one for one in reversed(self.shown()) if one.parent and self._is_below(one, post)]

    def _is_below(self, one: Written, post: str) -> bool:
        return self._top(one).native_id == post

    def post(self, one: Written, inner: int) -> dict[str, Any]:
        """Return a post with its newest comments."""
        said = self.said(one.native_id)
        part = self.part(said, inner, "")
        assert part is not None
        return {
            "id": one.native_id,
            "message": one.text,
            "created_time": stamp(one.at),
            "permalink_url": f"https://www.facebook.com/{PAGE}/posts/{one.native_id[-15:]}",
            "from": {"id": PAGE, "name": "Maker"},
            "privacy": {"value": "EVERYONE"},
            "reactions": {"data": [], "summary": {"total_count": 3}},
            "comments": {
                "data": [self.comment(each) for each in part[0]],
                "paging": part[1],
                "summary": {"order": "reverse_chronological", "total_count": len(said)},
            },
        }

    def comment(self, one: Written) -> dict[str, Any]:
        """Return a comment, with its parent if that is a comment."""
        top = self._top(one).native_id
        return {
            "id": one.native_id,
            "message": one.text,
            "created_time": stamp(one.at),
            "from": {"id": "7", "name": "Kim"},
            "like_count": 1,
            "comment_count": 0,
            **({"parent": {"id": one.parent}} if one.parent != top else {}),
        }


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}+0000"


def error(
    status: int, told: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response(
        {"error": {**told, "fbtrace_id": "A1"}}, status=status, headers=headers
    )


UPSTREAM = FacebookUpstream
