"""What a text's characters say about its language, before any model is asked."""

import re
from functools import lru_cache

SCRIPTS = {
    "Hangul": re.compile(r"[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]"),
    "Kana": re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u31f0-\u31ff]"),
    "Han": re.compile(r"[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    "Thai": re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e4e]"),
    "Arabic": re.compile(r"[\u0620-\u064a\u066e-\u06d3\u0750-\u077f]"),
    "Cyrillic": re.compile(r"[\u0400-\u04ff]"),
}
_HANGUL = re.compile(f"{SCRIPTS['Hangul'].pattern}+")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")
_NEIGHBOURS = {
    "Cyrillic": re.compile(r"[ґєіїўђјљњћџѓќѕәғқңөұүһ]", re.IGNORECASE),
    "Arabic": re.compile(r"[\u0679\u0688\u0691\u0698\u06a9\u06ba\u06c1\u06cc\u06d2]"),
}
"""Letters of Ukrainian, Serbian, Kazakh … and of Persian and Urdu; Russian and Arabic lack them."""

_RARE = 20
"""One in this many letters of a neighbour's, or more, and the text is the neighbour's."""

_DENSE = frozenset({"Hangul", "Kana", "Han"})
_WEIGHT = 2.5
"""One character of a dense script says as much as this many letters of another."""

_SHARE = 0.2
"""The share of a text from which on a script stands against Latin: a name alone stays below."""

_KANA = 0.1
"""Kana among Han from which on a text is Japanese: Chinese ads write one の for the looks."""


def script(text: str) -> str | None:
    """Name the script that decides: one of `SCRIPTS`, `Latin` or `other`; None for no letters."""
    if not _LETTER.search(text):
        return None
    if text.isascii():
        return "Latin"
    if len(_HANGUL.sub("", text)) * 2 < len(text):
        return "Hangul"  # whatever the rest is: most Korean posts need no more counting
    letters = len(_LETTER.findall(text))
    counts = {name: len(pattern.findall(text)) for name, pattern in SCRIPTS.items()}
    if counts["Kana"] >= _KANA * (counts["Kana"] + counts["Han"]):
        counts["Kana"] += counts.pop("Han")
    weights = {name: count * (_WEIGHT if name in _DENSE else 1) for name, count in counts.items()}
    total = letters - sum(counts.values()) + sum(weights.values())
    best = max(weights, key=weights.__getitem__)
    if weights[best] > 0 and weights[best] >= _SHARE * total:
        return "other" if _is_neighbours(text, best, counts[best]) else best
    return "Latin" if len(_LATIN.findall(text)) * 2 > letters else "other"


def _is_neighbours(text: str, name: str, letters: int) -> bool:
    foreign = _NEIGHBOURS.get(name)
    return foreign is not None and len(foreign.findall(text)) * _RARE >= letters


def han_language(text: str) -> str | None:
    """Tell Japanese from Chinese by the national character sets: each has forms of its own.

    None where every character stands in both, as in 便利.
    """
    found = [_standards(character) for character in SCRIPTS["Han"].findall(text)]
    japanese = sum(has_jis and not has_chinese for has_jis, has_chinese in found)
    chinese = sum(has_chinese and not has_jis for has_jis, has_chinese in found)
    if japanese == chinese:
        return None
    return "ja" if japanese > chinese else "zh"


@lru_cache(maxsize=4096)
def _standards(character: str) -> tuple[bool, bool]:
    chinese = _has(character, "gb2312") or _has(character, "big5")
    return _has(character, "shift_jis"), chinese


def _has(character: str, standard: str) -> bool:
    return bool(character.encode(standard, "ignore"))
