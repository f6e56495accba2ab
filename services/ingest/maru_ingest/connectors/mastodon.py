"""Mastodon, and other servers of the fediverse that speak its API (Pleroma, GoToSocial, Pixelfed).

A source follows one thing on one server: a hashtag, an account, the public timeline of all servers
that this one knows or of this one alone, or a list or the home timeline of the account whose token
it has. For several hashtags add several sources: a post that has two of them is still one post,
since posts go by their `uri`, which is the same on all servers.

**What to set up.** Reading needs no token where the server shows its timelines to everybody. Live
posts, the home timeline, lists and servers that are closed to visitors need one: sign in on the
server, open *Preferences → Development → New application*, tick only the scopes `read:statuses`,
`read:accounts` (an account's address is looked up), `read:lists` (lists) and `read:notifications`
(the home timeline's stream asks for it), save, open the application and copy *Your access token*.
It must be this token, a user's: streams refuse an application's own.

**How it works.** With a token the stream is opened first (Server-Sent Events), then what was missed
is caught up by paging forwards (`min_id`), then posts, edits and deletions come as they happen; it
begins again like that when the stream breaks off. An account has no stream. Without a token, and
where the stream is refused (401, 403, 404), is not there or breaks off three times within half a
minute each, the source is polled every `interval_seconds`. Catching up reads the last 20 posts
again, so that edits and deletions of them, and posts that reached the server late, are noticed.

**Deletions** name the server's own id of a post, not its `uri`. The ids of the newest 2,000 posts
are kept while the source is listened to, of the newest 200 over a restart; a deletion of an older
post is not noticed, and while nobody listens none beyond the last 20. That a post is missing is no
proof: in a poll it counts as deleted when the server answers 404 or 410 for it.

**Limits.** A server answers 300 requests in 5 minutes, and 300 for further pages in 15, and tells
the rest in `X-RateLimit-*`, which is kept. A page holds 40 posts. Only what is public or unlisted
is taken, whatever a token may see. A hashtag's timeline has no replies without that hashtag. A
reply names its parent's `uri` when the parent is in the same page or among the posts whose ids are
kept, else the server's own id. An account of another server is only found where this server knows
it, and only with the posts that reached it: follow it on its own server. History is what the
server still has; on Mastodon a range is found by the time that ids hold, elsewhere by paging back.

API: <https://docs.joinmastodon.org/methods/timelines/>,
<https://docs.joinmastodon.org/methods/streaming/>,
<https://docs.joinmastodon.org/api/rate-limits/>,
<https://docs.joinmastodon.org/api/oauth-scopes/>.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Literal, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

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
    SourceGone,
    SourceSettings,
    Tools,
    batched,
    check_status,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.fields import bounded_id
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, ParsedPost, Row, Unreadable
from maru_kit.outbound import AskedToWait, Fetched, Lines, OutboundError
from maru_kit.outbound.sse import Event, Reader

_LIMIT = 40
_AGAIN = 20
_REMEMBERED = 2_000
_SAVED = 200
_MAX_LINK = 8_000
_OPEN = ("public", "unlisted")
_TOKEN = re.compile(r"[\x21-\x7e]*")
_ID = re.compile(r"[\w-]{1,100}", re.ASCII)
_LINK = re.compile(r'<([^<>]{1,2000})>\s*;\s*rel="?(next|prev)\b')
_LATENESS = timedelta(days=1)
_CLOCK_SKEW = timedelta(minutes=10)
_REGENERATING = 60.0

_EVENTS = frozenset({"update", "status.update", "delete"})
_MAX_LINE = 512 * 1024
_WAITING = 16
_SILENCE = 120.0
_BRIEF = 30.0
_MOST_BRIEF = 3

_TIMELINES = {
    "public": ("timelines/public?", "streaming/public"),
    "local": ("timelines/public?local=true&", "streaming/public/local"),
    "home": ("timelines/home?", "streaming/user"),
}
_SCHEMES = {"wss": "https", "ws": "http"}

Said = asyncio.Queue[Event | None]  # ends with None
Versions = Mapping[str, tuple[str, str]]  # by the server's id: the native id, the last edit


class MastodonSettings(SourceSettings):
    """Which server, one thing there to follow, and who asks."""

    server: str = Field(max_length=300, description="The server, such as https://mastodon.social")
    hashtag: str | None = Field(
        default=None, max_length=200, description="Follow a hashtag, with or without #"
    )
    account: str | None = Field(
        default=None, max_length=300, description="Follow what an account posts: @name@server"
    )
    timeline: Literal["public", "local", "home"] | None = Field(
        default=None,
        description="Follow public posts of all servers that this one knows (public), of this "
        "server alone (local), or what the token's account follows (home)",
    )
    list_id: str | None = Field(
        default=None, max_length=100, description="Follow a list of the token's account, by its id"
    )
    access_token: SecretStr | None = Field(
        default=None, description="A user's access token; without one, public posts are polled"
    )
    interval_seconds: float = Field(
        default=300.0, ge=1, description="How often to poll, in seconds, where there is no stream"
    )

    @field_validator("server")
    @classmethod
    def _is_a_server(cls, written: str) -> str:
        address = written.strip().rstrip("/").lower()
        address = address if "://" in address else f"https://{address}"
        parts = urlsplit(address)
        plain = f"{parts.scheme}://{parts.netloc}" == address and parts.username is None
        if plain and parts.scheme in {"http", "https"} and parts.hostname:
            return address
        raise ValueError("must be a server's address, such as https://mastodon.social")

    @field_validator("hashtag", "account", "list_id")
    @classmethod
    def _is_bare(cls, written: str | None) -> str | None:
        return (written or "").strip().lstrip("#＃@") or None

    @field_validator("access_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        written = token.get_secret_value().strip() if token else ""
        if not _TOKEN.fullmatch(written):
            raise ValueError("must be letters, digits and signs without spaces")
        return SecretStr(written) if written else None

    @model_validator(mode="after")
    def _follows_one_thing(self) -> Self:
        if sum(map(bool, (self.hashtag, self.account, self.timeline, self.list_id))) != 1:
            raise ValueError("follow one of these: a hashtag, an account, a timeline, a list")
        if (self.timeline == "home" or self.list_id) and not self.access_token:
            raise ValueError("the home timeline and lists need an access token")
        return self

    def headers(self) -> dict[str, str]:
        """Return the headers that say who asks, none for a visitor."""
        token = self.access_token
        return {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}


@dataclass(slots=True)
class _Known:
    """The newest posts that have come: by the server's id, the native id and the last edit.

    The ids stand in the order of their posts. `since` is when we first looked.
    """

    server: str
    since: datetime | None = None
    posts: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: Cursor, server: str) -> "_Known":
        """Read a cursor, which is of no use when it is another server's."""
        if cursor.get("server") != server:
            return cls(server)
        posts = {name: (native, edit) for name, (native, edit) in cursor["posts"].items()}
        return cls(server, datetime.fromisoformat(cursor["since"]), posts)

    def cursor(self) -> Cursor:
        """Return what a restart needs: the newest of the posts."""
        since = (self.since or datetime.now(UTC)).isoformat()
        saved = dict(list(self.posts.items())[-_SAVED:])
        return {"server": self.server, "since": since, "posts": saved}

    def again(self) -> str:
        """Return the id after which to read again what came last."""
        return list(self.posts)[-_AGAIN - 1 :][0]

    def add(self, posts: Versions) -> None:
        """Remember posts, and forget the oldest."""
        everything = {**self.posts, **posts}
        newest = sorted(everything, key=_order)[-_REMEMBERED:]
        self.posts = {name: everything[name] for name in newest}

    def page(self, rows: Sequence[Row], gone: Iterable[str] = ()) -> Page:
        """Make a page of rows, with parents by their native ids; `gone` are the server's ids."""
        for row in rows:
            if isinstance(row, ParsedPost) and row.in_reply_to in self.posts:
                row.in_reply_to = self.posts[row.in_reply_to][0]
        deleted = [self.posts.pop(name)[0] for name in gone if name in self.posts]
        return Page(rows, self.cursor(), deleted=deleted)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of a timeline: its rows, all of its posts by the server's ids, where to go on."""

    rows: Sequence[Row]
    posts: Versions
    newer: str
    older: str

    @property
    def times(self) -> list[datetime]:
        """When its posts were written."""
        times = (row.created_at for row in self.rows if isinstance(row, ParsedPost))
        return [time for time in times if time is not None]


@dataclass(frozen=True, slots=True)
class MastodonConnector:
    """Follows one timeline; its cursor holds the newest posts that have come."""

    settings: MastodonSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Catch up, then listen where there is a stream; end where there is none."""
        known = _Known.of(cursor, self.settings.server)
        path, stream = await self._paths()
        brief = 0
        while brief < _MOST_BRIEF:
            async with self._listening(stream) as said:
                async with aclosing(self._missed(path, known)) as missed:
                    async for page in missed:
                        yield page
                if said is None:
                    return
                began = time.monotonic()
                ended = False
                while not ended:
                    events = await batched(said, silence=_SILENCE)
                    ended = None in events
                    rows, posts, gone = await asyncio.to_thread(
                        heard, list(filter(None, events)), known.posts
                    )
                    known.add(posts)
                    yield known.page(rows, gone)
                brief = brief + 1 if time.monotonic() - began < _BRIEF else 0

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts of a range, newest page first."""
        path, _ = await self._paths()
        before = cursor.get("max_id") or await self._id_at(path, until)
        while True:
            answer = await self._page(path, max_id=before)
            if not answer.posts or (before and _order(answer.older) >= _order(before)):
                return
            before = answer.older
            rows = within(answer.rows, since, until)
            yield Page(rows, {"max_id": before})
            if max(answer.times, default=since) < since:
                return

    async def _missed(self, path: str, known: _Known) -> AsyncGenerator[Page, None]:
        """Yield what came since the last look, page by page forwards."""
        if known.posts:
            after = known.again()
        else:
            async with aclosing(self._newest(path, known)) as newest:
                async for page in newest:
                    yield page
            after = next(reversed(known.posts), "")
        while after:
            answer = await self._page(path, known.posts, min_id=after)
            if not answer.posts or _order(answer.newer) <= _order(after):
                return
            gone = await self._gone(known, after, answer)
            known.add(answer.posts)
            yield known.page(answer.rows, gone)
            after = answer.newer

    async def _newest(self, path: str, known: _Known) -> AsyncGenerator[Page, None]:
        """Yield the newest page; if there was nothing at the last look, all that came since.

        That goes backwards, so that the cursor stays until it is done.
        """
        since = known.since and known.since - _CLOCK_SKEW
        known.since = known.since or datetime.now(UTC)
        found, before = _Known(known.server), ""
        while True:
            answer = await self._page(path, max_id=before)
            found.add(answer.posts)
            is_last = not answer.posts or (before and _order(answer.older) >= _order(before))
            if is_last or since is None or min(answer.times, default=since) < since:
                known.add(found.posts)
                yield known.page(answer.rows)
                return
            before = answer.older
            yield known.page(answer.rows)

    async def _gone(self, known: _Known, after: str, answer: _Answer) -> list[str]:
        """Return the ids of posts that are missing in a page and that the server has no more."""
        span = _order(after), _order(answer.newer)
        gone = []
        for name in list(known.posts):
            if name not in answer.posts and span[0] < _order(name) < span[1]:
                if await self._is_gone(name):
                    gone.append(name)
                else:
                    del known.posts[name]  # it has left this timeline alone
        return gone

    async def _is_gone(self, name: str) -> bool:
        try:
            await self._ask(f"v1/statuses/{name}")
        except SourceGone:
            return True
        except CredentialsRefused:
            return False  # there are servers that show single posts to no visitor
        return False

    async def _page(
        self, path: str, seen: Versions | None = None, *, min_id: str = "", max_id: str = ""
    ) -> _Answer:
        """Ask for a page; of posts that were `seen`, only those that were edited are rows."""
        asked = {"limit": str(_LIMIT), "min_id": min_id, "max_id": max_id}
        where = urlencode({name: value for name, value in asked.items() if value})
        fetched = await self._ask(f"v1/{path}{where}")
        if fetched.status == HTTPStatus.PARTIAL_CONTENT:
            raise SourceBusy("The server is just making this timeline.", retry_after=_REGENERATING)
        return await asyncio.to_thread(read, fetched, seen or {})

    async def _ask(self, path: str) -> Fetched:
        url = f"{self.settings.server}/api/{path}"
        return await self.tools.get(url, headers=self.settings.headers())

    async def _paths(self) -> tuple[str, str]:
        """Return where the timeline is and where its stream, which an account has not."""
        settings = self.settings
        if settings.account:
            return f"accounts/{await self._account_id(settings.account)}/statuses?", ""
        if settings.hashtag:
            tag = quote(settings.hashtag, safe="")
            return f"timelines/tag/{tag}?", f"streaming/hashtag?tag={tag}"
        if settings.list_id:
            name = quote(settings.list_id, safe="")
            return f"timelines/list/{name}?", f"streaming/list?list={name}"
        return _TIMELINES[settings.timeline or "public"]

    async def _account_id(self, account: str) -> str:
        host = urlsplit(self.settings.server).hostname
        name = account.removesuffix(f"@{host}")
        try:
            fetched = await self._ask(f"v1/accounts/lookup?{urlencode({'acct': name})}")
            found = untyped.identifier(payloads.loads(fetched.body), "id")
        except SourceGone as error:
            raise SourceGone(f"{host} knows no account @{name}.") from error
        except Unreadable as error:
            raise SourceBroken(f"{host} answers with what is no account: {error}.") from error
        if not _ID.fullmatch(found):
            raise SourceBroken(f"{host} answers with an account that has no id.")
        return found

    async def _id_at(self, path: str, moment: datetime) -> str:
        """Return an id just after a moment's, empty where ids do not tell the time of their posts.

        Mastodon's are milliseconds and 16 more bits; a post from elsewhere may arrive late.
        """
        answer = await self._page(path)
        name, written = answer.newer, max(answer.times, default=None)
        if written is None or not name.isdigit():
            return ""
        told = timedelta(milliseconds=min(int(name) >> 16, 2**45))
        if abs(told - timedelta(seconds=written.timestamp())) > _LATENESS:
            return ""
        wanted = int((moment.timestamp() + _LATENESS.total_seconds()) * 1000) << 16
        return str(wanted) if 0 < wanted < int(name) else ""

    @asynccontextmanager
    async def _listening(self, stream: str) -> AsyncIterator[Said | None]:
        """Listen from now on while the block runs; None where there is no stream for us."""
        async with AsyncExitStack() as opened:
            lines = await self._open(stream, opened)
            if lines is None:
                yield None
                return
            said: Said = asyncio.Queue(_WAITING)
            pump = asyncio.create_task(_pump(lines, said))
            try:
                yield said
            finally:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)

    async def _open(self, stream: str, opened: AsyncExitStack) -> Lines | None:
        headers = self.settings.headers()
        if not stream or not headers:
            return None
        url = f"{await self._streaming_server()}/api/v1/{stream}"
        if self.tools.budget is not None:
            self.tools.budget.spend()
        try:
            async with asyncio.timeout(self.tools.deadline):
                lines = await opened.enter_async_context(
                    self.tools.outbound.lines(url, headers=headers, max_line=_MAX_LINE)
                )
        except AskedToWait as error:
            raise SourceBusy(f"{error}.", retry_after=error.retry_after) from error
        except (OutboundError, TimeoutError):
            return None  # the stream's server is not the API's, which can be asked all the same
        if lines.status == HTTPStatus.TOO_MANY_REQUESTS:
            check_status(Fetched(lines.status, lines.headers, b"", url, lines.retry_after))
        kind = lines.headers.get("content-type", "")
        return lines if lines.status == HTTPStatus.OK and "event-stream" in kind else None

    async def _streaming_server(self) -> str:
        """Return where the streams are: the server itself, or a neighbour that it names."""
        try:
            fetched = await self._ask("v2/instance")
            instance = payloads.loads(fetched.body)
        except (SourceGone, Unreadable):
            return self.settings.server
        named = untyped.string(instance, "configuration", "urls", "streaming")
        return neighbour(self.settings.server, named) or self.settings.server


def neighbour(server: str, named: str) -> str:
    """Return the address of a streaming server, empty when it is none to show the token to.

    A token that is sent over https stays so, and does not leave the server's domain.
    """
    try:
        here, there = urlsplit(server), urlsplit(named)
        host, there_host = here.hostname or "", there.hostname or ""
    except ValueError:
        return ""
    scheme = _SCHEMES.get(there.scheme, there.scheme)
    parent = host.partition(".")[2]
    domains = [host, parent] if "." in parent else [host]
    is_near = any(there_host == one or there_host.endswith(f".{one}") for one in domains)
    if scheme in {here.scheme, "https"} and is_near and "@" not in there.netloc:
        return f"{scheme}://{there.netloc}"
    return ""


def read(fetched: Fetched, seen: Versions) -> _Answer:
    """Read a page of a timeline; posts that were `seen` in this version are no rows.

    Raises SourceBroken when it is no list of posts.
    """
    try:
        values = payloads.loads(fetched.body)
        if not isinstance(values, list):
            raise payloads.unknown(values)
        rows = _rows(values[::-1])
    except Unreadable as error:
        host = urlsplit(fetched.url).hostname
        raise SourceBroken(f"{host} answers with what are no posts: {error}.") from error
    posts = _versions(values)
    stale = {version[0] for name, version in posts.items() if seen.get(name) == version}
    new = [row for row in rows if not isinstance(row, ParsedPost) or row.native_id not in stale]
    links = _links(fetched.headers.get("link", ""))
    newer = links.get("prev") or max(posts, key=_order, default="")
    older = links.get("next") or min(posts, key=_order, default="")
    return _Answer(new, posts, newer, older)


def heard(events: Iterable[Event], seen: Versions) -> tuple[list[Row], Versions, list[str]]:
    """Return the rows of events of the stream, the posts to remember, and ids that are gone.

    An old post that was edited is no reason to read again from there on.
    """
    rows: list[Row] = []
    posts: dict[str, tuple[str, str]] = {}
    gone = []
    for number, event in enumerate(events, start=1):
        if event.event == "delete":
            gone.append(event.data.strip())
            continue
        data = event.data.encode("utf-8", "replace")
        try:
            values = [payloads.loads(data)]
            rows += _rows(values)
            found = _versions(values)
            is_new = event.event == "update"
            posts |= {k: v for k, v in found.items() if is_new or k in seen or k in posts}
        except Unreadable as error:
            rows.append(BadRow(number, str(error), data[:MAX_ORIGINAL]))
    return rows, posts, gone


def _rows(values: Iterable[object]) -> list[Row]:
    """Return the rows of statuses, oldest first. Raises Unreadable when none is one."""
    shown = [value for value in values if _is_open(value)]
    return list(payloads.read(shown, platform="mastodon").rows) if shown else []


def _versions(values: Iterable[object]) -> dict[str, tuple[str, str]]:
    """Return of each status, by the server's id, its native id and when it was edited last."""
    found = {}
    for status in values:
        name = untyped.identifier(status, "id")
        if _ID.fullmatch(name):
            said = untyped.mapping(status, "reblog") or status
            edited = untyped.moment(said, "edited_at")
            native = bounded_id(untyped.string(status, "uri") or name)
            found[name] = native, edited.isoformat() if edited else ""
    return found


def _is_open(status: object) -> bool:
    visibility = untyped.at(status, "visibility")
    return not isinstance(visibility, str) or visibility in _OPEN


def _links(header: str) -> dict[str, str]:
    """Return the ids that lead on by their relation; an address itself is never followed."""
    found = {}
    for address, relation in _LINK.findall(header[:_MAX_LINK]):
        asked = parse_qs(address.partition("?")[2])
        name = asked.get("max_id" if relation == "next" else "min_id", [""])[0]
        if _ID.fullmatch(name):
            found[relation] = name
    return found


def _order(name: str) -> tuple[int, str]:
    """Return what ids are in order by: numbers, and the letters of equal length of others."""
    return len(name), name


async def _pump(lines: Lines, said: Said) -> None:
    """Pass the events of a stream on; whatever ends it, catching up shows how the server is."""
    reader = Reader()
    with suppress(OutboundError):
        async for line in lines:
            event = reader.read(line)
            if event is not None and event.event in _EVENTS:
                await said.put(event)
    await said.put(None)


CONNECTOR = ConnectorKind(
    kind="mastodon",
    title="Mastodon",
    summary="Follows a hashtag, an account or a timeline of a Mastodon server",
    settings=MastodonSettings,
    channel=Channel.MICROBLOG,
    open=MastodonConnector,
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
