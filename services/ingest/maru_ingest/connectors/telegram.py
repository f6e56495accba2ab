"""Telegram: what is written in the channels and groups that a bot is in, and to the bot itself.

**What to set up.** Ask @BotFather in Telegram for a new bot (`/newbot`); it answers with the bot's
token. Let no other program ask for this bot's updates: each would take them from the other. Add the
bot to a channel as an administrator, or to a group; there it is shown everything only if it is an
administrator, too, or after `/setprivacy`, *Disable*, at @BotFather. To hear what is said below a
channel's posts, add it to the channel's discussion group. What people write to the bot itself is
left out unless `private_chats` says otherwise: tell them then what becomes of it.

**How it works.** Telegram keeps what is new for a day
(https://core.telegram.org/bots/api#getupdates), and holds the question for it open until there is
something, so that posts come within a second. A question says which answers have arrived, and
Telegram forgets these: so Maru asks for more only when the log has what came before, and a try
before the source is followed takes nothing away. A reply names what it answers, a forwarded post
where it is from; edits come, too.

**Webhook.** Where Maru can be reached, Telegram can push instead: give the source some webhook
secret of your own, of letters, digits, `_` and `-`, and call
`https://api.telegram.org/bot{token}/setWebhook` with `url=https://your-maru/hooks/{id of this
source}` and `secret_token` (https://core.telegram.org/bots/api#setwebhook). As long as a webhook is
set Telegram answers no questions, and the source only looks every quarter of an hour whether that
is still so.

**Limits.** Telegram shows bots nothing from before they were added, and tells them of no deletion.
What came more than 24 hours before it was asked for is gone. Posts are in the channel that they are
written in: `microblog` for a public channel, `community` for a public group. The token stands in
the addresses that are asked, as Telegram wants it, and is in no log and no message of Maru.
"""

import asyncio
import hmac
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Forged,
    Hook,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import Document, ParsedPost, Row, Unreadable
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Fetched

_ADDRESS = "https://api.telegram.org"
_TAKEN = ("message", "edited_message", "channel_post", "edited_channel_post")
_OPEN = {"group", "supergroup", "channel"}
_LIMIT = 50
"""Updates of one answer: Telegram has up to 100, which could be larger than what we take."""
_FORGETS = timedelta(days=6)
"""After a week without updates Telegram counts them anew, from any number."""
_PUSHED = timedelta(minutes=15)
_PAUSE = 0.5
"""Seconds between two questions of which the first had no answer, though it was not held open."""
_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{20,100}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LATER = 30
"""Seconds to wait where Telegram asks for patience and does not say how long."""
_MAX_TOLD = 200


class TelegramSettings(SourceSettings):
    """Which bot to ask, and which chats to take."""

    bot_token: SecretStr = Field(description="Token of the bot, from @BotFather")
    chats: tuple[Annotated[str, Field(pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64})$")], ...] = (
        Field(
            default=(),
            max_length=200,
            description="Chats to take, by their ids or @names; none for all channels and groups",
        )
    )
    private_chats: bool = Field(
        default=False, description="Whether what people write to the bot itself is taken, too"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Any word of yours that you also give to Telegram's setWebhook"
    )
    wait_seconds: int = Field(
        default=50, ge=1, le=50, description="For how many seconds a question is held open"
    )
    interval_seconds: float = Field(
        default=5.0, ge=1, description="How soon to ask again after the first answer, in seconds"
    )
    address: str = Field(
        default=_ADDRESS,
        pattern=r"^https?://[^\s?#]+[^\s?#/]$",
        max_length=1_000,
        description="Address of the Bot API, where a server of your own answers",
    )

    @field_validator("bot_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        written = token.get_secret_value().strip()
        if not _TOKEN.fullmatch(written):
            raise ValueError("must be a number, a colon, and letters and digits")
        return SecretStr(written)

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value().strip():
            return None
        written = secret.get_secret_value().strip()
        if not _SECRET.fullmatch(written):
            raise ValueError("must be letters, digits, _ and - alone, as Telegram wants it")
        return SecretStr(written)


class _IsPushed(SourceBroken):
    """Telegram answers no questions, since it pushes to a webhook."""


@dataclass(frozen=True, slots=True)
class TelegramConnector:
    """Follows a bot's updates. The cursor holds the next one's number, and when it was known."""

    settings: TelegramSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is there, then what comes.

        As long as no cursor was saved nobody has what was yielded: so it ends after the first
        updates, and only the next one who asks confirms them to Telegram.
        """
        wait = 0
        while True:
            begun = time.monotonic()
            offset = _offset(cursor)
            try:
                updates = await self._updates(offset, wait)
            except _IsPushed:
                if self.settings.webhook_secret is None:
                    raise
                yield Page((), cursor, _PUSHED)
                return
            if updates:
                last = max(map(_number, updates))
                cursor = {"offset": last + 1, "at": domain.utc_now().isoformat()}
            document = await asyncio.to_thread(_taken, self.settings, updates)
            yield Page(document.rows, cursor)
            if updates and not offset:
                return
            if wait and not updates and time.monotonic() - begun < _PAUSE:
                await asyncio.sleep(_PAUSE)
            wait = self.settings.wait_seconds

    async def _updates(self, offset: int, wait: int) -> list[Object]:
        """Ask for updates from a number on, which confirms those before it; 0 confirms none."""
        if self.tools.budget is not None:
            self.tools.budget.spend()
        asked = {
            "limit": _LIMIT,
            "timeout": wait,
            "allowed_updates": json.dumps(_TAKEN),
            **({"offset": offset} if offset else {}),
        }
        token = self.settings.bot_token.get_secret_value()
        with translated():
            fetched = await self.tools.outbound.request(
                "GET",
                f"{self.settings.address}/bot{token}/getUpdates?{urlencode(asked)}",
                max_bytes=self.tools.max_bytes,
                deadline=wait + self.tools.deadline,
                is_held=True,
            )
        value = await asyncio.to_thread(_value, fetched)
        found = untyped.mappings(value, "result")
        return [it for it in found if offset <= _number(it)]


def _offset(cursor: Cursor) -> int:
    """Return the number of the next update, 0 where Telegram may have begun to count anew."""
    offset, at = cursor.get("offset", 0), cursor.get("at", "")
    if not at or domain.utc_now() - datetime.fromisoformat(at) > _FORGETS:
        return 0
    return int(offset)


def _number(update: Object) -> int:
    return untyped.count(update, "update_id") or 0


def _value(fetched: Fetched) -> object:
    """Return a good answer, and raise what another means.

    https://core.telegram.org/bots/api#making-requests
    """
    try:
        value = payloads.loads(fetched.body)
    except Unreadable as error:
        check_status(fetched)
        raise SourceBroken(f"Telegram answers with what can't be read: {error}.") from error
    if untyped.is_true(value, "ok") and isinstance(untyped.at(value, "result"), list):
        return value
    _refuse(fetched.status, value)
    check_status(fetched)
    raise SourceBroken("Telegram answers with what are no updates.")


def _refuse(status: int, value: object) -> None:
    """Raise what Telegram itself says of an error; return where it says nothing."""
    told = text.clean_line(untyped.string(value, "description"), _MAX_TOLD)
    if not told:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = untyped.count(value, "parameters", "retry_after") or _LATER
        raise SourceBusy(f"Telegram asks for patience: {told}", retry_after=float(wait))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}:
        raise CredentialsRefused(f"Telegram knows no bot with this token: {told}")
    if status == HTTPStatus.CONFLICT and "webhook" in told:
        raise _IsPushed(f"Telegram pushes to a webhook; give its secret, or delete it: {told}")
    if status == HTTPStatus.CONFLICT:
        raise SourceBroken(f"Another program asks for this bot's updates, too: {told}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise SourceBusy(f"Telegram can't answer now: {told}", retry_after=0.0)
    raise SourceBroken(f"Telegram refuses what was asked: {told}")


def _greet(_: TelegramSettings, __: Mapping[str, str]) -> str:
    raise Forged("Telegram asks nothing at this address.")


def _pushed(settings: TelegramSettings, headers: Mapping[str, str], body: bytes) -> Document:
    """Return what an update says that was pushed. Raises Forged, Unreadable.

    Telegram signs nothing: it repeats a secret that it was given.
    """
    if settings.webhook_secret is None:
        raise Forged("This source has no webhook secret, so updates can't be known as Telegram's.")
    secret = settings.webhook_secret.get_secret_value().encode()
    given = headers.get("x-telegram-bot-api-secret-token", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, secret):
        raise Forged("The webhook's secret is not this source's.")
    update = payloads.loads(body)
    if not isinstance(update, dict) or "update_id" not in update:
        raise Unreadable("no update of Telegram's")
    return _taken(settings, [update])


def _taken(settings: TelegramSettings, updates: Sequence[Object]) -> Document:
    """Return what updates say in the chats that are taken; what is without words is left out."""
    wanted = [it for it in updates if _is_wanted(settings, it)]
    if not wanted:
        return Document(())
    found = payloads.read({"ok": True, "result": wanted}, platform="telegram")
    return Document([row for row in found.rows if _says_something(row)])


def _is_wanted(settings: TelegramSettings, update: Object) -> bool:
    chat = next(filter(None, (untyped.mapping(update, name, "chat") for name in _TAKEN)), None)
    if chat is None:
        return False
    names = {untyped.identifier(chat, "id"), f"@{untyped.string(chat, 'username')}".lower()}
    is_named = not names.isdisjoint(name.lower() for name in settings.chats)
    is_open = untyped.string(chat, "type") in _OPEN
    if not is_open or untyped.is_true(chat, "is_direct_messages"):
        return is_named or settings.private_chats
    return is_named or not settings.chats


def _says_something(row: Row) -> bool:
    return not isinstance(row, ParsedPost) or bool(row.text or row.title)


CONNECTOR = ConnectorKind(
    kind="telegram",
    title="Telegram",
    summary="Follows what is written in the channels and groups that a bot is in",
    settings=TelegramSettings,
    channel=Channel.COMMUNITY,
    open=TelegramConnector,
    stream=True,
    capabilities=frozenset({Capability.LIVE, Capability.REPLIES}),
    hook=Hook(_greet, _pushed),
)
