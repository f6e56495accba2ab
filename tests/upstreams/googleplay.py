"""The reviews of Google's Android Publisher API v3, and the server of its tokens.

Pages, errors and fields are those of https://developers.google.com/android-publisher/api-ref/rest/v3:
reviews of seven days, the last changed first, ten on a page unless up to a hundred are asked for.
"""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from upstreams.authorization import Authorization
from upstreams.upstream import Upstream, Written

PACKAGE = "com.example.notes"
ACCOUNT = "maru@project.iam.gserviceaccount.com"
_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_KEYS = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
_WRITTEN = _KEYS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
_WEEK = timedelta(days=7)


class GooglePlayUpstream(Upstream):
    """An app's reviews. `error` (status, reason, message) and `answer` are what is answered."""

    page = 100
    reach = timedelta(days=6)
    edits = True
    secret = _WRITTEN.splitlines()[3]

    def __init__(self) -> None:
        super().__init__()
        self.authorization = Authorization(lives=3_599)
        self.error: tuple[int, str, str] | None = None
        self.answer: Any = None

    def settings(self) -> dict[str, Any]:
        return {
            "package": PACKAGE,
            "key": a_key(self.url),
            "interval_seconds": 1,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        path = "/androidpublisher/v3/applications/{package}/reviews"
        return [web.post("/token", self._token), web.get(path, self._reviews)]

    def name(self, number: int) -> str:
        return f"gp:AOqpTO{number:06}"

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if not self._is_signed(str(form["assertion"])):
            told = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return web.json_response(told, status=400)
        return await self.authorization.token(request)

    def _is_signed(self, assertion: str) -> bool:
        words, _, signature = assertion.rpartition(".")
        claims = json.loads(_plain(words.partition(".")[2]))
        try:
            _KEYS.public_key().verify(
                _plain(signature), words.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return False
        return (claims["iss"], claims["scope"]) == (ACCOUNT, _SCOPE)

    async def _reviews(self, request: web.Request) -> web.Response:
        if not self.authorization.accepts(request):
            return error(401, "authError", "Request had invalid authentication credentials.")
        if self.error is not None:
            return error(*self.error)
        if self.answer is not None:
            return web.json_response(self.answer)
        if request.match_info["package"] != PACKAGE:
            return error(404, "applicationNotFound", "No application was found.")
        return self._page(request)

    def _page(self, request: web.Request) -> web.Response:
        asked = request.query
        limit = min(int(asked.get("maxResults", 10)), self.page)
        begins = datetime.now(UTC) - _WEEK
        known = [one for one in self.shown() if _changed(one) >= begins]
        listed = sorted(known, key=_changed, reverse=True)
        start = int(asked.get("token", "t0")[1:])
        shown, rest = listed[start : start + limit], listed[start + limit :]
        answer: dict[str, Any] = {"reviews": [_review(one) for one in shown]} if shown else {}
        if rest:
            answer["tokenPagination"] = {"nextPageToken": f"t{start + limit}"}
        return web.json_response(answer)


def a_key(url: str, **changes: str) -> str:
    """Return the file of a service account's key whose tokens are granted at `url`."""
    written = {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key_id": "k1",
        "private_key": _WRITTEN,
        "token_uri": f"{url}/token",
        **changes,
    }
    return json.dumps(written)


def _changed(one: Written) -> datetime:
    return one.edited_at or one.at


def _review(one: Written) -> dict[str, Any]:
    seconds, micros = divmod(int(_changed(one).timestamp() * 1_000_000), 1_000_000)
    said = {
        "text": one.text,
        "lastModified": {"seconds": str(seconds), "nanos": micros * 1_000},
        "starRating": 2,
        "reviewerLanguage": "ko",
        "thumbsUpCount": 3,
        **one.extra,
    }
    answer = {"text": "Thank you!", "lastModified": {"seconds": str(seconds), "nanos": 0}}
    comments = [{"userComment": said}, {"developerComment": answer}]
    return {"reviewId": one.native_id, "authorName": "하늘", "comments": comments}


def _plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def error(status: int, reason: str, message: str) -> web.Response:
    """Answer with an error as Google writes it."""
    errors = [{"message": message, "domain": "androidpublisher", "reason": reason}]
    told = {"error": {"code": status, "message": message, "errors": errors}}
    return web.json_response(told, status=status)


UPSTREAM = GooglePlayUpstream
