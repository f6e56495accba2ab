"""How much a host lets us ask, and for how long it wants none, read from what it answered.

Every platform has its own form, and they are told apart by what they hold:

- `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date
- Mastodon `X-RateLimit-Reset`: a date in ISO 8601; GitHub: seconds since 1970; Reddit: seconds left
- X `x-rate-limit-reset`: seconds since 1970
- Discord `X-RateLimit-Reset-After`: seconds left, beside a reset since 1970
- Bluesky `RateLimit-Reset`: seconds since 1970; drafts of the IETF up to 6: seconds left
- `RateLimit: limit=100, remaining=50, reset=30` (draft 7) and `"default";r=50;t=30` (since draft 8)
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_WAIT = 3600.0
"""The longest silence that is kept at once, in seconds."""

_SINCE_1970 = 1e9
_IN_MILLISECONDS = 1e11
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_MAX_FIELD = 1_000
_QUOTED = re.compile(r'"[^"]*"')
_DRAFT_8 = (re.compile(r";\s*r\s*=\s*(\d{1,15})"), re.compile(r";\s*t\s*=\s*(\d{1,15})"))
_DRAFT_7 = (re.compile(r"\bremaining\s*=\s*(\d{1,15})"), re.compile(r"\breset\s*=\s*(\d{1,15})"))


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests are left, and in how many seconds there will be new ones (0: unknown)."""

    remaining: float
    reset: float

    @property
    def exhausted(self) -> bool:
        """Whether the next request would be one too many."""
        return self.remaining < 1


def allowance(headers: Mapping[str, str], now: datetime) -> Allowance | None:
    """Return what the headers (names in lower case) leave us, the strictest when they name more.

    `now` is our clock; the host's own stands in its Date header and goes first, since its resets
    are told by it.
    """
    clock = _date(headers.get("date", "")) or now
    found = [*_structured(headers.get("ratelimit", "")), *_plain(headers, clock)]
    return max(found, key=_strictness, default=None)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how many seconds Retry-After asks to wait, at most an hour; None when it does not."""
    seconds = _until(headers.get("retry-after", ""), _date(headers.get("date", "")) or now)
    return None if seconds is None else min(max(seconds, 0.0), MAX_WAIT)


def _strictness(one: Allowance) -> tuple[bool, float]:
    return one.exhausted, one.reset if one.exhausted else -one.remaining


def _plain(headers: Mapping[str, str], clock: datetime) -> Iterator[Allowance]:
    for prefix in _PREFIXES:
        remaining = _number(headers.get(f"{prefix}remaining", ""))
        if remaining is None:
            continue
        after = _number(headers.get(f"{prefix}reset-after", ""))
        reset = _until(headers.get(f"{prefix}reset", ""), clock) if after is None else after
        yield Allowance(remaining, max(reset or 0.0, 0.0))


def _structured(field: str) -> Iterator[Allowance]:
    plain = _QUOTED.sub("", field[:_MAX_FIELD])
    dictionary = _pair(plain, *_DRAFT_7)
    if dictionary is not None:
        yield dictionary
        return
    for member in plain.split(","):
        one = _pair(member, *_DRAFT_8)
        if one is not None:
            yield one


def _pair(text: str, left: re.Pattern[str], until: re.Pattern[str]) -> Allowance | None:
    remaining, reset = left.search(text), until.search(text)
    if remaining is None:
        return None
    return Allowance(float(remaining[1]), float(reset[1]) if reset else 0.0)


def _until(value: str, clock: datetime) -> float | None:
    """Return the seconds from `clock` to a moment in any of the forms; None when it is none."""
    number = _number(value)
    if number is None:
        moment = _date(value)
        return (moment - clock).total_seconds() if moment else None
    if number >= _IN_MILLISECONDS:
        number /= 1000
    return number - clock.timestamp() if number >= _SINCE_1970 else number


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _date(value: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value.strip())
        except (ValueError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
