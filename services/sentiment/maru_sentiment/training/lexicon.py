"""The words that the cues know, and those with a mood as short examples.

English words, emoticons and slang are those of the package vaderSentiment, rated by ten people each
(Hutto and Gilbert 2014, "VADER"); Korean stems are our own.
"""

import random
from collections.abc import Iterator
from importlib.resources import files

from maru_sentiment.cues import Lexicon
from maru_sentiment.dataset import Example

SOURCE = "lexicon"

_STRONG = 0.8
"""The valence, of 4, from which on a word has a mood."""
_PHRASES = (
    "{}", "so {}", "it is {}", "{} !", "this was {} today", "they are {}", "i feel {}", "such {}",
)  # fmt: skip
_PHRASES_A_WORD = 2


def lexicon() -> Lexicon:
    """Return the valences of all words."""
    table = (files("maru_sentiment") / "korean_stems.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines())
    korean = {stem: float(valence) for stem, valence in rows}
    return {word.lower(): valence for word, valence in _english()} | korean


def lexicon_examples(seed: int) -> list[Example]:
    """Put each English word into two short phrases."""
    chosen = random.Random(seed)
    found = []
    for word, valence in _english():
        if abs(valence) >= _STRONG:
            mood = "positive" if valence > 0 else "negative"
            phrases = chosen.sample(_PHRASES, _PHRASES_A_WORD)
            found += [Example(phrase.format(word), SOURCE, mood=mood) for phrase in phrases]
    return found


def _english() -> Iterator[tuple[str, float]]:
    table = (files("vaderSentiment") / "vader_lexicon.txt").read_text("utf-8")
    for line in table.splitlines():
        word, valence = line.split("\t")[:2]
        yield word, float(valence)
