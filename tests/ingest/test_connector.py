"""What connectors share."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.connector import Mark, times, within
from maru_ingest.formats.parsed import BadRow, ParsedPost

_AGAIN = timedelta(hours=6)
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

_ARRIVALS = st.lists(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 359)),  # minutes on, and how late it is shown
        max_size=12,
    ),
    min_size=1,
    max_size=8,
)


def read_back(listed: list[datetime], stored: str | None, *, page: int) -> tuple[int, str]:
    """Read a list, newest first, as connectors do; return how many were read, and the mark."""
    mark = Mark.of(stored, _AGAIN)
    read = 0
    while True:
        shown = listed[read : read + page]
        read += len(shown)
        if mark.meets(shown) or len(shown) < page:
            return read, mark.moved()


@given(arrivals=_ARRIVALS, page=st.integers(1, 5), first=st.integers(1, 3))
def test_whatever_is_shown_at_most_so_late_is_read_once_or_more(
    arrivals: list[list[tuple[int, int]]], page: int, first: int
) -> None:
    now = _BEGAN
    listed: list[datetime] = [now - timedelta(minutes=number) for number in range(first)]
    _, stored = read_back(listed, None, page=page)
    unseen: list[datetime] = []
    for batch in arrivals:
        for minutes, late in batch:
            now += timedelta(minutes=minutes)
            unseen.append(now - timedelta(minutes=late))
        listed = sorted([*listed, *unseen], reverse=True)
        read, stored = read_back(listed, stored, page=page)

        assert set(unseen) <= set(listed[:read])
        unseen = []


def test_the_first_look_takes_one_page_and_later_ones_no_more_than_needed() -> None:
    listed = [_BEGAN - timedelta(hours=number) for number in range(100)]
    first, stored = read_back(listed, None, page=5)
    again, _ = read_back(listed, stored, page=5)

    assert (first, again) == (5, 10)


def test_what_comes_after_an_empty_list_is_new() -> None:
    before = datetime.now(UTC)
    _, stored = read_back([], None, page=5)

    assert before <= datetime.fromisoformat(stored) <= datetime.now(UTC)


def test_a_wrong_clock_moves_no_mark_into_the_future() -> None:
    _, stored = read_back([datetime.now(UTC) + timedelta(days=400)], None, page=5)

    assert datetime.fromisoformat(stored) <= datetime.now(UTC)


def test_a_range_has_its_beginning_and_not_its_end_and_no_fault_is_hidden() -> None:
    rows = [ParsedPost(str(n), "x", created_at=_BEGAN + timedelta(days=n)) for n in range(4)]
    bad, timeless = BadRow(1, "no"), ParsedPost("t", "x")
    since, until = _BEGAN + timedelta(days=1), _BEGAN + timedelta(days=3)

    assert within([*rows, bad, timeless], since, until) == [rows[1], rows[2], bad]
    assert times([bad, timeless, rows[0]]) == [_BEGAN]
