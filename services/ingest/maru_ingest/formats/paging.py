"""How a list that comes page by page goes on: numbers, cursors, links."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import unquote_plus, urlencode, urljoin, urlsplit

from maru_ingest.formats import links, untyped
from maru_ingest.formats.json_path import Path
from maru_ingest.formats.parsed import Unreadable

Way = Literal["none", "page", "offset", "cursor", "link", "next"]
Position = int | str | None
"""Which page: its number, how many posts are before it, a cursor or an address; None, the first."""

TimeFormat = Literal["iso", "date", "seconds", "milliseconds"]

_BY_ADDRESS = {"link", "next"}
_MAX_POSITION = 4_000
_PORTS = {"http": 80, "https": 443}
_WRITTEN: Mapping[TimeFormat, Callable[[datetime], str]] = {
    "iso": lambda moment: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    "date": lambda moment: f"{moment.astimezone(UTC):%Y-%m-%d}",
    "seconds": lambda moment: str(int(moment.timestamp())),
    "milliseconds": lambda moment: str(int(moment.timestamp()) * 1000),
}


@dataclass(frozen=True, slots=True)
class Paging:
    """How the pages of one list turn.

    `parameter` names a page, an offset or a cursor in an address, `first` is the number of the
    first page, `next_at` where an answer has the next cursor or address. `since_parameter` names
    the time from which on posts are asked for, if the site takes one.
    """

    address: str
    way: Way
    parameter: str
    first: int
    next_at: Path | None
    since_parameter: str = ""
    since_format: TimeFormat = "iso"

    def url(self, at: Position, since: datetime | None, secret: Mapping[str, str]) -> str:
        """Return a page's address, with parameters; everything else stays as it was written.

        `since` is asked for where the site knows it, and not in an address that the site made.
        """
        if isinstance(at, str) and self.way in _BY_ADDRESS:
            return _with(at, secret)
        turned = {} if at is None else {self.parameter: str(at)}
        newer = self.since_parameter and since
        asked = {self.since_parameter: _WRITTEN[self.since_format](newer)} if newer else {}
        return _with(self.address, {**asked, **turned, **secret})

    def next(
        self, at: Position, *, answer: object, link: str, count: int, secret: Collection[str]
    ) -> Position:
        """Return where the page after the one at `at` is, None if there is none.

        `answer` has `count` posts and came with the header `link`; parameters named in `secret`
        are no part of an address that is kept. Raises Unreadable for an address of another site.
        """
        match self.way:
            case "page" if count:
                return (at if isinstance(at, int) else self.first) + 1
            case "offset" if count:
                return (at if isinstance(at, int) else 0) + count
            case "cursor":
                return _short(untyped.identifier({"next": self._named(answer)}, "next")) or None
            case "next":
                named = self._named(answer)
                return self._own(named, secret) if isinstance(named, str) and named else None
            case "link":
                found = links.related(link, "next", self.address)
                return self._own(found[0], secret) if found else None
        return None

    def _named(self, answer: object) -> object:
        return None if self.next_at is None else self.next_at.first(answer)

    def _own(self, address: str, secret: Collection[str]) -> str:
        try:
            there = urljoin(self.address, _short(address))
            if origin(there) == origin(self.address):
                return _without(there, secret)
        except ValueError:
            pass
        raise Unreadable("the next page is said to be on another site, which is not asked")


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return whose address it is: scheme, host, port. Raises ValueError for what is none."""
    parts = urlsplit(url)
    if parts.username is not None:
        raise ValueError("an address with a user's name")
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _with(url: str, added: Mapping[str, str]) -> str:
    plain = _without(url, added)
    if not added:
        return plain
    return f"{plain}{'&' if '?' in plain else '?'}{urlencode(added)}"


def _without(url: str, names: Collection[str]) -> str:
    before, _, query = url.partition("#")[0].partition("?")
    kept = [it for it in query.split("&") if it and unquote_plus(it.partition("=")[0]) not in names]
    return f"{before}?{'&'.join(kept)}" if kept else before


def _short(position: str) -> str:
    if len(position) > _MAX_POSITION:
        raise Unreadable(f"the next page's name has more than {_MAX_POSITION:,} characters")
    return position
