"""What a connector is: settings, and pages of posts with a cursor to go on from.

A new platform is one new file in `connectors/` that defines `CONNECTOR`, a `ConnectorKind`, and one
in `tests/upstreams/` that plays the platform; `tests/architecture/test_plugins.py` and the suite in
`tests/ingest/test_conformance.py` run over every one of them.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.extraction import Extraction
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Document, ParsedPost, Row, Unreadable
from maru_kit.bus import Bus, open_bus
from maru_kit.errors import MaruError, Unavailable
from maru_kit.outbound import AskedToWait, Fetched, Outbound, OutboundError

T = TypeVar("T")

Cursor = Mapping[str, Any]  # JSON: what a connector needs to go on; {} is the beginning

_BETWEEN = re.compile(r"[,\n]")
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_INTERVAL = 900.0
_BATCH = 50
_BATCH_SECONDS = 1.0
_SILENCE = 60.0
"""Seconds that a host is left alone which says "too many requests" and not for how long."""
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


class SourceBroken(MaruError):
    """The source answers, and what it says is of no use; the text says why, for people."""


class CredentialsRefused(SourceBroken):
    """The source does not accept who we say we are; asking again soon would not help."""


class SourceGone(SourceBroken):
    """The source knows nothing of what was asked for, or no more (404, 410)."""


class SourceBusy(Unavailable):
    """The source does not answer now, or asks to be left alone for `retry_after` seconds."""


class Forged(MaruError):
    """What came to a source's webhook can't be shown to come from its platform."""


class Capability(StrEnum):
    """What a connector can do beside bringing what is new.

    `backfill`: older posts of any range of time; `live`: posts within seconds of their writing,
    by a stream or a push; `replies`: what is answered to posts comes too, with its parent;
    `media`: pictures, sound and film come with their descriptions; `metrics`: likes, shares and
    replies are counted; `publish`: Maru can answer there.
    """

    BACKFILL = "backfill"
    LIVE = "live"
    REPLIES = "replies"
    MEDIA = "media"
    METRICS = "metrics"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Push:
    """Who tells us of a feed's changes, if we ask them to (WebSub, https://www.w3.org/TR/websub/).

    `hubs` is empty where nobody does. `topic` is by what they know the feed, `url` where it was
    found, on which its relative links hang.
    """

    hubs: Sequence[str]
    topic: str
    url: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some posts, oldest first, and the cursor to save once the log has acknowledged them.

    `next_due` is how long the source asks to be left alone after its last page. `deleted` are the
    native ids of posts that it says are gone; one that is among the rows, too, is gone.
    `deleted_if_known` are such of which most were never ours, as all deletions of a network are:
    nothing is noted of those that nobody has brought. `push` is None where the page has nothing to
    say of hubs. `trouble` is what a stream can't read while it goes on with the rest, for people.
    """

    rows: Sequence[Row]
    cursor: Cursor
    next_due: timedelta | None = None
    deleted: Sequence[str] = ()
    push: Push | None = None
    deleted_if_known: Sequence[str] = ()
    trouble: str = ""


Interval = Annotated[float, Field(ge=1, description="How often to look, in seconds")]
ApiAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the API, where a proxy stands before it",
    ),
]


class SourceSettings(BaseModel):
    """What every kind's settings inherit; secrets are SecretStr fields, and in no error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _split(cls, value: object, info: ValidationInfo) -> object:
        """Take a text for a list, too, with commas or lines between: `--set name=a,b`."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, str) and get_origin(annotation) is tuple:
            return [one.strip() for one in _BETWEEN.split(value) if one.strip()]
        return value


@dataclass(slots=True)
class Budget:
    """How many requests a source may still make today, None for any number; `used` counts them."""

    left: int | None = None
    used: int = 0

    def spend(self) -> None:
        """Count one request. Raises SourceBusy, until midnight UTC, when none is left."""
        if self.left is not None and self.used >= self.left:
            wait = domain.until_tomorrow(domain.utc_now())
            raise SourceBusy("The source's requests for today are used up.", retry_after=wait)
        self.used += 1


class Grants(Protocol):
    """Where tokens of OAuth are kept between polls, sealed; `oauth.Session` uses it."""

    async def kept(self, name: str) -> str:
        """Return what is kept under that name, empty for nothing."""

    async def keep(self, name: str, token: str) -> None:
        """Keep a token in place of the former one."""

    def renewing(self, name: str) -> AbstractAsyncContextManager[None]:
        """Keep all others from renewing that token while the block runs."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What connectors may use of the world.

    `files_root` is the folder below which files may be read, None when none may; `max_bytes`
    bounds what may be fetched at once (decoded), `deadline` how long that may take in all, in
    seconds. `budget` counts the requests of one source, `grants` keeps its tokens, and
    `credentials` is told when these end. `extraction` finds articles in pages, of which two of one
    host are fetched `page_delay` seconds apart. `own_log` is the URL of the log
    that Maru itself keeps, `open_log` opens that or another.
    """

    outbound: Outbound
    files_root: Path | None = None
    max_bytes: int = 5 * 1024 * 1024
    deadline: float = 20.0
    budget: "Budget | None" = None
    grants: Grants | None = None
    credentials: domain.Credentials | None = None
    extraction: Extraction | None = None
    page_delay: float = 0.5
    own_log: str = ""
    open_log: Callable[[str], AbstractAsyncContextManager[Bus]] = open_bus

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Fetched:
        """Ask a source, and return an answer of its that is good (200 to 299, or 304).

        Raises SourceBusy when it is to be asked again later, CredentialsRefused for 401 and 403,
        SourceGone for 404 and 410, SourceBroken for anything else, with the reason that the source
        itself gives.
        """
        if self.budget is not None:
            self.budget.spend()
        with translated():
            fetched = await self.outbound.get(
                url, headers=headers, max_bytes=self.max_bytes, deadline=self.deadline
            )
        check_status(fetched)
        return fetched

    def file(self, path: str) -> Path:
        """Return the real path of a file that may be read.

        Raises SourceBroken when it does not lie below `files_root`, links followed.
        """
        if self.files_root is None:
            raise SourceBroken("Files may not be read: MARU_INGEST_FILES_ROOT is not set.")
        home = self.files_root.resolve()
        real = (home / path).resolve()
        if not real.is_relative_to(home):
            raise SourceBroken("The file is outside the folder that files may be read from.")
        return real


class Connector(Protocol):
    """Follows one source."""

    def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new since `cursor`, page by page, and end.

        From the beginning, that is what the source shows at once: its newest page. Raises
        SourceBusy or SourceBroken; whatever was yielded before stands. The same cursor gives the
        same posts again as long as the source still serves them, so that between two polls
        nothing is lost, however many pages have come.
        """


class Backfilling(Connector, Protocol):
    """Follows one source, and can look back: the connector of a kind that can `backfill`."""

    def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts that were written from `since` (inclusive) to `until` (exclusive).

        Page by page, in any order of pages; the cursors are their own and no poll's. Raises as
        `pages` does.
        """


@dataclass(frozen=True, slots=True)
class Hook:
    """How a platform that is polled also pushes, to `/hooks/{source_id}`.

    `greet` returns the text that answers a platform which asks, by the parameters of a GET,
    whether it may send there. `read` returns the posts of a message, by its headers (names in
    lower case) and its body, and what it says is gone. Both raise Forged for what does not come
    from the platform, also where a source's settings hold nothing to tell that by; `read` raises
    Unreadable for what does and holds no posts. `reply` is for a platform that asks by a message
    in place of a GET: it returns the text that answers one, empty for a message that is to be read,
    and raises as `read` does.
    """

    greet: Callable[[Any, Mapping[str, str]], str]
    read: Callable[[Any, Mapping[str, str], bytes], Document]
    reply: Callable[[Any, Mapping[str, str], bytes], str] | None = None


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """A platform: how to set a source up, and how to follow it.

    `open` takes the kind's own settings, and is None for a kind whose posts are pushed to us; what
    it makes is `Backfilling` when the kind can `backfill`. `channel` is the medium unless the
    source says. The pages of a `stream` never end, so it takes no polling slot. `hook` is how the
    platform of a polled kind pushes, if it does. `is_form` says that people fill its posts in, on a
    page at `/forms/{source_id}`.
    """

    kind: str
    title: str
    summary: str
    settings: type[SourceSettings]
    channel: Channel
    open: Callable[[Any, Tools], Connector] | None
    stream: bool = False
    capabilities: frozenset[Capability] = frozenset()
    hook: Hook | None = None
    is_form: bool = False

    @property
    def is_sent(self) -> bool:
        """Whether programs send its posts to us: signed webhooks, or lines with a key."""
        return self.open is None and not self.is_form

    def interval(self, settings: SourceSettings) -> timedelta:
        """Return how often a source is polled: what its setting `interval_seconds` says."""
        return timedelta(seconds=getattr(settings, "interval_seconds", _INTERVAL))


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the way out says of a source as SourceBusy or SourceBroken."""
    try:
        yield
    except AskedToWait as error:
        raise SourceBusy(f"{error}.", retry_after=error.retry_after) from error
    except OutboundError as error:
        raise SourceBroken(f"{error}.") from error


def check_status(fetched: Fetched) -> None:
    """Return for a good answer (200 to 299, or 304), and raise as `Tools.get` does for others."""
    status = fetched.status
    if status == HTTPStatus.NOT_MODIFIED or HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    host = urlsplit(fetched.url).hostname
    told = _told(fetched.body)
    reason = f"{host} answers {status}{_phrase(status)}{f': {told}' if told else '.'}"
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        silence = _SILENCE if status == HTTPStatus.TOO_MANY_REQUESTS else 0.0
        raise SourceBusy(reason, retry_after=fetched.retry_after or silence)
    if status in _REFUSED:
        raise CredentialsRefused(reason)
    raise (SourceGone if status in _GONE else SourceBroken)(reason)


def _told(body: bytes) -> str:
    """Return what an API says of its error, which is often the only hint at what to do."""
    try:
        return payloads.error_in(payloads.loads(body))
    except Unreadable:
        return ""


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


@dataclass(slots=True)
class Mark:
    """How far a list is known whose newest posts come first.

    `known` is the time of the newest post that is known, None at the first look, which takes one
    page. What is up to `again` older is read again, for edits and for what is shown late.
    """

    known: datetime | None
    again: timedelta
    _newest: datetime | None = None
    _began: datetime = field(default_factory=domain.utc_now)

    @classmethod
    def of(cls, stored: object, again: timedelta) -> "Mark":
        """Return the one that `moved` gave, or the beginning for None."""
        return cls(datetime.fromisoformat(stored) if isinstance(stored, str) else None, again)

    @property
    def back_to(self) -> datetime | None:
        """Where reading back may end."""
        return self.known and self.known - self.again

    def meets(self, times: Iterable[datetime]) -> bool:
        """Note the times of a page, and say whether it goes back to what is known."""
        found = list(times)
        self._newest = max([*found, *filter(None, [self._newest])], default=None)
        return self.back_to is None or min(found, default=self.back_to) < self.back_to

    def moved(self) -> str:
        """Return the mark once all pages back to the known are read.

        Never a time to come, since a wrong clock would hide what is new; of a list without posts
        the time of the look: all that comes is new.
        """
        newest = max(filter(None, (self.known, self._newest)), default=self._began)
        return min(newest, self._began).isoformat()


def times(rows: Iterable[Row]) -> list[datetime]:
    """Return when the posts among `rows` were written, as far as they say."""
    posts = (row for row in rows if isinstance(row, ParsedPost))
    return [post.created_at for post in posts if post.created_at is not None]


def within(rows: Iterable[Row], since: datetime, until: datetime) -> list[Row]:
    """Return the posts that were written from `since` (inclusive) to `until`, and all bad rows."""
    return [
        row
        for row in rows
        if not isinstance(row, ParsedPost)
        or (row.created_at is not None and since <= row.created_at < until)
    ]


def is_signed(body: bytes, secret: str, given: str, *, scheme: str = "sha256") -> bool:
    """Whether `given` is the HMAC (SHA-256) of a body, in hex after the name of its scheme."""
    wanted = f"{scheme}={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


async def batched(waiting: asyncio.Queue[T | None], *, silence: float) -> list[T | None]:
    """Return what a stream says within a second after its first word, at most 50 words.

    Nothing after `silence` seconds without any, so that a quiet stream shows that it lives. None is
    the stream's end, and then the last.
    """
    found: list[T | None] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(silence):
            found.append(await waiting.get())
    with suppress(TimeoutError):
        async with asyncio.timeout(_BATCH_SECONDS):
            while found and found[-1] is not None and len(found) < _BATCH:
                found.append(await waiting.get())
    return found
