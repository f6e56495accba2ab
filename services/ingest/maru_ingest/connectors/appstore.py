"""Apple's App Store: the reviews of an app, in the countries that you name.

**What to set up.** Nothing: the feed is open to everybody. Give the app's number, which stands in
its address in the store (`https://apps.apple.com/kr/app/name/id123456789`), or the whole address,
and the countries by their two letters (`kr, us, jp`). Each country has a store and reviews of its
own.

**How it works.** The feed of a country lists its newest 500 reviews, 50 on a page, the newest or
last edited first. A look goes back page by page until it meets what was known a day before, since
reviews are shown late; the first look takes one page, a look back (`backfill`) as many as there
are. A review keeps its id when its author edits it, and has its stars as a rating.

**Limits.** Reviews beyond the newest 500 of a country can't be read: in a country where more come
between two looks, look more often. Apple's servers do not always agree on what is newest, sometimes
show a page without reviews, and answer 403 to those who ask too fast: then the source is asked
again later. Between two requests lie `pause_seconds`. The time of a review is that of its last
edit. The developer's answers, and stars without words, are not in the feed; that a review was
taken back is not told. The reviews of your own apps, with the answers, are in App Store Connect.

Apple has published no reference of this feed; its address is
<https://itunes.apple.com/us/rss/customerreviews/page=1/id=284882215/sortby=mostrecent/json>.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from pydantic import Field, field_validator

from maru_contracts.posts import Channel
from maru_ingest.connector import (
    Capability,
    ConnectorKind,
    CredentialsRefused,
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
    translated,
    within,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.formats.parsed import Row, Unreadable

_PAGES = 10
_AGAIN = timedelta(days=1)
_TOO_FAST = 600.0
_OF_THE_APP = "im:name"
_NUMBER = re.compile(r"\d{1,20}")
_IN_ADDRESS = re.compile(r"https://(?:apps|itunes)\.apple\.com/[^?#]*/id(\d{1,20})(?:[/?#].*)?")
_COUNTRY = re.compile(r"[a-z]{2}")
_PAGE = re.compile(r"/page=(\d{1,3})/")


class AppStoreSettings(SourceSettings):
    """Which app, and in which countries."""

    app: str = Field(
        max_length=1_000, description="The app's number, or its address in the App Store"
    )
    countries: tuple[str, ...] = Field(
        default=("us",),
        min_length=1,
        max_length=60,
        description="Countries whose reviews to follow, by their two letters: kr, us",
    )
    interval_seconds: Interval = 3_600.0
    pause_seconds: float = Field(
        default=1.0, ge=0, le=60, description="Seconds between two requests of one look"
    )
    address: str = Field(
        default="https://itunes.apple.com",
        pattern=r"^https?://[^\s?#]+$",
        max_length=1_000,
        description="Address of the feeds, where a proxy stands before them",
    )

    @field_validator("app")
    @classmethod
    def _is_an_app(cls, written: str) -> str:
        in_address = _IN_ADDRESS.fullmatch(written.strip())
        number = in_address[1] if in_address else written.strip().removeprefix("id")
        if not (number.isascii() and _NUMBER.fullmatch(number)):
            raise ValueError("must be an app's number, or its address with /id and that number")
        return number

    @field_validator("countries")
    @classmethod
    def _are_countries(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        countries = tuple(dict.fromkeys(one.strip().lower() for one in written))
        if not all(map(_COUNTRY.fullmatch, countries)):
            raise ValueError("write each country with two letters, such as kr")
        return countries


@dataclass(frozen=True, slots=True)
class _Reviews:
    """A page of a country's reviews, oldest first; `is_last` where no other follows it."""

    rows: Sequence[Row]
    is_last: bool


@dataclass(frozen=True, slots=True)
class AppStoreConnector:
    """Follows an app's reviews; its cursor holds a mark for each country."""

    settings: AppStoreSettings
    tools: Tools

    async def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new in each country; one that can't be read stops no other."""
        marks = dict(cursor.get("marks", {}))
        failed: SourceBroken | None = None
        for number, country in enumerate(self.settings.countries):
            mark = Mark.of(marks.get(country), _AGAIN)
            try:
                async for reviews in self._reviews(country, is_first=number == 0):
                    is_met = mark.meets(times(reviews.rows)) or reviews.is_last
                    if is_met:
                        marks[country] = mark.moved()
                    yield Page(reviews.rows, {"marks": dict(marks)})
                    if is_met:
                        break
            except CredentialsRefused:
                raise
            except SourceBroken as error:
                failed = type(error)(f"In {country.upper()}: {error}")
        if failed is not None:
            raise failed

    async def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield the reviews of a range that are still listed, country by country, newest first."""
        countries = self.settings.countries
        for number in range(int(cursor.get("country", 0)), len(countries)):
            begun = int(cursor.get("page", 1)) if number == cursor.get("country") else 1
            page = begun
            async for reviews in self._reviews(countries[number], begun, is_first=number == 0):
                rows = within(reviews.rows, since, until)
                yield Page(rows, {"country": number, "page": page})
                page += 1
                if min(times(reviews.rows), default=since) < since:
                    break

    async def _reviews(
        self, country: str, begun: int = 1, *, is_first: bool
    ) -> AsyncGenerator[_Reviews, None]:
        """Yield page after page; the last is the tenth, or one before a page without reviews."""
        for page in range(begun, _PAGES + 1):
            if page > begun or not is_first:
                await asyncio.sleep(self.settings.pause_seconds)
            feed = await self._ask(country, page)
            rows = await asyncio.to_thread(_rows, feed)
            if not rows and 1 < page <= _last_page(feed):
                raise SourceBroken(f"Apple shows page {page} without reviews just now.")
            yield _Reviews(rows, is_last=not rows or page == _PAGES)
            if not rows:
                return

    async def _ask(self, country: str, page: int) -> object:
        app = self.settings.app
        path = f"{country}/rss/customerreviews/page={page}/id={app}/sortby=mostrecent/json"
        if self.tools.budget is not None:
            self.tools.budget.spend()
        with translated():
            fetched = await self.tools.outbound.get(
                f"{self.settings.address.rstrip('/')}/{path}",
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )
        if fetched.status == HTTPStatus.FORBIDDEN:
            wait = fetched.retry_after or _TOO_FAST
            raise SourceBusy("Apple asks for patience: it answers 403.", retry_after=wait)
        check_status(fetched)
        try:
            return await asyncio.to_thread(payloads.loads, fetched.body)
        except Unreadable as error:
            raise SourceBroken(f"Apple answers with what can't be read: {error}.") from error


def _rows(feed: object) -> Sequence[Row]:
    """Return the reviews of a feed, none for one that lists nothing or the app alone."""
    if not untyped.mapping(feed, "feed"):
        raise SourceBroken("Apple answers with what is no feed of reviews.")
    entry = untyped.at(feed, "feed", "entry")
    entries = entry if isinstance(entry, list) else [entry]
    reviews = [one for one in entries if one and not untyped.has(one, _OF_THE_APP)]
    if not reviews:
        return []
    try:
        return payloads.read({"feed": {"entry": reviews[::-1]}}, platform="apple").rows
    except Unreadable as error:
        raise SourceBroken(f"Apple answers with what are no reviews: {error}.") from error


def _last_page(feed: object) -> int:
    """Return the number of the last page as the feed names it, 0 where it does not."""
    for link in untyped.mappings(feed, "feed", "link"):
        if untyped.string(link, "attributes", "rel") == "last":
            named = _PAGE.search(untyped.string(link, "attributes", "href"))
            return int(named[1]) if named else 0
    return 0


CONNECTOR = ConnectorKind(
    kind="appstore",
    title="App Store",
    summary="Follows the reviews of an app in Apple's App Store, in several countries",
    settings=AppStoreSettings,
    channel=Channel.REVIEW,
    open=AppStoreConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.METRICS}),
)
