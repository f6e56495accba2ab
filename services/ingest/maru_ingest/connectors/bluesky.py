"""Bluesky: what accounts post, and what anybody posts that holds certain words or hashtags.

A source follows any number of accounts and searches together; a post that two of them find comes
once. A search is words, `"a phrase"`, `#hashtag` or `@handle`: a post must hold all that stands in
one line, whatever the case. Words of Latin letters count whole ("art" is not in "start"), others
also within a longer one: 다크모드 is found in 다크모드를. The same rule decides about live posts
and about what Bluesky's own search finds.

**What to set up.** Accounts need nothing. Bluesky's search answers only to people who are signed
in: in the app open *Settings → Privacy and security → App passwords*, add one without access to
direct messages, and give it as `app_password`, with the account's `handle`. Never give the
account's own password. If the account is not hosted by Bluesky, name its server.

**How it works.** At first the newest page of each account and search is shown. From then on posts,
edits and deletions come from Jetstream, the network's stream, within a second or two; when it
breaks off it is read again from a few seconds before, and the next of its servers is asked if one
does not answer. A source that was away for longer than Jetstream is sure to remember (20 hours)
catches up by accounts' feeds and by search. A history of an account is paged back from its
newest post; one of a search is asked for day by day.

**Limits.** Accounts alone are filtered by Jetstream; for a search all posts of the network come,
some hundred a second, and are filtered here. Likes, reposts and replies are counted when a post
comes by a feed or by search; live posts are new and have none. A repost is no post of its own.
While a source is away for longer than 20 hours, deletions and edits are not noticed, and neither
are posts that were dated back. Posts of an account that is deleted stay, and those of one that
takes another handle keep the old one. Jetstream's own compression (zstd) is not used. The public
API answers 3,000 requests in 5 minutes, an account may sign in 300 times a day; what `RateLimit-*`
says is kept.

API: <https://docs.bsky.app/docs/api/app-bsky-feed-get-author-feed>,
<https://docs.bsky.app/docs/api/app-bsky-feed-search-posts>,
<https://docs.bsky.app/docs/advanced-guides/rate-limits>,
<https://github.com/bluesky-social/jetstream>.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.fields import bounded_id
from maru_ingest.formats.jetstream import POST, Event, event_in, moment_of, shown, stamp
from maru_ingest.formats.parsed import (
    MAX_ORIGINAL,
    BadRow,
    Document,
    ParsedPost,
    Row,
    Unreadable,
)
from maru_ingest.formats.searches import TERM, Search, fold
from maru_ingest.formats.untyped import Object
from maru_kit.outbound import Fetched, Refused, WebSocket

_LIMIT = 100
_MAX_PAGES = 10_000  # of one feed, a million posts: nobody wrote more
_MAX_CURSOR = 2_000
_MAX_HANDLE = 253  # a host's name
_MAX_SEARCH = 200
_PROFILES = 25
_MAX_PEOPLE = 5_000
_DAY = timedelta(days=1)

_MAX_EVENT = 100_000  # bytes, which Jetstream is asked to keep to; a post has 3,000 at most
_WAITING = 200
_BATCH = 200
_BATCH_SECONDS = 1.0
_SILENCE = 30.0
_MARK_EVERY = 10_000_000
_OVERLAP = 5_000_000  # servers of Jetstream see the same event at slightly different times
_UNINDEXED = 60_000_000  # a feed shows a post a moment after it was written
_REMEMBERED = 20 * 3_600_000_000
_FIRST_TIME = 10**15  # Jetstream takes less for a number of an event

_HANDLE = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,62}", re.ASCII)
_DID = re.compile(r"did:[a-z]{1,20}:[A-Za-z0-9._:%-]{1,200}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,10000}")
_TIME = re.compile(r'"time_us"\s*:\s*(\d{1,18})')
_OPERATOR = re.compile(r"-.+|[a-z]+:.*|AND|OR|NOT")


Place = Mapping[str, Any]  # `list`, `window` and the API's own `cursor`: where a walk goes on
Span = tuple[datetime, datetime]  # from, and up to but without
People = dict[str, Object]  # profiles by DID, those of whom nothing is known empty


class BlueskySettings(SourceSettings):
    """Whom and what to follow, who asks, and where."""

    authors: tuple[str, ...] = Field(
        default=(), max_length=100, description="Accounts to follow: handles, DIDs or addresses"
    )
    search: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description='Words, "a phrase", #hashtag or @handle, all of which a post must hold',
    )
    handle: str | None = Field(
        default=None, max_length=300, description="The account that searches, as name.bsky.social"
    )
    app_password: SecretStr | None = Field(
        default=None, description="An app password of that account, never its own password"
    )
    server: str = Field(
        default="https://bsky.social", max_length=300, description="Where that account signs in"
    )
    app_view: str = Field(
        default="https://public.api.bsky.app",
        max_length=300,
        description="Where accounts' feeds are read, and searched without an account",
    )
    jetstreams: tuple[str, ...] = Field(
        default=(
            "wss://jetstream2.us-east.bsky.network/subscribe",
            "wss://jetstream1.us-west.bsky.network/subscribe",
            "wss://jetstream1.us-east.bsky.network/subscribe",
            "wss://jetstream2.us-west.bsky.network/subscribe",
        ),
        min_length=1,
        max_length=8,
        description="Servers of Jetstream, in the order in which they are tried",
    )
    interval_seconds: float = Field(
        default=10.0, ge=1, description="How long to wait before listening again, in seconds"
    )

    @field_validator("authors")
    @classmethod
    def _are_accounts(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_account(each) for each in written if each.strip()))

    @field_validator("handle")
    @classmethod
    def _is_an_account(cls, written: str | None) -> str | None:
        return _account(written) if written and written.strip() else None

    @field_validator("app_password")
    @classmethod
    def _is_something(cls, password: SecretStr | None) -> SecretStr | None:
        return password if password and password.get_secret_value().strip() else None

    @field_validator("search")
    @classmethod
    def _can_be_found(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(" ".join(each.split()) for each in written if each.strip()))
        for line in found:
            terms = TERM.findall(line)
            if len(line) > _MAX_SEARCH or not all(
                (phrase or word).strip("#") for phrase, word in terms
            ):
                raise ValueError("each line must hold words, at most 200 letters")
            if any(_OPERATOR.fullmatch(word) for _, word in terms):
                raise ValueError("no operators, such as from: or OR; write one search a line")
        return found

    @field_validator("server", "app_view")
    @classmethod
    def _is_a_server(cls, written: str) -> str:
        return _address(written, ("http", "https"))

    @field_validator("jetstreams")
    @classmethod
    def _are_streams(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(each, ("ws", "wss")) for each in written)

    @model_validator(mode="after")
    def _follows_something(self) -> Self:
        if not self.authors and not self.search:
            raise ValueError("name accounts to follow, or words to search for")
        if (self.handle is None) != (self.app_password is None):
            raise ValueError("a handle and an app password come together")
        return self


def _account(written: str) -> str:
    name = written.strip().removeprefix("https://bsky.app/profile/").removeprefix("@").rstrip("/")
    if _DID.fullmatch(name):
        return name
    if len(name) <= _MAX_HANDLE and _HANDLE.fullmatch(name.lower()):
        return name.lower()
    raise ValueError("an account is a handle, such as name.bsky.social, or a DID")


def _address(written: str, schemes: Sequence[str]) -> str:
    address = written.strip().rstrip("/")
    parts = urlsplit(address)
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme in schemes and parts.hostname and is_plain:
        return address
    raise ValueError(f"must be an address that begins with {schemes[-1]}://")


@dataclass(slots=True)
class _Session:
    access: str
    refresh: str


@dataclass(slots=True)
class Sessions:
    """Accounts that are signed in, in memory, since an account may sign in 300 times a day."""

    _held: dict[str, _Session] = field(default_factory=dict)

    async def get(self, url: str, settings: BlueskySettings, tools: Tools) -> Fetched:
        """Ask a server as the account of the settings; raises as `Tools.get`."""
        name = _credential(settings)
        session = self._held.get(name) or await self._sign_in(name, settings, tools)
        answer = await _send(tools, "GET", url, token=session.access)
        if _has_expired(answer):
            session = await self._refresh(name, session, settings, tools)
            answer = await _send(tools, "GET", url, token=session.access)
        check_status(answer)
        return answer

    async def _sign_in(self, name: str, settings: BlueskySettings, tools: Tools) -> _Session:
        password = settings.app_password.get_secret_value() if settings.app_password else ""
        body = orjson.dumps({"identifier": settings.handle, "password": password})
        url = f"{settings.server}/xrpc/com.atproto.server.createSession"
        return self._keep(name, await _send(tools, "POST", url, body=body))

    async def _refresh(
        self, name: str, session: _Session, settings: BlueskySettings, tools: Tools
    ) -> _Session:
        """Renew a session once; sign in anew when that is too late, too."""
        self._held.pop(name, None)
        url = f"{settings.server}/xrpc/com.atproto.server.refreshSession"
        answer = await _send(tools, "POST", url, token=session.refresh)
        if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
            return await self._sign_in(name, settings, tools)
        return self._keep(name, answer)

    def _keep(self, name: str, answer: Fetched) -> _Session:
        check_status(answer)
        value = _loads(answer)
        access, refresh = (untyped.string(value, key) for key in ("accessJwt", "refreshJwt"))
        if not (_TOKEN.fullmatch(access) and _TOKEN.fullmatch(refresh)):
            raise SourceBroken(f"{_host(answer)} signs in without a session.")
        self._held[name] = session = _Session(access, refresh)
        while len(self._held) > _MAX_PEOPLE:
            del self._held[next(iter(self._held))]
        return session


def _credential(settings: BlueskySettings) -> str:
    password = settings.app_password.get_secret_value() if settings.app_password else ""
    said = "\x1f".join((settings.server, settings.handle or "", password))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=32).hexdigest()


def _has_expired(answer: Fetched) -> bool:
    if answer.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
        return False
    with suppress(Unreadable):
        return untyped.string(payloads.loads(answer.body), "error") == "ExpiredToken"
    return False


async def _send(
    tools: Tools, method: str, url: str, *, token: str = "", body: bytes = b""
) -> Fetched:
    if tools.budget is not None:
        tools.budget.spend()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body:
        headers["Content-Type"] = "application/json"
    with translated():
        return await tools.outbound.request(
            method,
            url,
            headers=headers,
            body=body,
            max_bytes=tools.max_bytes,
            deadline=tools.deadline,
        )


@dataclass(frozen=True, slots=True)
class _List:
    """A feed of posts that is paged from its newest back: an account's, or what a search finds."""

    did: str = ""
    search: Search | None = None

    def windows(self, since: datetime, until: datetime) -> int:
        """In how many pieces a range is asked for; search does not page deep, so by day."""
        return max(1, -((since - until) // _DAY)) if self.search else 1

    def window(self, since: datetime, until: datetime, number: int) -> Span:
        """Return one piece of a range."""
        if not self.search:
            return since, until
        start = since + number * _DAY
        return start, min(start + _DAY, until)

    def path(self, span: Span | None, cursor: str) -> str:
        """Return what to ask for a page."""
        asked = {"limit": str(_LIMIT)}
        if self.search:
            asked |= {"q": self.search.written, "sort": "latest"}
            asked |= dict(zip(("since", "until"), map(stamp, span), strict=True)) if span else {}
        else:
            asked |= {"actor": self.did, "filter": "posts_with_replies"}
        asked |= {"cursor": cursor} if cursor else {}
        method = "searchPosts" if self.search else "getAuthorFeed"
        return f"/xrpc/app.bsky.feed.{method}?{urlencode(asked)}"

    def views(self, value: object) -> list[object]:
        """Return the posts of an answer. Raises Unreadable when it is no such list."""
        found = untyped.at(value, "posts" if self.search else "feed")
        if not isinstance(found, list):
            raise payloads.unknown(value)
        if self.search:
            return found
        own = (one for one in found if not untyped.has(one, "reason"))  # neither reposts nor pins
        return [untyped.at(one, "post") if untyped.has(one, "post") else one for one in own]

    def suits(self, view: object) -> bool:
        """Whether a post holds what is looked for; what is no post is not held back."""
        record = untyped.mapping(view, "record")
        return self.search is None or not record or self.search.holds(record)


@dataclass(frozen=True, slots=True)
class _Bad:
    """An event that can't be read: anybody may publish one, and it must hold up nobody."""

    at: int
    row: BadRow


@dataclass(frozen=True, slots=True)
class _Mark:
    """That Jetstream has come to this time, with nothing for us."""

    at: int


@dataclass(frozen=True, slots=True)
class _End:
    """That nothing more comes, and why, None when the server took its leave."""

    error: Exception | None


Said = Event | _Bad | _Mark
Heard = asyncio.Queue[Said | _End]


@dataclass(slots=True)
class BlueskyConnector:
    """Follows accounts and searches: their feeds at first, Jetstream from then on.

    The cursor holds the time (`time_us`, microseconds since 1970) up to which all is known, and
    while a longer absence is caught up with where that is (`gap`).
    """

    settings: BlueskySettings
    tools: Tools
    sessions: Sessions
    _searches: list[Search] = field(init=False)
    _people: People = field(init=False, default_factory=dict)
    _dids: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._searches = [Search.of(line) for line in self.settings.search]

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Show the newest posts at first, catch up with a long absence, then listen."""
        self._dids = await self._resolve()
        read = self._catch_up if cursor else self._newest
        async with aclosing(read(cursor)) as pages:
            async for page in pages:
                cursor = page.cursor
                yield page
        async with aclosing(self._listen(cursor["time_us"])) as pages:
            async for page in pages:
                yield page

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range of time, list by list."""
        self._dids = await self._resolve()
        async with aclosing(self._walk(since, until, cursor)) as pages:
            async for rows, place in pages:
                yield Page(rows, place)

    async def _newest(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield the newest page of each list; only the last one moves the cursor."""
        begun = _now() - _UNINDEXED
        lists = self._lists()
        for number, each in enumerate(lists, start=1):
            rows, _, _ = await self._page(each)
            yield Page(rows, {"time_us": begun} if number == len(lists) else cursor)

    async def _catch_up(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was written while nobody listened for longer than Jetstream remembers."""
        while "gap" in cursor or cursor["time_us"] < _now() - _REMEMBERED:
            begun = cursor["time_us"]
            gap = cursor.get("gap") or {"until_us": _now(), "place": {}}
            since, until = moment_of(begun - _UNINDEXED), moment_of(gap["until_us"])
            async with aclosing(self._walk(since, until, gap["place"])) as pages:
                async for rows, place in pages:
                    yield Page(rows, {"time_us": begun, "gap": {**gap, "place": place}})
            cursor = {"time_us": gap["until_us"] - _UNINDEXED}
            yield Page((), cursor)

    async def _walk(
        self, since: datetime, until: datetime, place: Place
    ) -> AsyncGenerator[tuple[Sequence[Row], Place], None]:
        """Yield the posts of a range and, with each page, where to go on."""
        lists = self._lists()
        number, window, cursor = (place.get(k, d) for k, d in _START.items())
        while number < len(lists):
            each = lists[number]
            whole, piece = (since, until), each.window(since, until, window)
            for _ in range(_MAX_PAGES):
                rows, after, oldest = await self._page(each, cursor, whole, piece)
                is_past = each.search is None and oldest is not None and oldest < since
                if is_past or not after or after == cursor:
                    break
                cursor = after
                yield rows, {"list": number, "window": window, "cursor": cursor}
            else:
                raise SourceBroken(f"Bluesky shows more than {_MAX_PAGES:,} pages of one feed.")
            window, cursor = window + 1, ""
            if window >= each.windows(since, until):
                number, window = number + 1, 0
            yield rows, {"list": number, "window": window, "cursor": ""}

    def _lists(self) -> list[_List]:
        searches = [_List(search=search) for search in self._searches]
        return [*(_List(did=did) for did in self._dids), *searches]

    async def _page(
        self, each: _List, cursor: str = "", whole: Span | None = None, piece: Span | None = None
    ) -> tuple[Sequence[Row], str, datetime | None]:
        """Return a page's rows within a range, the API's next cursor, and the oldest time there.

        Only a piece of the range is asked for. Where one ends and the next begins is left to the
        server, whose times may be more exact than those that it shows.
        """
        answer = await self._ask(each.path(piece, cursor), is_search=each.search is not None)
        value = _loads(answer)
        try:
            views = each.views(value)
        except Unreadable as error:
            host = _host(answer)
            raise SourceBroken(f"{host} answers with what are no posts: {error}.") from error
        self._learn(untyped.mapping(view, "author") for view in views)
        wanted = [view for view in views if _is_within(view, whole) and each.suits(view)]
        after = untyped.string(value, "cursor")
        if len(after) > _MAX_CURSOR:
            raise SourceBroken(f"{_host(answer)} gives a cursor of {len(after):,} letters.")
        times = [time for view in views if (time := _sorted_at(view))]
        return read(wanted[::-1]), after, min(times, default=None)

    async def _ask(self, path: str, *, is_search: bool) -> Fetched:
        if is_search and self.settings.app_password is not None:
            return await self.sessions.get(
                f"{self.settings.server}{path}", self.settings, self.tools
            )
        try:
            return await self.tools.get(f"{self.settings.app_view}{path}")
        except CredentialsRefused as error:
            if not is_search:
                raise
            hint = "Searching needs a handle and an app password."
            raise CredentialsRefused(f"{error} {hint}") from error

    async def _resolve(self) -> list[str]:
        """Return the DIDs of the accounts. Raises SourceBroken for a handle that nobody has."""
        found: People = {}
        for chunk in _chunks(self.settings.authors, _PROFILES):
            found |= await self._profiles(chunk)
        self._people |= found
        handles = {untyped.string(one, "handle").lower(): did for did, one in found.items()}
        dids = {
            one: one if one.startswith("did:") else handles.get(one)
            for one in self.settings.authors
        }
        if missing := [name for name, did in dids.items() if did is None]:
            raise SourceBroken(f"Bluesky knows no account {', '.join(missing)}.")
        return list(dict.fromkeys(filter(None, dids.values())))

    async def _profiles(self, accounts: Sequence[str]) -> People:
        asked = urlencode([("actors", one) for one in accounts])
        answer = await self._ask(f"/xrpc/app.bsky.actor.getProfiles?{asked}", is_search=False)
        profiles = untyped.at(_loads(answer), "profiles")
        if not isinstance(profiles, list):
            raise SourceBroken(f"{_host(answer)} answers with what are no profiles.")
        return {did: one for one in profiles if (did := _did(one))}

    def _learn(self, people: Iterable[Object]) -> None:
        """Remember who people are, and forget whom we met longest ago, but for whom we follow."""
        for one in people:
            if did := _did(one):
                self._people.setdefault(did, one)
        over = len(self._people) - _MAX_PEOPLE
        if over > 0:
            strangers = [did for did in self._people if did not in self._dids]
            for did in strangers[:over]:
                del self._people[did]

    async def _listen(self, since: int) -> AsyncGenerator[Page, None]:
        """Yield what Jetstream says from `since` on, batch by batch, until it breaks off."""
        async with self._stream(since) as socket:
            heard: Heard = asyncio.Queue(_WAITING)
            pump = asyncio.create_task(self._pump(socket, heard))
            try:
                end = None
                while end is None:
                    batch, end = await _batch(heard)
                    since = max((since, *(one.at for one in batch)))
                    if batch or end is None:
                        yield await self._told(batch, {"time_us": since})
            finally:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)
            if end.error is not None:
                with translated():
                    raise end.error

    @asynccontextmanager
    async def _stream(self, since: int) -> AsyncIterator[WebSocket]:
        """Open the first stream that can be had. Raises what the first server said, if none."""
        asked = [("wantedCollections", POST), ("maxMessageSizeBytes", str(_MAX_EVENT))]
        if not self._searches:
            asked += [("wantedDids", did) for did in self._dids]
        asked.append(("cursor", str(since - _OVERLAP)))
        refusals: list[SourceBusy | SourceBroken] = []
        for address in self.settings.jetstreams:
            async with AsyncExitStack() as stack:
                try:
                    url = f"{address}?{urlencode(asked, safe=':')}"
                    socket = await self._connect(stack, url)
                except (SourceBusy, SourceBroken) as error:
                    refusals.append(error)
                    continue
                yield socket
                return
        raise refusals[0]

    async def _connect(self, stack: AsyncExitStack, url: str) -> WebSocket:
        if self.tools.budget is not None:
            self.tools.budget.spend()
        opening = self.tools.outbound.websocket(url)
        try:
            with translated():
                async with asyncio.timeout(self.tools.deadline):
                    return await stack.enter_async_context(opening)
        except TimeoutError as error:
            raise SourceBusy(f"{urlsplit(url).hostname} does not answer.") from error
        except SourceBroken as error:
            if isinstance(error.__cause__, Refused):
                check_status(error.__cause__.answer)
            raise

    async def _pump(self, socket: WebSocket, heard: Heard) -> None:
        """Pass on what concerns us, as fast as it is taken."""
        marked = 0
        error: Exception | None = None
        try:
            async for message in socket:
                said = self.look(message)
                if isinstance(said, _Mark):
                    if said.at < marked + _MARK_EVERY:
                        continue
                    marked = said.at
                await heard.put(said)
        except Exception as caught:  # noqa: BLE001 - whoever listens raises it again
            error = caught
        await heard.put(_End(error))

    def look(self, message: str | bytes) -> Said:
        """Return what a message of Jetstream says, a mark when that is nothing for us.

        Raises SourceBroken when it is no event at all, but a page of a proxy or a part of one.
        """
        written = message if isinstance(message, str) else message.decode("utf-8", "replace")
        is_whole = written.startswith("{") and written.rstrip().endswith("}")
        time = _TIME.search(written)
        at = _trusted(int(time[1]) if time else 0)
        if self._searches and is_whole and not self._may_concern(written):
            return _Mark(at)
        body = written.encode("utf-8", "replace")
        try:
            value = payloads.loads(body)
        except Unreadable as error:
            if is_whole:
                return _Bad(at, BadRow(1, f"an event of Jetstream: {error}", body[:MAX_ORIGINAL]))
            raise SourceBroken(f"Jetstream sends what is no event: {error}.") from error
        at, did = _trusted(untyped.count(value, "time_us") or 0), _did(value)
        if untyped.string(value, "kind") == "identity" and did in self._people:
            self._rename(did, untyped.string(value, "identity", "handle"))
        event = event_in(value, at, did)
        return event if event is not None and self._concerns(event) else _Mark(at)

    def _may_concern(self, written: str) -> bool:
        """Whether a message may be for us, told from its letters: most are not."""
        if '"delete"' in written or '"identity"' in written:
            return True
        folded = fold(written)
        if any(search.may_hold(folded) for search in self._searches):
            return True
        return any(did in written for did in self._dids)

    def _concerns(self, event: Event) -> bool:
        """Whether an event is for us; a deletion does not say what was said, so it always is."""
        if event.operation == "delete" or event.did in self._dids:
            return True
        return any(search.holds(event.record) for search in self._searches)

    def _rename(self, did: str, handle: str) -> None:
        if _HANDLE.fullmatch(handle):
            self._people[did] = {**self._people[did], "handle": handle}

    async def _told(self, said: Sequence[Said], cursor: Cursor) -> Page:
        """Return the page of what was heard; the last word on a post counts."""
        latest = {one.uri: one for one in said if isinstance(one, Event)}
        written = [event for event in latest.values() if event.operation != "delete"]
        strangers = dict.fromkeys(one.did for one in written if one.did not in self._people)
        for chunk in _chunks(list(strangers), _PROFILES):
            known = await self._profiles(chunk)
            self._learn(known.get(did, {"did": did}) for did in chunk)
        rows = read([shown(event, self._people.get(event.did, {})) for event in written])
        edited = {bounded_id(e.uri): e.at for e in written if e.operation == "update"}
        for row in rows:
            if isinstance(row, ParsedPost) and row.native_id in edited:
                row.edited_at = moment_of(edited[row.native_id])
        gone = [event.uri for event in latest.values() if event.operation == "delete"]
        bad = [one.row for one in said if isinstance(one, _Bad)]
        return Page([*rows, *bad], cursor, deleted_if_known=tuple(gone))


_START: Place = {"list": 0, "window": 0, "cursor": ""}


def read(views: Iterable[object]) -> Sequence[Row]:
    """Return the rows of posts, oldest first; what is no post is a bad row."""
    rows = [_row(number, view) for number, view in enumerate(views, start=1)]
    return payloads.oldest_first(Document(rows=rows)).rows


def _row(number: int, view: object) -> Row:
    record = untyped.mapping(view, "record")
    reason = "not a post of Bluesky"
    if untyped.string(record, "$type") == POST and untyped.string(view, "uri"):
        try:
            (row,) = payloads.read({"posts": [view]}, platform="bluesky").rows
        except Unreadable as error:
            reason = str(error)
        else:
            return row
    return BadRow(number, reason, untyped.original(view))


async def _batch(heard: Heard) -> tuple[list[Said], _End | None]:
    """Return what comes within a second after the first thing that comes, and whether it ended.

    After a long silence that is nothing, which is a sign that the stream works.
    """
    found: list[Said] = []
    try:
        async with asyncio.timeout(_SILENCE):
            said = await heard.get()
    except TimeoutError:
        return found, None
    with suppress(TimeoutError):
        async with asyncio.timeout(_BATCH_SECONDS):
            while not isinstance(said, _End):
                found.append(said)
                if len(found) == _BATCH:
                    return found, None
                said = await heard.get()
    return found, said if isinstance(said, _End) else None


def _loads(answer: Fetched) -> object:
    try:
        return payloads.loads(answer.body)
    except Unreadable as error:
        raise SourceBroken(f"{_host(answer)} sends what can't be read: {error}.") from error


def _host(answer: Fetched) -> str:
    return urlsplit(answer.url).hostname or "The server"


def _did(value: object) -> str:
    did = untyped.string(value, "did")
    return did if _DID.fullmatch(did) else ""


def _sorted_at(view: object) -> datetime | None:
    """Return the time by which Bluesky sorts a post: when it was written, unless that is later."""
    times = untyped.moment(view, "record", "createdAt"), untyped.moment(view, "indexedAt")
    return min((time for time in times if time), default=None)


def _is_within(view: object, span: Span | None) -> bool:
    """Whether a post was written in a range; one without a time is never left out."""
    time = _sorted_at(view)
    return span is None or time is None or span[0] <= time < span[1]


def _trusted(time: int) -> int:
    """Return a time that Jetstream states, 0 for none; the future would hide what comes until."""
    return min(time, _now()) if time >= _FIRST_TIME else 0


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


_SESSIONS = Sessions()


def _open(settings: BlueskySettings, tools: Tools) -> BlueskyConnector:
    return BlueskyConnector(settings, tools, _SESSIONS)


CONNECTOR = ConnectorKind(
    kind="bluesky",
    title="Bluesky",
    summary="Follows accounts, words and hashtags on Bluesky",
    settings=BlueskySettings,
    channel=Channel.MICROBLOG,
    open=_open,
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
