"""Words with a mood, as short examples: they are the English words that no labelled post has."""

import random
from importlib.resources import files

from maru_sentiment.dataset import Example

SOURCE = "lexicon"

_STRONG = 0.8
"""The valence, of 4, from which on a word has a mood."""
_PHRASES = (
    "{}", "so {}", "it is {}", "{} !", "this was {} today", "they are {}", "i feel {}", "such {}",
)  # fmt: skip
_PHRASES_A_WORD = 2


def lexicon_examples(seed: int) -> list[Example]:
    """Put each word of VADER's lexicon into two short phrases.

    The lexicon is that of the package vaderSentiment: words, emoticons and slang, rated by ten
    people each (Hutto and Gilbert 2014, "VADER").
    """
    lines = (files("vaderSentiment") / "vader_lexicon.txt").read_text("utf-8").splitlines()
    chosen = random.Random(seed)
    found = []
    for line in lines:
        word, valence = line.split("\t")[:2]
        if abs(float(valence)) >= _STRONG:
            mood = "positive" if float(valence) > 0 else "negative"
            phrases = chosen.sample(_PHRASES, _PHRASES_A_WORD)
            found += [Example(phrase.format(word), SOURCE, mood=mood) for phrase in phrases]
    return found
