"""The language of a post, among the encoder's sixteen; `und` where there is nothing to go by.

The script decides first: any real share of Hangul makes a post Korean, however much English, ㅋㅋ
or emoji stands around it, and so for the others. Among the languages of one script decide the
n-grams of eldc (https://github.com/nitotm/eldc) and `telling_words`, and where these leave it
open, what the source said. docs/decisions/0012 compares the libraries.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

import eldc

from maru_contracts.tags import ModelVersion
from maru_sentiment.analyser import Batch
from maru_sentiment.scripts import han_language, script
from maru_sentiment.telling_words import CHAT, NAMES, SHARED

HEAD = "language"
UNKNOWN = "und"
_RULES = 1
"""Grows with every change to the rules here, to `scripts` or to `telling_words`."""

LANGUAGES = frozenset(
    ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh")
)
_BY_SCRIPT = {
    "Hangul": ("ko",),
    "Kana": ("ja",),
    "Han": ("zh", "ja"),
    "Thai": ("th",),
    "Arabic": ("ar",),
    "Cyrillic": ("ru",),
    "Latin": ("en", "de", "es", "fr", "it", "nl", "pl", "pt", "tr"),
    "other": (UNKNOWN,),
}
_ALONE = frozenset({"Hangul", "Kana", "Thai", "other"})
"""Scripts after which no question is left."""

_READ, _JUDGED = 2_000, 400
"""Characters of a post that are cleaned, and of these, that are judged."""

_PRIOR, _LEAST, _AHEAD = 0.15, 0.2, 0.25
"""What the source's word adds to a similarity (0 to 1), the least similarity that counts, and by
how much a language outside the sixteen has to lead to be believed: read off the tuning cases."""

_NO_WORDS = re.compile(
    r"https?://\S+|www\.\S+|[\w.+-]{1,64}@[\w-]+\.[\w.-]+|(?<![\w/])(?:[@#]|/?[ru]/)[\w./-]+"
)
_SIGNS = ("@", "#", "/", "www.")
"""One of these is in all that `_NO_WORDS` finds, and in few posts."""
_HASHTAG = re.compile(r"#(\w+)")
_LONG_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DIGITS = re.compile(r"\d+")


class LanguageHead:
    """Scripts first, then n-grams and telling words, then the source's word."""

    def __init__(self) -> None:
        eldc.init()
        self._ngrams = eldc.instance()
        self._ngrams.set_scores(eldc.MAX_SCORES)

    @property
    def model(self) -> ModelVersion:
        """The n-grams' version, and that of our rules and words."""
        return ModelVersion(
            head=HEAD, name="maru-scripts-eldc", version=f"{version('eldc')}+{_RULES}"
        )

    def tag(self, batch: Batch) -> Sequence[str]:
        """Name each text's language by its ISO 639-1 code."""
        return [
            self.language(text, hint) for text, hint in zip(batch.texts, batch.hints, strict=True)
        ]

    def language(self, text: str, hint: str | None = None) -> str:
        """Name one text's language; `hint`, the source's word, counts where the text is open."""
        expected = hinted(hint)
        readable, decisive = _readable(text)
        if decisive is None:
            return expected or UNKNOWN
        if decisive in _ALONE:
            return _BY_SCRIPT[decisive][0]
        if decisive == "Han" and (found := han_language(readable)):
            return found
        if decisive == "Latin":
            return self._latin(readable, expected)
        if decisive == "Han" and expected in _BY_SCRIPT["Han"]:
            return expected
        codes = _BY_SCRIPT[decisive]
        return self._nearest(readable, codes, {}, expected) or codes[0]

    def _latin(self, text: str, expected: str | None) -> str:
        words = _telling(text)
        if not words:
            return expected or UNKNOWN
        said: dict[str, float] = {}
        for code in filter(None, map(CHAT.get, words)):
            said[code] = said.get(code, 0) + 1 / len(words)
        found = self._nearest(" ".join(words), _BY_SCRIPT["Latin"], said, expected)
        return found or expected or UNKNOWN

    def _nearest(
        self, text: str, codes: Sequence[str], said: dict[str, float], expected: str | None
    ) -> str | None:
        similar = self._ngrams.detect_details(text.encode("utf-8", "ignore").decode()).scores
        scores = {code: similar.get(code, 0.0) for code in codes}
        foreign = max(similar.values(), default=0.0) - max(scores.values())
        for code, share in said.items():
            scores[code] = scores.get(code, 0.0) + share
        if expected in scores:
            scores[expected] += _PRIOR
        best = max(scores, key=scores.__getitem__)
        if scores[best] < _LEAST:
            return None
        return UNKNOWN if foreign >= _AHEAD and not said else best


def hinted(hint: str | None) -> str | None:
    """Read the language off a BCP 47 tag such as `ko-KR`; None for one that we do not know."""
    code = re.split(r"[-_]", hint.strip().lower(), maxsplit=1)[0] if hint else ""
    return code if code in LANGUAGES else None


def _readable(text: str) -> tuple[str, str | None]:
    """Leave out links, addresses, handles and hashtags, which carry no language; name the script.

    Hashtags of another script than Latin do: they are read where nothing else is there.
    """
    whole = text[:_READ]
    if not whole.isascii():
        whole = unicodedata.normalize("NFKC", whole)[:_READ]
    has_some = any(map(whole.__contains__, _SIGNS))
    left = (_NO_WORDS.sub(" ", whole) if has_some else whole)[:_JUDGED]
    if decisive := script(left):
        return left, decisive
    tags = [tag for tag in _HASHTAG.findall(whole) if script(tag) not in {None, "Latin"}]
    left = " ".join(tags)[:_JUDGED]
    return left, script(left)


def _telling(text: str) -> list[str]:
    """Return the words that may tell a language, in small letters and without long-drawn vowels.

    Empty when the text is made of names, of words that all languages share and of single letters.
    """
    words = [word for raw in _WORD.findall(text.lower()) for word in _plain(raw)]
    if all(len(word) == 1 or word in SHARED for word in words):
        return []
    return words


@lru_cache(maxsize=1 << 14)
def _plain(word: str) -> tuple[str, ...]:
    plain = (word,) if word in CHAT else _DIGITS.sub(" ", _LONG_RUN.sub(r"\1", word)).split()
    return tuple(part for part in plain if part not in NAMES)
