"""How to ask Meta's Graph API: its settings, its limits, and what its errors mean.

An answer goes on at a cursor that it names, which is never taken out of a `next` address: that
could lead elsewhere (https://developers.facebook.com/docs/graph-api/results).
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_ingest.connector import (
    ApiAddress,
    CredentialsRefused,
    Interval,
    SourceBroken,
    SourceBusy,
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import Unreadable
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Fetched

_WRITTEN = re.compile(r"[!-~]{1,1000}")
_FULL = 90
"""Of a hundred parts of what may be asked; beyond them the next look waits."""
_WAIT = 300.0
_MAX_WAIT = 86_400.0
_MINUTE = 60.0
_MAX_TOLD = 200

_TEMPORARY = {1, 2}
_TOO_MANY = {4, 17, 32, 341, 368, 613, *range(80_000, 80_015)}
_TOKEN = {102, 190}
_PERMISSION = {3, 10, *range(200, 300)}
_UNKNOWN = {803}
_ODD = 100
_GONE_SUBCODE = 33
_WHY = {
    458: "the app was removed from the account",
    459: "Facebook wants its owner to log in at facebook.com",
    460: "its owner's password was changed",
    463: "it has expired",
    464: "its owner has to confirm the account",
    467: "it was withdrawn",
    492: "its owner has no role on the page any more",
}
"""Subcodes of errors about tokens (https://developers.facebook.com/docs/graph-api/guides/error-handling)."""


class GraphSettings(SourceSettings):
    """How to ask, and how to know that what is pushed comes from Meta."""

    access_token: SecretStr = Field(min_length=1, description="Access token of the page")
    app_secret: SecretStr | None = Field(
        default=None,
        description="Secret of the app: proves each request, and tells that webhooks are Meta's",
    )
    verify_token: SecretStr | None = Field(
        default=None,
        description="Any words of yours that you also give to the app for its webhook",
    )
    days: int = Field(
        default=14, ge=1, le=90, description="For how many days a post is looked at for comments"
    )
    interval_seconds: Interval = 900.0
    version: str = Field(
        default="v24.0", pattern=r"^v\d{1,3}\.\d{1,2}$", description="Version of the Graph API"
    )
    address: ApiAddress = "https://graph.facebook.com"

    @field_validator("access_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        written = token.get_secret_value().strip()
        if not _WRITTEN.fullmatch(written):
            raise ValueError("must be letters, digits and signs without spaces")
        return SecretStr(written)


@dataclass(frozen=True, slots=True)
class Nodes:
    """A part of an edge, where it goes on (empty at its end), and the host's time."""

    nodes: list[object]
    after: str
    now: datetime


class TooMuch(SourceBusy):
    """Graph would have to gather too much for one answer."""


@dataclass(slots=True)
class Api:
    """Asks with `token`, that of the settings unless there is a newer one.

    `pause` is for how many seconds it does not any more, since little is left; `now` is the time of
    its last answer, by the host's clock.
    """

    settings: GraphSettings
    tools: Tools
    title: str
    token: str = field(default="", repr=False)
    pause: float = 0.0
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.token = self.token or self.settings.access_token.get_secret_value()

    async def nodes(self, path: str, asked: Mapping[str, str]) -> Nodes:
        """Return a part of an edge. Raises what the answer's error means."""
        value = await self.ask(f"{self.settings.version}/{path}", asked)
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise SourceBroken(f"{self.title} answers with what is no list of posts.")
        return Nodes(value["data"], goes_on(value), self.now)

    async def ask(self, path: str, asked: Mapping[str, str], token: str = "") -> object:
        """Return an answer that is no error; `token` is for asking with another than its own."""
        if self.pause:
            raise SourceBusy(
                f"Most of what {self.title} lets us ask is used up.", retry_after=self.pause
            )
        if self.tools.budget is not None:
            self.tools.budget.spend()
        token = token or self.token
        secret = in_clear(self.settings.app_secret)
        proof = {"appsecret_proof": sign(secret, token.encode())} if secret else {}
        with translated():
            fetched = await self.tools.outbound.get(
                f"{self.settings.address}/{path}?{urlencode({**asked, **proof})}",
                headers={"Authorization": f"Bearer {token}"},
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        self.pause, self.now = _pause(fetched.headers), _now(fetched.headers)
        return await self._value(fetched)

    async def _value(self, fetched: Fetched) -> object:
        try:
            value = await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            check_status(fetched)
            raise SourceBroken(f"{self.title} answers with what can't be read: {error}.") from error
        if untyped.mapping(value, "error"):
            _refuse(self.title, value, self.pause)
        check_status(fetched)
        return value


def in_clear(secret: SecretStr | None) -> str:
    """Return a secret's words, none for none."""
    return secret.get_secret_value() if secret else ""


def sign(secret: str, signed: bytes) -> str:
    """Return Meta's signature under an app's secret: HMAC-SHA256 in hex."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def goes_on(answer: Object) -> str:
    """Return where an edge goes on: the cursor, if there is a next part at all."""
    has_next = bool(untyped.string(answer, "paging", "next"))
    return untyped.string(answer, "paging", "cursors", "after") if has_next else ""


def _now(headers: Mapping[str, str]) -> datetime:
    """Return the host's time, which is that of its posts."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, IndexError, OverflowError):
        return datetime.now(UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _pause(headers: Mapping[str, str]) -> float:
    """Return for how many seconds not to ask, by how much of what we may is used up.

    https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    """
    told: list[Object] = []
    for name in ("x-app-usage", "x-page-usage", "x-business-use-case-usage"):
        try:
            value = payloads.loads(headers.get(name, "{}").encode())
        except Unreadable:
            continue
        told.append(untyped.mapping(value))
        if isinstance(value, dict):
            told += [one for each in value for one in untyped.mappings(value, each)]
    waits = [_wait(one) for one in told]
    return min(max(waits, default=0.0), _MAX_WAIT)


def _wait(usage: Object) -> float:
    regained = untyped.count(usage, "estimated_time_to_regain_access") or 0
    parts = ("call_count", "total_time", "total_cputime")
    is_full = any(_number(usage.get(part)) > _FULL for part in parts)
    return regained * _MINUTE or (_WAIT if is_full else 0.0)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0


def _refuse(title: str, value: object, pause: float) -> None:
    """Raise what an error of the Graph API means.

    https://developers.facebook.com/docs/graph-api/guides/error-handling
    """
    code, subcode = (untyped.count(value, "error", name) for name in ("code", "error_subcode"))
    told = text.clean_line(untyped.string(value, "error", "message"), _MAX_TOLD)
    said = f"{told} (error {code})" if told else f"error {code}"
    if code in _TEMPORARY and "reduce the amount of data" in told:
        raise TooMuch(f"{title} has too much to tell at once: {said}", retry_after=_WAIT)
    if code in _TEMPORARY:
        raise SourceBusy(f"{title} can't answer now: {said}")
    if code in _TOO_MANY:
        raise SourceBusy(f"{title} asks for patience: {said}", retry_after=pause or _WAIT)
    if code in _TOKEN:
        why = f", because {_WHY[subcode]}" if subcode in _WHY else ""
        raise CredentialsRefused(f"{title} does not take the access token{why}: {said}")
    if code in _PERMISSION:
        raise CredentialsRefused(f"The access token lacks a permission or a role: {said}")
    if code in _UNKNOWN or (code == _ODD and subcode == _GONE_SUBCODE):
        raise SourceGone(f"{title} knows no such page or post, or does not show it: {said}")
    if code is not None:
        raise SourceBroken(f"{title} refuses what was asked: {said}")
