"""What a lexicon says of a text: negations, intensity and contrasts, in English and Korean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_sentiment.cues import CUES, cues
from maru_sentiment.features import normalise

LEXICON = {
    "good": 1.9,
    "bad": -2.5,
    ":)": 2.0,
    "좋": 2.2,
    "불편": -2.2,
    "불친절": -2.4,
    "친절": 2.2,
}


def mood(text: str) -> float:
    """The sum of the valences, between -1 and 1."""
    return float(cues([normalise(text)], LEXICON)[0, 0])


@pytest.mark.parametrize(
    "text", ["good", "The food was GOOD.", "here :)", "정말 좋아요", "친절하십니다"]
)
def test_pleasing_words_are_found(text: str) -> None:
    assert mood(text) > 0


@pytest.mark.parametrize(
    "text",
    [
        "not good",
        "it isn't good",
        "it isn’t any good",
        "안 좋아요",
        "좋지 않아요",
        "좋지않네요",
        "불친절해요",
    ],
)
def test_what_is_denied_displeases(text: str) -> None:
    assert mood(text) < 0


@pytest.mark.parametrize("text", ["not bad", "불편 없이 썼어요", "불편하지 않아요"])
def test_a_denied_fault_pleases(text: str) -> None:
    assert mood(text) > 0


def test_intensifiers_strengthen_and_weaken() -> None:
    assert mood("very good") > mood("good") > mood("slightly good") > 0


def test_what_stands_behind_but_counts_for_more() -> None:
    assert mood("good food but bad service") < mood("bad service, good food") < 0
    assert mood("bad service but good food") > mood("good food, bad service")


@pytest.mark.parametrize(
    "text", ["", "the bus is late", "오늘은 월요일", "링크 https://good.example/bad"]
)
def test_other_words_say_nothing(text: str) -> None:
    assert not cues([normalise(text)], LEXICON).any()


@given(st.lists(st.text(st.characters(), max_size=80), max_size=10))
def test_every_text_has_bounded_cues_of_its_own(texts: list[str]) -> None:
    normalised = [f"good {normalise(text)} 좋네요" for text in texts]

    found = cues(normalised, LEXICON)

    assert found.shape == (len(texts), CUES)
    assert np.abs(found).max(initial=0) <= 1
    for text, row in zip(normalised, found, strict=True):
        np.testing.assert_array_equal(cues([text], LEXICON)[0], row)
