"""Times as people write them, always in UTC; a time without an offset is taken as UTC."""

import re
from datetime import UTC, datetime, timedelta

from dateutil import parser as dateutil_parser

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_MAX_WRITTEN = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = re.compile(r"(?<!\d)(?:1[89]|2[01])\d\d(?!\d)")
_DIGITS = re.compile(r"(?:19|20)\d{12}")
_EAST_OF = re.compile(r"\b(?:GMT|UTC)\s*([+-]\d[\d:]*)(?:\s*\([^()]*\))?")
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d+)?")
_KOREAN = re.compile(
    r"(\d{4})\s*[.년/-]\s*(\d{1,2})\s*[.월/-]\s*(\d{1,2})\s*[.일]?"
    r"(?:\s*(오전|오후)?\s*(\d{1,2})\s*[:시]\s*(?:(\d{1,2})\s*분?)?(?::?\s*(\d{1,2})\s*초?)?)?"
)
_MAIL = re.compile(
    r"(?:[A-Za-z]{3,9}\s*,\s*)?(\d{1,2})[ -]([A-Za-z]{3})[a-z]*[ -](\d{4})"
    r" (\d\d?):(\d\d)(?::(\d\d))? (?:([+-])(\d\d):?(\d\d)|([A-Za-z]{1,4}))"
)
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9,
    "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "bst": 1, "cet": 1, "met": 1, "cest": 2,
    "eet": 2, "eest": 3, "msk": 3, "kst": 9, "jst": 9, "edt": -4, "est": -5, "cdt": -5,
    "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8,
}  # fmt: skip
"""Hours east of Greenwich, of the zones that feeds name."""
_MILLISECONDS_FROM = 10**11
_NOON = 12


class UnreadableDate(ValueError):
    """No time can be made of what was written."""


def parse(written: str | float) -> datetime:
    """Return the moment that `written` names.

    Known are RFC 3339, RFC 2822 (with the zones that people name in Europe, Asia and America),
    epoch seconds or milliseconds, Korean forms, and what dateutil can read as long as it names a
    year. Raises UnreadableDate, also for what lies outside 1900 to 2200.
    """
    try:
        moment = _read(written)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, ArithmeticError, RecursionError) as error:
        raise UnreadableDate(str(error)[:_MAX_WRITTEN]) from error
    if not is_plausible(moment):
        raise UnreadableDate(f"{moment.year} is not a year in which people post")
    return moment


def is_plausible(moment: datetime) -> bool:
    """Whether people may have posted in that year."""
    return _FIRST <= moment < _LAST


def _from_mail(match: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, hours, minutes, zone = match.groups()
    number = _MONTHS[month.lower()]
    moment = datetime(
        int(year), number, int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
    )
    if not sign:
        return moment - timedelta(seconds=_zone(zone))
    east = timedelta(hours=int(hours), minutes=int(minutes))
    return moment + east if sign == "-" else moment - east


def _zone(name: str | None, offset: int | None = None) -> int:
    """Return a zone's seconds east of Greenwich, 0 when nobody knows it."""
    return offset if offset is not None else 3600 * _ZONES.get((name or "").lower(), 0)


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
    if _DIGITS.fullmatch(text):
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    if _YEAR.fullmatch(text):
        return datetime(int(text), 1, 1, tzinfo=UTC)
    if _NUMBER.fullmatch(text):
        return _from_epoch(float(text))
    if korean := _KOREAN.fullmatch(text):
        return _from_korean(korean)
    if not _YEAR.search(text):
        raise UnreadableDate("names no year")
    if (mail := _MAIL.fullmatch(text)) and mail[2].lower() in _MONTHS:
        return _from_mail(mail)
    default = datetime(2000, 1, 1, tzinfo=UTC)
    text = _EAST_OF.sub(r"\1", text)  # which is read as west, as POSIX would have it
    read: datetime = dateutil_parser.parse(text, default=default, tzinfos=_zone)
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
