"""The words of a text as hashed terms: the second signal beside the sentence vector.

A word gives its prefixes, so that endings and Korean particles do not hide it: "알림을" and
"알림이" share "알림", "syncing" and "sync" share "sync".
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

BUCKETS = 1 << 14
"""Document frequencies are kept for this many hashed terms."""

_WORD = re.compile(r"[^\W_]+")
_HANGUL = re.compile(r"[가-힣]")
_MAX_WORDS = 400
_ACRONYM = 3
_SCRIPTS = tuple(
    re.compile(f"[{letters}]")
    for letters in (
        "a-zà-öø-ÿ\u0100-\u024f",
        "가-힣",
        "\u3040-\u30ff",
        "\u4e00-\u9fff",
        "\u0400-\u04ff",
        "\u0600-\u06ff",
        "\u0e00-\u0e7f",
        "\u0370-\u03ff",
        "\u0590-\u05ff",
        "\u0900-\u097f",
    )
)
"""Latin, Hangul, kana, Han, Cyrillic, Arabic, Thai, Greek, Hebrew, Devanagari."""

Hashes = npt.NDArray[np.uint32]


def normalised(text: str) -> str:
    """The text in compatibility form and lower case, so that equal words compare equal."""
    return unicodedata.normalize("NFKC", text).lower()


def words(text: str) -> list[str]:
    """The words of a text, at most 400: nobody names an idea after that many."""
    return _WORD.findall(normalised(text[:8_000]))[:_MAX_WORDS]


def scripts(text: str) -> int:
    """The scripts in which a text has words, one bit each; an acronym alone makes none Latin."""
    found = words(text)
    return sum(
        1 << bit
        for bit, letters in enumerate(_SCRIPTS)
        if any(letters.search(word) and (bit or len(word) > _ACRONYM) for word in found)
    )


def hashes(text: str) -> Hashes:
    """The distinct terms of a text as 32-bit hashes, ascending."""
    found: set[int] = set()
    for word in words(text):
        found.update(_word_hashes(word))
    return np.array(sorted(found), dtype=np.uint32)


@lru_cache(maxsize=50_000)
def _word_hashes(word: str) -> tuple[int, ...]:
    return tuple(crc32(prefix.encode()) for prefix in _prefixes(word))


def _prefixes(word: str) -> Iterable[str]:
    if _HANGUL.search(word):
        return {word[:2], word[:3]} if len(word) > 1 else ()
    if len(word) < 3:  # noqa: PLR2004 - "a", "to", "le": no subject has so short a name
        return ()
    return {word[:4], word[:6], word}
