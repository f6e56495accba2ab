from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.formats import dates


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-23T10:00:00Z", (2026, 11, 23, 10)),
        ("2026-11-23T19:00:00+09:00", (2026, 11, 23, 10)),
        ("2026-11-23 10:00", (2026, 11, 23, 10)),
        ("2026-11-23", (2026, 11, 23)),
        ("20261123", (2026, 11, 23)),
        ("Mon, 23 Nov 2026 19:00:00 +0900", (2026, 11, 23, 10)),
        ("23 Nov 2026 10:00", (2026, 11, 23, 10)),
        ("2026. 11. 23. 오후 3:04", (2026, 11, 23, 15, 4)),
        ("2026. 11. 23. 오전 12:04", (2026, 11, 23, 0, 4)),
        ("2026년 11월 23일", (2026, 11, 23)),
        ("2026년 11월 23일 15시 04분", (2026, 11, 23, 15, 4)),
        ("20261123100405", (2026, 11, 23, 10, 4, 5)),
        ("2026", (2026, 1, 1)),
        ("Mon Nov 23 2026 19:00:00 GMT+0900 (Korean Standard Time)", (2026, 11, 23, 10)),
        ("Mon, 23 Nov 2026 05:00:00 UTC-5", (2026, 11, 23, 10)),
        ("1700000000", (2023, 11, 14, 22, 13, 20)),
        (1700000000, (2023, 11, 14, 22, 13, 20)),
        (1700000000000, (2023, 11, 14, 22, 13, 20)),
        ("1970-01-01T00:00:00Z", (1970, 1, 1)),
        ("2099-12-31T23:59:59Z", (2099, 12, 31, 23, 59, 59)),
    ],
)
def test_times_as_people_write_them(written: str | float, moment: tuple[int, ...]) -> None:
    assert dates.parse(written) == datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    "written", ["", "yesterday", "May", "0000-00-00", "12:30", "9" * 400, 1e300, float("nan")]
)
def test_what_names_no_moment_is_refused(written: str | float) -> None:
    with pytest.raises(dates.UnreadableDate):
        dates.parse(written)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.text(alphabet="0123456789 -:TZ+.년")))
def test_anything_is_a_moment_or_unreadable(written: str | float) -> None:
    try:
        moment = dates.parse(written)
    except dates.UnreadableDate:
        return
    assert moment.tzinfo is UTC
    assert 1900 <= moment.year < 2200
