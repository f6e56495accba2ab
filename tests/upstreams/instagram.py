"""Instagram's part of the Graph API: an account's media, their comments and replies, and webhooks.

Fields and messages are those of https://developers.facebook.com/docs/instagram-platform: comments
newest first with their replies within them, ids the same everywhere, no word of deletions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from upstreams.facebook import SECRET, VERIFY, FacebookUpstream, error, stamp
from upstreams.upstream import Happened, Written

OWN = "IGAA-s3cret-of-an-account"
ACCOUNT = "17841400000000001"


class InstagramUpstream(FacebookUpstream):
    """An account. What has a parent is a comment, or a reply to one.

    `too_young` is a token that can't be renewed as yet.
    """

    too_young = False

    edge = "media"
    account = ACCOUNT
    object = "instagram"
    tells = frozenset({"written"})

    def settings(self) -> dict[str, Any]:
        return {
            "account": ACCOUNT,
            "access_token": self.token,
            "app_secret": SECRET,
            "verify_token": VERIFY,
            "interval_seconds": 1,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/v24.0/{id}/replies", self._replies),
            web.get("/refresh_access_token", self._renewed),
        ]

    def name(self, number: int) -> str:
        return str(17900000000000000 + number)

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        assert happened == "written"
        value = {
            "from": {"id": "7", "username": "kim"},
            "media": {"id": self._top(written).native_id, "media_product_type": "FEED"},
            "id": written.native_id,
            "text": written.text,
            **({"parent_id": written.parent} if not self._is_top(written) else {}),
        }
        return self.signed([{"field": "comments", "value": value}])

    async def _renewed(self, request: web.Request) -> web.Response:
        """Renew a token of Instagram's own login, if it is a day old."""
        assert request.query["grant_type"] == "ig_refresh_token"
        if self.too_young or request.query["access_token"] != self.token:
            return error(400, {"message": "Cannot be refreshed", "code": 10})
        self.token = f"{OWN}-{len(self.requests)}"
        told = {"access_token": self.token, "token_type": "bearer", "expires_in": 5_184_000}
        return self.json(told)

    async def _replies(self, request: web.Request) -> web.Response:
        if refused := self.refused(request):
            return refused
        said = self._answers(request.match_info["id"])
        part = self.part(said, int(request.query["limit"]), request.query.get("after", ""))
        if part is None:
            return error(400, {"message": "Invalid cursor", "code": 100})
        return self.json({"data": [self._said(one) for one in part[0]], "paging": part[1]})

    def said(self, post: str) -> list[Written]:
        """The comments right below a post, newest first."""
        return [one for one in reversed(self.shown()) if one.parent == post]

    def _answers(self, comment: str) -> list[Written]:
        return [one for one in self.shown() if one.parent == comment]

    def _is_top(self, one: Written) -> bool:
        return one.parent == self._top(one).native_id

    def post(self, one: Written, inner: int) -> dict[str, Any]:
        part = self.part(self.said(one.native_id), inner, "")
        assert part is not None
        held = {"data": [self.comment(each) for each in part[0]], "paging": part[1]}
        return {
            "id": one.native_id,
            "caption": one.text,
            "media_type": "IMAGE",
            "media_product_type": "FEED",
            "permalink": f"https://www.instagram.com/p/{one.native_id}/",
            "timestamp": stamp(one.at),
            "username": "maker",
            "like_count": 3,
            "comments_count": 1,
            **({"comments": held} if part[0] else {}),
        }

    def comment(self, one: Written) -> dict[str, Any]:
        part = self.part(self._answers(one.native_id), 25, "")
        assert part is not None
        held = {"data": [self._said(each) for each in part[0]], "paging": part[1]}
        return {**self._said(one), **({"replies": held} if part[0] else {})}

    def _said(self, one: Written) -> dict[str, Any]:
        return {
            "id": one.native_id,
            "text": one.text,
            "timestamp": stamp(one.at),
            "username": "kim",
            "like_count": 1,
            "hidden": False,
        }


UPSTREAM = InstagramUpstream
