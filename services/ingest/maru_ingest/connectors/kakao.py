"""Kakao: blogs, cafés and web pages that its search of Daum finds.

**What to set up.** A REST API key: log in at https://developers.kakao.com, add an application under
*App*, and take the *REST API key* from its *Platform keys*. It needs no consent items and no
review. It is sent in a header, never in an address.

**What it costs.** Kakao gives an application a number of requests a day and a month, which stands
under *Quota* (https://developers.kakao.com/docs/latest/en/getting-started/quota). A look takes one
for each of the `services`, and one more for each fifty new posts: with two every quarter of an
hour, 192 a day. All sources with the same key share them, so that a source's `daily_requests` is
its share. When they are used up, the source is throttled and asks again every hour.

**What comes.** The newest come first
(https://developers.kakao.com/docs/latest/en/daum-search/dev-guide), at most 2,500 of each service,
often fewer, as Daum says; a look goes back until it meets what is known. If more were written
since, the others can't be had. Of a post comes an excerpt, with a picture where it has one, and
with the time of its writing. The API tells neither of edits nor of deletions, nor of likes or
comments, and of who wrote only the blog or the café. Web pages are of every kind, and old ones may
come as new; they count as posts of the channel that the source names.

A look back (`backfill`) brings what was written in the range, as far as Daum shows it.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from maru_contracts.posts import Channel
from maru_ingest import web_search
from maru_ingest.connector import (
    ApiAddress,
    Capability,
    ConnectorKind,
    CredentialsRefused,
    Cursor,
    Interval,
    Page,
    SourceBusy,
    SourceSettings,
    Tools,
)
from maru_ingest.formats import payloads, untyped
from maru_ingest.web_search import Results

Service = Literal["blog", "cafe", "web"]

_LIMIT = 50
_LAST_PAGE = 50
_USED_UP = {"-10", "-11", "RequestThrottled"}
_NOT_NOW = {"-1", "-7"}
_NOT_LET_IN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_LATER = 60.0
_MUCH_LATER = 3_600.0


class KakaoSettings(SourceSettings):
    """What to search for, where, and the key to ask with."""

    rest_api_key: SecretStr = Field(min_length=1, description="REST API key of the application")
    query: str = Field(
        min_length=1, max_length=500, description="Words to search for, as in Daum's own search"
    )
    services: tuple[Service, ...] = Field(
        default=("blog", "cafe"),
        min_length=1,
        max_length=3,
        description="What is searched: `blog`, `cafe`, `web` (pages of every kind)",
    )
    interval_seconds: Interval = 900.0
    address: ApiAddress = "https://dapi.kakao.com/v2/search"


@dataclass(frozen=True, slots=True)
class KakaoConnector:
    """Follows a search. The cursor holds marks of the newest posts of each service."""

    settings: KakaoSettings
    tools: Tools

    @property
    def services(self) -> Sequence[str]:
        """What is searched."""
        return tuple(dict.fromkeys(self.settings.services))

    def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new of each service."""
        return web_search.new(self, cursor)

    def history(
        self, since: datetime, until: datetime, cursor: Cursor
    ) -> AsyncGenerator[Page, None]:
        """Yield what was written in a range, as far as it can still be found."""
        return web_search.written_within(self, since, until, cursor)

    async def results(self, service: str, at: int) -> Results:
        """Return the results of the page of that number."""
        asked = {"query": self.settings.query, "sort": "recency", "page": at, "size": _LIMIT}
        url = f"{self.settings.address}/{service}?{urlencode(asked)}"
        headers = {"Authorization": f"KakaoAK {self.settings.rest_api_key.get_secret_value()}"}
        value = await web_search.ask(self.tools, "Kakao", url, headers, self._refuse)
        rows = await web_search.posts("Kakao", "kakao", value)
        is_last = untyped.is_true(value, "meta", "is_end") or not rows or at >= _LAST_PAGE
        return Results(rows, 0 if is_last else at + 1)

    def _refuse(self, status: int, value: object) -> None:
        """Raise what an error of Kakao's means.

        Codes of https://developers.kakao.com/docs/latest/en/rest-api/error-code; the search has
        names of its own for them. A key of a wrong form is repeated in the message.
        """
        code = untyped.identifier(value, "code") or untyped.string(value, "errorType")
        key = self.settings.rest_api_key.get_secret_value()
        told = payloads.error_in(value).replace(key, "…")
        if code in _USED_UP:
            raise SourceBusy(f"Kakao's quota is used up: {told}", retry_after=_MUCH_LATER)
        if code in _NOT_NOW:
            raise SourceBusy(f"Kakao can't answer now: {told}", retry_after=_LATER)
        if status in _NOT_LET_IN:
            raise CredentialsRefused(f"Kakao answers {status} to the key: {told}")


CONNECTOR = ConnectorKind(
    kind="kakao",
    title="Kakao (Daum)",
    summary="Follows a search of Daum: blogs, cafés and web pages",
    settings=KakaoSettings,
    channel=Channel.BLOG,
    open=KakaoConnector,
    capabilities=frozenset({Capability.BACKFILL, Capability.MEDIA}),
)
