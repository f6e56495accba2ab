"""How texts are folded, and which of them say nothing."""

import pytest

from maru_sentiment.features import is_silent, normalise
from maru_sentiment.tagger import Tagger
from sentiment.conftest import tag


@pytest.mark.parametrize(
    "text", ["hello\u200b", "\x00최악", "\ufeffbroken", "\U0001f468\u200d\U0001f469", "❤️\u200d🔥"]
)
def test_a_word_with_a_sign_that_is_not_seen_is_a_word(text: str) -> None:
    assert not is_silent(normalise(text))


@pytest.mark.parametrize(
    "text",
    ["", "\x00\x01", "\u200b", "2024", "@somebody", "https://x.example/a \u200d"],
)
def test_what_holds_no_word_says_nothing(text: str) -> None:
    assert is_silent(normalise(text))


def test_a_sign_that_is_not_seen_takes_no_mood_away(tagger: Tagger) -> None:
    """Pasted text often has a zero-width blank or a byte order mark."""
    assert tag(tagger, "최악\u200b").sentiment.label == "negative"
    assert tag(tagger, "\ufeffbroken").sentiment.label == "negative"
