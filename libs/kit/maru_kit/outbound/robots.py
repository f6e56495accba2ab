"""What sites ask of programs that fetch their pages: robots.txt (RFC 9309).

Feeds and APIs are made for programs and are not asked about; pages are.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from protego import Protego

from maru_kit.outbound import urls
from maru_kit.outbound.errors import Disallowed, Unreachable

PRODUCT = "Maru"
"""The name by which a site may speak to us."""

MAX_BYTES = 512 * 1024
"""What is read of a robots.txt; the rest counts for nothing (RFC 9309 section 2.5)."""

_FRESH = 24 * 3600.0
_SOON = 600.0
_MAX_SITES = 1_000
_MAX_TEXT = 2 * 1024 * 1024
_AGENT = re.compile(r"\s*user[\s-]*agent\b[\s:]*([^\s#]*)", re.IGNORECASE)
_TOKEN = re.compile(r"\*$|[a-z_-]+")


@dataclass(frozen=True, slots=True)
class Site:
    """What one robots.txt says.

    `rules` None means that it can't be read, and `why_not` says why, so nothing is allowed.
    """

    rules: Protego | None
    size: int
    until: float
    why_not: str = ""

    def allows(self, url: str) -> bool:
        """Whether the page may be fetched."""
        return self.rules is not None and bool(self.rules.can_fetch(url, PRODUCT))


Read = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Fetches an address: its status, and at most MAX_BYTES of its body."""


class Robots:
    """Remembers the rules of sites for a day, of at most a thousand and so many bytes in all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sites: OrderedDict[str, Site] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, url: str, read: Read) -> None:
        """Raise Disallowed if the site does not want this page fetched.

        Its robots.txt is read if it is not known; what `read` raises of a host that may not be
        asked, or asked now, goes through.
        """
        split = urlsplit(url)
        site = f"{split.scheme}://{split.netloc.lower()}"
        async with self._asking.setdefault(site, asyncio.Lock()):
            known = self._sites.get(site)
            if known is None or known.until <= self._clock():
                known = await _ask(f"{site}/robots.txt", read, self._clock())
                self._remember(site, known)
        if known.rules is None:
            why = f"can't be read, which means no ({known.why_not})"
            raise Disallowed(f"The robots.txt of {urls.host(url)} {why}")
        if not known.allows(url):
            raise Disallowed(f"The robots.txt of {urls.host(url)} asks not to fetch this page")

    def _remember(self, name: str, site: Site) -> None:
        self._sites[name] = site
        self._sites.move_to_end(name)
        while len(self._sites) > 1 and (
            len(self._sites) > _MAX_SITES
            or sum(one.size for one in self._sites.values()) > _MAX_TEXT
        ):
            self._sites.popitem(last=False)


async def _ask(address: str, read: Read, now: float) -> Site:
    try:
        status, body = await read(address)
    except Unreachable as error:
        return Site(None, 0, now + _SOON, str(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Site(None, 0, now + _SOON, f"it answers {status}")
    text = body.decode("utf-8-sig", "replace") if status == HTTPStatus.OK else ""
    rules = await asyncio.to_thread(rules_of, text)
    return Site(rules, len(text), now + _FRESH)


def rules_of(text: str) -> Protego:
    """Read a robots.txt as far as it concerns us.

    The lines that name agents are written anew: ours, everybody's (`*`), and one for all others,
    which a file may name by the thousand, and each of them costs its parser a copy of each rule.
    """
    return Protego.parse("\n".join(_renamed(line) for line in text.splitlines()))


def _renamed(line: str) -> str:
    named = _AGENT.match(line)
    if named is None:
        return line
    token = _TOKEN.match(named[1].lower())
    name = token[0] if token else "-"
    return f"User-agent: {name if name in ('*', PRODUCT.lower()) else 'others'}"
