"""Times as people write them, always in UTC; a time without an offset is taken as UTC."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from dateutil import parser as dateutil_parser

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MAX_WRITTEN = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = re.compile(r"(?<!\d)(?:1[89]|2[01])\d\d(?!\d)")
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d+)?")
_KOREAN = re.compile(
    r"(\d{4})\s*[.년/-]\s*(\d{1,2})\s*[.월/-]\s*(\d{1,2})\s*[.일]?"
    r"(?:\s*(오전|오후)?\s*(\d{1,2})\s*[:시]\s*(?:(\d{1,2})\s*분?)?(?::?\s*(\d{1,2})\s*초?)?)?"
)
_MILLISECONDS_FROM = 10**11
_NOON = 12


class UnreadableDate(ValueError):
    """No time can be made of what was written."""


def parse(written: str | float) -> datetime:
    """Return the moment that `written` names.

    Known are RFC 3339, RFC 2822, epoch seconds or milliseconds, Korean forms, and what dateutil
    can read as long as it names a year. Raises UnreadableDate, also for what lies outside 1900
    to 2200.
    """
    try:
        moment = _read(written)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, ArithmeticError, RecursionError) as error:
        raise UnreadableDate(str(error)[:_MAX_WRITTEN]) from error
    if not _FIRST <= moment < _LAST:
        raise UnreadableDate(f"{moment.year} is not a year in which people post")
    return moment


def _read(written: str | float) -> datetime:
    if isinstance(written, int | float):
        return _from_epoch(written)
    text = written.strip()
    if len(text) > _MAX_WRITTEN:
        raise UnreadableDate("too long for a date")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _read_freely(text)


def _read_freely(text: str) -> datetime:
    if _NUMBER.fullmatch(text):
        return _from_epoch(float(text))
    if korean := _KOREAN.fullmatch(text):
        return _from_korean(korean)
    if not _YEAR.search(text):
        raise UnreadableDate("names no year")
    if "," in text[:5]:
        try:
            return parsedate_to_datetime(text)
        except ValueError:
            pass  # an RFC 2822 date in all but a detail: the freer reader may still know
    read: datetime = dateutil_parser.parse(text, default=datetime(2000, 1, 1, tzinfo=UTC))
    return read


def _from_epoch(seconds: float) -> datetime:
    if abs(seconds) >= _MILLISECONDS_FROM:
        seconds /= 1000
    return _EPOCH + timedelta(seconds=seconds)


def _from_korean(match: re.Match[str]) -> datetime:
    year, month, day, half, hour, minute, second = match.groups()
    hours = int(hour or 0)
    if half:
        hours = hours % _NOON + (_NOON if half == "오후" else 0)
    return datetime(
        int(year), int(month), int(day), hours, int(minute or 0), int(second or 0), tzinfo=UTC
    )
