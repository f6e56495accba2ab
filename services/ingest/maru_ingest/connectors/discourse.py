"""Discourse: what is said in a forum, all of it, in some categories, or where it holds some words.

**What to set up.** Give the forum's address. A forum that can be read without logging in needs
nothing else. For one that can't, an administrator makes a key under *Admin › API › New API key*
(user level *Single User*, scope *Read-only* or *Granular*: posts *list* and *read*); give it with
the name of its user, in whose name all is read. Private messages are never followed.

A category is named by its number, the last part of its address (`/c/feature-requests/12`); those
below it are named on their own. A search is words and `"phrases"` that a post must hold; with
several searches (one a line) one of them is enough.

For posts within seconds, let the forum push: under *Admin › API › Webhooks* make one with the
source's address `/hooks/ID` as its payload URL, content type `application/json`, a secret of its
own, which goes into `webhook_secret`, and the *Post events*.

**How it works.** The list of all posts (`/posts.json`) is read by their numbers, from the last one
that is known, 49 numbers at a time, so a look asks once or twice in a forum of usual size. The
newest fifty posts are read at every look, those of the last week (at most 2,000) every six hours:
edits and likes are noticed by that. So are deletions: of the last 1,000 posts that were brought,
those that are missing in what was read are asked for one by one, at most 20 in one look. A post
that moderators have hidden keeps the words that it had; one that was moved goes on as a new one.
A look back (`backfill`) finds the numbers of its range by halving, then reads on from there.

**Limits.** Forums allow some 200 requests a minute from one address, and a key 60; what a forum
says of waiting (`Retry-After`, `extras.wait_seconds`) is kept. Filters are kept here and not there:
a source of one small category in a big forum reads the whole forum's posts.

API: <https://docs.discourse.org/#tag/Posts/operation/listPosts>,
<https://meta.discourse.org/t/available-settings-for-global-rate-limits-and-throttling/78612>,
<https://meta.discourse.org/t/configure-webhooks-that-trigger-on-discourse-events-to-integrate-with-external-services/49045>.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
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
    SourceGone,
    SourceSettings,
    Tools,
    check_status,
    is_signed,
    translated,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import BadRow, Document, ParsedPost, Row, Unreadable
from maru_ingest.formats.searches import Search
from maru_ingest.formats.untyped import Object

_WINDOW = 49
"""Numbers that are asked for at once: an answer has fifty posts, of a number or below it."""
_AGAIN = timedelta(hours=6)
_WEEK = timedelta(days=7)
_MAX_AGAIN = 40
_MAX_KNOWN = 1_000
_MAX_ASKED = 20
_MAX_NUMBER = 2**53


class DiscourseSettings(SourceSettings):
    """Which forum to follow, and what of it."""

    address: str = Field(
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the forum, such as https://forum.example.com",
    )
    categories: tuple[int, ...] = Field(
        default=(), max_length=100, description="Numbers of categories; all, when none is named"
    )
    search: tuple[str, ...] = Field(
        default=(), max_length=50, description="Words that a post must hold, one search a line"
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key of the forum's API, for a forum that needs a login"
    )
    api_username: str = Field(
        default="", max_length=100, pattern=r"^[\w.-]*$", description="Name of the key's user"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Secret of the forum's webhook, if it pushes"
    )
    interval_seconds: Interval = 300.0

    @field_validator("address")
    @classmethod
    def _is_bare(cls, address: str) -> str:
        return address.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr | None) -> SecretStr | None:
        written = key.get_secret_value().strip() if key is not None else ""
        if key is not None and not (written.isascii() and written.isprintable() and written):
            raise ValueError("must be letters, digits and signs")
        return key and SecretStr(written)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Posts by their numbers, and what stood between them and is none."""

    posts: Mapping[int, Object]
    bad: Sequence[BadRow] = ()

    @property
    def lowest(self) -> int:
        return min(self.posts, default=0)

    @property
    def highest(self) -> int:
        return max(self.posts, default=0)

    @property
    def oldest(self) -> datetime | None:
        """When the post with the lowest number was written."""
        return untyped.moment(self.posts.get(self.lowest), "created_at")


@dataclass(slots=True)
class _Place:
    """How far posts are known: up to the number `mark`.

    `again` is when older posts were last looked at, `known` where in the forum the newest posts
    stand that were brought, as topic/number.
    """

    mark: int
    again: datetime
    known: dict[int, str]

    @classmethod
    def of(cls, cursor: Cursor) -> "_Place":
        again = cursor.get("again")
        known = {int(name): str(place) for name, place in cursor.get("known", {}).items()}
        moment = datetime.fromisoformat(again) if again else datetime.now(UTC)
        return cls(int(cursor.get("mark", 0)), moment, known)

    def cursor(self) -> Cursor:
        known = {str(number): place for number, place in self.known.items()}
        return {"mark": self.mark, "again": self.again.isoformat(), "known": known}

    def reach(self, posts: Mapping[int, Object]) -> list[str]:
        """Know some posts more; return where those stood that were moved."""
        places = {number: _place(post) for number, post in posts.items()}
        moved = [
            self.known[number]
            for number, place in places.items()
            if self.known.get(number, place) != place
        ]
        self.known = dict(sorted({**self.known, **places}.items())[-_MAX_KNOWN:])
        return moved

    def missing(self, listed: _Listed, below: int) -> list[int]:
        """Return the numbers of known posts that what was read should hold and does not."""
        return [
            number
            for number in self.known
            if listed.lowest <= number < below and number not in listed.posts
        ]


@dataclass(frozen=True, slots=True)
class DiscourseConnector:
    """Follows a forum. The cursor holds its place."""

    settings: DiscourseSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what was written since the last look, then what became of older posts."""
        place = _Place.of(cursor)
        newest = await self._listed()
        while place.mark and place.mark + 1 < newest.lowest:
            until = min(place.mark + _WINDOW, newest.lowest - 1)
            window = await self._window(place.mark, until)
            place.mark = until
            yield await self._page(window, place)
        before, place.mark = place.mark, max(place.mark, newest.highest)
        yield await self._page(newest, place)
        if not before:
            return
        missing = place.missing(newest, place.mark + 1)
        if datetime.now(UTC) - place.again > _AGAIN:
            lower = newest
            for _ in range(_MAX_AGAIN):
                above, lower = lower.lowest, await self._listed(lower.lowest)
                missing += place.missing(lower, above)
                yield await self._page(lower, place)
                if not 0 < lower.lowest < above or _is_old(lower.oldest):
                    break
            place.again = datetime.now(UTC)
            yield Page((), place.cursor())
        for number in missing[:_MAX_ASKED]:
            yield await self._asked_for(number, place)

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the posts of a range, oldest page first."""
        mark, last = cursor.get("mark"), cursor.get("last")
        if mark is None or last is None:
            highest = (await self._listed()).highest
            mark, last = await self._before(since, highest), await self._before(until, highest)
        mark, last = int(mark), int(last)
        while mark < last:
            upper = min(mark + _WINDOW, last)
            window = await self._window(mark, upper)
            mark = upper
            posts = {n: one for n, one in window.posts.items() if _is_within(one, since, until)}
            document = await asyncio.to_thread(self._read, _Listed(posts, window.bad))
            yield Page(document.rows, {"mark": mark, "last": last})

    async def _page(self, listed: _Listed, place: _Place) -> Page:
        """Return what a list holds of what is followed, and know it."""
        followed = _Listed(
            {number: one for number, one in listed.posts.items() if self._follows(one)}, listed.bad
        )
        moved = place.reach(followed.posts)
        document = await asyncio.to_thread(self._read, followed)
        gone = [*document.deleted, *(self._name(one) for one in moved)]
        return Page(document.rows, place.cursor(), deleted_if_known=gone)

    async def _asked_for(self, number: int, place: _Place) -> Page:
        """Return what became of a known post that is in no list any more, and know it no longer.

        Whoever may not see it (403) is not told whether it was deleted; for them it is gone.
        """
        name = self._name(place.known.pop(number))
        try:
            post = await self._ask(f"/posts/{number}.json")
        except (SourceGone, CredentialsRefused):
            return Page((), place.cursor(), deleted_if_known=(name,))
        if not isinstance(post, dict) or untyped.count(post, "id") != number:
            raise SourceBroken(f"The forum answers with another post than {number}.")
        found = self._read(_Listed({number: post} if self._follows(post) else {}))
        moved = () if self._name(_place(post)) == name else (name,)
        return Page(found.rows, place.cursor(), deleted_if_known=(*found.deleted, *moved))

    async def _window(self, mark: int, until: int) -> _Listed:
        """Return all posts whose numbers are above `mark` and at most `until`."""
        found: dict[int, Object] = {}
        bad: list[BadRow] = []
        before = until + 1
        while True:
            listed = await self._listed(before)
            new = {n: one for n, one in listed.posts.items() if mark < n <= until} | found
            bad += listed.bad
            if len(new) == len(found) or listed.lowest <= mark + 1:
                return _Listed(new, bad)
            found, before = new, listed.lowest

    async def _before(self, moment: datetime, highest: int) -> int:
        """Return the highest number up to which all posts were written before a moment."""
        low, high = 0, highest
        while low < high:
            middle = (low + high + 1) // 2
            listed = await self._listed(middle + 1)
            below = [number for number in listed.posts if number <= middle]
            number = max(below, default=0)
            written = untyped.moment(listed.posts.get(number), "created_at")
            if written is None or written < moment:
                low = middle
            else:
                high = number - 1
        return low

    async def _listed(self, before: int = 0) -> _Listed:
        """Return the newest posts, or those whose numbers are below (in old versions: at most) one.

        Raises SourceBroken for what is no list of posts.
        """
        value = await self._ask(f"/posts.json{f'?before={before}' if before else ''}")
        said = value.get("latest_posts") if isinstance(value, dict) else None
        if not isinstance(said, list):
            raise SourceBroken("The forum answers with what is no list of posts of Discourse.")
        posts: dict[int, Object] = {}
        bad: list[BadRow] = []
        for line, one in enumerate(said, start=1):
            number = untyped.count(one, "id")
            if isinstance(one, dict) and number and number < _MAX_NUMBER:
                posts[number] = one
            else:
                bad.append(BadRow(line, "not a post like its neighbours", untyped.original(one)))
        return _Listed(posts, bad)

    async def _ask(self, path: str) -> object:
        if self.tools.budget is not None:
            self.tools.budget.spend()
        with translated():
            fetched = await self.tools.outbound.get(
                self.settings.address + path,
                headers=self._headers(),
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        if fetched.status == HTTPStatus.TOO_MANY_REQUESTS:
            _wait(fetched.body, fetched.retry_after or 0.0)
        check_status(fetched)
        try:
            return await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"The forum answers with what can't be read: {error}.") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self.settings.api_key is not None:
            headers["Api-Key"] = self.settings.api_key.get_secret_value()
        if self.settings.api_username:
            headers["Api-Username"] = self.settings.api_username
        return headers

    def _follows(self, post: Object) -> bool:
        return follows(self.settings, post)

    def _read(self, listed: _Listed) -> Document:
        return read(self.settings, listed.posts.values(), listed.bad)

    def _name(self, place: str) -> str:
        return f"{self.settings.address}/t/{place}"


def follows(settings: DiscourseSettings, post: Object) -> bool:
    """Whether a post may be brought: hidden ones show a notice in place of their words."""
    category = untyped.count(post, "category_id")
    is_here = not settings.categories or category in settings.categories
    return is_here and not untyped.is_true(post, "hidden")


def read(
    settings: DiscourseSettings, posts: Iterable[Object], bad: Sequence[BadRow] = ()
) -> Document:
    """Return the rows of posts, oldest first, as far as they hold what is searched for."""
    found = sorted(posts, key=lambda one: untyped.count(one, "id") or 0)
    if not found:
        return Document(bad)
    try:
        url = f"{settings.address}/posts.json"
        document = payloads.read({"latest_posts": found}, url=url, platform="discourse")
    except Unreadable as error:
        reasons = [BadRow(n, str(error), untyped.original(it)) for n, it in enumerate(found, 1)]
        return Document([*reasons, *bad])
    searches = [Search.of(line) for line in settings.search]
    rows = [row for row in document.rows if _is_found(row, searches)]
    return Document([*rows, *bad], deleted=document.deleted)


def pushed(settings: DiscourseSettings, headers: Mapping[str, str], body: bytes) -> Document:
    """Return what a webhook says of a post; others than those of posts say nothing.

    Raises Forged when it is not signed with the secret.
    """
    secret = settings.webhook_secret
    signed = headers.get("x-discourse-event-signature", "")
    if secret is None or not secret.get_secret_value():
        raise Forged("This source has no secret of a webhook.")
    if not is_signed(body, secret.get_secret_value(), signed):
        raise Forged("The webhook's signature is not good.")
    post = untyped.mapping(payloads.loads(body), "post")
    return read(settings, [post] if post and follows(settings, post) else [])


def asked(_: DiscourseSettings, __: Mapping[str, str]) -> str:
    """Refuse an answer: Discourse asks for none before it sends."""
    raise Forged("Discourse asks nothing at this address.")


def _is_found(row: Row, searches: Sequence[Search]) -> bool:
    if not searches or not isinstance(row, ParsedPost):
        return True
    return any(one.holds({"text": f"{row.title}\n{row.text}"}) for one in searches)


def _place(post: Object) -> str:
    return f"{untyped.identifier(post, 'topic_id')}/{untyped.identifier(post, 'post_number')}"


def _wait(body: bytes, asked: float) -> None:
    """Raise SourceBusy for as long as the forum says, in a header or in its words."""
    value: object = None
    with suppress(Unreadable):
        value = payloads.loads(body)
    seconds = untyped.count(value, "extras", "wait_seconds") or 0
    said = payloads.error_in(value)
    raise SourceBusy(
        f"The forum answers 429 (Too Many Requests){said and ': '}{said or '.'}",
        retry_after=max(float(seconds), asked),
    )


def _is_old(written: datetime | None) -> bool:
    return written is None or written < datetime.now(UTC) - _WEEK


def _is_within(post: Object, since: datetime, until: datetime) -> bool:
    written = untyped.moment(post, "created_at")
    return written is not None and since <= written < until


CONNECTOR = ConnectorKind(
    kind="discourse",
    title="Discourse",
    summary="Follows what is said in a forum that runs Discourse",
    settings=DiscourseSettings,
    channel=Channel.COMMUNITY,
    open=DiscourseConnector,
    capabilities=frozenset(
        {Capability.BACKFILL, Capability.LIVE, Capability.REPLIES, Capability.METRICS}
    ),
    hook=Hook(greet=asked, read=pushed),
)
