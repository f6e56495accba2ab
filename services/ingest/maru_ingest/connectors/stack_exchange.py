"""Stack Exchange: questions with some tags or words, their answers, and the comments on both.

**What to set up.** Name the site as its API does (`stackoverflow`, `superuser`, `ko.stackoverflow`:
the beginning of its address, without `.stackexchange.com`), and tags, of which a question must have
one, or words as one would type into the site's search, or both; with neither, all of the site is
followed. Nothing else is needed for one source or two. For more, register an application at
<https://stackapps.com/apps/oauth/register> and give its *key*, which is no secret to Stack Exchange
and is treated as one here.

**How it works.** The questions that were active last are read at every look, 30 of them, each with
all of its answers and comments; what is missing from the last look on is read before, from the one
that was active longest ago. New questions and answers and edits make a question active. A comment
does not, so comments come at once on the 30 questions that were active last, and every six hours
on those of the last week, at most 300. Of the 60 questions that were read last, what is there no
longer is gone: answers and comments by themselves, questions after they were asked for by their
numbers. A look back (`backfill`) reads what was active since its beginning, and brings what was
written in its range. Words are looked for in questions alone; an answer comes with its question.

**Limits.** Without a key all requests from one address share 300 a day, with one 10,000. A look is
one request, and in the first one the fields that are wanted are agreed on (a *filter*). When Stack
Exchange asks for a pause (`backoff`), all sources here keep it; when it refuses
(`throttle_violation`) or nothing is left of the day, the source is throttled for as long as it
says. Votes and views are those of the moment at which a post was read.

API: <https://api.stackexchange.com/docs/advanced-search>,
<https://api.stackexchange.com/docs/filters>, <https://api.stackexchange.com/docs/throttle>,
<https://api.stackexchange.com/docs/error-handling>.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.connector import (
    ApiAddress,
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Interval,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    check_status,
    translated,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import BadRow, ParsedPost, Row, Unreadable

_ADDRESS = "https://api.stackexchange.com/2.3"
_LIMIT, _MANY = 30, 100
_AGAIN = timedelta(hours=6)
_WEEK = timedelta(days=7)
_MAX_AGAIN = 10
_MAX_KNOWN = 60
_MAX_NAMES = 2_000
_LONGEST_PAUSE = 60.0
"""Seconds of a pause that are waited for within a look; for a longer one the look ends."""
_SAID = "body creation_date link owner score"
_FIELDS = {
    "": "backoff error_id error_message error_name has_more items quota_remaining",
    "question": f"{_SAID} answer_count answers comment_count comments last_activity_date "
    "last_edit_date question_id title view_count",
    "answer": f"{_SAID} answer_id comment_count comments last_edit_date question_id",
    "comment": f"{_SAID} comment_id post_id post_type",
    "shallow_user": "display_name user_id",
}
_INCLUDE = ";".join(f"{of}.{name}" for of, names in _FIELDS.items() for name in names.split())
_VERSION = hashlib.blake2b(_INCLUDE.encode(), digest_size=6).hexdigest()
_SECONDS = re.compile(r"in (\d{1,6}) seconds?")
_FILTER = re.compile(r"[\x21-\x7e]{1,200}")
_TOO_MANY, _OURS = 502, {500, 503}
_REFUSED = {401, 402, 403, 405, 406}
_DEFAULT_WAIT = 60.0
_DAY = 86_400.0

_silent_until: dict[tuple[str, object], float] = {}
"""Until when (monotonic) a method, or a key, of an API is not to be used again, by any source.

There are as few as there are methods and keys.
"""


class StackExchangeSettings(SourceSettings):
    """Which questions to follow."""

    site: str = Field(
        default="stackoverflow",
        max_length=100,
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="Site, as the API names it, such as stackoverflow or ko.stackoverflow",
    )
    tags: tuple[str, ...] = Field(
        default=(), max_length=20, description="Tags, of which a question must have one"
    )
    query: str = Field(
        default="", max_length=240, description="Words to look for, as in the site's search"
    )
    key: SecretStr | None = Field(
        default=None, description="Key of an application on stackapps.com, for more requests"
    )
    interval_seconds: Interval = 900.0
    address: ApiAddress = _ADDRESS

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if any(not tag or ";" in tag or len(tag.split()) != 1 for tag in tags):
            raise ValueError("must be single words, without semicolons")
        return tags


@dataclass(frozen=True, slots=True)
class _Questions:
    """A page of questions, and whether there are more."""

    items: Sequence[object]
    has_more: bool

    def active(self) -> list[int]:
        """Return when its questions were active last, in seconds since 1970."""
        return [at for at in map(_active, self.items) if at is not None]


@dataclass(slots=True)
class _Place:
    """How far questions are known: all that were active up to `mark`, in seconds since 1970.

    `again` is when older ones were last looked at. `known` are the questions that were read last:
    when each was active, and its posts as kind/number; `host` is the site of all of them.
    """

    filter: str = ""
    mark: int = 0
    again: int = 0
    host: str = ""
    known: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: Cursor) -> "_Place":
        known = {name: (one[0], list(one[1])) for name, one in cursor.get("known", {}).items()}
        made = cursor.get("filter", "") if cursor.get("fields") == _VERSION else ""
        mark, again = int(cursor.get("mark", 0)), int(cursor.get("again", 0))
        return cls(made, mark, again, cursor.get("host", ""), known)

    def cursor(self) -> Cursor:
        known = {name: [at, names] for name, (at, names) in self.known.items()}
        made = {"filter": self.filter, "fields": _VERSION}
        return {**made, "mark": self.mark, "again": self.again, "host": self.host, "known": known}

    def read(self, item: object, names: Sequence[str]) -> list[str]:
        """Know what a question holds; return what it held and does not any more."""
        number, at = _number(item), _active(item)
        if not number or at is None:
            return []
        _, held = self.known.pop(number, (0, []))
        self.known[number] = (at, list(names))
        self._forget()
        return [name for name in held if name not in names] if _is_whole(item) else []

    def missing(self, newest: _Questions) -> list[str]:
        """Return the numbers of known questions that should be among the newest and are not."""
        there = {_number(item) for item in newest.items}
        since = min(newest.active(), default=0) if newest.has_more else 0
        return [name for name, (at, _) in self.known.items() if at > since and name not in there]

    def _forget(self) -> None:
        """Keep the questions that were active last, and of these no more posts than fit."""
        ranked = sorted(self.known.items(), key=lambda one: -one[1][0])[:_MAX_KNOWN]
        held, kept = 0, {}
        for name, (at, names) in ranked:
            held += len(names)
            if held <= _MAX_NAMES:
                kept[name] = (at, names)
        self.known = kept


@dataclass(frozen=True, slots=True)
class StackExchangeConnector:
    """Follows questions and what is said below them. The cursor holds a place."""

    settings: StackExchangeSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was active since the last look, then what became of the rest."""
        place = _Place.of(cursor)
        now = int(time.time())
        place.filter = place.filter or await self._made_filter()
        newest = await self._newest(place, 1)
        active = newest.active()
        if place.mark and newest.has_more and min(active, default=0) >= place.mark:
            async with aclosing(self._since(place.filter, place.mark, 1)) as pages:
                async for older, reached, _ in pages:
                    place.mark = reached
                    yield await self._page(older, place)
        place.mark = min(max([place.mark, *active]) or now, now)
        place.again = place.again or now
        yield await self._page(newest, place)
        if missing := place.missing(newest):
            yield await self._what_became(missing, place)
        if now - place.again > _AGAIN.total_seconds():
            for number in range(2, _MAX_AGAIN + 1):
                older = await self._newest(place, number)
                yield await self._page(older, place)
                oldest = min(older.active(), default=0)
                if not older.has_more or oldest < now - _WEEK.total_seconds():
                    break
            place.again = now
        pause = self._pause("search/advanced")
        yield Page((), place.cursor(), timedelta(seconds=pause) if pause else None)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range, by when its questions were active, earliest first."""
        stored = _Place.of(cursor)
        made = stored.filter or await self._made_filter()
        begun = int(cursor.get("low", int(since.timestamp())))
        before = {"todate": int(until.timestamp()) + 1}
        number = int(cursor.get("page", 1))
        async with aclosing(self._since(made, begun, number, before)) as pages:
            async for found, low, turned in pages:
                rows, _ = await asyncio.to_thread(_rows, found.items)
                place = {"filter": made, "fields": _VERSION, "low": low, "page": turned}
                yield Page(within(rows, since, until), place)

    async def _since(
        self, made: str, low: int, number: int, more: Mapping[str, object] | None = None
    ) -> AsyncGenerator[tuple[_Questions, int, int], None]:
        """Yield what was active from `low` on, and with each page from when and where to go on.

        By times and not by pages, from which a question goes when it becomes active again; pages
        are turned only within one second.
        """
        seen: set[str] = set()
        while True:
            asked = {"sort": "activity", "order": "asc", "min": low, **(more or {})}
            found = await self._questions(made, asked, number)
            fresh = [item for item in found.items if _number(item) not in seen]
            high = max(found.active(), default=low)
            there = {_number(item) for item in found.items if _active(item) == high} - {""}
            seen = there if high > low else seen | there
            low, number = (high, 1) if high > low else (low, number + 1)
            yield _Questions(fresh, found.has_more), low, number
            if not (found.has_more and found.items):
                return

    async def _newest(self, place: _Place, number: int) -> _Questions:
        return await self._questions(place.filter, {"sort": "activity", "order": "desc"}, number)

    async def _page(self, found: _Questions, place: _Place) -> Page:
        """Return the posts of questions, and of known ones what is not there any more."""
        rows, names = await asyncio.to_thread(_rows, found.items)
        place.host = next((_split(it)[0] for held in names for it in held), place.host)
        gone = [
            f"{place.host}/{name}"
            for item, held in zip(found.items, names, strict=True)
            for name in place.read(item, [_split(one)[1] for one in held])
        ]
        return Page(rows, place.cursor(), deleted_if_known=gone)

    async def _what_became(self, missing: Sequence[str], place: _Place) -> Page:
        """Return what became of questions that are not found any more, and know them no longer.

        Those that the site still has are only found no more, with another tag for example.
        """
        asked = {"filter": place.filter, "pagesize": _MANY}
        answer = await self._ask(f"questions/{';'.join(missing)}", asked)
        there = {_number(item) for item in answer.items}
        page = await self._page(answer, place)
        gone = [
            f"{place.host}/{name}"
            for number in missing
            if number not in there
            for name in place.known.get(number, (0, []))[1]
        ]
        for number in missing:
            place.known.pop(number, None)
        return Page(page.rows, place.cursor(), deleted_if_known=[*page.deleted_if_known, *gone])

    async def _questions(self, made: str, asked: Mapping[str, object], number: int) -> _Questions:
        chosen = {"q": self.settings.query, "tagged": ";".join(self.settings.tags)}
        wanted = {name: value for name, value in chosen.items() if value}
        place = {"filter": made, "page": number, "pagesize": _LIMIT}
        return await self._ask("search/advanced", {**wanted, **asked, **place})

    async def _made_filter(self) -> str:
        """Return the name of the fields that we want, which never change under that name."""
        asked = {"include": _INCLUDE, "base": "none", "unsafe": "false"}
        answer = await self._ask("filters/create", asked)
        name = untyped.string(next(iter(answer.items), None), "filter")
        if not _FILTER.fullmatch(name):
            raise SourceBroken("Stack Exchange makes no filter of the fields that are wanted.")
        return name

    async def _ask(self, method: str, asked: Mapping[str, object]) -> _Questions:
        """Ask one method, once it may be asked. Raises as `Tools.get` does, and for errors."""
        silence = self._pause(method)
        if silence > _LONGEST_PAUSE:
            raise SourceBusy("Stack Exchange asks for a pause.", retry_after=silence)
        await asyncio.sleep(silence)
        if self.tools.budget is not None:
            self.tools.budget.spend()
        key = {} if self.settings.key is None else {"key": self.settings.key.get_secret_value()}
        site = {} if method == "filters/create" else {"site": self.settings.site}
        with translated():
            fetched = await self.tools.outbound.get(
                f"{self.settings.address}/{method}?{urlencode({**asked, **site, **key})}",
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        if fetched.status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST):
            check_status(fetched)
        try:
            value = await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            told = f"Stack Exchange answers with what can't be read: {error}."
            raise SourceBroken(told) from error
        self._heed(method, value)
        try:
            _refuse(value)
        except SourceBusy as busy:
            self._silence(self.settings.key, busy.retry_after)
            raise
        check_status(fetched)
        items = untyped.at(value, "items")
        if not isinstance(items, list):
            raise SourceBroken("Stack Exchange answers with what is no list.")
        return _Questions(items, untyped.is_true(value, "has_more"))

    def _pause(self, method: str) -> float:
        """Return for how many seconds a method may not be asked."""
        keys: tuple[object, ...] = (_kind(method), self.settings.key)
        until = max(_silent_until.get((self.settings.address, key), 0.0) for key in keys)
        return max(until - time.monotonic(), 0.0)

    def _heed(self, method: str, value: object) -> None:
        """Note what an answer says of further ones."""
        if pause := untyped.count(value, "backoff"):
            self._silence(_kind(method), pause)
        if untyped.count(value, "quota_remaining") == 0:
            self._silence(self.settings.key, domain.until_tomorrow(domain.utc_now()))

    def _silence(self, what: object, seconds: float | None) -> None:
        until = time.monotonic() + min(seconds or 0.0, _DAY)
        _silent_until[self.settings.address, what] = until


def _kind(method: str) -> str:
    """Return a method without the numbers that it is asked for."""
    return re.sub(r"\d+(;\d+)*", "{ids}", method)


def _refuse(value: object) -> None:
    """Raise what an error means (https://api.stackexchange.com/docs/error-handling)."""
    number = untyped.count(value, "error_id")
    if number is None:
        return
    name, told = untyped.string(value, "error_name"), untyped.string(value, "error_message")
    reason = f"Stack Exchange answers {number} ({name[:100]}): {told[:300]}"
    if number == _TOO_MANY:
        named = _SECONDS.search(told)
        raise SourceBusy(reason, retry_after=float(named[1]) if named else _DEFAULT_WAIT)
    if number in _OURS:
        raise SourceBusy(reason, retry_after=_DEFAULT_WAIT)
    if number in _REFUSED or "`key`" in told:
        raise CredentialsRefused(reason)
    raise SourceBroken(reason)


def _rows(items: Sequence[object]) -> tuple[list[Row], list[list[str]]]:
    """Return the rows of questions and all below them, oldest first, and what each holds."""
    found: list[list[Row]] = [_of(number, item) for number, item in enumerate(items, start=1)]
    names = [[row.native_id for row in rows if isinstance(row, ParsedPost)] for rows in found]
    rows = [row for of_one in found for row in of_one]
    late = datetime.max.replace(tzinfo=UTC)
    rows.sort(key=lambda row: (isinstance(row, ParsedPost) and row.created_at) or late)
    return rows, names


def _of(number: int, item: object) -> list[Row]:
    try:
        answer = {"items": [item], "has_more": False}
        return list(payloads.read(answer, platform="stack_exchange").rows)
    except Unreadable as error:
        return [BadRow(number, str(error), untyped.original(item))]


def _is_whole(question: object) -> bool:
    """Whether all came that is below a question, as far as it says how much that is."""
    answers = untyped.mappings(question, "answers")
    if (untyped.count(question, "answer_count") or 0) != len(answers):
        return False
    return all(_has_its_comments(one) for one in (question, *answers))


def _has_its_comments(post: object) -> bool:
    return (untyped.count(post, "comment_count") or 0) == len(untyped.sequence(post, "comments"))


def _number(question: object) -> str:
    return untyped.identifier(question, "question_id")


def _active(question: object) -> int | None:
    return untyped.count(question, "last_activity_date")


def _split(native_id: str) -> tuple[str, str]:
    """Return the site of a post, and its kind and number."""
    host, _, name = native_id.partition("/")
    return host, name


CONNECTOR = ConnectorKind(
    kind="stack_exchange",
    title="Stack Exchange",
    summary="Follows questions on Stack Overflow or a sister of it, their answers and comments",
    settings=StackExchangeSettings,
    channel=Channel.COMMUNITY,
    open=StackExchangeConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.REPLIES, Capability.METRICS}),
)
