"""How words find posts and ideas, in Korean and in languages with spaces.

Texts are kept squeezed together, so that "다크 모드" and "다크모드" are the same; a Korean word of
the question loses its particle, so that "다크모드를" finds both.
"""

import re

from maru_ideas.domain.terms import normalised

_SEPARATOR = re.compile(r"[\W_]+")
PARTICLES = (
    "에서는", "으로는", "이라는", "에게서", "한테서",
    "에서", "에게", "한테", "으로", "부터", "까지", "처럼", "보다", "이나", "마다", "조차", "밖에",
    "을", "를", "이", "가", "은", "는", "의", "에", "로", "와", "과", "도", "만", "나",
)  # fmt: skip
_KEPT = 4_000
_MAX_WORDS = 8
_STEM = 2
"""A Korean word keeps at least two syllables."""


def squeezed(text: str) -> str:
    """The letters and digits of a text's first 4,000 characters, in lower case, nothing between."""
    return _SEPARATOR.sub("", normalised(text[:_KEPT]))


def wanted(question: str) -> list[str]:
    """The pieces that a squeezed text must contain to answer the question, at most eight."""
    words = [word for word in _SEPARATOR.split(normalised(question[:200])) if word]
    return [stem(word) for word in words[:_MAX_WORDS]]


def stem(word: str) -> str:
    """A word of Hangul alone without its particle; others as they are."""
    if not all("가" <= letter <= "힣" for letter in word):
        return word
    for particle in PARTICLES:
        if word.endswith(particle) and len(word) - len(particle) >= _STEM:
            return word.removesuffix(particle)
    return word
