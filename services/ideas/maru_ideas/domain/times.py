"""Moments as whole numbers, which both databases keep and compare alike."""

from datetime import UTC, date, datetime, timedelta

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _START) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The moment that a number of microseconds names."""
    return _START + micros * _MICROSECOND


def date_of(day: int) -> date:
    """The date that a number of days since 1970 names."""
    return (_START + timedelta(days=day)).date()
