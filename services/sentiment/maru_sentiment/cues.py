"""How far the words of a text are known to please or to displease, whoever wrote it.

A network that learnt from a few sources knows the words of those; a lexicon knows those that
people use everywhere. Each English word that it has, and each Korean word that begins with a stem
that it has, gives its valence; a negation near it turns it around, and an intensifier strengthens
it, as in VADER (Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment
Analysis of Social Media Text"), whose weakening of what stands before "but" is here, too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

Lexicon = Mapping[str, float]
"""Valences from -4 to 4 of English words, emoticons, and stems of Korean words; lower case."""

CUES = 9
"""Numbers that `cues` says of each text."""

_TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|[가-힣]+|[:;=8x<][-'^o]?[)(\]\[dpo0/\\|3*]+|[^\w\s]")
_NEGATIONS = frozenset(
    """
    not no never none nor nothing nowhere neither without hardly barely rarely seldom scarcely
    cannot cant dont doesnt didnt isnt arent wasnt werent wont wouldnt shouldnt couldnt hasnt
    havent hadnt aint nobody lack lacks lacking lacked 안 못 전혀 별로 결코 절대
    """.split()  # noqa: SIM905 - shorter to read than a list
)
_STRONGER = frozenset(
    """
    very really so extremely absolutely totally incredibly super most too completely highly truly
    especially particularly fucking freaking damn utterly deeply much hella quite pretty insanely
    remarkably 정말 진짜 너무 매우 아주 완전 굉장히 엄청 개 겁나 존나 훨씬
    """.split()  # noqa: SIM905 - as above
)
_WEAKER = frozenset(
    """
    slightly somewhat kinda kind sort sorta little marginally occasionally partly almost less
    fairly 조금 좀 약간 살짝 다소
    """.split()  # noqa: SIM905 - as above
)
_CONTRASTS = frozenset(("but", "however", "though", "근데", "그런데", "하지만"))
_TURNED = -0.74
_CLOSE = (1.0, 0.95, 0.9)
"""How much the word before counts, the one before that, and the third."""
_INTENSITY = 0.15
_BEFORE, _BEHIND = 0.5, 1.5
"""What a valence counts on either side of a contrast."""
_STEADY = 15.0
_STRONGEST = 4.0
_LONGEST_STEM = 5
_KOREAN = re.compile(r"[가-힣]")
_DENIAL_BEHIND = re.compile(r"않|없|말|못|아니|아닌|아닙")
_DENIAL_WITHIN = re.compile(r"하?지[는도가를]?[않못안말]")


def cues(texts: Sequence[str], lexicon: Lexicon) -> npt.NDArray[np.float32]:
    """Return (n, `CUES`) for normalised texts: zeros where no word of the lexicon is.

    In order: the valences' sum with contrasts, those that please, those that displease, and what is
    left of them, each brought between -1 and 1; the best and the worst word; pleasing and
    displeasing valence a word; the sum without negations.
    """
    found = np.zeros((len(texts), CUES), np.float32)
    for row, text in enumerate(texts):
        tokens = _TOKEN.findall(text.replace("’", "'"))
        if valences := list(_valences(tokens, lexicon)):
            found[row] = _summed(tokens, valences)
    return found


def _valences(tokens: Sequence[str], lexicon: Lexicon) -> Iterator[tuple[int, float]]:
    for at, word in enumerate(tokens):
        valence = lexicon.get(word) or (_of_stem(word, lexicon) if word >= "가" else 0)
        if valence:
            yield at, valence


def _of_stem(word: str, lexicon: Lexicon) -> float:
    for end in range(min(len(word), _LONGEST_STEM), 0, -1):
        if valence := lexicon.get(word[:end]):
            return valence * (_TURNED if _DENIAL_WITHIN.match(word, end) else 1)
    return 0.0


def _summed(tokens: Sequence[str], valences: Sequence[tuple[int, float]]) -> list[float]:
    contrast = -1
    if not _CONTRASTS.isdisjoint(tokens):
        contrast = max(at for at, token in enumerate(tokens) if token in _CONTRASTS)
    total = pleasing = displeasing = plain = best = worst = 0.0
    for at, valence in valences:
        turned = valence * _factor(tokens, at)
        plain += valence
        if turned > 0:
            pleasing += turned
        else:
            displeasing -= turned
        best, worst = max(best, turned), min(worst, turned)
        if contrast >= 0:
            turned *= _BEHIND if at > contrast else _BEFORE
        total += turned
    size = len(tokens)
    return [
        _bounded(total),
        _bounded(pleasing),
        _bounded(displeasing),
        _bounded(pleasing - displeasing),
        best / _STRONGEST,
        worst / _STRONGEST,
        min(pleasing / size, 1),
        min(displeasing / size, 1),
        _bounded(plain),
    ]


def _factor(tokens: Sequence[str], at: int) -> float:
    factor = 1.0
    for close, token in zip(_CLOSE, reversed(tokens[max(0, at - 3) : at]), strict=False):
        if token in _NEGATIONS or token.endswith("n't"):
            factor *= _TURNED
        elif token in _STRONGER:
            factor *= 1 + _INTENSITY * close
        elif token in _WEAKER:
            factor *= 1 - _INTENSITY * close
    if _is_denied(tokens, at):
        factor *= _TURNED
    return factor


def _is_denied(tokens: Sequence[str], at: int) -> bool:
    """Tell whether the word behind denies a Korean word: 좋지 않다, 불편 없이."""
    behind = at + 1 < len(tokens) and _DENIAL_BEHIND.match(tokens[at + 1])
    return bool(behind and _KOREAN.match(tokens[at]))


def _bounded(value: float) -> float:
    return value / sqrt(value * value + _STEADY)
