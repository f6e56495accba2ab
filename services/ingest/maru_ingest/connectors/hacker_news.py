"""Hacker News: stories and comments that hold some words, one's posts, or the comments on a story.

**What to set up.** Nothing: both APIs are open to everybody, without a key. Give the words to look
for (`"a phrase"` in quotes; all words must be there, spelt as they are), an author, the number of a
story (`…/item?id=NUMBER`), or several of these, which must then all be true. A comment is also
found by the title of its story.

**How it works.** A search by Algolia brings what was written, newest first. It shows the newest
thousand of what it finds, so a longer time is asked for in halves, the older one first. What was
written in the last three hours is read again at every look, since an author may edit for two hours
and the search learns of some posts late. Of the last 500 posts that were brought, those that Hacker
News names as changed and those that the search does not find any more are asked for one by one, at
most 30 in one look: they are edited, deleted, killed by moderators (`dead`), or as they were.

**Limits.** The search allows 10,000 requests an hour from one address. A look takes two requests,
and one for each post that has changed. The points and the number of comments are those of the
moment at which a post was read.

API: <https://hn.algolia.com/api>, <https://github.com/HackerNews/API>.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, field_validator, model_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    Cursor,
    Interval,
    Page,
    SourceBroken,
    SourceSettings,
    Tools,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import BadRow, Document, Row, Unreadable
from maru_ingest.formats.untyped import Object

_SEARCH = "https://hn.algolia.com/api/v1"
_ITEMS = "https://hacker-news.firebaseio.com/v0"
_LIMIT = 200
_REACH = 1_000
"""Posts that the search shows of all that it finds (Algolia's `paginationLimitedTo`)."""
_AGAIN = 3 * 3_600
"""Seconds of which posts are read again: two for edits, one for what the search learns late."""
_MAX_KNOWN = 500
_MAX_ASKED = 30

Kind = Literal["story", "comment", "poll", "job"]


class HackerNewsSettings(SourceSettings):
    """What to look for."""

    query: str = Field(
        default="",
        max_length=500,
        description='Words that a post must hold, with "phrases" in quotes',
    )
    author: str = Field(
        default="", pattern=r"^[\w-]{0,32}$", description="Name of the one whose posts to follow"
    )
    story: int | None = Field(
        default=None, ge=1, description="Number of a story, to follow what is said below it"
    )
    posts: tuple[Kind, ...] = Field(
        default=("story", "comment", "poll"),
        min_length=1,
        description="What to follow of story, comment, poll and job",
    )
    interval_seconds: Interval = 300.0
    search_address: str = Field(
        default=_SEARCH,
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the search, where a proxy stands before it",
    )
    items_address: str = Field(
        default=_ITEMS,
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of Hacker News's own API, where a proxy stands before it",
    )

    @field_validator("query")
    @classmethod
    def _is_bare(cls, query: str) -> str:
        return query.strip()

    @model_validator(mode="after")
    def _follows_something(self) -> "HackerNewsSettings":
        if not (self.query or self.author or self.story):
            raise ValueError("name words, an author or a story")
        return self


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page of what the search finds, newest first, how many pages there are, and posts in all."""

    hits: Sequence[object]
    pages: int
    total: int


@dataclass(slots=True)
class _Place:
    """How far posts are known: all up to `since`, in seconds since 1970.

    `known` are the newest posts that were brought, and when each was written.
    """

    since: int
    known: dict[str, int]

    @classmethod
    def of(cls, cursor: Cursor) -> "_Place":
        return cls(int(cursor.get("since", 0)), dict(cursor.get("known", {})))

    def cursor(self) -> Cursor:
        return {"since": self.since, "known": dict(self.known)}

    def reach(self, found: Mapping[str, int]) -> None:
        """Know some posts more, and of the oldest no longer."""
        self.since = max([self.since, *found.values()])
        newest = sorted({**self.known, **found}.items(), key=lambda one: one[1])
        self.known = dict(newest[-_MAX_KNOWN:])


@dataclass(frozen=True, slots=True)
class HackerNewsConnector:
    """Follows a search. The cursor holds its place."""

    settings: HackerNewsSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was written since the last look, then what became of older posts."""
        place = _Place.of(cursor)
        now = int(time.time()) + 1
        if not place.since:
            answer = await self._search(0, now, 0)
            place.since = now - 1
            place.reach(_times(answer.hits))
            yield Page(await asyncio.to_thread(_rows, answer.hits), place.cursor())
            return
        first = max(place.since - _AGAIN, 0)
        missed = {name for name, at in place.known.items() if at >= first}
        async with aclosing(self._range(first, now)) as answers:
            async for answer in answers:
                times = _times(answer.hits)
                missed -= times.keys()
                place.reach(times)
                yield Page(await asyncio.to_thread(_rows, answer.hits), place.cursor())
        async with aclosing(self._changes(place, missed)) as changes:
            async for page in changes:
                yield page

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts of a range, oldest page first."""
        begun, ends = _second(since), _second(until)
        async with aclosing(self._range(int(cursor.get("since", begun)), ends)) as answers:
            async for answer in answers:
                begun = max([begun, *_times(answer.hits).values()])
                yield Page(await asyncio.to_thread(_rows, answer.hits), {"since": begun})

    async def _range(self, since: int, until: int) -> AsyncGenerator[_Answer, None]:
        """Yield what was written from `since` to before `until`, oldest page first.

        So whoever goes on from the newest post that came has missed nothing.
        """
        waiting = [(since, until)]
        while waiting:
            begins, ends = waiting.pop()
            newest = await self._search(begins, ends, 0)
            if newest.hits and newest.total > _REACH and ends - begins > 1:
                middle = (begins + ends) // 2
                waiting += [(middle, ends), (begins, middle)]
                continue
            for number in range(newest.pages - 1, 0, -1):
                yield await self._search(begins, ends, number)
            yield newest

    async def _changes(self, place: _Place, missed: Iterable[str]) -> AsyncGenerator[Page, None]:
        """Yield what became of known posts that have changed, or are not found any more."""
        if not place.known:
            return
        told = await self._ask(f"{self.settings.items_address}/updates.json")
        changed = {str(name) for name in untyped.sequence(told, "items")} & place.known.keys()
        for name in sorted({*missed, *changed}, key=int)[:_MAX_ASKED]:
            item = await self._ask(f"{self.settings.items_address}/item/{name}.json")
            found = _item(name, item)
            if found.deleted or name in missed:
                del place.known[name]
            yield Page(found.rows, place.cursor(), deleted=found.deleted)

    async def _search(self, since: int, until: int, number: int) -> _Answer:
        asked = {
            "query": self.settings.query,
            "tags": ",".join(self._tags()),
            "numericFilters": f"created_at_i>={since},created_at_i<{until}",
            "hitsPerPage": _LIMIT,
            "page": number,
            "typoTolerance": "false",
            "advancedSyntax": "true",
            "attributesToHighlight": "[]",
        }
        url = f"{self.settings.search_address}/search_by_date?{urlencode(asked)}"
        answer = await self._ask(url)
        hits = answer.get("hits") if isinstance(answer, dict) else None
        if not isinstance(hits, list):
            raise SourceBroken("Hacker News's search answers with what is no list of posts.")
        pages = min(untyped.count(answer, "nbPages") or 0, _REACH)
        return _Answer(hits, pages, untyped.count(answer, "nbHits") or 0)

    def _tags(self) -> list[str]:
        """Return what is looked for as Algolia's tags: all of them, of those in brackets one."""
        wanted = [f"({','.join(self.settings.posts)})"]
        if self.settings.author:
            wanted.append(f"author_{self.settings.author}")
        if self.settings.story is not None:
            wanted.append(f"story_{self.settings.story}")
        return wanted

    async def _ask(self, url: str) -> object:
        fetched = await self.tools.get(url)
        try:
            return await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"Hacker News answers with what can't be read: {error}.") from error


def _rows(hits: Sequence[object]) -> list[Row]:
    """Return the rows of a page, oldest first."""
    good = [hit for hit in reversed(hits) if _is_hit(hit)]
    bad = [
        BadRow(number, "not a post like its neighbours", untyped.original(hit))
        for number, hit in enumerate(hits, start=1)
        if not _is_hit(hit)
    ]
    return [*payloads.read({"hits": good}, platform="hacker_news").rows, *bad]


def _is_hit(hit: object) -> bool:
    return untyped.has(hit, "_tags") and bool(untyped.string(hit, "objectID"))


def _times(hits: Iterable[object]) -> dict[str, int]:
    """Return when posts were written, by their numbers."""
    found = ((hit, untyped.count(hit, "created_at_i")) for hit in hits if _is_hit(hit))
    named = {untyped.string(hit, "objectID"): at for hit, at in found if at is not None}
    return {name: at for name, at in named.items() if name.isascii() and name.isdigit()}


def _item(name: str, item: object) -> Document:
    """Return what Hacker News says of one post: nothing of one that it does not know."""
    if item is None:
        return Document(())
    try:
        found = payloads.read(_of(name, item), platform="hacker_news")
    except Unreadable as error:
        raise SourceBroken(f"Hacker News's item {name} can't be read: {error}.") from error
    return Document(found.rows, deleted=found.deleted)


def _of(name: str, item: object) -> Object:
    """Return the item, which must be the one that was asked for."""
    if not isinstance(item, dict) or untyped.identifier(item, "id") != name:
        raise SourceBroken(f"Hacker News answers with another item than {name}.")
    return item


def _second(moment: datetime) -> int:
    """Return the first whole second that is not before a moment, as the search counts."""
    return -int(-moment.timestamp() // 1)


CONNECTOR = ConnectorKind(
    kind="hacker_news",
    title="Hacker News",
    summary="Follows stories and comments on Hacker News that hold some words",
    settings=HackerNewsSettings,
    channel=Channel.COMMUNITY,
    open=HackerNewsConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.REPLIES, Capability.METRICS}),
)
