"""X (Twitter), by its API v2: what a query finds, by recent search or by the filtered stream.

**What to set up.** On <https://developer.x.com> make a project and an app in it, open the app's
*Keys and tokens* and generate its *Bearer Token* (App-only authentication; it needs no scopes and
no callback). The app must be attached to the project, or X answers 403 (*client-not-enrolled*).
The query has X's own syntax, such as `(maru OR #마루) lang:ko -is:retweet`; try it in X's query
builder. It may have 512 characters, with a higher access level more.

**How it works.** Without `live` the search of the last seven days is asked every
`interval_seconds` for what is newer than the newest post that is known (`since_id`), page by page
backwards. With `live` the app gets a rule of the query, the filtered stream is opened, then the
search brings what was missed, and again a minute later, since a new rule takes a while to work and
the search lags behind by half a minute. When the stream breaks off, that begins anew. Where it is
refused (403: it needs a higher access level) or taken (429), the source says so, and the search
is asked all the same whenever the stream is tried again, which is once an hour at least.

**One stream for each app.** X allows an app one connection, so only one source with `live` can use
a token; give other sources tokens of other apps, or turn their `live` off. The rule that a source
made is deleted when its query changes, and stays when the source is removed: it costs nothing
while no stream is open. Rules that others made for the same app are left alone.

**Edits** have ids of their own on X; here they are the next revision of the post as it was first
written. The search shows the latest version alone. **Deletions** are not noticed: neither search
nor stream tells of them (X tells them by its compliance jobs), so a post that is deleted on X stays
in Maru as yet. Likes and other counts are those of the moment at which a post was read.

**Limits.** A page has 100 posts. How many requests there are in 15 minutes depends on the access
level; X tells the rest in `x-rate-limit-*`, which is kept, for all that the token asks. Each post
that is read counts towards the monthly cap of the project, once a day however often it is read;
when the cap is reached, the source is throttled and asks again every hour. A look back
(`backfill`) reaches seven days back; of a longer range it brings what is left of it, and of one
that ended earlier it says that it is out of reach. What a source misses while it stands still
for more than seven days is lost to it.

API: <https://docs.x.com/x-api/posts/search/introduction>,
<https://docs.x.com/x-api/posts/filtered-stream/introduction>,
<https://docs.x.com/x-api/fundamentals/edit-posts>,
<https://docs.x.com/x-api/fundamentals/rate-limits>.
"""

import asyncio
import hashlib
import json
import math
import re
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    ApiAddress,
    Capability,
    ConnectorKind,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    batched,
    check_status,
    translated,
    within,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, Row, Unreadable
from maru_kit.outbound import Fetched, Lines, OutboundError

_ADDRESS = "https://api.x.com"
_SEARCH = "/2/tweets/search/recent"
_STREAM = "/2/tweets/search/stream"
_RULES = "/2/tweets/search/stream/rules"
_FIELDS = {
    "tweet.fields": "attachments,author_id,conversation_id,created_at,edit_history_tweet_ids,"
    "entities,in_reply_to_user_id,lang,note_tweet,public_metrics,referenced_tweets",
    "expansions": "attachments.media_keys,attachments.poll_ids,author_id,referenced_tweets.id",
    "user.fields": "name,protected,public_metrics,username",
    "media.fields": "alt_text,preview_image_url,type,url,variants",
    "poll.fields": "options",
}
_TAG = "maru "
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ID = re.compile(r"[0-9]{1,19}")
_PAGE_TOKEN = re.compile(r"[\w.-]{1,1000}", re.ASCII)
_MAX_TOLD = 300

_LIMIT = 100
_REACH = timedelta(days=7) - timedelta(minutes=1)
_LAG = timedelta(seconds=30)
"""How far the search is behind; it refuses to be asked for later posts by an id."""
_AGAIN = timedelta(minutes=1)
"""What is read again each time, for posts that the search learns of late."""
_CLOCK_SKEW = timedelta(minutes=10)
_MOST_EMPTY = 10
"""Pages without posts that are borne in a row: X gives some before it finds more."""
_CAP_WAIT = 3_600.0
_TAKEN_WAIT = 60.0
"""Seconds until the stream is tried again that X says is taken, maybe by our own last one."""

_MAX_LINE = 512 * 1024
_ERROR_SIZE = 64 * 1024
_WAITING = 16
_SIGN_OF_LIFE = 60.0
_SILENCE = 50.0
"""Seconds after which a stream counts as dead; X sends an empty line every 20."""
_SETTLING = 60.0
_BRIEF = 30.0
_MOST_BRIEF = 3

_FIRST_MILLISECOND = 1_288_834_974_657
_TIME_SHIFT = 22


class XSettings(SourceSettings):
    """What to look for, and who asks."""

    bearer_token: SecretStr = Field(description="The Bearer Token of an app on developer.x.com")
    query: str = Field(
        max_length=4_096, description="What to look for, in the syntax of X's search"
    )
    live: bool = Field(
        default=False,
        description="Get posts as they are written, by the filtered stream, of which an app has "
        "one and which needs a higher access level",
    )
    interval_seconds: float = Field(
        default=900.0, ge=1, description="How often to search, in seconds, where it is not live"
    )
    address: ApiAddress = _ADDRESS

    @field_validator("bearer_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        written = token.get_secret_value().strip().removeprefix("Bearer ")
        if not _TOKEN.fullmatch(written):
            raise ValueError("must be letters, digits and signs without spaces")
        return SecretStr(written)

    @field_validator("query")
    @classmethod
    def _says_something(cls, query: str) -> str:
        if not query.strip():
            raise ValueError("must say what to look for")
        return query.strip()

    @field_validator("address")
    @classmethod
    def _is_bare(cls, address: str) -> str:
        return address.rstrip("/")


@dataclass(slots=True)
class _Place:
    """How far posts are known, by their ids, which are in the order of their times.

    All up to `since` are. While what came later is read, from the newest one backwards, `newest`
    is where that began and `until` how far down it got; `rule` is the stream's that we made.
    """

    since: int = 0
    until: int = 0
    newest: int = 0
    rule: str = ""

    @classmethod
    def of(cls, cursor: Cursor) -> "_Place":
        since, until, newest = (int(cursor.get(name, 0)) for name in ("since", "until", "newest"))
        return cls(since, until, newest, str(cursor.get("rule", "")))

    def cursor(self) -> Cursor:
        """Return the place as it is stored; ids are strings, since JSON has no such numbers."""
        ids = {"since": self.since, "until": self.until, "newest": self.newest}
        kept = {name: str(value) for name, value in ids.items() if value}
        return {**kept, "rule": self.rule} if self.rule else kept

    def reach(self, ids: Iterable[int]) -> None:
        """Know all up to the newest of these, but none that are from the future."""
        now = id_at(datetime.now(UTC) + _CLOCK_SKEW)
        self.since = max([self.since, *(name for name in ids if name <= now)])

    def turn(self, ids: Sequence[int], *, is_last: bool) -> None:
        """Note a page of what came later."""
        self.newest = max([self.newest, *ids])
        if not is_last:
            self.until = min(ids, default=self.until)
            return
        self.reach([self.newest])
        self.since = self.since or id_at(datetime.now(UTC) - _CLOCK_SKEW)
        self.until = self.newest = 0


@dataclass(slots=True)
class _Stream:
    """A stream's lines that hold something, ending with None; when it began, why X ended it."""

    said: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_WAITING))
    began: float = field(default_factory=time.monotonic)
    told: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of a search: its rows, its posts' ids, and the token of the page before it."""

    rows: Sequence[Row]
    ids: Sequence[int]
    token: str


@dataclass(frozen=True, slots=True)
class XConnector:
    """Follows what a query finds."""

    settings: XSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Catch up; then listen, where that is wanted."""
        place = _Place.of(cursor)
        if not self.settings.live:
            async with aclosing(self._missed(place)) as pages:
                async for page in pages:
                    yield page
            return
        brief, stream = 0, _Stream()
        while brief < _MOST_BRIEF:
            await asyncio.sleep(brief)
            stream = _Stream()
            async with aclosing(self._followed(place, stream)) as pages:
                async for page in pages:
                    yield page
            brief = brief + 1 if time.monotonic() - stream.began < _BRIEF else 0
        told = f": {stream.told}" if stream.told else ""
        raise SourceBroken(f"X broke the stream off {brief} times in a row{told}.")

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts of a range, newest page first.

        By ids, which tell times: a search by times cannot go on from an id.
        """
        after, oldest = id_at(since) - 1, id_at(datetime.now(UTC) - _REACH)
        before = int(cursor.get("until", 0)) or id_at(until)
        if before <= oldest:
            raise SourceBroken("X's search reaches no further back than seven days.")
        latest = id_at(datetime.now(UTC) - _LAG)
        async with aclosing(
            self._search(max(after, oldest), before if before < latest else 0)
        ) as answers:
            async for answer in answers:
                before = min([before, *answer.ids])
                rows = within(answer.rows, since, until)
                yield Page(rows, {"until": str(before)})

    async def _missed(self, place: _Place) -> AsyncGenerator[Page, None]:
        """Yield what came since the last look, or the newest page if there was none."""
        is_resumed = bool(place.until)
        is_first = not place.since and not is_resumed
        oldest = id_at(datetime.now(UTC) - _REACH)
        known = max(place.since - (int(_AGAIN.total_seconds() * 1000) << _TIME_SHIFT), oldest)
        if place.until <= oldest:  # what was left to read has gone meanwhile
            place.until = 0
        async with aclosing(self._search(0 if is_first else known, place.until)) as answers:
            async for answer in answers:
                is_last = is_first or not answer.token
                place.turn(answer.ids, is_last=is_last)
                yield Page(answer.rows, place.cursor())
                if is_last:
                    break
        if is_resumed:
            async with aclosing(self._missed(place)) as rest:
                async for page in rest:
                    yield page

    async def _followed(self, place: _Place, stream: _Stream) -> AsyncGenerator[Page, None]:
        """Open the stream, catch up, and listen until the stream ends."""
        async with AsyncExitStack() as opened:
            refusal: SourceBusy | SourceBroken | None = None
            try:
                await self._listen(place, stream, opened)
            except (SourceBusy, SourceBroken) as error:
                refusal = error  # the search may answer all the same
            async with aclosing(self._missed(place)) as missed:
                async for page in missed:
                    yield page
            if refusal is not None:
                raise refusal
            async with aclosing(self._heard(place, stream)) as heard_pages:
                async for page in heard_pages:
                    yield page

    async def _heard(self, place: _Place, stream: _Stream) -> AsyncGenerator[Page, None]:
        """Yield what the stream says; the place waits until all from before it is there."""
        is_settled = False
        while True:
            lines = await batched(stream.said, silence=_SIGN_OF_LIFE)
            rows, ids, stream.told = await asyncio.to_thread(heard, lines, place.rule)
            if is_settled:
                place.reach(ids)
            yield Page(rows, place.cursor())
            if None in lines or stream.told:
                return
            if not is_settled and time.monotonic() >= stream.began + _SETTLING:
                async with aclosing(self._missed(place)) as missed:
                    async for page in missed:
                        yield page
                is_settled = True

    async def _search(self, after: int, before: int) -> AsyncGenerator[_Answer, None]:
        """Yield pages of posts between two ids, newest first; 0 is no bound."""
        bounds = {"since_id": after, "until_id": before}
        asked = {name: str(value) for name, value in bounds.items() if value}
        lowest, empty, token = before or id_at(datetime.max.replace(tzinfo=UTC)), 0, ""
        while True:
            wanted = {"query": self.settings.query, "max_results": str(_LIMIT), **asked, **_FIELDS}
            body = await self._ask(_SEARCH, {**wanted, **({"next_token": token} if token else {})})
            answer = await asyncio.to_thread(read, body)
            empty = 0 if answer.ids else empty + 1
            if empty > _MOST_EMPTY or min(answer.ids, default=lowest - 1) >= lowest:
                raise SourceBroken("X's pages of posts lead nowhere.")
            lowest = min(answer.ids, default=lowest)
            yield answer
            if not answer.token:
                return
            token = answer.token

    async def _listen(self, place: _Place, stream: _Stream, opened: AsyncExitStack) -> None:
        """Open the stream until `opened` is closed."""
        place.rule = await self._rule(place.rule)
        lines = await self._stream(opened)
        stream.began = time.monotonic()
        pump = asyncio.create_task(_pump(lines, stream.said))

        async def stop() -> None:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

        opened.push_async_callback(stop)

    async def _stream(self, opened: AsyncExitStack) -> Lines:
        url = f"{self.settings.address}{_STREAM}?{urlencode(_FIELDS)}"
        self._spend()
        try:
            async with asyncio.timeout(self.tools.deadline):
                with translated():
                    lines = await opened.enter_async_context(
                        self.tools.outbound.lines(
                            url,
                            headers=self._headers(),
                            idle_seconds=_SILENCE,
                            max_line=_MAX_LINE,
                        )
                    )
                    if lines.status != HTTPStatus.OK:
                        body = await _begun(lines)
                        fetched = Fetched(lines.status, lines.headers, body, url, lines.retry_after)
                        self._check(fetched)
                        raise SourceBroken(f"X answers {lines.status} in place of a stream.")
        except TimeoutError as error:
            wait = f"{self.tools.deadline:g} s"
            raise SourceBroken(f"X did not open the stream within {wait}.") from error
        return lines

    async def _rule(self, former: str) -> str:
        """Return the id of the rule of our query, which is made if there is none.

        The one that we made `former`ly, of another query, goes.
        """
        query = self.settings.query
        there = untyped.mappings(_loaded(await self._ask(_RULES, {})), "data")
        ours = [
            untyped.identifier(it, "id") for it in there if untyped.string(it, "value") == query
        ]
        name = ours[0] if ours else await self._new_rule()
        stale = [
            former
            for it in there
            if former == untyped.identifier(it, "id") != name
            and untyped.string(it, "tag").startswith(_TAG)
        ]
        if stale:
            await self._ask(_RULES, {}, {"delete": {"ids": stale}})
        return name

    async def _new_rule(self) -> str:
        query = self.settings.query
        tag = _TAG + hashlib.blake2b(query.encode("utf-8", "replace"), digest_size=8).hexdigest()
        made = _loaded(await self._ask(_RULES, {}, {"add": [{"value": query, "tag": tag}]}))
        twins = [
            it for it in untyped.mappings(made, "errors") if it.get("title") == "DuplicateRule"
        ]
        for rule in (*untyped.mappings(made, "data"), *twins):
            if name := untyped.identifier(rule, "id"):
                return name
        told = _told(made)
        raise SourceBroken(f"X makes no rule of the query{told and ': '}{told}.")

    async def _ask(
        self, path: str, asked: dict[str, str], sent: dict[str, object] | None = None
    ) -> bytes:
        self._spend()
        kind = {"Content-Type": "application/json"} if sent is not None else {}
        with translated():
            fetched = await self.tools.outbound.request(
                "GET" if sent is None else "POST",
                f"{self.settings.address}{path}{'?' if asked else ''}{urlencode(asked)}",
                headers={**self._headers(), **kind},
                body=b"" if sent is None else json.dumps(sent).encode(),
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        self._check(fetched)
        return fetched.body

    def _check(self, fetched: Fetched) -> None:
        """Raise what an answer says that is none (https://docs.x.com/x-api/fundamentals/errors)."""
        if fetched.status < HTTPStatus.BAD_REQUEST:
            check_status(fetched)
            return
        value: object = None
        with suppress(Unreadable):
            value = payloads.loads(fetched.body)
        told = _told(value)
        if untyped.string(value, "title") == "UsageCapExceeded":
            raise SourceBusy(f"X gives this project no more posts: {told}.", retry_after=_CAP_WAIT)
        if fetched.status == HTTPStatus.TOO_MANY_REQUESTS and untyped.has(
            value, "connection_issue"
        ):
            raise SourceBusy(
                f"Somebody else listens with this app's one stream: {told}.",
                retry_after=max(fetched.retry_after or 0.0, _TAKEN_WAIT),
            )
        if fetched.status == HTTPStatus.BAD_REQUEST and told:
            raise SourceBroken(f"X does not take what it is asked: {told}.")
        check_status(fetched)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.settings.bearer_token.get_secret_value()}"}

    def _spend(self) -> None:
        if self.tools.budget is not None:
            self.tools.budget.spend()


def id_at(moment: datetime) -> int:
    """Return the lowest id of a post of this moment: milliseconds, and 22 bits more."""
    return max(math.ceil(moment.timestamp() * 1000) - _FIRST_MILLISECOND, 0) << _TIME_SHIFT


def read(body: bytes) -> _Answer:
    """Read a page of a search. Raises SourceBroken when it is none."""
    try:
        value = payloads.loads(body)
        meta = untyped.mapping(value, "meta")
        if not isinstance(value, dict) or not untyped.has(meta, "result_count"):
            payloads.read(value, platform="x")  # raises what it is instead
            raise payloads.unknown(value)
    except Unreadable as error:
        raise SourceBroken(f"X answers with what is no page of posts: {error}.") from error
    token = meta.get("next_token", "")
    found = value.get("data", [])
    if not isinstance(found, list) or not isinstance(token, str):
        raise SourceBroken("X answers with what is no page of posts.")
    if token and not _PAGE_TOKEN.fullmatch(token):
        raise SourceBroken("X answers with a page that leads to no other.")
    return _Answer(_rows({**value, "data": found[::-1]}), _ids(found), token)


def heard(lines: Iterable[bytes | None], rule: str) -> tuple[list[Row], list[int], str]:
    """Return the rows of the stream's lines that match a rule, their ids, and why it ends."""
    rows: list[Row] = []
    ids: list[int] = []
    ending = ""
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            value = payloads.loads(line)
        except Unreadable as error:
            rows.append(BadRow(number, str(error), line[:MAX_ORIGINAL]))
            continue
        if not isinstance(value, dict) or "data" not in value:
            ending = _told(value) or "it says something that is no post"
            continue
        matched = [untyped.identifier(it, "id") for it in untyped.mappings(value, "matching_rules")]
        if not matched or rule in matched:
            rows += _rows({**value, "data": [value["data"]]})
            ids += _ids([value["data"]])
    return rows, ids, ending


def _rows(answer: untyped.Object) -> list[Row]:
    """Return the rows of an answer, oldest first; what is no post is a bad row."""
    try:
        return list(payloads.read(answer, platform="x").rows)
    except Unreadable as error:
        found = untyped.sequence(answer, "data")
        return [
            BadRow(number, str(error), untyped.original(one))
            for number, one in enumerate(found, start=1)
        ]


def _ids(posts: Iterable[object]) -> list[int]:
    names = (untyped.identifier(post, "id") for post in posts)
    return [int(name) for name in names if _ID.fullmatch(name)]


def _loaded(body: bytes) -> object:
    try:
        return payloads.loads(body)
    except Unreadable as error:
        raise SourceBroken(f"X answers with what can't be read: {error}.") from error


def _told(value: object) -> str:
    """Return what X says of an error, the nearest words first."""
    first = next(iter(untyped.mappings(value, "errors")), {})
    said = [
        *untyped.sequence(first, "details"),
        untyped.string(first, "message") or untyped.string(first, "detail"),
        untyped.string(value, "detail"),
        untyped.string(first, "title") or untyped.string(value, "title"),
    ]
    found = next((one for one in said if isinstance(one, str) and one), "")
    return text.clean_line(found, _MAX_TOLD).rstrip(".")


async def _begun(lines: Lines) -> bytes:
    """Return the beginning of an answer that is no stream."""
    body = b""
    async for line in lines:
        body += line + b"\n"
        if len(body) > _ERROR_SIZE:
            break
    return body


async def _pump(lines: Lines, said: asyncio.Queue[bytes | None]) -> None:
    """Pass on what a stream says; whatever ends it, catching up shows how the server is."""
    with suppress(OutboundError):
        async for line in lines:
            if line.strip():
                await said.put(line)
    await said.put(None)


CONNECTOR = ConnectorKind(
    kind="x",
    title="X (Twitter)",
    summary="Follows what a query finds on X",
    settings=XSettings,
    channel=Channel.MICROBLOG,
    open=XConnector,
    stream=True,
    capabilities=frozenset(
        {
            Capability.BACKFILL,
            Capability.LIVE,
            Capability.REPLIES,
            Capability.MEDIA,
            Capability.METRICS,
        }
    ),
)
