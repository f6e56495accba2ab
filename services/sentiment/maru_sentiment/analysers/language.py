"""The language of a post, among the encoder's sixteen; `und` where there is nothing to go by.

A script that one language alone uses decides at once, and any real share of Hangul makes a post
Korean, however much English, ㅋㅋ or emoji stands around it. The Latin alphabet goes to lingua
(n-gram models, https://github.com/pemistahl/lingua-rs) with a leaning towards English, which
short posts need: "add dark mode" looks Turkish to trigrams.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version

from lingua import ConfidenceValue, Language, LanguageDetector, LanguageDetectorBuilder

from maru_contracts.tags import ModelVersion
from maru_sentiment.analyser import Batch

HEAD = "language"
UNKNOWN = "und"

_LATIN = (
    Language.ENGLISH,
    Language.FRENCH,
    Language.GERMAN,
    Language.ITALIAN,
    Language.SPANISH,
    Language.PORTUGUESE,
    Language.DUTCH,
    Language.POLISH,
    Language.TURKISH,
)
_LEANING = {Language.ENGLISH: 6.0}
_MAX_CHARACTERS = 400
_NO_WORDS = re.compile(r"https?://\S+|www\.\S+|[@#]\w+|[\d_\W]+")
_SCRIPTS = (
    ("ko", re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"), 0.15),
    ("ja", re.compile(r"[\u3040-\u30ff]"), 0.1),
    ("zh", re.compile(r"[\u3400-\u9fff]"), 0.3),
    ("th", re.compile(r"[\u0e00-\u0e7f]"), 0.3),
    ("ar", re.compile(r"[\u0600-\u06ff\u0750-\u077f]"), 0.3),
    ("ru", re.compile(r"[\u0400-\u04ff]"), 0.3),
)
"""Scripts in the order in which they are asked for, each with the share of letters it needs."""


class LanguageHead:
    """Scripts first, then n-grams."""

    def __init__(self) -> None:
        self._detector: LanguageDetector = (
            LanguageDetectorBuilder.from_languages(*_LATIN).with_low_accuracy_mode().build()
        )

    @property
    def model(self) -> ModelVersion:
        """The detector's version."""
        return ModelVersion(
            head=HEAD, name="lingua-low", version=version("lingua-language-detector")
        )

    def tag(self, batch: Batch) -> Sequence[str]:
        """Name each text's language by its ISO 639-1 code."""
        return [self._language(text) for text in batch.texts]

    def _language(self, text: str) -> str:
        letters = _NO_WORDS.sub(" ", text[:_MAX_CHARACTERS]).strip()
        if not letters:
            return UNKNOWN
        count = len(letters.replace(" ", ""))
        for code, script, share in _SCRIPTS:
            if len(script.findall(letters)) >= share * count:
                return code
        values = self._detector.compute_language_confidence_values(letters)
        best = max(values, key=_weight)
        return best.language.iso_code_639_1.name.lower() if best.value > 0 else UNKNOWN


def _weight(confidence: ConfidenceValue) -> float:
    return confidence.value * _LEANING.get(confidence.language, 1.0)
