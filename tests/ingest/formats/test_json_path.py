import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.formats.json_path import BadPath, Path
from maru_ingest.formats.parsed import Unreadable

_SHOP = {
    "reviews": [{"stars": 4, "by": {"name": "kim"}}, {"stars": None, "tags": ["a", "b"]}],
    "answers": [{"question": "food", "stars": 2}, {"question": "overall", "stars": 5}],
}
_PIECES = st.lists(
    st.sampled_from(
        ["$", ".", "..", "a", "*", "[", "]", "?", "@", "(", ")", "'", "'a'", "0", ":", ",", "-1",
         "==", "&&", "!", "match(", "count(", "~", "^", "|", "/x/", " "]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("$.reviews[0].by.name", ["kim"]),
        ("$['reviews'][*]['stars']", [4, None]),
        ("$.reviews[-1].tags[:1]", ["a"]),
        ("$.answers[?@.question=='overall'].stars", [5]),
        ("$.answers[?@.stars > 1 && @.question != 'food'].stars", [5]),
        ("$..name", ["kim"]),
        ("$.nobody", []),
    ],
)
def test_a_path_leads_to_values(written: str, found: list[object]) -> None:
    assert Path.of(written).values(_SHOP, most=10) == found


def test_the_first_that_is_there_counts_and_no_more_than_asked_for_are_taken() -> None:
    assert Path.of("$.reviews[::-1].stars").first(_SHOP) == 4
    assert Path.of("$.nobody").first(_SHOP) is None
    assert Path.of("$.answers[*].stars").values(_SHOP, most=1) == [2]


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}', 7, None, True])
def test_a_value_without_an_inside_is_not_looked_into(value: object) -> None:
    assert Path.of("$[*]").values(value, most=10) == []
    assert Path.of("$").values(value, most=10) == [value]


@pytest.mark.parametrize(
    "written",
    [
        "reviews",
        "$.",
        "$[?match(@.a, '(a*)*b')]",
        "$[?search(@.a, 'x')]",
        "$[?length(@.a) > 1]",
        "$..a..b",
        "$[*,*][*,*]",
        "$[?@..a]",
        "$[?$.a]",
        "$[?@[*]]",
        "$[?@[?@.a]]",
        "$.a | $.b",
        "$" + ".a" * 200,
        "$[?" + "(" * 250,
        "$[?" + "!" * 280 + "@.a",
    ],
)
def test_what_is_no_path_or_may_take_long_is_refused(written: str) -> None:
    with pytest.raises(BadPath):
        Path.of(written)


def test_what_is_nested_deeper_than_anybody_nests_is_told() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]

    with pytest.raises(Unreadable, match=r"nested too deep for \$\.\.a"):
        Path.of("$..a").values(deep, most=10)


def test_a_large_answer_takes_time_in_proportion() -> None:
    large = {"a": [{"b": [{"c": number}] * 10} for number in range(5_000)]}
    began = time.process_time()

    found = Path.of("$..b[?@.c == -1]").values(large, most=10)

    assert found == []
    assert time.process_time() - began < 10  # a second on an idle machine


@given(st.text(max_size=30) | st.text(max_size=20).map("$".__add__) | _PIECES)
def test_any_text_is_a_path_or_no_path(written: str) -> None:
    try:
        path = Path.of(written)
    except BadPath:
        return

    assert isinstance(path.values(_SHOP, most=10), list)
