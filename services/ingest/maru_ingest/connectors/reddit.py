"""Reddit: the posts and comments of subreddits, or the posts that a search finds.

**What to set up.** At https://www.reddit.com/prefs/apps make an app of the kind *script* or *web
app* (a redirect address is asked for and never used; `http://localhost` will do). The id is the
line below the app's name, the secret stands beside it; nobody's password is needed. Reddit asks
every program to say whose it is, so give the name of your account, too. Since 2025 a new app may
need Reddit's approval, and commercial use a contract:
https://support.reddithelp.com/hc/en-us/articles/16160319875092. Name subreddits, or a query as you
would type it into Reddit's search, or both: then the query is looked for in these subreddits.

**How it works.** The app asks for a token of its own
(https://github.com/reddit-archive/reddit/wiki/OAuth2), which lives for a day and is renewed before
it ends. Listings come newest first, a hundred at a time (https://www.reddit.com/dev/api); a look
goes back until it meets what is known, and brings that oldest first. Several subreddits are asked
for together. An answer names the comment or the post that it answers, a crosspost what it
reposts. The newest hundred are read at each look, so that their edits, scores and numbers of
answers are noticed; those of them that are no longer listed are asked for by their names, which
shows what was deleted or removed, and every six hours so are the newest five hundred of each
listing. Reddit's terms ask that what is deleted there is deleted here.

**Limits.** Reddit shows no more than about the newest 1,000 of any listing: what is older when a
source is added, or when it was left alone for too long, can't be had, and a look back (`backfill`)
reaches no further; have busy subreddits polled more often. Comments can't be searched: with a query
only posts come. Of a subreddit that is private, or under quarantine, nothing is shown. An app may
ask a hundred times a minute (averaged over ten), all its sources together, and Reddit tells how
much is left: once nothing is, all of them wait. Nothing is said of posts that a moderator lets
through late, unless they are among the newest hundred then.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from pydantic import Field, SecretStr, model_validator

from maru_contracts.posts import Channel
from maru_ingest import oauth
from maru_ingest.connector import (
    ApiAddress,
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Interval,
    Page,
    SourceBroken,
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    within,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import ParsedPost, Row, Unreadable
from maru_kit.outbound import Fetched

_LIMIT = 100
_MAX_PAGES = 15
"""More than the 1,000 that Reddit shows, since pages are not always full."""
_NAME = re.compile(r"t[13]_[0-9a-z]{1,13}")
_SUBREDDIT = re.compile(r"[A-Za-z0-9_]{2,24}")
_ELSEWHERE = "/subreddits/search"
_OVERLAP = timedelta(minutes=2)
"""Listings are cached, so that one of two posts may show up after a later one."""
_AGAIN = timedelta(hours=6)
_RECENT = timedelta(days=7)
_MAX_RECENT = 500
_MAX_TOLD = 100


class RedditSettings(SourceSettings):
    """What to follow, and as which app to ask."""

    client_id: str = Field(
        pattern=r"^[\w-]{1,100}$", description="Id of the app, the line below its name"
    )
    client_secret: SecretStr = Field(min_length=1, description="Secret of the app")
    username: str = Field(
        pattern=r"^[\w-]{3,20}$", description="Name of your account, without u/: who asks"
    )
    subreddits: tuple[str, ...] = Field(
        default=(), max_length=50, description="Names of subreddits, without r/"
    )
    query: str = Field(
        default="", max_length=500, description="What to search for, in these subreddits if any"
    )
    comments: bool = Field(
        default=True, description="Whether the subreddits' comments come, too; not with a query"
    )
    interval_seconds: Interval = 300.0
    address: ApiAddress = "https://oauth.reddit.com"
    token_address: str = Field(
        default="https://www.reddit.com/api/v1/access_token",
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of tokens, where a proxy stands before it",
    )

    @model_validator(mode="after")
    def _follows_something(self) -> "RedditSettings":
        if not (self.subreddits or self.query.strip()):
            raise ValueError("name subreddits, or a query, or both")
        for name in self.subreddits:
            if not _SUBREDDIT.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a subreddit: letters, digits and _")
        return self


@dataclass(frozen=True, slots=True)
class _Answer:
    """A part of a listing, its rows oldest first: what they are called, and where it goes on."""

    rows: list[Row]
    deleted: tuple[str, ...]
    times: Mapping[str, datetime]
    after: str = ""


@dataclass(slots=True)
class _Place:
    """How far a listing is known: when its newest was written, and what was, in the last days."""

    mark: datetime | None = None
    recent: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "_Place":
        mark = stored.get("mark")
        recent = {name: _time(at) for name, at in stored.get("recent", {}).items()}
        return cls(None if mark is None else _time(mark), recent)

    def stored(self) -> dict[str, Any]:
        """Return the place as a cursor keeps it."""
        recent = {name: int(at.timestamp()) for name, at in self.recent.items()}
        return {"mark": self.mark and self.mark.timestamp(), "recent": recent}

    def take(self, answer: _Answer) -> None:
        """Note what was seen and what is gone; the oldest are forgotten."""
        now = datetime.now(UTC)
        if answer.times:  # and no time to come, beyond which nothing would be new
            newest = min(max(answer.times.values()), now)
            self.mark = max(self.mark or newest, newest)
        since = now - _RECENT
        known = {**self.recent, **answer.times}
        kept = [one for one in known.items() if one[0] not in answer.deleted and one[1] > since]
        self.recent = dict(sorted(kept, key=lambda one: one[1])[-_MAX_RECENT:])


@dataclass(frozen=True, slots=True)
class RedditConnector:
    """Follows listings. The cursor holds a place for each, and when all was looked at again."""

    settings: RedditSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new of each listing, oldest first, then what was edited or deleted."""
        session, now = self._session(), datetime.now(UTC)
        places = {name: _Place.of(one) for name, one in cursor.get("places", {}).items()}
        again = float(cursor.get("again", 0.0))
        is_again = bool(again) and now.timestamp() - again > _AGAIN.total_seconds()
        for name, path in self._listings():
            place = places.setdefault(name, _Place())
            shown: set[str] = set()
            for answer in await self._new(session, path, place.mark):
                gone = [it for it in answer.deleted if it in place.recent]
                # What was held back, and is let through later, comes then: it is not noted as gone.
                never_ours = [it for it in answer.deleted if it not in place.recent]
                place.take(answer)
                shown |= answer.times.keys()
                yield Page(
                    answer.rows,
                    _cursor(places, again),
                    deleted=gone,
                    deleted_if_known=never_ours,
                )
            missing = list(place.recent)[None if is_again else -_LIMIT :]
            missing = [it for it in missing if it not in shown][-_MAX_RECENT:]
            for start in range(0, len(missing), _LIMIT):
                answer = await self._named(session, missing[start : start + _LIMIT])
                place.take(answer)
                yield Page(answer.rows, _cursor(places, again), deleted=answer.deleted)
        if is_again or not again:
            yield Page((), _cursor(places, now.timestamp()))

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range, newest page first, as far as Reddit shows it."""
        session = self._session()
        begun, listings = int(cursor.get("listing", 0)), self._listings()
        for number, (_, path) in list(enumerate(listings))[begun:]:
            after = str(cursor.get("after", "")) if number == begun else ""
            for _ in range(_MAX_PAGES):
                answer = await self._listing(session, path, after)
                rows = within(answer.rows, since, until)
                after = answer.after
                is_last = not after or min(answer.times.values(), default=until) < since
                at = {"listing": number + 1} if is_last else {"listing": number, "after": after}
                yield Page(rows, at, deleted_if_known=answer.deleted)
                if is_last:
                    break

    def _session(self) -> oauth.Session:
        settings = self.settings
        grant = oauth.client_credentials(
            settings.token_address, settings.client_id, settings.client_secret
        )
        who = f"server:maru.{settings.client_id}:v0.1 (by /u/{settings.username})"
        return oauth.Session(grant, self.tools, "Reddit", {"User-Agent": who})

    def _listings(self) -> list[tuple[str, str]]:
        """Return what is followed: its name in the cursor, and how to ask for it."""
        below = f"/r/{'+'.join(self.settings.subreddits)}" if self.settings.subreddits else ""
        if query := self.settings.query.strip():
            asked = {"q": query, "sort": "new", "t": "all", "type": "link"}
            inside = {"restrict_sr": "1"} if below else {}
            return [("search", f"{below}/search?{urlencode({**asked, **inside})}&")]
        listings = [("posts", f"{below}/new?")]
        return (
            [*listings, ("comments", f"{below}/comments?")] if self.settings.comments else listings
        )

    async def _new(self, session: oauth.Session, path: str, mark: datetime | None) -> list[_Answer]:
        """Return what is new of a listing, the oldest part first; at first, its newest part.

        All of it, since Reddit shows the newest first and the place may move only upwards: a
        thousand posts at most.
        """
        found: list[_Answer] = []
        after = ""
        for _ in range(_MAX_PAGES):
            answer = await self._listing(session, path, after)
            found.append(answer)
            after = answer.after
            oldest = min(answer.times.values(), default=None)
            reached = mark is None or (oldest is not None and oldest < mark - _OVERLAP)
            if reached or not after:
                break
        return found[::-1]

    async def _listing(self, session: oauth.Session, path: str, after: str) -> _Answer:
        onwards = {"after": after} if after else {}
        return await self._ask(session, f"{path}{urlencode({'limit': _LIMIT, **onwards})}")

    async def _named(self, session: oauth.Session, names: Iterable[str]) -> _Answer:
        return await self._ask(session, f"/api/info?{urlencode({'id': ','.join(names)})}")

    async def _ask(self, session: oauth.Session, path: str) -> _Answer:
        fetched = await session.ask("GET", f"{self.settings.address}{path}&raw_json=1")
        if fetched.status != HTTPStatus.OK:
            _refuse(fetched)
        if _ELSEWHERE in urlsplit(fetched.url).path:
            raise SourceGone("Reddit knows no subreddit of that name, and offers to search for it.")
        check_status(fetched)
        return await asyncio.to_thread(_read, fetched.body)


def _refuse(fetched: Fetched) -> None:
    """Raise what Reddit's own reason means (`private`, `banned` …); return without one."""
    try:
        reason = text.clean_line(untyped.string(payloads.loads(fetched.body), "reason"), _MAX_TOLD)
    except Unreadable:
        return
    if reason and fetched.status == HTTPStatus.NOT_FOUND:
        raise SourceGone(f"Reddit shows this subreddit to nobody: {reason} (404).")
    if reason and fetched.status == HTTPStatus.FORBIDDEN:
        raise CredentialsRefused(f"Reddit does not show this app the subreddit: {reason} (403).")


def _read(body: bytes) -> _Answer:
    """Read a part of a listing. Raises SourceBroken when it is none."""
    try:
        value = payloads.loads(body)
        is_listing = untyped.string(value, "kind") == "Listing"
        if not is_listing or not isinstance(untyped.at(value, "data", "children"), list):
            payloads.read(value, platform="reddit")  # raises what it is instead
            raise payloads.unknown(value)
        answer = payloads.read(value, platform="reddit")
    except Unreadable as error:
        raise SourceBroken(f"Reddit answers with what is no list of posts: {error}.") from error
    times = {
        row.native_id: row.created_at
        for row in answer.rows
        if isinstance(row, ParsedPost) and row.created_at and _NAME.fullmatch(row.native_id)
    }
    after = untyped.string(value, "data", "after")
    return _Answer(
        list(answer.rows), answer.deleted, times, after if _NAME.fullmatch(after) else ""
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _cursor(places: Mapping[str, _Place], again: float) -> Cursor:
    return {"places": {name: it.stored() for name, it in places.items()}, "again": again}


CONNECTOR = ConnectorKind(
    kind="reddit",
    title="Reddit",
    summary="Follows the posts and comments of subreddits, or what a search finds",
    settings=RedditSettings,
    channel=Channel.COMMUNITY,
    open=RedditConnector,
    capabilities=frozenset(
        {Capability.BACKFILL, Capability.REPLIES, Capability.MEDIA, Capability.METRICS}
    ),
)
