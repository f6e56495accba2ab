"""Telegram's Bot API, as far as a bot's updates go, asked for and pushed.

Answers and errors are those of https://core.telegram.org/bots/api: an update is kept until one
with a higher number is asked for, a question is held open, one at a time, none beside a webhook.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import web

from upstreams.upstream import Happened, Upstream, Written

TOKEN = "7000000001:AAE-s3cret_of_a_bot_00000000000000000"
SECRET = "s3cret-of-the-hook"
CHAT = -1001000000001
_FIRST = 870_000_000
GROUP = {"id": CHAT, "type": "supergroup", "title": "Makers", "username": "makers"}


class TelegramUpstream(Upstream):
    """A bot in a group. `extra["chat"]` of a post is another chat.

    `pending` is what nobody has confirmed.
    `error` (status, description, parameters) and `answer` are what everything is answered with;
    `has_webhook` says that updates are pushed.
    """

    edits = True
    secret = TOKEN
    signs = False
    asks_again = True
    tells = frozenset({"written", "edited"})

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[dict[str, Any]] = []
        self.error: tuple[int, str, Mapping[str, Any]] | None = None
        self.answer: Any = None
        self.has_webhook = False
        self.next = _FIRST

    def settings(self) -> dict[str, Any]:
        return {
            "bot_token": TOKEN,
            "webhook_secret": SECRET,
            "wait_seconds": 2,
            "interval_seconds": 1,
            "address": self.url,
        }

    def routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/{bot}/getUpdates", self._updates)]

    def name(self, number: int) -> str:
        return f"{CHAT}/{number}"

    def pushed(self, written: Written, happened: Happened) -> tuple[Mapping[str, str], bytes]:
        update = self.update("message" if happened == "written" else "edited_message", written)
        return {"X-Telegram-Bot-Api-Secret-Token": SECRET}, json.dumps(update).encode()

    def update(self, kind: str, written: Written) -> dict[str, Any]:
        """Return the next update, about a message."""
        self.next += 1
        return {"update_id": self.next, kind: self.message(written)}

    def message(self, written: Written) -> dict[str, Any]:
        """Return a message as Telegram writes it."""
        chat = written.extra.get("chat", GROUP)
        edited = {"edit_date": int(written.edited_at.timestamp())} if written.edited_at else {}
        parent = next((it for it in self.posts if it.native_id == written.parent), None)
        return {
            "message_id": int(written.native_id.rpartition("/")[2]),
            "chat": chat,
            "from": {"id": 7, "is_bot": False, "first_name": "Kim", "username": "kim"},
            "date": int(written.at.timestamp()),
            "text": written.text,
            **edited,
            **({"reply_to_message": self.message(parent)} if parent else {}),
        }

    def _tell(self, written: Written) -> None:
        if not written.deleted:  # of which Telegram tells bots nothing
            kind = "edited_message" if written.edited_at else "message"
            self.pending.append(self.update(kind, written))
        super()._tell(written)

    async def _updates(self, request: web.Request) -> web.Response:
        if request.match_info["bot"] != f"bot{TOKEN}":
            return error(401, "Unauthorized")
        if self.error is not None:
            return error(*self.error)
        if self.answer is not None:
            return web.json_response(self.answer)
        if self.has_webhook:
            told = "can't use getUpdates method while webhook is active; use deleteWebhook first"
            return error(409, f"Conflict: {told}")
        asked = request.query
        assert set(json.loads(asked["allowed_updates"])) == {
            "message", "edited_message", "channel_post", "edited_channel_post"
        }  # fmt: skip
        offset = int(asked.get("offset", 0))
        self.pending = [it for it in self.pending if it["update_id"] >= offset]
        self.hang_up()  # a second question ends the first one
        if not self.pending and (seconds := int(asked["timeout"])):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds), aclosing(self.listen()) as heard:  # type: ignore[type-var]
                    await anext(heard, None)
        limit = min(int(asked["limit"]), self.page)
        return web.json_response({"ok": True, "result": self.pending[:limit]})


def error(
    status: int, description: str, parameters: Mapping[str, Any] | None = None
) -> web.Response:
    told = {"ok": False, "error_code": status, "description": description}
    return web.json_response(
        {**told, **({"parameters": parameters} if parameters else {})}, status=status
    )


UPSTREAM = TelegramUpstream
