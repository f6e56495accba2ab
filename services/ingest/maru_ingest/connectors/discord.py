"""Discord: what people write in channels of a server, in their threads, and in posts of forums.

**What to set up.** At https://discord.com/developers/applications make an application and open
*Bot*: switch *Message Content Intent* on, without which Discord hides the words of all messages,
press *Reset Token* and give the token as `bot_token`. Under *Installation* choose the scope `bot`
with the permissions *View Channels* and *Read Message History*, and have an administrator of the
server open the install link. In private channels add the bot as a member, too. Then switch on
*Developer Mode* in your own Discord (*Settings → Advanced*) and copy the ids of the channels by a
right click. A forum is a channel; so is a single thread. Members have to know that they are read:
say so in the server's rules. A server must be joined to be read, so what is said there is quoted on
no public board unless you give the source the channel `community`.

**How it works.** At first the newest hundred messages of each channel are shown, and of the 25
threads in which somebody wrote last. From then on messages, edits and deletions come from the
Gateway, a WebSocket, as they happen (https://docs.discord.com/developers/events/gateway). When it
breaks off, the session is resumed where it was, so that edits and deletions of that time come,
too; what a session has forgotten is caught up by the channels' own pages, forwards from the last
five minutes that are known. Threads are found in the list of active ones and among those that were
archived since. An answer names the message that it answers; what stands in a thread without naming
one answers the message that the thread began with. A post of a forum has the thread's title.

**Limits.** Messages of bots and webhooks are left out unless `bots` says otherwise, and so are
messages without words. Private threads, direct messages and voice chats are not read. Once a
session is lost, after some minutes without a connection, edits and deletions of that time are not
noticed, and the deletion of a whole thread or channel never is. A channel that can't be read is
named while the others are heard, and tried again within the hour; then what was missed there comes.
Reactions count as likes when a message is read by a page; live messages have none. Links to
attachments are kept without the signature with which they run out within a day. To begin takes two
or three requests for each channel. A bot may begin 1,000 sessions a day; when few are left, the
source waits. What Discord says of its limits (`X-RateLimit-*`,
https://docs.discord.com/developers/topics/rate-limits) is kept. A bot in more than 2,500 servers
would have to shard, which this does not.

API: <https://docs.discord.com/developers/resources/message>,
<https://docs.discord.com/developers/topics/threads>,
<https://docs.discord.com/developers/topics/opcodes-and-status-codes>.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import dropwhile

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    ApiAddress,
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
    within,
)
from maru_ingest.discord_api import ID, Api, Place, earlier, id_at, id_in
from maru_ingest.discord_gateway import Link, Session, linked
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import ParsedPost, Row, Unreadable
from maru_ingest.formats.untyped import Object

_FIRST_THREADS = 25
_MAX_PLACES = 10_000
_OVERLAP = timedelta(minutes=5)
_SILENCE = 60.0
_AGAIN = 3_600.0
"""Seconds until a channel that can't be read is tried again; the session is resumed then."""


class DiscordSettings(SourceSettings):
    """Which channels to follow, and the bot that reads them."""

    bot_token: SecretStr = Field(min_length=1, description="Token of the bot")
    channels: tuple[str, ...] = Field(
        min_length=1, max_length=50, description="Ids of the channels, forums or threads to follow"
    )
    bots: bool = Field(
        default=False, description="Whether messages of bots and webhooks are taken, too"
    )
    interval_seconds: float = Field(
        default=10.0, ge=1, description="How long to wait before listening again, in seconds"
    )
    address: ApiAddress = "https://discord.com/api/v10"
    gateway: str = Field(
        default="wss://gateway.discord.gg",
        pattern=r"^wss?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the Gateway, where a proxy stands before it",
    )

    @field_validator("channels")
    @classmethod
    def _are_ids(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(ID.fullmatch, written)):
            raise ValueError("channels go by their ids, numbers of 15 to 20 digits")
        return tuple(dict.fromkeys(written))


@dataclass(slots=True)
class _Known:
    """How far messages are known: in channels and their threads up to ids, `marks`.

    Ids are times, so that those of all places are in one order. `ahead` are the ids up to which
    single places are known while their channel is caught up. `session` is the Gateway's.
    """

    marks: dict[str, int]
    ahead: dict[str, int]
    session: Session | None

    @classmethod
    def of(cls, cursor: Cursor) -> "_Known":
        session = cursor.get("session")
        marks, ahead = (dict(cursor.get(name, {})) for name in ("marks", "ahead"))
        return cls(marks, ahead, Session(**session) if session else None)

    def cursor(self) -> Cursor:
        """Return what a restart needs."""
        session = asdict(self.session) if self.session else None
        return {"marks": dict(self.marks), "ahead": dict(self.ahead), "session": session}

    def since(self, channel: str) -> int:
        """Return the id after which to read a channel, 0 for one that was never read.

        What was said last is read again, since it may have been said while one asked elsewhere.
        """
        mark = self.marks.get(channel, 0)
        return mark and max(earlier(mark, _OVERLAP), 1)

    def move(self, channel: str, mark: int) -> None:
        """Move a mark to an id, but to none from the future, which would hide what comes."""
        mark = min(mark, id_at(datetime.now(UTC) + _OVERLAP))
        self.marks[channel] = max(self.marks.get(channel, 1), mark)


@dataclass(slots=True)
class DiscordConnector:
    """Follows channels and their threads."""

    settings: DiscordSettings
    tools: Tools
    _places: dict[str, Place | None] = field(default_factory=dict)

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Begin or resume a session, catch up, and listen until the connection ends."""
        known = _Known.of(cursor)
        await self._api.check_starts(is_new=known.session is None)
        async with AsyncExitStack() as stack:
            opening = linked(self.tools, self.settings.gateway, self._api.token, known.session)
            try:
                link = await stack.enter_async_context(opening)
            except (SourceBusy, SourceBroken):
                if known.session is not None and known.session.url != self.settings.gateway:
                    known.session = replace(known.session, url=self.settings.gateway)
                    yield Page((), known.cursor())
                raise
            failed: dict[str, SourceBroken] = {}
            if not link.is_lost and link.failed is None:
                known.session = link.session
                async with aclosing(self._followed(known, link, failed)) as followed:
                    async for page in followed:
                        yield page
            if link.is_lost:
                known.session = None
                yield Page((), known.cursor())
            if link.failed is not None:
                raise link.failed
            _raise_first(failed)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the messages of a range, place after place; the channels in their order."""
        begun = str(cursor.get("channel", self.settings.channels[0]))
        failed: dict[str, SourceBroken] = {}
        for channel in dropwhile(lambda one: one != begun, self.settings.channels):
            place = cursor if channel == begun else {}
            with _noting(failed, channel):
                async with aclosing(self._past(channel, since, until, place)) as past:
                    async for page in past:
                        yield page
        _raise_first(failed)

    async def _past(
        self, channel: str, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the messages of a range in a channel and its threads, by their ids."""
        first, end = id_at(since), id_at(until)
        at, after = int(cursor.get("place", 0)), int(cursor.get("after", 0))
        places = {int(place.id): place for place in await self._of(channel, first, {})}
        for number, place in sorted(places.items(), key=lambda one: one[0]):
            if not at <= number <= end or place.last < first:
                continue
            begins = after if number == at else first - 1
            async with aclosing(self._api.after(place, begins)) as pages:
                async for messages, last in pages:
                    rows = await asyncio.to_thread(self._rows, messages, place)
                    found = within(rows, since, until)
                    yield Page(found, {"channel": channel, "place": number, "after": last})
                    if last >= end:
                        break

    async def _followed(
        self, known: _Known, link: Link, failed: dict[str, SourceBroken]
    ) -> AsyncGenerator[Page, None]:
        """Catch up and listen; only for a while where some channels can't be read (`failed`).

        Where none can be read, not at all.
        """
        async with aclosing(self._missed(known, failed)) as missed:
            async for page in missed:
                yield page
        if len(failed) == len(self.settings.channels):
            return
        begun = time.monotonic()
        trouble = " ".join(map(str, failed.values()))
        if trouble:
            yield Page((), known.cursor(), trouble=trouble)
        async with aclosing(self._heard(known, link, behind=failed)) as heard:
            async for page in heard:
                yield replace(page, trouble=trouble)
                if failed and time.monotonic() - begun >= _AGAIN:
                    return

    async def _missed(
        self, known: _Known, failed: dict[str, SourceBroken]
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written since; note in `failed` which channels can't be read, and why.

        The mark of a channel moves when it and all of its threads are known as far.
        """
        guilds: dict[str, dict[str, Place]] = {}
        for channel in self.settings.channels:
            with _noting(failed, channel):
                since = known.since(channel)
                places = await self._of(channel, since, guilds)
                for place in places:
                    after = max(known.ahead.get(place.id, 0), since)
                    if place.last > after:
                        async with aclosing(self._api.after(place, after)) as pages:
                            async for messages, last in pages:
                                rows = await asyncio.to_thread(self._rows, messages, place)
                                known.ahead[place.id] = last
                                yield Page(rows, known.cursor())
                for place in places:
                    known.ahead.pop(place.id, None)
                known.move(channel, max(place.last for place in places))
                yield Page((), known.cursor())

    async def _heard(
        self, known: _Known, link: Link, *, behind: Collection[str]
    ) -> AsyncGenerator[Page, None]:
        """Yield what the Gateway says, batch by batch, until it ends.

        After a silence the session is known up to events that do not concern us. The marks of
        channels that are `behind` stay, since what was missed there is still to be read.
        """
        is_open = True
        while is_open:
            heard = await batched(link.heard, silence=_SILENCE)
            is_open = None not in heard
            events = [event for event in heard if event is not None]
            rows, gone = await self._told(events)
            seq = max((untyped.count(event, "s") or 0 for event in events), default=0)
            if known.session is not None and (seq or is_open):
                known.session = replace(known.session, seq=seq or link.seq)
            new = (event for event in events if untyped.string(event, "t") == "MESSAGE_CREATE")
            newest = max((id_in(event, "d", "id") for event in new), default=0)
            for channel in self._named.difference(behind):
                known.move(channel, newest)
            yield Page(rows, known.cursor(), deleted=gone)

    async def _of(self, name: str, since: int, guilds: dict[str, dict[str, Place]]) -> list[Place]:
        """Return a channel and those of its threads to read for what came after an id.

        After 0, those are the threads in which somebody wrote last. `guilds` holds the active
        threads of servers that were asked for already.
        """
        channel = await self._api.channel(name)
        if channel.guild not in guilds:
            guilds[channel.guild] = await self._api.active(channel.guild)
        threads = guilds[channel.guild] | await self._api.archived(channel, since)
        own = [one for one in threads.values() if one.parent == name and one.id not in self._named]
        for place in (channel, *own):
            self._remember(place.id, place)
        own.sort(key=lambda one: one.last)
        return [channel, *(own if since else own[-_FIRST_THREADS:])]

    async def _told(self, events: Iterable[Object]) -> tuple[list[Row], list[str]]:
        """Return what events say of what is followed: posts, and ids that are gone."""
        rows: list[Row] = []
        gone: list[str] = []
        for event in events:
            message = untyped.mapping(event, "d")
            place = await self._place_of(message)
            if place is None:
                continue
            if untyped.string(event, "t").startswith("MESSAGE_DELETE"):
                gone += payloads.read(event, platform="discord").deleted
            elif untyped.has(message, "id", "author", "content"):  # an update may say less
                rows += await asyncio.to_thread(self._rows, [message], place)
        return rows, gone

    async def _place_of(self, message: Object) -> Place | None:
        """Return where a message stands, None where that is not followed; asks if unknown."""
        name = untyped.identifier(message, "channel_id")
        if name in self._places:
            return self._places[name]
        guilds = {place.guild for place in self._places.values() if place is not None}
        if untyped.identifier(message, "guild_id") not in guilds or not ID.fullmatch(name):
            return None
        try:
            found = await self._api.channel(name)
        except (SourceGone, CredentialsRefused):  # deleted already, or not for the bot to see
            self._remember(name, None)
        else:
            is_ours = not self._named.isdisjoint({found.id, found.parent})
            self._remember(name, found if is_ours else None)
        return self._places[name]

    @property
    def _api(self) -> Api:
        token = self.settings.bot_token.get_secret_value()
        return Api(self.tools, self.settings.address, token)

    @property
    def _named(self) -> frozenset[str]:
        return frozenset(self.settings.channels)

    def _remember(self, name: str, place: Place | None) -> None:
        """Note a place, and forget the first that settings do not name."""
        self._places[name] = place
        if len(self._places) > _MAX_PLACES:
            del self._places[next(one for one in self._places if one not in self._named)]

    def _rows(self, messages: Sequence[object], place: Place) -> list[Row]:
        """Return the rows of messages of a place, oldest first, without those that say nothing."""
        said = [
            {**one, "guild_id": place.guild} if isinstance(one, dict) else one
            for one in messages
            if self.settings.bots or not _is_of_a_bot(one)
        ]
        if not said:
            return []
        try:
            rows = payloads.read(said, platform="discord").rows
        except Unreadable as error:
            raise SourceBroken(f"Discord answers with what are no messages: {error}.") from error
        return [row for row in rows if not isinstance(row, ParsedPost) or _says(row, place)]


@contextmanager
def _noting(failed: dict[str, SourceBroken], place: str) -> Iterator[None]:
    """Note what is wrong with a place, and go on with the next."""
    try:
        yield
    except SourceBroken as error:
        failed[place] = SourceBroken(f"Channel {place}: {error}")


def _raise_first(failed: Mapping[str, SourceBroken]) -> None:
    for error in failed.values():
        raise error


def _says(post: ParsedPost, place: Place) -> bool:
    """Whether a message says anything; complete it by what its place says of it.

    The first message of a forum's post has the id of its thread. Links to attachments are signed
    anew each time, which is no edit.
    """
    if post.native_id == place.id:
        post.title = place.name
    elif place.is_thread:
        post.in_reply_to = post.in_reply_to or place.id
    for one in post.media:
        one.url = one.url.partition("?")[0]
    return bool(post.text or post.title)


def _is_of_a_bot(message: object) -> bool:
    return untyped.is_true(message, "author", "bot") or bool(
        untyped.identifier(message, "webhook_id")
    )


CONNECTOR = ConnectorKind(
    kind="discord",
    title="Discord",
    summary="Follows channels, threads and forums of a Discord server",
    settings=DiscordSettings,
    channel=Channel.OTHER,
    open=DiscordConnector,
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
