"""What Facebook and Instagram share: an account's posts and what is said below, polled and pushed.

What is followed is an edge of posts of the Graph API, newest first, each with its comments (newest
first) within it.
"""

import asyncio
import hmac
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from maru_ingest import graph_tokens
from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Forged,
    Page,
    SourceBroken,
    SourceGone,
    Tools,
    is_signed,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Row, Unreadable
from maru_ingest.graph_client import Api, GraphSettings, Nodes, TooMuch, goes_on, in_clear

_LIMITS = (25, 5, 1)
"""Posts of one answer: fewer where Graph says that it would have to gather too much."""
_MANY = 100
_MAX_AGAIN = 20
"""Pages of posts that are known already and are looked at for new comments at most."""
_OVERLAP = timedelta(minutes=5)
"""How late a comment may show below its post, and how far clocks may differ."""
_MAX_CHALLENGE = 1_000
_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")
"""What may become part of an address."""


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
        await graph_tokens.check(api)
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
        await graph_tokens.check(api)
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
                found = within(rows, since, until)
                yield Page(found, {"after": there if is_end else after})
            if not feed.after:
                return
            after = feed.after

    def _api(self) -> Api:
        return Api(self.settings, self.tools, self.shape.title)

    def _since(self, known: datetime | None) -> str:
        if known is None:
            return ""
        days = timedelta(days=self.settings.days)
        return str(int(min(known, datetime.now(UTC) - days).timestamp()))

    def _check_moves(self, found: Nodes, after: object) -> None:
        if found.after and found.after == after:
            raise SourceBroken(f"{self.shape.title} leads in a circle.")

    def _oldest(self, nodes: Sequence[object], default: datetime) -> datetime:
        times = (untyped.moment(node, self.shape.written) for node in nodes)
        return min((time for time in times if time is not None), default=default)

    async def _posts(self, api: Api, asked: Mapping[str, str], after: object) -> Nodes:
        """Return posts with their newest comments."""
        place = {"after": str(after)} if after else {}
        wanted = {"fields": self.shape.post_fields, **asked, **place}
        for limit in _LIMITS[:-1]:
            try:
                return await api.nodes(
                    f"{self.account}/{self.shape.edge}", {**wanted, "limit": str(limit)}
                )
            except TooMuch:
                continue
        least = {**wanted, "limit": str(_LIMITS[-1])}
        return await api.nodes(f"{self.account}/{self.shape.edge}", least)

    async def _batches(
        self, api: Api, posts: Sequence[object], known: datetime | None
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
        self, api: Api, above: str, edge: str, after: str, known: datetime
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


def greet(settings: GraphSettings, asked: Mapping[str, str]) -> str:
    """Return the challenge of Meta's question whether it may push.

    Raises Forged when the verify token is another, or the source has none
    (https://developers.facebook.com/docs/graph-api/webhooks/getting-started).
    """
    token = in_clear(settings.verify_token).encode()
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
    secret = in_clear(settings.app_secret)
    if not secret:
        raise Forged("This source has no app secret, so webhooks can't be known to be Meta's.")
    if not is_signed(body, secret, headers.get("x-hub-signature-256", "")):
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
            if _ID.fullmatch(name) and (after := goes_on(untyped.mapping(node, edge))):
                rest.append((name, edge, after, inner))
            waiting += [(each, name) for each in inner]
        flat.append(alone)
    return flat, rest


async def _with_end(batches: AsyncIterator[list[Row]]) -> AsyncIterator[tuple[list[Row], bool]]:
    """Yield each batch, and whether it is the last."""
    held: list[Row] | None = None
    async for rows in batches:
        if held is not None:
            yield held, False
        held = rows
    if held is not None:
        yield held, True


def _stored(moment: object) -> datetime | None:
    return datetime.fromisoformat(moment) if isinstance(moment, str) and moment else None
