"""Finds the feeds behind an address that a person typed, which is often that of a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin

from maru_ingest.formats import pages
from maru_ingest.formats.detect import HEAD, detect
from maru_ingest.formats.pages import Offered
from maru_ingest.formats.parsed import Unreadable
from maru_kit.errors import Unprocessable
from maru_kit.outbound import Disallowed, Fetched, Outbound, OutboundError

_DEADLINE = 15.0
_EACH = 4.0
_ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, text/html;q=0.9, */*"


@dataclass(frozen=True, slots=True)
class Discovered:
    """What lies behind an address: a feed itself, or a page and the feeds that it offers."""

    is_feed: bool
    feeds: Sequence[Offered]


@dataclass(frozen=True, slots=True)
class Discovery:
    """Looks at pages through the guarded client, one after the other, `apart` seconds at least.

    What a site's robots.txt keeps from programs is not looked at.
    """

    outbound: Outbound
    max_bytes: int
    apart: float = 0.0

    async def look(self, url: str) -> Discovered:
        """Return the feeds behind an address.

        A page that names none is asked for at the common paths until the first that is one.
        Raises Unprocessable when the address can't be fetched.
        """
        try:
            fetched = await self._get(url, _DEADLINE)
        except Disallowed as error:
            reason = f"{error}; if it is a feed, it can be followed without a look at it."
            raise Unprocessable(reason) from error
        except OutboundError as error:
            raise Unprocessable(f"{error}.") from error
        if fetched.status != HTTPStatus.OK:
            raise Unprocessable(f"The server of {url} answers {fetched.status}.")
        if _is_feed(fetched):
            return Discovered(is_feed=True, feeds=[Offered(url)])
        found = pages.offered(fetched.body, url=fetched.url)
        return Discovered(is_feed=False, feeds=found or await self._guessed(fetched.url))

    async def _guessed(self, page: str) -> Sequence[Offered]:
        for path in pages.COMMON_PATHS:
            try:
                fetched = await self._get(urljoin(page, path), _EACH)
            except Disallowed:
                continue
            except OutboundError:
                return []  # a host that does not answer, or asks to wait, is asked no more
            if fetched.status == HTTPStatus.OK and _is_feed(fetched):
                return [Offered(fetched.url)]
        return []

    async def _get(self, url: str, deadline: float) -> Fetched:
        return await self.outbound.page(
            url,
            headers={"Accept": _ACCEPT},
            max_bytes=self.max_bytes,
            deadline=deadline,
            delay=self.apart,
        )


def _is_feed(fetched: Fetched) -> bool:
    try:
        return detect(fetched.body[:HEAD], name="") in {"feed", "json_feed"}
    except Unreadable:
        return False
