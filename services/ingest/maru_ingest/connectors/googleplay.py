"""Google Play: the reviews of your own app, as its developer gets them.

**What to set up.** In the Google Cloud console make a project, enable the *Google Play Android
Developer API*, make a service account and, under *Keys*, a key of the kind JSON: what is in its
file is the setting `key`. In the Play Console, under *Users and permissions*, invite the service
account's address and give it, for this app, *View app information* and *Reply to reviews* (reading
needs it, too; Maru asks for the scope `https://www.googleapis.com/auth/androidpublisher`). It may
take a day until Google lets the account in. `package` is the app's name in the store
(`com.example.notes`).

**How it works.** The API lists reviews of the last seven days, the last written or edited first. A
look goes back page by page until it meets what was known six hours before; the first look takes one
page of a hundred, a look back (`backfill`) the rest of the seven days. A review keeps its id when
its author edits it, and has its stars as a rating. It keeps the words that its author wrote: no
translation is asked for.

**Limits.** What was written more than seven days before a look is never listed: a source that is
paused or broken for longer misses it, and the Play Console's export (`maru import`) has it. An app
may be asked 200 times an hour. Only reviews with words, and only of versions in production, are
listed. The developer's answers are left out. That a review was taken back is not told. The time of
a review is that of its last edit.

API: <https://developers.google.com/android-publisher/reply-to-reviews>,
<https://developers.google.com/android-publisher/api-ref/rest/v3/reviews/list>,
<https://developers.google.com/identity/protocols/oauth2/service-account>.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from maru_contracts.posts import Channel
from maru_ingest import oauth
from maru_ingest.connector import (
    ApiAddress,
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
    check_status,
    times,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Row, Unreadable
from maru_kit.outbound import Fetched

_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
_LIMIT = 100
_AGAIN = timedelta(hours=6)
_MAX_PAGES = 1_000
_USED_UP = {"quotaExceeded", "dailyLimitExceeded"}
_TOO_FAST = {"rateLimitExceeded", "userRateLimitExceeded"}
_LATER = 60.0
_MUCH_LATER = 3_600.0


class GooglePlaySettings(SourceSettings):
    """Which app, and the key to ask with."""

    package: str = Field(
        max_length=200,
        pattern=r"^[A-Za-z]\w*(\.[A-Za-z]\w*)+$",
        description="The app's name in the store, such as com.example.notes",
    )
    key: SecretStr = Field(
        max_length=16_000, description="The JSON file of the service account's key, as it is"
    )
    interval_seconds: Interval = 1_800.0
    address: ApiAddress = "https://androidpublisher.googleapis.com"

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        oauth.service_account(key, [_SCOPE])
        return key


@dataclass(frozen=True, slots=True)
class _Reviews:
    """A page of reviews, oldest first, and the token of the next one, empty after the last."""

    rows: Sequence[Row]
    next: str


@dataclass(frozen=True, slots=True)
class GooglePlayConnector:
    """Follows an app's reviews; its cursor holds when the newest known one was last changed."""

    settings: GooglePlaySettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new, page by page back to what is known."""
        mark = Mark.of(cursor.get("mark"), _AGAIN)
        async for _, reviews in self._reviews(""):
            is_last = mark.meets(times(reviews.rows)) or not reviews.next
            yield Page(reviews.rows, {"mark": mark.moved()} if is_last else cursor)
            if is_last:
                return

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the reviews of a range that are still listed, newest page first."""
        async for token, reviews in self._reviews(str(cursor.get("token", ""))):
            rows = within(reviews.rows, since, until)
            yield Page(rows, {"token": token})
            if min(times(reviews.rows), default=since) < since:
                return

    async def _reviews(self, token: str) -> AsyncGenerator[tuple[str, _Reviews], None]:
        """Yield page after page, each with its own token."""
        # In a thread: reading a key checks its primes, which takes a tenth of a second.
        grant = await asyncio.to_thread(oauth.service_account, self.settings.key, [_SCOPE])
        session = oauth.Session(grant, self.tools, "Google")
        for _ in range(_MAX_PAGES):
            reviews = await self._ask(session, token)
            yield token, reviews
            if not reviews.next:
                return
            if reviews.next == token:
                raise SourceBroken("Google Play names the same page as the next one again.")
            token = reviews.next
        raise SourceBroken(f"Google Play lists more than {_MAX_PAGES:,} pages at once.")

    async def _ask(self, session: oauth.Session, token: str) -> _Reviews:
        asked = {"maxResults": str(_LIMIT), **({"token": token} if token else {})}
        path = f"androidpublisher/v3/applications/{self.settings.package}/reviews"
        url = f"{self.settings.address.rstrip('/')}/{path}?{urlencode(asked)}"
        fetched = await session.ask("GET", url)
        if fetched.status != HTTPStatus.OK:
            _refuse(fetched)
            check_status(fetched)
        return await asyncio.to_thread(_read, fetched.body)


def _read(body: bytes) -> _Reviews:
    try:
        answer = payloads.loads(body)
        listed = untyped.at(answer, "reviews")
        if not isinstance(answer, dict) or not isinstance(listed, list | None):
            raise Unreadable("no list of reviews")
        shown = {"reviews": listed[::-1]} if listed else {}
        found = payloads.read(shown, platform="google_play").rows if shown else ()
    except Unreadable as error:
        raise SourceBroken(f"Google Play answers with what can't be used: {error}.") from error
    return _Reviews(found, untyped.string(answer, "tokenPagination", "nextPageToken"))


def _refuse(fetched: Fetched) -> None:
    """Raise what Google's own reason means; return when it says no more than the status does."""
    try:
        value = payloads.loads(fetched.body)
    except Unreadable:
        return
    errors = untyped.mappings(value, "error", "errors")
    reason = untyped.string(next(iter(errors), {}), "reason")
    told = payloads.error_in(value)
    if reason in _USED_UP:
        raise SourceBusy(f"Google Play's quota is used up: {told}", retry_after=_MUCH_LATER)
    if reason in _TOO_FAST:
        wait = fetched.retry_after or _LATER
        raise SourceBusy(f"Google Play asks for patience: {told}", retry_after=wait)


CONNECTOR = ConnectorKind(
    kind="googleplay",
    title="Google Play",
    summary="Follows the reviews of your own app in Google Play",
    settings=GooglePlaySettings,
    channel=Channel.REVIEW,
    open=GooglePlayConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.METRICS}),
)
