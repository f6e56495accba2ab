"""Meta's Graph API, as Facebook and Instagram share it: asking, its limits and errors, pushes.

What is followed is an edge of posts, newest first, each with its comments (newest first) within it.
The places in it are cursors that the API names; they are never taken out of a `next` address, which
could lead elsewhere (https://developers.facebook.com/docs/graph-api/results).
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Forged,
    Page,
    SourceBroken,
    SourceBusy,
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Row, Unreadable
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Fetched

_WRITTEN = re.compile(r"[!-~]{1,1000}")
_LIMITS = (25, 5, 1)
"""Posts of one answer: fewer where Graph says that it would have to gather too much."""
_MANY = 100
_MAX_AGAIN = 20
"""Pages of posts that are known already and are looked at for new comments at most."""
_OVERLAP = timedelta(minutes=5)
"""How late a comment may show below its post, and how far clocks may differ."""
_FULL = 90
"""Of a hundred parts of what may be asked; beyond them the next look waits."""
_WAIT = 300.0
_MAX_WAIT = 86_400.0
_MINUTE = 60.0
_MAX_CHALLENGE = 1_000
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
    interval_seconds: float = Field(
        default=900.0, ge=1, description="How often to look, in seconds"
    )
    version: str = Field(
        default="v24.0", pattern=r"^v\d{1,3}\.\d{1,2}$", description="Version of the Graph API"
    )
    address: str = Field(
        default="https://graph.facebook.com",
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the API, where a proxy stands before it",
    )

    @field_validator("access_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        written = token.get_secret_value().strip()
        if not _WRITTEN.fullmatch(written):
            raise ValueError("must be letters, digits and signs without spaces")
        return SecretStr(written)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a platform writes posts: its names of edges and fields.

    `comments` is what to ask of comments on the edge of a post. `words` are the fields one of which
    is what somebody said, and `written` is the time of that.
    """

    platform: str
    title: str
    edge: str
    post_fields: str
    comment_fields: str
    comments: Mapping[str, str]
    words: Sequence[str]
    written: str


@dataclass(frozen=True, slots=True)
class _Nodes:
    """A part of an edge, where it goes on (empty at its end), and the host's time."""

    nodes: list[object]
    after: str
    now: datetime


class _TooMuch(SourceBusy):
    """Graph would have to gather too much for one answer."""


@dataclass(slots=True)
class _Api:
    """Asks. `pause` is for how many seconds it does not any more, since little is left."""

    settings: GraphSettings
    tools: Tools
    title: str
    pause: float = 0.0

    async def nodes(self, path: str, asked: Mapping[str, str]) -> _Nodes:
        """Return a part of an edge. Raises what the answer's error means."""
        if self.pause:
            raise SourceBusy(
                f"Most of what {self.title} lets us ask is used up.", retry_after=self.pause
            )
        if self.tools.budget is not None:
            self.tools.budget.spend()
        token = self.settings.access_token.get_secret_value()
        secret = _told(self.settings.app_secret)
        proof = {"appsecret_proof": _hmac(secret, token.encode())} if secret else {}
        with translated():
            fetched = await self.tools.outbound.get(
                f"{self.settings.address}/{self.settings.version}/{path}"
                f"?{urlencode({**asked, **proof})}",
                headers={"Authorization": f"Bearer {token}"},
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        self.pause = _pause(fetched.headers)
        value = await self._value(fetched)
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise SourceBroken(f"{self.title} answers with what is no list of posts.")
        return _Nodes(value["data"], _after(value), _now(fetched.headers))

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


@dataclass(frozen=True, slots=True)
class GraphConnector:
    """Follows the posts of `account` and what is said below them.

    The cursor holds `mark`, up to when all is known, and during a look the place (`look`) in the
    posts where it goes on after a break, in the same words in which it was begun.
    """

    settings: GraphSettings
    tools: Tools
    shape: Shape
    account: str

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield the posts of the last days with what is new below them.

        Without a mark: the newest posts, with the newest comments of each.
        """
        api = self._api()
        mark = _stored(cursor.get("mark"))
        look: Mapping[str, Any] = cursor.get("look") or {}
        known = mark - _OVERLAP if mark else None
        is_resumed = bool(look.get("after"))
        again = 0
        while True:
            since = look.get("since") or self._since(known)
            try:
                feed = await self._posts(api, {"since": since} if since else {}, look.get("after"))
            except (CredentialsRefused, SourceGone):
                raise
            except SourceBroken:
                if not is_resumed:
                    raise
                look, is_resumed = {}, False  # stored places may be lost: look anew
                continue
            is_resumed = False
            self._check_moves(feed, look.get("after"))
            started = look.get("started") or feed.now.isoformat()
            here = {"mark": cursor.get("mark"), "look": look}
            again += 1 if known and self._oldest(feed.nodes, known) < known else 0
            is_last = not feed.after or known is None or again >= _MAX_AGAIN
            look = {"since": since, "started": started, "after": feed.after}
            there = {"mark": started} if is_last else {"mark": cursor.get("mark"), "look": look}
            async for rows, is_end in _with_end(self._batches(api, feed.nodes, known)):
                wait = timedelta(seconds=api.pause) if is_last and is_end and api.pause else None
                yield Page(rows, there if is_end else here, wait)
            if is_last:
                return

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range: posts, and comments below posts of the days before."""
        api = self._api()
        asked = {
            "since": str(int((since - timedelta(days=self.settings.days)).timestamp())),
            "until": str(int(until.timestamp()) + 1),
        }
        after = str(cursor.get("after", ""))
        while True:
            feed = await self._posts(api, asked, after)
            self._check_moves(feed, after)
            there = feed.after or after
            async for rows, is_end in _with_end(self._batches(api, feed.nodes, since)):
                found = [row for row in rows if _is_within(row, since, until)]
                yield Page(found, {"after": there if is_end else after})
            if not feed.after:
                return
            after = feed.after

    def _api(self) -> _Api:
        return _Api(self.settings, self.tools, self.shape.title)

    def _since(self, known: datetime | None) -> str:
        if known is None:
            return ""
        days = timedelta(days=self.settings.days)
        return str(int(min(known, datetime.now(UTC) - days).timestamp()))

    def _check_moves(self, found: _Nodes, after: object) -> None:
        if found.after and found.after == after:
            raise SourceBroken(f"{self.shape.title} leads in a circle.")

    def _oldest(self, nodes: Sequence[object], default: datetime) -> datetime:
        times = (untyped.moment(node, self.shape.written) for node in nodes)
        return min((time for time in times if time is not None), default=default)

    async def _posts(self, api: _Api, asked: Mapping[str, str], after: object) -> _Nodes:
        """Return posts with their newest comments."""
        place = {"after": str(after)} if after else {}
        wanted = {"fields": self.shape.post_fields, **asked, **place}
        for limit in _LIMITS[:-1]:
            try:
                return await api.nodes(
                    f"{self.account}/{self.shape.edge}", {**wanted, "limit": str(limit)}
                )
            except _TooMuch:
                continue
        least = {**wanted, "limit": str(_LIMITS[-1])}
        return await api.nodes(f"{self.account}/{self.shape.edge}", least)

    async def _batches(
        self, api: _Api, posts: Sequence[object], known: datetime | None
    ) -> AsyncIterator[list[Row]]:
        """Yield the rows of posts, then of those comments that did not come with them."""
        nodes, rest = _flat(posts)
        yield await asyncio.to_thread(self._rows, nodes)
        while rest and known is not None:
            above, edge, after, oldest = rest.pop(0)
            if edge == "comments" and (self._oldest(oldest, known) < known):
                continue
            async for more in self._comments(api, above, edge, after, known):
                nodes, deeper = _flat(more, above)
                rest += deeper
                yield await asyncio.to_thread(self._rows, nodes)

    async def _comments(
        self, api: _Api, above: str, edge: str, after: str, known: datetime
    ) -> AsyncIterator[list[object]]:
        """Yield the further comments below something, back to what is known."""
        wanted = {"fields": self.shape.comment_fields, "limit": str(_MANY)}
        if edge == "comments":
            wanted |= self.shape.comments
        while after:
            try:
                page = await api.nodes(f"{above}/{edge}", {**wanted, "after": after})
            except SourceGone:  # it was deleted meanwhile
                return
            self._check_moves(page, after)
            yield page.nodes
            reached = edge == "comments" and self._oldest(page.nodes, known) < known
            after = "" if reached else page.after

    def _rows(self, nodes: Sequence[object]) -> list[Row]:
        """Return the rows of posts and comments; what has no words is none."""
        said = [node for node in nodes if not self._is_silent(node)]
        if not said:
            return []
        try:
            found = payloads.read({"data": said}, platform=self.shape.platform).rows
        except Unreadable as error:
            return [
                BadRow(number, str(error), untyped.original(node))
                for number, node in enumerate(said, start=1)
            ]
        return list(found)

    def _is_silent(self, node: object) -> bool:
        is_one = bool(untyped.identifier(node, "id"))
        return is_one and not any(untyped.string(node, name) for name in self.shape.words)


def greet(settings: SourceSettings, asked: Mapping[str, str]) -> str:
    """Return the challenge of Meta's question whether it may push.

    Raises Forged when the verify token is another, or the source has none
    (https://developers.facebook.com/docs/graph-api/webhooks/getting-started).
    """
    token = _told(cast("GraphSettings", settings).verify_token).encode()
    given = asked.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    challenge = asked.get("hub.challenge", "")
    is_known = bool(token) and hmac.compare_digest(given, token)
    if asked.get("hub.mode") != "subscribe" or not is_known or len(challenge) > _MAX_CHALLENGE:
        raise Forged("The verify token is not this source's.")
    return challenge


def pushed(
    settings: GraphSettings, account: str, platform: str, headers: Mapping[str, str], body: bytes
) -> Document:
    """Return what a webhook of Meta says of one account. Raises Forged, Unreadable.

    Links to pictures are left out, as they are in what is polled: they change all the time.
    """
    secret = _told(settings.app_secret)
    given = headers.get("x-hub-signature-256", "").encode("utf-8", "surrogatepass")
    if not secret:
        raise Forged("This source has no app secret, so webhooks can't be known to be Meta's.")
    if not hmac.compare_digest(given, f"sha256={_hmac(secret, body)}".encode()):
        raise Forged("The webhook's signature is not good.")
    value = payloads.loads(body)
    if not untyped.has(value, "object", "entry"):
        raise Unreadable("no webhook of Meta's")
    entries = untyped.mappings(value, "entry")
    own = [entry for entry in entries if untyped.identifier(entry, "id") == account]
    told = {"object": untyped.at(value, "object"), "entry": own}
    found = payloads.read(told, platform=platform)
    rows = [replace(row, media=()) if isinstance(row, ParsedPost) else row for row in found.rows]
    return replace(found, rows=rows)


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _flat(
    nodes: Sequence[object], above: str = ""
) -> tuple[list[object], list[tuple[str, str, str, list[object]]]]:
    """Return nodes and those within them side by side, the last first, and which edges go on.

    Times are in whole seconds, so that of two posts of one second their order alone says more.
    An edge that goes on is what it is of, its name, the place, and what came of it.
    """
    flat: list[object] = []
    rest: list[tuple[str, str, str, list[object]]] = []
    waiting = [(node, above) for node in nodes]
    while waiting:
        node, parent = waiting.pop()
        if not isinstance(node, dict):
            flat.append(node)
            continue
        name = untyped.identifier(node, "id")
        alone = {**node, "maru_parent": parent} if parent else dict(node)
        for edge in ("comments", "replies"):
            inner = untyped.sequence(node, edge, "data")
            if edge in node:
                alone[edge] = {"summary": untyped.mapping(node, edge, "summary")}
            if name and (after := _after(untyped.mapping(node, edge))):
                rest.append((name, edge, after, inner))
            waiting += [(each, name) for each in inner]
        flat.append(alone)
    return flat, rest


def _after(answer: Object) -> str:
    """Return where an edge goes on: the cursor, if there is a next part at all."""
    has_next = bool(untyped.string(answer, "paging", "next"))
    return untyped.string(answer, "paging", "cursors", "after") if has_next else ""


async def _with_end(batches: AsyncIterator[list[Row]]) -> AsyncIterator[tuple[list[Row], bool]]:
    """Yield each batch, and whether it is the last."""
    held: list[Row] | None = None
    async for rows in batches:
        if held is not None:
            yield held, False
        held = rows
    if held is not None:
        yield held, True


def _is_within(row: Row, since: datetime, until: datetime) -> bool:
    if not isinstance(row, ParsedPost):
        return True
    return row.created_at is not None and since <= row.created_at < until


def _stored(moment: object) -> datetime | None:
    return datetime.fromisoformat(moment) if isinstance(moment, str) and moment else None


def _now(headers: Mapping[str, str]) -> datetime:
    """Return the host's time, which is that of its posts."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, IndexError):
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
        raise _TooMuch(f"{title} has too much to tell at once: {said}", retry_after=_WAIT)
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
