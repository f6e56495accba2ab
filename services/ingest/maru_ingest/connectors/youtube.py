"""YouTube: the comments, and the answers to them, below a channel's videos or below some videos.

**What to set up.** A key of the YouTube Data API v3: in the Google Cloud console, make a project,
enable *YouTube Data API v3*, and make an API key under *Credentials*; restrict it to that API. It
is sent in a header, never in an address. Name a channel by its id (`UC…`) or its handle (`@name`),
or videos by their ids.

**What it costs.** Google gives a project 10,000 units a day, until midnight in California. A look
takes one unit for each hundred new comments, and one for each comment that has more than a few
answers; every six hours the comments of the last week are looked at again, for late answers and
edits. Each of these is one request, so that a source's `daily_requests` is its share of the units.
When Google says that the quota is used up, the source is throttled and asks again every hour.

**How it works.** Comments come newest first
(https://developers.google.com/youtube/v3/docs/commentThreads/list), so a look goes back until it
meets what is known; the place is kept when it has got there. The newest hundred are read at every
look, so that edits of them are noticed at once. An answer names the comment that it answers, a
comment its video. The API does not tell of deletions. A look back (`backfill`) brings the comments
of a range of time and such answers of that time as stand below comments that are younger than its
beginning.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, SecretStr, model_validator

from maru_contracts.posts import Channel
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
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    translated,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Row, Unreadable
from maru_ingest.formats.untyped import Object

_ADDRESS = "https://www.googleapis.com/youtube/v3"
_LIMIT = 100
_AGAIN = timedelta(hours=6)
_WEEK = timedelta(days=7)
_MAX_AGAIN = 50
"""Pages of a hundred comments that are looked at again at most."""
_MAX_KNOWN = 1_000
"""Comments whose number of answers is remembered, for each channel or video."""
_MAX_ANSWERS = 20
"""Pages of answers that are read of one comment at most."""
_USED_UP = {"quotaExceeded", "dailyLimitExceeded"}
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded", "processingFailure"}
_NOT_HERE = {"commentsDisabled", "forbidden", "videoNotFound", "channelNotFound"}
_LATER = 60.0
_MUCH_LATER = 3_600.0


class YouTubeSettings(SourceSettings):
    """Whose comments to follow, and the key to ask with."""

    api_key: SecretStr = Field(min_length=1, description="Key of the YouTube Data API v3")
    channel: str = Field(
        default="",
        max_length=100,
        pattern=r"^(UC[\w-]{22}|@[^\s/?#]{1,90})?$",
        description="Channel, by its id (UC…) or its handle (@name): the comments below its videos",
    )
    videos: tuple[str, ...] = Field(
        default=(), max_length=50, description="Ids of videos, in place of a channel"
    )
    interval_seconds: Interval = 1_800.0
    address: ApiAddress = _ADDRESS

    @model_validator(mode="after")
    def _follows_something(self) -> "YouTubeSettings":
        if bool(self.channel) == bool(self.videos):
            raise ValueError("name either a channel or videos")
        return self


@dataclass(frozen=True, slots=True)
class _Threads:
    """A page of comments with the answers that came with them, newest first."""

    items: list[Object]
    next: str

    @property
    def oldest(self) -> datetime | None:
        """When the oldest comment of the page was written; None for an empty page."""
        return min(filter(None, map(_written, self.items)), default=None)

    @property
    def newest(self) -> datetime | None:
        """When the newest comment of the page was written."""
        return max(filter(None, map(_written, self.items)), default=None)


@dataclass(slots=True)
class _Place:
    """How far the comments of one channel or video are known.

    `mark` is when the newest comment was written, `again` when old ones were last looked at, and
    `answers` how many each of the newest comments had.
    """

    mark: datetime | None
    again: datetime | None
    answers: dict[str, int]

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "_Place":
        mark, again = (stored.get(name) for name in ("mark", "again"))
        return cls(
            datetime.fromisoformat(mark) if mark else None,
            datetime.fromisoformat(again) if again else None,
            dict(stored.get("answers", {})),
        )

    def stored(self) -> dict[str, Any]:
        """Return the place as a cursor keeps it."""
        return {
            "mark": self.mark and self.mark.isoformat(),
            "again": self.again and self.again.isoformat(),
            "answers": self.answers,
        }

    def remember(self, answers: Mapping[str, int]) -> None:
        """Keep how many answers comments have, given newest first; the oldest are forgotten."""
        others = {name: told for name, told in self.answers.items() if name not in answers}
        told = {**others, **dict(reversed([one for one in answers.items() if one[1]]))}
        self.answers = dict(list(told.items())[-_MAX_KNOWN:])


@dataclass(frozen=True, slots=True)
class YouTubeConnector:
    """Follows comments. The cursor holds a place for each channel or video, and a handle's id."""

    settings: YouTubeSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new of each channel or video; one that can't be read stops no other."""
        channel = await self._channel(cursor)
        places = {name: _Place.of(one) for name, one in cursor.get("places", {}).items()}
        failed: SourceBroken | None = None
        for name, asked in self._targets(channel):
            place = places.setdefault(name, _Place(None, None, {}))
            try:
                async for rows in self._new(place, asked):
                    yield Page(rows, _cursor(channel, places))
            except CredentialsRefused:
                raise
            except SourceBroken as error:
                failed = error
        if failed is not None:
            raise failed

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the comments of a range, newest page first, of one channel or video after another.

        An answer of the range comes with its comment, unless that is older than the range.
        """
        channel = await self._channel(cursor)
        targets = list(self._targets(channel))
        begun = int(cursor.get("target", 0))
        for number, (_, asked) in list(enumerate(targets))[begun:]:
            token = str(cursor.get("token", "")) if number == begun else ""
            while True:
                threads = await self._threads(asked, token)
                rows = within(await self._rows(threads.items, {}), since, until)
                is_last = not threads.next or (threads.oldest or since) < since
                at = (number + 1, "") if is_last else (number, threads.next)
                yield Page(rows, {"channel": channel, "target": at[0], "token": at[1]})
                if is_last:
                    break
                token = threads.next

    def _targets(self, channel: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield what is followed: its name in the cursor, and how to ask for it."""
        if channel:
            yield channel, {"allThreadsRelatedToChannelId": channel}
        for video in self.settings.videos:
            yield video, {"videoId": video}

    async def _new(
        self, place: _Place, asked: Mapping[str, str]
    ) -> AsyncGenerator[list[Row], None]:
        """Yield the rows of page after page back to what is known, and move the place at the end.

        The last rows come after the move, so that whoever saves the place with them has them all.
        """
        now = datetime.now(UTC)
        is_again = place.mark is not None and (place.again is None or now - place.again > _AGAIN)
        back_to = min(place.mark, now - _WEEK) if place.mark and is_again else place.mark
        newest: datetime | None = None
        answers: dict[str, int] = {}
        token = ""
        number = 0
        while True:
            threads = await self._threads(asked, token)
            number += 1
            newest = newest or threads.newest
            rows = await self._rows(threads.items, place.answers)
            answers |= {untyped.string(it, "id"): _answers(it) for it in threads.items}
            known = place.mark is None or (threads.oldest or place.mark) < place.mark
            reached = back_to is None or (threads.oldest or back_to) < back_to
            if not threads.next or reached or (known and number >= _MAX_AGAIN):
                break
            token = threads.next
            yield rows
        place.mark = max(filter(None, (place.mark, newest)), default=None)
        place.again = now if is_again or place.again is None else place.again
        place.remember(answers)
        yield rows

    async def _rows(self, items: list[Object], known: Mapping[str, int]) -> list[Row]:
        """Return the posts of comments, with those answers that the page itself leaves out."""
        whole: list[Object] = []
        for thread in items:
            name, told = untyped.string(thread, "id"), _answers(thread)
            held = untyped.mappings(thread, "replies", "comments")
            if told > len(held) and known.get(name) != told:
                whole.append({**thread, "replies": {"comments": await self._all_answers(name)}})
            else:
                whole.append(thread)
        return await asyncio.to_thread(_posts, whole)

    async def _all_answers(self, thread: str) -> list[Object]:
        asked = {"part": "snippet", "parentId": thread, "textFormat": "plainText"}
        found: list[Object] = []
        token = ""
        for _ in range(_MAX_ANSWERS):
            page = await self._ask("comments", asked, token)
            found += untyped.mappings(page, "items")
            token = untyped.string(page, "nextPageToken")
            if not token:
                break
        return found

    async def _threads(self, asked: Mapping[str, str], token: str) -> _Threads:
        wanted = {"part": "snippet,replies", "order": "time", "textFormat": "plainText", **asked}
        page = await self._ask("commentThreads", wanted, token)
        if not isinstance(page, dict) or not untyped.has(page, "items"):
            raise SourceBroken("YouTube answers with what is no list of comments.")
        return _Threads(untyped.mappings(page, "items"), untyped.string(page, "nextPageToken"))

    async def _channel(self, cursor: Cursor) -> str:
        """Return the channel's id, which a handle is asked for once."""
        named = self.settings.channel
        if not named.startswith("@"):
            return named
        if known := cursor.get("channel"):
            return str(known)
        page = await self._ask("channels", {"part": "id", "forHandle": named})
        found = untyped.string(next(iter(untyped.mappings(page, "items")), {}), "id")
        if not found:
            raise SourceGone(f"YouTube knows no channel {named}.")
        return found

    async def _ask(self, what: str, asked: Mapping[str, str], token: str = "") -> object:
        wanted = {**asked, "maxResults": str(_LIMIT), **({"pageToken": token} if token else {})}
        if self.tools.budget is not None:
            self.tools.budget.spend()
        with translated():
            fetched = await self.tools.outbound.get(
                f"{self.settings.address}/{what}?{urlencode(wanted)}",
                headers={"X-Goog-Api-Key": self.settings.api_key.get_secret_value()},
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        if fetched.status != HTTPStatus.OK:
            _refuse(fetched.body)
            check_status(fetched)
        try:
            return await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"YouTube answers with what can't be read: {error}.") from error


def _refuse(body: bytes) -> None:
    """Raise what Google's own reason means (https://developers.google.com/youtube/v3/docs/errors).

    Returns when it gives none that says more than the status does.
    """
    try:
        value = payloads.loads(body)
    except Unreadable:
        return
    errors = untyped.mappings(value, "error", "errors")
    reason = untyped.string(next(iter(errors), {}), "reason")
    told = payloads.error_in(value)
    if reason in _USED_UP:
        raise SourceBusy(f"YouTube's quota is used up: {told}", retry_after=_MUCH_LATER)
    if reason in _TOO_FAST:
        raise SourceBusy(f"YouTube asks for patience: {told}", retry_after=_LATER)
    if reason in _NOT_HERE:
        raise SourceBroken(f"YouTube shows no comments here: {told}")
    if "API key" in told:
        raise CredentialsRefused(f"YouTube does not take the key: {told}")


def _posts(items: list[Object]) -> list[Row]:
    """Return the rows of comment threads, oldest first."""
    try:
        answer = {"kind": "youtube#commentThreadListResponse", "items": items[::-1]}
        return list(payloads.read(answer, platform="youtube").rows) if items else []
    except Unreadable as error:
        raise SourceBroken(f"YouTube answers with what are no comments: {error}.") from error


def _written(thread: Object) -> datetime | None:
    return untyped.moment(thread, "snippet", "topLevelComment", "snippet", "publishedAt")


def _answers(thread: Object) -> int:
    return untyped.count(thread, "snippet", "totalReplyCount") or 0


def _cursor(channel: str, places: Mapping[str, _Place]) -> Cursor:
    return {"channel": channel, "places": {name: it.stored() for name, it in places.items()}}


CONNECTOR = ConnectorKind(
    kind="youtube",
    title="YouTube",
    summary="Follows the comments below a channel's videos, or below some videos",
    settings=YouTubeSettings,
    channel=Channel.VIDEO,
    open=YouTubeConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.REPLIES, Capability.METRICS}),
)
