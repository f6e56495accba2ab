from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import Rating as Contract
from maru_ingest.formats.fields import post_from
from maru_ingest.formats.parsed import Rating
from maru_ingest.formats.ratings import rating


@pytest.mark.parametrize(
    ("written", "value", "best"),
    [
        (4, 4, 5),
        (4.5, 4.5, 5),
        ("4", 4, 5),
        ("4,5", 4.5, 5),
        ("4/5", 4, 5),
        ("8 out of 10", 8, 10),
        ("★★★★☆", 4, 5),
        ("⭐️⭐️⭐️", 3, 5),
        ("☆☆☆☆☆", 0, 5),
        (0, 0, 5),
    ],
)
def test_a_rating_as_people_write_it(written: object, value: float, best: float) -> None:
    assert rating(written) == Rating(value, best)


def test_whoever_names_the_scale_is_believed() -> None:
    assert rating(87, 100) == Rating(87, 100)
    assert rating("8", "10") == Rating(8, 10)


@pytest.mark.parametrize("written", [None, "", " ", "good", True, -1, 8, "9/5", "1/0", "nan", [4]])
def test_what_is_no_rating_is_none(written: object) -> None:
    assert rating(written) is None


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    st.none() | st.floats(),
)
def test_a_rating_is_always_one_of_the_contract(written: object, best: float | None) -> None:
    found = rating(written, best)

    assert found is None or Contract(value=found.value, best=found.best).value == found.value


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"rating": "4"}, Rating(4, 5)),
        ({"Stars": 3}, Rating(3, 5)),
        ({"별점": "★★★★☆"}, Rating(4, 5)),
        ({"starRating": 9, "best_rating": 10}, Rating(9, 10)),
        ({"rating": {"value": 4, "best": 10}}, Rating(4, 10)),
        ({"rating": {"@type": "Rating", "ratingValue": "4", "bestRating": "5"}}, Rating(4, 5)),
        ({"rating": {"average": 4}}, None),
        ({"rating": {"value": {"value": 4}}}, None),
        ({"score": 4}, None),
    ],
)
def test_a_row_of_ones_own_may_have_a_rating(row: dict[str, Any], expected: Rating | None) -> None:
    assert post_from({"text": "dark mode", **row}).rating == expected
