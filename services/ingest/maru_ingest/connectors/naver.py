"""Naver: blogs, cafés, news and questions (지식iN) in which some words are found.

**What to set up.** Keys of Naver's search API, which is free for 25,000 requests a day. In the
console of NAVER Cloud Platform open *Application Services*, *NAVER API HUB*, register an
application that uses *Search*, and take its Client ID and Client Secret
(https://guide.ncloud-docs.com/docs/apihub-procedure). Keys of the older Naver Developers
(https://developers.naver.com), which no longer gives out new ones and ends in June 2027, work with
`keys` set to `developers`. Both are sent in headers, never in an address.

**What it costs.** A look takes one request for each of the `services`, and one more for each
hundred new posts: with all four every quarter of an hour, 384 a day. All sources with the same keys
share their 25,000 requests, so that a source's `daily_requests` is its share. When they are used
up, the source is throttled and asks again every hour.

**What comes.** The words are searched as in Naver's own search: "…" for a phrase, `-` before what
is not to be there, `|` for one of several. The newest come first, at most 1,000 of each service
(https://api.ncloud-docs.com/docs/naver-api-hub-search-blog); a look goes back until it meets what
is known. If more than 1,000 were written since, the others can't be had. Of a post comes an
excerpt. The API tells neither of edits nor of deletions, nor of likes or comments.

**When it was written.** Of news Naver says it to the second, of blogs the day: a post counts as
written when that day began in Korea. Of cafés and questions it says nothing: these have the time at
which Maru found them first. A look back (`backfill`) brings blogs and news of the range, as far as
they are among the newest 1,000.

**One post, one id.** A post goes by its address without what differs from search to search: that of
a blog is the same on `m.blog.naver.com`, a question goes by its number, news by the paper's own
address. So several sources with overlapping words bring each post once.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from maru_contracts.posts import Channel
from maru_ingest import web_search
from maru_ingest.connector import (
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

Service = Literal["blog", "cafearticle", "news", "kin"]

_ADDRESSES = {
    "hub": "https://naverapihub.apigw.ntruss.com/search/v1",
    "developers": "https://openapi.naver.com/v1/search",
}
_KEY_HEADERS = {
    "hub": ("X-NCP-APIGW-API-KEY-ID", "X-NCP-APIGW-API-KEY"),
    "developers": ("X-Naver-Client-Id", "X-Naver-Client-Secret"),
}
_SUFFIX = {"hub": "", "developers": ".json"}
_LIMIT = 100
_LAST_START = 1_000
_USED_UP = {"010", "400"}
_NOT_LET_IN = {"024", "028", "200", "210"}
_LATER = 60.0
_MUCH_LATER = 3_600.0


class NaverSettings(SourceSettings):
    """What to search for, where, and the keys to ask with."""

    client_id: SecretStr = Field(min_length=1, description="Client ID of the application")
    client_secret: SecretStr = Field(min_length=1, description="Client Secret of the application")
    query: str = Field(
        min_length=1, max_length=500, description="Words to search for, as in Naver's own search"
    )
    services: tuple[Service, ...] = Field(
        default=("blog", "cafearticle", "news", "kin"),
        min_length=1,
        max_length=4,
        description="What is searched: `blog`, `cafearticle`, `news`, `kin` (questions)",
    )
    keys: Literal["hub", "developers"] = Field(
        default="hub",
        description="Who gave the keys: `hub` (NAVER API HUB) or `developers` (Naver Developers)",
    )
    interval_seconds: Interval = 900.0
    address: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        max_length=1_000,
        description="Address of the API, where a proxy stands before it",
    )


@dataclass(frozen=True, slots=True)
class NaverConnector:
    """Follows a search. The cursor holds marks of the newest posts of each service."""

    settings: NaverSettings
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
        """Yield the blogs and news of a range that are among the newest 1,000."""
        return web_search.written_within(self, since, until, cursor)

    async def results(self, service: str, at: int) -> Results:
        """Return the results from the one of that number on."""
        settings = self.settings
        asked = {"query": settings.query, "display": _LIMIT, "start": at, "sort": "date"}
        address = settings.address or _ADDRESSES[settings.keys]
        url = f"{address}/{service}{_SUFFIX[settings.keys]}?{urlencode(asked)}"
        value = await web_search.ask(self.tools, "Naver", url, self._headers(), _refuse)
        rows = await web_search.posts("Naver", "naver", value)
        following = at + len(rows)
        total = untyped.count(value, "total") or 0
        is_last = not rows or following > min(total, _LAST_START)
        return Results(rows, 0 if is_last else following)

    def _headers(self) -> Mapping[str, str]:
        keys = (self.settings.client_id, self.settings.client_secret)
        values = (key.get_secret_value() for key in keys)
        return dict(zip(_KEY_HEADERS[self.settings.keys], values, strict=True))


def _refuse(status: int, value: object) -> None:
    """Raise what an error of Naver's means.

    Codes of https://developers.naver.com/docs/common/openapiguide/errorcode.md and
    https://api-gov.ncloud-docs.com/docs/api-call-lgc-errorhandling.
    """
    code = untyped.identifier(value, "errorCode") or untyped.identifier(value, "error", "errorCode")
    told = payloads.error_in(value)
    if status == HTTPStatus.TOO_MANY_REQUESTS and code in _USED_UP:
        raise SourceBusy(f"Naver's quota is used up: {told}", retry_after=_MUCH_LATER)
    if status == HTTPStatus.TOO_MANY_REQUESTS and code:
        raise SourceBusy(f"Naver asks for patience: {told}", retry_after=_LATER)
    if status == HTTPStatus.UNAUTHORIZED and code in _NOT_LET_IN:
        raise CredentialsRefused(f"Naver does not take the keys: {told}")


CONNECTOR = ConnectorKind(
    kind="naver",
    title="Naver",
    summary="Follows a search of Naver's blogs, cafés, news and questions",
    settings=NaverSettings,
    channel=Channel.BLOG,
    open=NaverConnector,
    capabilities=frozenset({Capability.BACKFILL}),
)
