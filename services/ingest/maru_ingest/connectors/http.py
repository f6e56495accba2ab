r"""JSON over HTTP: any API that lists posts as JSON, without a line of code.

Say where the list is, where it stands in the answer, and where in each of its elements the id, the
words, the time and whatever else there is; then look at what comes of it (`maru sources test http`,
or *Try it* on the board) before it is followed.

**What to set up.** `address` is the address of the newest posts, with whatever parameters the site
wants, such as how many posts a page has. `items` is the JSONPath of the list in the answer
(`$.reviews`), each `post_…` the JSONPath of a field in one element of it (`$.consumer.name`). Paths
are those of RFC 9535 (<https://www.rfc-editor.org/rfc/rfc9535>), without functions, and with
filters of plain fields only: `$.answers[?@.question=='overall'].stars`. Where `post_text` leads to
several texts (`$['pros','cons']`) each is a paragraph. Markup is taken out. Times may be ISO 8601,
mail's form, seconds or milliseconds since 1970, Korean forms; one without a zone is UTC. Stars are
of five unless `best_rating` says more. Who gave stars and no words has written no post.

**Who asks** (`auth`): nobody in particular (`none`); `header`, where `auth_name` is the header's
name and `secret` its value; `bearer`, a token in the header Authorization; `basic`, with `user` and
`secret`; `oauth`, client credentials (RFC 6749 section 4.4), where `user` is the app's id, `secret`
its secret, and `token_address` grants the tokens; `query`, a parameter `auth_name` of the address.
This one stands in the address of each request, which proxies on the way and the site's own logs may
keep: prefer a header where the site takes one. Maru itself writes it into no log and no reason.

**Pages** (`paging`): `none`, all is in one answer; `page` and `offset`, counted in the parameter
`page_parameter`, pages from `page_first`; `cursor`, which the answer has at `next_at` and the next
request in `page_parameter`; `link`, the Link header with `rel="next"`; `next`, the next page's
address at `next_at`. Addresses that lead to another host, port or scheme are not followed.

**How it works.** With the newest first (`order`) a look goes back page by page until it meets what
was known `again_hours` before, so that edits and what is shown late are noticed; the first look
takes one page. With the oldest first it goes on with the page that was the last, or, where
`since_parameter` is set, asks for what is newer than `again_hours` before the newest, at first for
30 days. In no order at all (`none`) every look reads everything that may be newer. `sorted_by` says
which time the order and `since_parameter` mean. A look back (`backfill`) reads the same pages.

**An example**, reviews of a shop, a hundred on a page, the newest first:

```sh
maru sources test http \
  --set 'address=https://api.example.com/v1/reviews?business=42&perPage=100&orderBy=created.desc' \
  --set 'auth=header' --set 'auth_name=X-Api-Key' --set 'secret=…' \
  --set 'paging=page' --set 'page_parameter=page' \
  --set 'items=$.reviews' --set 'post_id=$.id' \
  --set 'post_title=$.title' --set 'post_text=$.text' --set 'post_rating=$.stars' \
  --set 'post_created_at=$.createdAt' --set 'post_edited_at=$.updatedAt' \
  --set 'post_author=$.consumer.id' --set 'post_author_name=$.consumer.displayName' \
  --set 'post_language=$.language' --set 'post_likes=$.numberOfLikes' \
  --set "post_url=$.links[?@.rel=='review-page'].href"
```

`maru sources add http "Reviews of our shop" --channel review` with the same settings follows it.

**Limits.** Only GET, only JSON. At most 1,000 pages a look. Where pages are counted, a post that is
taken away while they are read can hide another one until a later look goes so far. Deletions are
not noticed. A cursor that the site has forgotten makes a list with the oldest first break: reset
the source, what comes again is known. Ids are names within the site's host, except where two
sources have different posts under one id: then they are two posts.
"""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import quote_plus, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from maru_contracts.posts import MAX_BEST, Channel
from maru_ingest import oauth
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Interval,
    Mark,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    within,
)
from maru_ingest.formats import mapped, payloads, text
from maru_ingest.formats.json_path import MAX_PATH, Path
from maru_ingest.formats.mapped import Mapped
from maru_ingest.formats.paging import Paging, Position, TimeFormat, Way
from maru_ingest.formats.parsed import Document, ParsedPost, Row, Unreadable
from maru_kit.outbound import Fetched

_MAX_PAGES = 1_000
_MAX_ITEMS = 10_000
_MAX_NAMES = 12
_MAX_SHOWN = 40
_FIRST = timedelta(days=30)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_RESERVED = {"authorization", "connection", "content-length", "host", "transfer-encoding"}


def _path(what: str, default: Any = "") -> Any:  # a field's description
    described = f"JSONPath, in a post, of {what}"
    return Field(default=default, max_length=MAX_PATH, description=described)


class HttpSettings(SourceSettings):
    """Which list of posts to follow, where its fields are, who asks, and how its pages turn."""

    address: str = Field(
        max_length=4_000, description="Address of the newest posts, with the site's own parameters"
    )
    items: str = Field(
        max_length=MAX_PATH, description="JSONPath of the list of posts: $.reviews, or $"
    )
    post_id: str = _path("its id", ...)
    post_text: str = _path("its words; several texts are paragraphs", ...)
    post_created_at: str = _path("when it was written")
    post_edited_at: str = _path("when it was last changed")
    post_title: str = _path("its title")
    post_author: str = _path("who wrote it, as the site knows them")
    post_author_name: str = _path("the name that is shown of them")
    post_rating: str = _path("its rating: stars, or a number")
    best_rating: float | None = Field(
        default=None, gt=0, le=MAX_BEST, description="The best rating there is; five if not set"
    )
    post_url: str = _path("its address")
    post_language: str = _path("its language, such as ko")
    post_parent: str = _path("the id of what it answers")
    post_likes: str = _path("how many like it")
    post_shares: str = _path("how often it was shared")
    post_replies: str = _path("how many answers it has")
    post_views: str = _path("how often it was seen")
    post_media: str = _path("addresses of its pictures")
    order: Literal["newest", "oldest", "none"] = Field(
        default="newest", description="Which posts come first: the newest, the oldest, no order"
    )
    sorted_by: Literal["written", "edited"] = Field(
        default="written", description="Which of their times the order and since_parameter mean"
    )
    again_hours: float = Field(
        default=1.0, ge=0, le=24 * 90, description="Hours that are read again, for late and edited"
    )
    paging: Way = Field(default="none", description="How the next page is asked for")
    page_parameter: str = Field(
        default="page",
        min_length=1,
        max_length=100,
        description="Parameter that names the page, the offset or the cursor",
    )
    page_first: int = Field(
        default=1, ge=0, le=1, description="Number of the first page, for paging by page"
    )
    next_at: str = Field(
        default="",
        max_length=MAX_PATH,
        description="JSONPath, in the answer, of the cursor or address of the next page",
    )
    since_parameter: str = Field(
        default="", max_length=100, description="Parameter by which the site gives only newer posts"
    )
    since_format: TimeFormat = Field(default="iso", description="How that parameter writes a time")
    auth: Literal["none", "header", "bearer", "basic", "query", "oauth"] = Field(
        default="none", description="How the site is told who asks"
    )
    auth_name: str = Field(
        default="", max_length=100, description="The header's or parameter's name for the secret"
    )
    user: str = Field(
        default="", max_length=300, description="User's name for basic, the app's id for oauth"
    )
    secret: SecretStr | None = Field(
        default=None, max_length=4_000, description="The key, token or password"
    )
    token_address: str = Field(
        default="", max_length=1_000, description="Address that grants tokens, for oauth"
    )
    scopes: tuple[str, ...] = Field(
        default=(), max_length=20, description="What a token is to allow, for oauth"
    )
    headers: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="More headers, as Name: value; no secrets, since these are shown",
    )
    interval_seconds: Interval = 900.0

    @field_validator("address", "token_address")
    @classmethod
    def _is_followable(cls, written: str, info: ValidationInfo) -> str:
        if not written and info.field_name == "token_address":
            return written
        parts = urlsplit(written.strip())
        if parts.scheme in {"http", "https"} and parts.hostname and parts.username is None:
            return written.strip().partition("#")[0]
        raise ValueError("must begin with http:// or https://, without a user's name")

    @field_validator("items", "next_at", *(f"post_{name}" for name in mapped.FIELDS))
    @classmethod
    def _is_a_path(cls, written: str) -> str:
        if written := written.strip():
            Path.of(written)
        return written

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        for one in written:
            name, colon, value = one.partition(":")
            if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError("write each header as Name: value, in ASCII")
            if name.lower() in _RESERVED:
                raise ValueError(f"the header {name} is not yours to set here")
        return written

    @model_validator(mode="after")
    def _names_who_asks(self) -> Self:
        secret = self.secret.get_secret_value() if self.secret else ""
        if self.auth != "none" and not secret:
            raise ValueError(f"auth {self.auth} needs the secret")
        if self.auth != "query" and not _VALUE.fullmatch(secret):
            raise ValueError("the secret can't be in a header: it is not ASCII")
        if self.auth == "header" and not _NAME.fullmatch(self.auth_name):
            raise ValueError("auth header needs the header's name in auth_name")
        if self.auth == "query" and not self.auth_name:
            raise ValueError("auth query needs the parameter's name in auth_name")
        if self.auth == "oauth" and not (self.user and self.token_address):
            raise ValueError("auth oauth needs the app's id in user, and token_address")
        return self

    @model_validator(mode="after")
    def _can_turn_pages(self) -> Self:
        if self.paging in {"cursor", "next"} and not self.next_at:
            raise ValueError(f"paging {self.paging} needs next_at")
        if not self.post_id or not self.post_text or not self.items:
            raise ValueError("items, post_id and post_text are needed")
        time = "post_created_at" if self.sorted_by == "written" else "post_edited_at"
        if (self.order == "newest" or self.since_parameter) and not getattr(self, time):
            raise ValueError(f"this order, or since_parameter, needs {time}")
        return self


@dataclass(frozen=True, slots=True)
class _Answer:
    """One page: its rows, the times that it is sorted by, where it stood, and the next one."""

    rows: Sequence[Row]
    times: Sequence[datetime]
    at: Position
    next: Position

    @property
    def is_timeless(self) -> bool:
        """Whether it has posts and no times."""
        return not self.times and any(isinstance(row, ParsedPost) for row in self.rows)


@dataclass(frozen=True)
class HttpConnector:
    """Follows one list. Its cursor holds the newest time that is known, or the last page."""

    settings: HttpSettings
    tools: Tools

    def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new, as the order of the list allows."""
        if self.settings.order == "newest":
            return self._newest(cursor)
        if self.settings.order == "oldest" and not self.settings.since_parameter:
            return self._on_from(cursor)
        return self._since(cursor)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts of a range, in the order of the list."""
        async for answer in self._answers(cursor.get("at"), since):
            rows = within(answer.rows, since, until)
            yield Page(rows, {"at": answer.at})
            if self._is_beyond(answer, since, until):
                return

    def _is_beyond(self, answer: _Answer, since: datetime, until: datetime) -> bool:
        """Whether the pages after this one have nothing of the range."""
        oldest = min(answer.times, default=since)
        if self.settings.order == "newest":
            return oldest < since
        is_exact = self.settings.order == "oldest" and self.settings.sorted_by == "written"
        return is_exact and oldest >= until

    async def _newest(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Go back to what is known; the mark moves with the last page, so that no gap is left."""
        mark = Mark.of(cursor.get("mark"), self._again)
        async for answer in self._answers(None, mark.back_to):
            if mark.known is None and answer.is_timeless:
                raise SourceBroken(f"No post has a time at {self._time_path}.")
            is_last = mark.meets(answer.times) or answer.next is None
            yield Page(answer.rows, {"mark": mark.moved()} if is_last else cursor)
            if is_last:
                return

    async def _since(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Ask for what is newer, or for all of it where that can't be asked for.

        The oldest first, each page moves the mark; in no order, the last one does.
        """
        mark = Mark.of(cursor.get("mark"), self._again)
        begins = mark.back_to or datetime.now(UTC) - _FIRST
        async for answer in self._answers(None, begins):
            mark.meets(answer.times)
            is_sorted = self.settings.order == "oldest" and bool(answer.times)
            is_moved = is_sorted or answer.next is None
            yield Page(answer.rows, {"mark": mark.moved()} if is_moved else cursor)

    async def _on_from(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Go on with the page that was the last one with posts: more may stand on it by now."""
        async for answer in self._answers(cursor.get("at"), None):
            if answer.rows:
                yield Page(answer.rows, {"at": answer.at})

    async def _answers(self, at: Position, since: datetime | None) -> AsyncGenerator[_Answer, None]:
        """Yield page after page, from the one at `at`; the last has no next one.

        A site that has no further page may name the last one again.
        """
        asked = {at}
        before: Sequence[str] = ()
        for _ in range(_MAX_PAGES):
            answer = await self._ask(at, since)
            names = [row.native_id for row in answer.rows if isinstance(row, ParsedPost)]
            if names and names == before and isinstance(at, int):
                raise SourceBroken(
                    "Two pages in a row hold the same posts: "
                    f"{self.settings.page_parameter} does not turn them."
                )
            if answer.next is None or answer.next in asked:
                yield replace(answer, next=None)
                return
            yield answer
            at, before = answer.next, names
            asked.add(at)
        raise SourceBroken(f"The list has more than {_MAX_PAGES:,} pages to read at once.")

    async def _ask(self, at: Position, since: datetime | None) -> _Answer:
        with self._discreet():
            url = self._paging.url(at, since, self._in_address)
            asking = self._session or self.tools
            fetched = await asking.get(url, headers=self._headers)
            return await asyncio.to_thread(self._read, fetched, at)

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        asked = self.settings
        pairs = (one.partition(":") for one in asked.headers)
        headers = {"Accept": "application/json", **{name: it.strip() for name, _, it in pairs}}
        if asked.auth == "header":
            headers[asked.auth_name] = self._secret
        if asked.auth == "bearer":
            headers["Authorization"] = f"Bearer {self._secret}"
        if asked.auth == "basic":
            pair = f"{asked.user}:{self._secret}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers

    @cached_property
    def _session(self) -> oauth.Session | None:
        asked = self.settings
        if asked.auth != "oauth" or asked.secret is None:
            return None
        grant = oauth.client_credentials(
            asked.token_address, asked.user, asked.secret, scopes=asked.scopes
        )
        return oauth.Session(grant, self.tools, "The site")

    def _read(self, fetched: Fetched, at: Position) -> _Answer:
        if fetched.status == HTTPStatus.NO_CONTENT:
            return _Answer((), (), at, None)
        value: object = None
        try:
            value = payloads.loads(fetched.body)
            found = mapped.elements(value, self._list)
            following = self._paging.next(
                at,
                answer=value,
                link=fetched.headers.get("link", ""),
                count=len(found),
                secret=self._in_address.keys(),
            )
        except Unreadable as error:
            told = payloads.error_in(value) or f"{error}{_fields(value)}"
            host = urlsplit(fetched.url).hostname
            raise SourceBroken(f"{host} answers with what can't be used: {told}.") from error
        if len(found) > _MAX_ITEMS:
            raise SourceBroken(f"A page with more than {_MAX_ITEMS:,} posts is not taken.")
        made = (self._shape.row(one, number) for number, one in enumerate(found, start=1))
        rows = [row for row in made if row is not None]
        posts = [row for row in rows if isinstance(row, ParsedPost)]
        times = [moment for moment in map(self._time, posts) if moment is not None]
        listed = rows[::-1] if self.settings.order == "newest" else rows  # times may be equal
        return _Answer(payloads.oldest_first(Document(listed)).rows, times, at, following)

    def _time(self, post: ParsedPost) -> datetime | None:
        is_edited = self.settings.sorted_by == "edited"
        return (post.edited_at or post.created_at) if is_edited else post.created_at

    @property
    def _time_path(self) -> str:
        asked = self.settings
        return asked.post_created_at if asked.sorted_by == "written" else asked.post_edited_at

    @property
    def _again(self) -> timedelta:
        return timedelta(hours=self.settings.again_hours)

    @cached_property
    def _paging(self) -> Paging:
        asked = self.settings
        next_at = Path.of(asked.next_at) if asked.next_at else None
        return Paging(
            asked.address,
            asked.paging,
            asked.page_parameter,
            asked.page_first,
            next_at,
            asked.since_parameter,
            asked.since_format,
        )

    @property
    def _in_address(self) -> Mapping[str, str]:
        """The parameters that say who asks."""
        return {self.settings.auth_name: self._secret} if self.settings.auth == "query" else {}

    @cached_property
    def _list(self) -> Path:
        return mapped.list_path(self.settings.items)

    @cached_property
    def _shape(self) -> Mapped:
        asked = self.settings
        written = {name: str(getattr(asked, f"post_{name}")) for name in mapped.FIELDS}
        paths = {name: Path.of(path) for name, path in written.items() if path}
        site = urlsplit(asked.address).hostname or ""
        return Mapped(paths, site, asked.address, asked.best_rating)

    @property
    def _secret(self) -> str:
        return self.settings.secret.get_secret_value() if self.settings.secret else ""

    @contextmanager
    def _discreet(self) -> Iterator[None]:
        """Keep the secret out of reasons: a site may repeat it in what it says of an error."""
        try:
            yield
        except (SourceBroken, SourceBusy) as error:
            told = str(error)
            for secret in filter(None, (self._secret, quote_plus(self._secret))):
                told = told.replace(secret, "…")
            if told == str(error):
                raise
            if isinstance(error, SourceBusy):
                raise SourceBusy(told, retry_after=error.retry_after) from None
            raise type(error)(told) from None


def _fields(value: object) -> str:
    """Name the fields of an answer, so that the right path can be seen."""
    names = list(value)[:_MAX_NAMES] if isinstance(value, dict) else []
    shown = ", ".join(text.clean_line(str(name), _MAX_SHOWN) for name in names)
    return f"; its fields are {shown}" if shown else ""


CONNECTOR = ConnectorKind(
    kind="http",
    title="JSON over HTTP",
    summary="Follows any API that lists posts as JSON: reviews of a shop, tickets, a forum",
    settings=HttpSettings,
    channel=Channel.OTHER,
    open=HttpConnector,
    capabilities=frozenset(
        {Capability.BACKFILL, Capability.MEDIA, Capability.METRICS, Capability.REPLIES}
    ),
)
