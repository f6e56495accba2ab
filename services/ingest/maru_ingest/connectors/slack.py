"""Slack: what people write in channels of a workspace, and in their threads.

**What to set up.** At https://api.slack.com/apps create an app from scratch in your workspace.
Under *OAuth & Permissions* add the bot scopes `channels:history` (and `groups:history` for private
channels), and `users:read` if authors shall have names and not only Slack's ids of them. Install
the app, and give the *Bot User OAuth Token* (`xoxb-…`) as `bot_token`. In each channel to follow
write `/invite @your-app`; its id stands at the end of the channel's *About*. Members have to know
that they are read: say so in the channel's topic. What is said in a workspace is not public, so it
is quoted on no public board unless you give the source the channel `community`.

**Events.** With them messages come within seconds, and so do edits and deletions of any age. Give
this source the *Signing Secret* of the app's *Basic Information*; then switch *Event Subscriptions*
on, give the address `https://your-maru/hooks/{id of this source}` and subscribe to the bot events
`message.channels` (and `message.groups` for private channels). Slack has one address for all
channels of an app: what is said in channels that this source does not follow is left out. Each
message is signed and no older than five minutes
(https://docs.slack.dev/authentication/verifying-requests-from-slack). Slack stops sending to who
refuses for long, so do not leave a source paused.

**How it works.** A look reads the newest 200 messages of each channel
(https://docs.slack.dev/reference/methods/conversations.history), so that edits and deletions of
them are noticed, and goes back until it meets what is known. One that is missing there is asked for
by itself before it counts as deleted. A thread is read when its first message tells of newer
answers (https://docs.slack.dev/reference/methods/conversations.replies); once an hour the messages
of the last `days` are looked at again for late ones. An answer in a thread names the thread's first
message. Who is mentioned stays Slack's id of that person (`@U…`): a name may change, and would then
change what others said. What bots post is left out unless `bots` says otherwise, and so are
messages without words.

**Limits.** Slack allows some 50 requests of a kind in a minute, and says how long to wait when they
are used up. An app that is sold outside of Slack's Marketplace has one request a minute with 15
messages; one that you made for your own workspace has not. While there are no events, edits and
deletions of answers in threads, and deletions beyond the newest 200 messages or `days`, are not
noticed. A free workspace shows 90 days. Direct messages are not read.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    ApiAddress,
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Forged,
    Hook,
    Interval,
    Page,
    SourceBroken,
    SourceBusy,
    SourceSettings,
    Tools,
    is_signed,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Document, ParsedPost, Row, Unreadable
from maru_ingest.slack_api import TS, Answer, Api

_AGAIN = timedelta(hours=1)
_MAX_AGAIN = 20
"""Pages that are known already and are looked at for late answers at most."""
_MAX_THREADS = 400
"""Threads of a channel of which it is remembered how far they are known."""
_MAX_PEOPLE = 5_000
_MAX_WORKSPACES = 1_000
_MOST_ASKED = 20
"""For one page of messages, people whose names are asked for, and of those that are missing."""
_FRESH = 300
_MAX_CHALLENGE = 1_000
_ID = re.compile(r"[CG][A-Z0-9]{1,30}", re.ASCII)
_PERSON = re.compile(r"[UW][A-Z0-9]{1,30}", re.ASCII)
_BEGINNING = "0000000000.000000"


class SlackSettings(SourceSettings):
    """Which channels to follow, and the app that reads them."""

    bot_token: SecretStr = Field(min_length=1, description="Bot User OAuth Token of the app")
    channels: tuple[str, ...] = Field(
        min_length=1, max_length=20, description="Ids of the channels to follow (C…)"
    )
    signing_secret: SecretStr | None = Field(
        default=None, description="Signing secret of the app, by which its events are known"
    )
    bots: bool = Field(default=False, description="Whether messages of bots are taken, too")
    days: int = Field(
        default=7, ge=1, le=90, description="How many days threads are looked at for late answers"
    )
    interval_seconds: Interval = 300.0
    address: ApiAddress = "https://slack.com/api"

    @field_validator("channels")
    @classmethod
    def _are_ids(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_ID.fullmatch, written)):
            raise ValueError("channels go by their ids, such as C024BE91L, not by their names")
        return tuple(dict.fromkeys(written))


@dataclass(slots=True)
class _Workspace:
    """What is known of a workspace: where it is, and its people's names; empty where unknown."""

    url: str = ""
    names: dict[str, str] = field(default_factory=dict)

    def complete(self, rows: Iterable[Row]) -> list[Row]:
        """Add names and addresses to posts, and leave out those without words."""
        found = []
        for row in rows:
            if isinstance(row, ParsedPost):
                row.author_name = row.author_name or self.names.get(row.author, "")
                channel, _, ts = row.native_id.partition("/")
                if self.url and not row.url:
                    row.url = f"{self.url}archives/{channel}/p{ts.replace('.', '')}"
                if not row.text:
                    continue
            found.append(row)
        return found


@dataclass(slots=True)
class _Place:
    """How far a channel is known; times are Slack's own (`ts`).

    All up to `mark` is known. While a look goes back, `top` is where it began and `down` where it
    goes on. `again` is when late answers were last looked for, `newest` are the messages of the
    newest page, and `threads` are the last answers that are known by the first message.
    """

    mark: str = ""
    top: str = ""
    down: str = ""
    again: str = ""
    newest: list[str] = field(default_factory=list)
    threads: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Cursor) -> "_Place":
        """Read what a cursor keeps of a channel, and leave that as it is."""
        return cls(**deepcopy(dict(stored)))

    def finish(self, now: datetime, *, is_again: bool) -> None:
        """Note that a look has met what is known."""
        self.mark = max(self.mark, self.top, _BEGINNING)
        self.top = self.down = ""
        self.again = now.isoformat() if is_again or not self.again else self.again

    def heard(self, thread: str, last: str) -> None:
        """Note how far a thread is known, and forget the oldest."""
        self.threads[thread] = last
        if len(self.threads) > _MAX_THREADS:
            del self.threads[min(self.threads)]


@dataclass(frozen=True, slots=True)
class SlackConnector:
    """Follows channels. The cursor holds a place for each."""

    settings: SlackSettings
    tools: Tools
    workspace: _Workspace

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new of each channel; one that can't be read stops no other."""
        if not self.workspace.url:
            self.workspace.url = await self._api.home()
        stored = cursor.get("places", {})
        places = {name: stored.get(name, {}) for name in self.settings.channels}
        failed: SourceBroken | None = None
        for channel in self.settings.channels:
            place = _Place.of(places[channel])  # ahead of its pages, of which one may never come
            try:
                async with aclosing(self._new(channel, place)) as found:
                    async for rows, gone in found:
                        places = {**places, channel: asdict(place)}
                        yield Page(rows, {"places": places}, deleted_if_known=gone)
            except CredentialsRefused:
                raise
            except SourceBroken as error:
                failed = error
        if failed is not None:
            raise failed

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range, newest first, also in threads of the days before."""
        if not self.workspace.url:
            self.workspace.url = await self._api.home()
        first = since - timedelta(days=self.settings.days)
        asked = {"oldest": _ts(first), "latest": _ts(until), "inclusive": "true"}
        begun, after = int(cursor.get("channel", 0)), str(cursor.get("next", ""))
        for number, channel in list(enumerate(self.settings.channels))[begun:]:
            while True:
                answer = await self._api.history(channel, after, asked)
                here = {"channel": number, "next": after}
                after = answer.next
                moved = {"channel": number + (not after), "next": after}
                batches = self._batches(channel, answer, _Place())
                async with aclosing(batches) as found:
                    async for rows, is_last in found:
                        yield Page(within(rows, since, until), moved if is_last else here)
                if not after:
                    break

    async def _new(
        self, channel: str, place: _Place
    ) -> AsyncGenerator[tuple[list[Row], list[str]], None]:
        """Yield what is new, page by page back to what is known; the mark moves at the end."""
        now = datetime.now(UTC)
        again = datetime.fromisoformat(place.again) if place.again else None
        is_again = bool(place.mark) and (again is None or now - again > _AGAIN)
        oldest = _ts(now - timedelta(days=self.settings.days))
        back_to = min(place.mark, oldest) if is_again else place.mark
        known = 0
        while True:
            answer = await self._api.history(channel, place.down)
            times = answer.times
            gone: list[str] = []
            if not place.down:
                missing = [ts for ts in place.newest if _is_missing(ts, answer, oldest)]
                asked, later = missing[:_MOST_ASKED], missing[_MOST_ASKED:]
                gone = [ts for ts in asked if not await self._api.has(channel, ts)]
                place.top, place.newest = max(times, default=""), [*times, *later]
            known += bool(times) and min(times) < place.mark
            reached = min(times, default="9") <= back_to or not place.mark
            is_end = not answer.next or reached or known > _MAX_AGAIN
            tombs = [untyped.string(one, "ts") for one in answer.messages if _is_tomb(one)]
            names = [f"{channel}/{ts}" for ts in dict.fromkeys([*gone, *tombs])]
            async with aclosing(self._batches(channel, answer, place)) as batches:
                async for rows, is_last in batches:
                    if is_last and is_end:
                        place.finish(now, is_again=is_again)
                    elif is_last:
                        place.down = answer.next
                    yield rows, names
                    names = []
            if is_end:
                return

    async def _batches(
        self, channel: str, answer: Answer, place: _Place
    ) -> AsyncGenerator[tuple[list[Row], bool], None]:
        """Yield the rows of a page, then those of its threads that go on, and which come last.

        How far a thread is known is noted just before its rows come.
        """
        held = await self._rows(channel, answer.messages)
        for message in answer.messages:
            thread, last = untyped.string(message, "ts"), untyped.string(message, "latest_reply")
            since = place.threads.get(thread, thread)
            if not (TS.fullmatch(thread) and TS.fullmatch(last) and last > since):
                continue
            yield held, False  # before a thread that may not be had
            held = []
            async with aclosing(self._api.replies(channel, thread, since)) as replies:
                async for messages, known in replies:
                    if held:
                        yield held, False
                    held = await self._rows(channel, messages)
                    place.heard(thread, known)
            place.heard(thread, max(last, place.threads.get(thread, "")))
        yield held, True

    async def _rows(self, channel: str, messages: Sequence[object]) -> list[Row]:
        """Return the rows of messages, oldest first, with the names of those who wrote them."""
        said = _wanted(self.settings, messages)
        await self._meet(untyped.string(one, "user") for one in said)
        rows = await asyncio.to_thread(_read, {"ok": True, "channel": channel, "messages": said})
        return self.workspace.complete(rows)

    async def _meet(self, people: Iterable[str]) -> None:
        """Ask for names that are not known; without them messages come all the same."""
        names = self.workspace.names
        strangers = [one for one in dict.fromkeys(people) if one not in names]
        for person in filter(_PERSON.fullmatch, strangers[:_MOST_ASKED]):
            try:
                names[person] = await self._api.name(person)
            except SourceBroken:  # nobody of that name, or the app may not ask
                names[person] = ""
            except SourceBusy:
                return
            while len(names) > _MAX_PEOPLE:
                del names[next(iter(names))]

    @property
    def _api(self) -> Api:
        token = self.settings.bot_token.get_secret_value()
        return Api(self.tools, self.settings.address, token)


def _read(answer: object) -> list[Row]:
    try:
        return list(payloads.read(answer, platform="slack").rows)
    except Unreadable as error:
        raise SourceBroken(f"Slack answers with what are no messages: {error}.") from error


def _wanted(settings: SlackSettings, messages: Sequence[object]) -> list[object]:
    return [one for one in messages if settings.bots or not _is_of_a_bot(one)]


def _is_of_a_bot(message: object) -> bool:
    subtype = untyped.string(message, "subtype")
    return subtype == "bot_message" or bool(untyped.string(message, "bot_id"))


def _is_tomb(message: object) -> bool:
    """Whether a message stands for one that was deleted while its thread stays."""
    return untyped.string(message, "subtype") == "tombstone"


def _is_missing(ts: str, newest: Answer, oldest: str) -> bool:
    """Whether a message that was there is gone, as far as the newest page reaches."""
    times = newest.times
    reach = min(times, default=ts) if newest.next else oldest
    return ts not in times and ts >= max(reach, oldest)


def _ts(moment: datetime) -> str:
    """Return a time as Slack writes it."""
    whole, rest = divmod(
        (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1), 10**6
    )
    return f"{whole:010}.{rest:06}"


def _verify(settings: SlackSettings, headers: Mapping[str, str], body: bytes) -> None:
    """Raise Forged unless Slack signed this in the last five minutes."""
    secret = settings.signing_secret.get_secret_value() if settings.signing_secret else ""
    if not secret:
        raise Forged("This source has no signing secret, so events can't be known to be Slack's.")
    at = headers.get("x-slack-request-timestamp", "")
    said = b"v0:" + at.encode("utf-8", "surrogatepass") + b":" + body
    if not is_signed(said, secret, headers.get("x-slack-signature", ""), scheme="v0"):
        raise Forged("The event's signature is not good.")
    if not (at.isascii() and at.isdigit()) or abs(time.time() - int(at[:12])) > _FRESH:
        raise Forged("The event is older than five minutes.")


def _greet(_: SlackSettings, __: Mapping[str, str]) -> str:
    raise Forged("Slack asks nothing in this way.")


def _reply(settings: SlackSettings, headers: Mapping[str, str], body: bytes) -> str:
    """Return the challenge of Slack's question whether an address is ours, else nothing."""
    _verify(settings, headers, body)
    value = payloads.loads(body)
    if untyped.string(value, "type") != "url_verification":
        return ""
    return untyped.string(value, "challenge")[:_MAX_CHALLENGE]


def _pushed(settings: SlackSettings, headers: Mapping[str, str], body: bytes) -> Document:
    """Return what an event says of the channels that are followed."""
    _verify(settings, headers, body)
    value = payloads.loads(body)
    if not untyped.string(value, "type"):
        raise Unreadable("no event of Slack's")
    event = untyped.mapping(value, "event")
    inner = untyped.mapping(event, "message") or event
    is_said = untyped.string(event, "type") == "message"
    is_ours = untyped.string(event, "channel") in settings.channels
    if not (is_said and is_ours and _wanted(settings, [inner])):
        return Document(rows=())
    found = payloads.read(value, platform="slack")
    return replace(found, rows=_workspace(settings).complete(found.rows))


_WORKSPACES: dict[str, _Workspace] = {}
"""By a hash of the token, in memory: what polls learn, pushes use."""


def _workspace(settings: SlackSettings) -> _Workspace:
    token = settings.bot_token.get_secret_value()
    name = hashlib.blake2b(f"{settings.address} {token}".encode("utf-8", "replace")).hexdigest()
    found = _WORKSPACES.setdefault(name, _Workspace())
    while len(_WORKSPACES) > _MAX_WORKSPACES:
        del _WORKSPACES[next(iter(_WORKSPACES))]
    return found


def _open(settings: SlackSettings, tools: Tools) -> SlackConnector:
    return SlackConnector(settings, tools, _workspace(settings))


CONNECTOR = ConnectorKind(
    kind="slack",
    title="Slack",
    summary="Follows channels of a Slack workspace, and their threads",
    settings=SlackSettings,
    channel=Channel.OTHER,
    open=_open,
    capabilities=frozenset(
        {
            Capability.BACKFILL,
            Capability.LIVE,
            Capability.REPLIES,
            Capability.MEDIA,
            Capability.METRICS,
        }
    ),
    hook=Hook(_greet, _pushed, _reply),
)
