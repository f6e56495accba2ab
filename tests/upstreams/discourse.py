"""A forum of Discourse, as far as its list of posts, its posts and its webhooks go.

Pages, errors and fields are those of https://docs.discourse.org.
"""

import hashlib
import hmac
import html
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from upstreams.upstream import RETRY_SECONDS, Happened, Upstream, Written

KEY = "s3cret-of-a-reader"
READER = "reader"
HOOK = "s3cret-of-a-hook"


class DiscourseUpstream(Upstream):
    """A forum that needs a login. A post that answers none opens a topic.

    `extra` of a post overrides its fields. `is_old` lists as old versions did: the fifty numbers
    up to one, however many posts these are; `answer` is what the list is in place of posts, `wait`
    what is said of waiting in words alone; `skips` is how many numbers private messages take
    between two posts.
    """

    edits = True
    deletes = True
    secret = KEY
    page = 50

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = ...
        self.wait = 0
        self.skips = 0
        self.is_old = False

    def settings(self) -> dict[str, Any]:
        return {
            "address": self.url,
            "api_key": KEY,
            "api_username": READER,
            "webhook_secret": HOOK,
            "interval_seconds": 1,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/posts.json", self._list),
            web.get(r"/posts/{id:\d+}.json", self._one),
        ]

    def name(self, number: int) -> str:
        return f"{self.url}/t/{100 + number}/1"

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        written = super().write(text, at=at, parent=parent)
        topic, number = parent.split("/")[-2:] if parent else (str(100 + len(self.posts)), "")
        if parent:
            count = sum(f"/t/{topic}/" in one.native_id for one in self.posts)
            written.native_id = f"{self.url}/t/{topic}/{count + 1}"
        place = written.native_id.rpartition("/")[2]
        written.extra = {
            "id": len(self.posts) * (1 + self.skips),
            "topic_id": int(topic),
            "post_number": int(place),
            "reply_to_post_number": int(number) if number not in ("", "1") else None,
        }
        return written

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        event = {"written": "created", "edited": "edited", "deleted": "destroyed"}[happened]
        return self.signed({"post": self.shown_as(written)}, f"post_{event}")

    def signed(self, said: Any, event: str = "ping") -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of a webhook that says something."""
        body = json.dumps(said).encode()
        mac = hmac.new(HOOK.encode(), body, hashlib.sha256).hexdigest()
        return {
            "X-Discourse-Instance": self.url,
            "X-Discourse-Event-Type": event.partition("_")[0],
            "X-Discourse-Event": event,
            "X-Discourse-Event-Signature": f"sha256={mac}",
        }, body

    async def _list(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        if self.answer is not ...:
            return web.json_response(self.answer)
        last = max((one.extra["id"] for one in self.posts), default=0)
        before = int(request.query.get("before", 0)) or last + 1
        numbers = range(before - self.page + 1, before + 1) if self.is_old else range(before)
        shown = [self.shown_as(one) for one in self.posts if not one.deleted]
        listed = [one for one in shown if not one.get("unlisted")]
        found = [one for one in listed if one["id"] in numbers]
        newest = sorted(found, key=lambda one: -one["id"])[: self.page]
        return web.json_response({"latest_posts": newest})

    async def _one(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        for one in self.posts:
            if one.extra["id"] == int(request.match_info["id"]) and not one.deleted:
                return web.json_response(self.shown_as(one))
        told = "The requested URL or resource could not be found."
        return error(404, "not_found", told)

    def _refused(self, request: web.Request) -> web.Response | None:
        given = (request.headers.get("Api-Key"), request.headers.get("Api-Username"))
        if given != (KEY, READER) or KEY in request.path_qs:
            told = "You are not permitted to view the requested resource."
            return error(403, "invalid_access", told)
        if self.wait:
            told = "You've performed this action too many times, please try again later."
            extras = {"wait_seconds": self.wait, "time_left": f"{self.wait} seconds"}
            return error(429, "rate_limit", told, extras)
        return None

    def throttle_headers(self) -> Mapping[str, str]:
        code = {"Discourse-Rate-Limit-Error-Code": "ip_10_secs_limit"}
        return {"Retry-After": str(RETRY_SECONDS), **code}

    def shown_as(self, one: Written) -> dict[str, Any]:
        """A post as the forum's API shows it."""
        return {
            "name": "김",
            "username": "kim",
            "created_at": stamp(one.at),
            "cooked": f"<p>{html.escape(one.text)}</p>",
            "raw": one.text,
            "post_type": 1,
            "updated_at": stamp(one.edited_at or one.at),
            "version": 2 if one.edited_at else 1,
            "reply_count": 0,
            "topic_slug": "a-topic",
            "topic_title": "",
            "category_id": 4,
            "actions_summary": [{"id": 2, "count": 3}],
            "hidden": False,
            "deleted_at": stamp(datetime.now(UTC)) if one.deleted else None,
            "user_deleted": False,
            **one.extra,
        }


def stamp(moment: datetime) -> str:
    """A time as Discourse writes it: to the millisecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def error(
    status: int, kind: str, told: str, extras: Mapping[str, Any] | None = None
) -> web.Response:
    """Say what is wrong as Discourse does."""
    return web.json_response(
        {"errors": [told], "error_type": kind, **({"extras": extras} if extras else {})},
        status=status,
    )


UPSTREAM = DiscourseUpstream
