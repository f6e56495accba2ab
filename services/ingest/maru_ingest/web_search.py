"""What following a search engine takes: results newest first, without a cursor of their own.

What was found before is known by its id and not brought again: an excerpt that another look cut
elsewhere is no edit.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Protocol

from maru_ingest.connector import (
    CredentialsRefused,
    Cursor,
    Page,
    SourceBroken,
    Tools,
    check_status,
    translated,
    within,
)
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import ParsedPost, Row, Unreadable

_MAX_KNOWN = 300
"""Results that are remembered of each service: more than any engine shows on two pages."""
_MAX_PAGES = 50
_FIRST = 1


@dataclass(frozen=True, slots=True)
class Results:
    """One page of results, newest first; `next` asks for the following one, 0 if there is none."""

    rows: Sequence[Row]
    next: int


class Engine(Protocol):
    """A search engine with one query; its services search one medium each."""

    @property
    def services(self) -> Sequence[str]:
        """What is searched, each by the name that it has in the cursor."""

    async def results(self, service: str, at: int) -> Results:
        """Return the page that begins at a place, of which the first is 1."""


async def new(engine: Engine, cursor: Cursor) -> AsyncGenerator[Page, None]:
    """Yield what is new of each service, oldest page first; one that fails stops no other."""
    known: dict[str, list[str]] = dict(cursor.get("known", {}))
    failed: SourceBroken | None = None
    for service in engine.services:
        try:
            pages = await _unknown(engine, service, known.get(service))
        except CredentialsRefused:
            raise
        except SourceBroken as error:
            failed = error
            continue
        for rows in pages:
            known[service] = [*known.get(service, ()), *map(_mark, rows)][-_MAX_KNOWN:]
            yield Page(rows, {"known": dict(known)})
    if failed is not None:
        raise failed


async def written_within(
    engine: Engine, since: datetime, until: datetime, cursor: Cursor
) -> AsyncGenerator[Page, None]:
    """Yield what was written in a range of time, newest page first, of one service after another.

    Results without a time are left out. The cursor is a service and a place in it: what is written
    meanwhile moves older results on, so that a place never passes over any.
    """
    begun = int(cursor.get("service", 0))
    for number, service in list(enumerate(engine.services))[begun:]:
        at = int(cursor.get("at", _FIRST)) if number == begun else _FIRST
        for _ in range(_MAX_PAGES):
            found = await engine.results(service, at)
            times = [row.created_at for row in found.rows if isinstance(row, ParsedPost)]
            oldest = min(filter(None, times), default=None)
            at = found.next if oldest is not None and oldest >= since else 0
            rows = within(reversed(found.rows), since, until)
            yield Page(rows, {"service": number, "at": at} if at else {"service": number + 1})
            if not at:
                break


async def ask(
    tools: Tools,
    name: str,
    url: str,
    headers: Mapping[str, str],
    refuse: Callable[[int, object], None],
) -> object:
    """Return the JSON that an engine answers with.

    `refuse` is given the status and the value of an answer that is no result, and raises what its
    error means; where it raises nothing, the status says it.
    """
    if tools.budget is not None:
        tools.budget.spend()
    with translated():
        fetched = await tools.outbound.get(
            url, headers=headers, max_bytes=tools.max_bytes, deadline=tools.deadline
        )
    try:
        value = await asyncio.to_thread(payloads.loads, fetched.body)
    except Unreadable as error:
        check_status(fetched)
        raise SourceBroken(f"{name} answers with what can't be read: {error}.") from error
    if fetched.status != HTTPStatus.OK:
        refuse(fetched.status, value)
        check_status(fetched)
    return value


async def posts(name: str, platform: str, value: object) -> Sequence[Row]:
    """Return the rows of an answer in its own order."""
    try:
        found = await asyncio.to_thread(payloads.find, value, platform=platform)
    except Unreadable as error:
        raise SourceBroken(f"{name} answers with what is of no use: {error}.") from error
    if found is None:
        raise SourceBroken(f"{name} answers with what are no results of a search.")
    return found.rows


async def _unknown(engine: Engine, service: str, known: Sequence[str] | None) -> list[list[Row]]:
    """Return the pages of results that are not known, the oldest first, each oldest first.

    The first look is at the newest page. A later one goes back to a page most of which is known
    (one known result is no sign, since results come and go), and leaves out what is older.
    """
    pages: list[list[Row]] = []
    before = frozenset(known or ())
    seen = set(before)
    at = _FIRST
    for _ in range(_MAX_PAGES):
        found = await engine.results(service, at)
        marked = [(row, _mark(row)) for row in found.rows]
        places = [place for place, (_, mark) in enumerate(marked) if mark in before]
        is_known = len(places) * 2 >= len(marked)
        if is_known and places:
            marked = marked[: places[-1]]
        pages.append([row for row, mark in marked if mark not in seen][::-1])
        seen.update(mark for _, mark in marked)
        at = found.next
        if known is None or is_known or not at:
            break
    return pages[::-1]


def _mark(row: Row) -> str:
    """Return what a result is known by, which is short."""
    name = row.native_id if isinstance(row, ParsedPost) else ""
    return blake2b((name or repr(row)).encode("utf-8", "replace"), digest_size=8).hexdigest()
