"""Discord's REST API (v10), as far as channels, threads and their messages go.

https://docs.discord.com/developers/resources/channel
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from maru_ingest.connector import SourceBroken, SourceBusy, Tools
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Unreadable
from maru_kit.outbound import AskedToWait

ID = re.compile(r"\d{15,20}", re.ASCII)

_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
_LIMIT = 100
_MAX_THREADS = 10_000
_SHORT = 5.0  # a bucket of requests is full again within seconds
_TRIES = 20
_TOO_FAST = 60.0
_LEAST_STARTS = 20
_MAX_WAIT = 3_600.0
_THREADS = frozenset({10, 11, 12})
_FORUMS = frozenset({15, 16})  # forum, media: all that is said there stands in threads
_WITH_THREADS = frozenset({0, 5}) | _FORUMS  # text, announcements


@dataclass(frozen=True, slots=True)
class Place:
    """A channel or thread. `parent` is the channel of a thread, `last` its newest message's id."""

    id: str
    guild: str
    kind: int
    name: str
    parent: str
    last: int

    @classmethod
    def of(cls, value: object) -> "Place | None":
        """Read a channel object; None for what is no channel of a server."""
        name, guild = untyped.identifier(value, "id"), untyped.identifier(value, "guild_id")
        kind = untyped.count(value, "type")
        if not (ID.fullmatch(name) and ID.fullmatch(guild)) or kind is None:
            return None
        parent = untyped.identifier(value, "parent_id") if kind in _THREADS else ""
        last = id_in(value, "last_message_id")
        return cls(name, guild, kind, untyped.string(value, "name"), parent, last)

    @property
    def is_thread(self) -> bool:
        """Whether this is a thread, also one that is a forum's post."""
        return self.kind in _THREADS


@dataclass(frozen=True, slots=True)
class Api:
    """Asks as a bot."""

    tools: Tools
    address: str
    token: str

    async def channel(self, name: str) -> Place:
        """Return a channel or thread as it is now."""
        place = Place.of(await self.ask(f"channels/{name}"))
        if place is None or place.id != name:
            raise SourceBroken("Discord answers with what is no channel of a server.")
        return place

    async def active(self, guild: str) -> dict[str, Place]:
        """Return the active threads of a server."""
        return _threads_in(await self.ask(f"guilds/{guild}/threads/active"))

    async def archived(self, place: Place, since: int) -> dict[str, Place]:
        """Return the threads of a channel that were archived since an id; after 0 the latest."""
        if place.kind not in _WITH_THREADS:
            return {}
        found: dict[str, Place] = {}
        before = ""
        while len(found) < _MAX_THREADS:
            asked = urlencode({"limit": str(_LIMIT), **({"before": before} if before else {})})
            answer = await self.ask(f"channels/{place.id}/threads/archived/public?{asked}")
            new = _threads_in(answer)
            oldest = _archived_at(answer)
            is_last = not untyped.is_true(answer, "has_more") or new.keys() <= found.keys()
            found |= new
            if is_last or not since or oldest is None or id_at(oldest) < since:
                break
            before = oldest.isoformat()
        return found

    async def after(
        self, place: Place, after: int
    ) -> AsyncGenerator[tuple[Sequence[object], int], None]:
        """Yield the messages after an id page by page, with the last id; after 0 the newest page.

        A page holds the messages next to the id, though the newest of them stands first.
        """
        if place.kind in _FORUMS:  # Discord refuses the question
            return
        while True:
            asked = urlencode({"limit": str(_LIMIT), **({"after": str(after)} if after else {})})
            messages = await self.ask(f"channels/{place.id}/messages?{asked}")
            if not isinstance(messages, list):
                raise SourceBroken("Discord answers with what is no list of messages.")
            if not messages:
                return
            last = max(id_in(one, "id") for one in messages)
            if last <= after:
                raise SourceBroken("Discord leads in a circle.")
            yield messages, last
            if not after or last >= place.last:
                return
            after = last

    async def check_starts(self, *, is_new: bool) -> None:
        """Raise SourceBusy when a new session is to begin, and the bot may begin few more today.

        Discord takes its token away from a bot that begins too many. The API is asked before the
        Gateway in any case, since it says in words what is wrong, and when to come again.
        """
        answer = await self.ask("gateway/bot")
        left = untyped.count(answer, "session_start_limit", "remaining")
        if is_new and left is not None and left < _LEAST_STARTS:
            wait = untyped.count(answer, "session_start_limit", "reset_after") or 0
            raise SourceBusy(
                f"The bot may begin only {left} more sessions today.",
                retry_after=min(wait / 1000, _MAX_WAIT),
            )

    async def ask(self, path: str) -> object:
        """Ask the API, and wait in between for as long as a bucket of requests is used up.

        Raises SourceBusy and SourceBroken as `Tools.get` does.
        """
        for _ in range(_TRIES):
            try:
                fetched = await self.tools.get(
                    f"{self.address}/{path}", headers={"Authorization": f"Bot {self.token}"}
                )
                return await asyncio.to_thread(payloads.loads, fetched.body)
            except SourceBusy as error:
                if not isinstance(error.__cause__, AskedToWait) or error.retry_after > _SHORT:
                    raise
                await asyncio.sleep(error.retry_after)
            except Unreadable as error:
                raise SourceBroken(f"Discord answers with what can't be read: {error}.") from error
        raise SourceBusy("Discord asks for patience again and again.", retry_after=_TOO_FAST)


def id_in(value: object, *path: str) -> int:
    """Return the id there as the number that it is, 0 for none."""
    name = untyped.identifier(value, *path)
    return int(name) if ID.fullmatch(name) else 0


def id_at(moment: datetime) -> int:
    """Return the first id of a moment: milliseconds since 2015, and 22 more bits."""
    return max((moment - _EPOCH) // timedelta(milliseconds=1), 0) << 22


def earlier(name: int, by: timedelta) -> int:
    """Return an id as much earlier."""
    return name - (by // timedelta(milliseconds=1) << 22)


def _threads_in(answer: object) -> dict[str, Place]:
    found = map(Place.of, untyped.sequence(answer, "threads"))
    return {place.id: place for place in found if place is not None}


def _archived_at(answer: object) -> datetime | None:
    """Return when the first of the threads of an answer was archived."""
    threads = untyped.mappings(answer, "threads")
    times = (untyped.moment(one, "thread_metadata", "archive_timestamp") for one in threads)
    return min((time for time in times if time is not None), default=None)
