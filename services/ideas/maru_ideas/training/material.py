"""The texts that the space is learnt from, read and embedded once, and what is done with them."""

import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from maru_ideas.domain.space import UNIT, Vectors

Encode = Callable[[Sequence[str]], Vectors]
"""Texts to sentence vectors: 512 signed bytes each, as `TaggedPost.embedding` holds them."""

Matrix = npt.NDArray[np.float64]

_REVIEWS = "train/suggestion-enfr-minibar-garmin-huawei.jsonl"
_PAIRS = "train/dup-ko-questionpair-train.jsonl"
_PETITIONS = "train/ideas-topics-ko-petitions.jsonl"
_COMMENTS = "train/sentiment-ko-kote-val.jsonl"

_ENDS = (".", "!", "?", "~")
_LATIN_LENGTHS, _KOREAN_LENGTHS = range(9, 90), range(9, 50)
_HANGUL = re.compile(r"[가-힣]")
_SEED = 20261125


class Row(TypedDict, total=False):
    """One line of a training file; each file has some of these."""

    title: str
    text: str
    a: str
    b: str
    duplicate: int
    cluster: str
    topic: str
    suggestion: int
    problem: int
    irrelevant: int


class Material:
    """The files of `data`/train. Vectors have a length of 1."""

    def __init__(self, data: Path, encode: Encode) -> None:
        self._data = data
        self.encode = encode
        self.review_rows = self.rows(_REVIEWS)
        self.pairs = self.rows(_PAIRS)
        self._petitions = self.rows(_PETITIONS)

    def rows(self, name: str) -> list[Row]:
        """The rows of a file; none if it is not there."""
        file = self._data / name
        if not file.exists():
            return []
        with file.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def vectors(self, texts: Sequence[str]) -> Matrix:
        """The sentence vectors of texts."""
        return unit(self.encode(texts))

    @property
    def reviews(self) -> list[str]:
        """Reviews of two apps, in English and French."""
        return [row["text"] for row in self.review_rows]

    @property
    def questions(self) -> list[str]:
        """What people ask and tell a bot, in Korean: the first text of each pair."""
        return [row["a"] for row in self.pairs]

    @property
    def petitions(self) -> list[str]:
        """Long texts, in Korean."""
        return [f"{row['title']} {row['text']}" for row in self._petitions]

    @cached_property
    def seen(self) -> Matrix:
        """The vectors of `reviews`."""
        return self.vectors(self.reviews)

    @cached_property
    def first(self) -> Matrix:
        """The vectors of `questions`."""
        return self.vectors(self.questions)

    @cached_property
    def second(self) -> Matrix:
        """The vectors of the other text of each pair."""
        return self.vectors([row["b"] for row in self.pairs])

    @cached_property
    def long(self) -> Matrix:
        """The vectors of `petitions`."""
        return self.vectors(self.petitions)

    @cached_property
    def titles(self) -> Matrix:
        """The vectors of the petitions' titles alone."""
        return self.vectors([row["title"] for row in self._petitions])

    @cached_property
    def asides(self) -> "Asides":
        """Sentences that ask for nothing."""
        reviews = [row["text"] for row in self.review_rows if row["irrelevant"]]
        return Asides(reviews, [row["text"] for row in self.rows(_COMMENTS)])


class Asides:
    """Puts a sentence that asks for nothing before or after a text, as people do."""

    def __init__(self, latin: Sequence[str], korean: Sequence[str]) -> None:
        self._random = Random(_SEED)
        self._latin = [text for text in map(_line, latin) if len(text) in _LATIN_LENGTHS]
        self._korean = [text for text in map(_line, korean) if len(text) in _KOREAN_LENGTHS]

    def beside(self, texts: Sequence[str]) -> list[str]:
        """Each text with another sentence, of its script."""
        return [self._beside(text) for text in texts]

    def _beside(self, text: str) -> str:
        aside = self._random.choice(self._korean if _HANGUL.search(text) else self._latin)
        start, end = self._random.choice([(aside, text), (text, aside)])
        return f"{start}{'' if start.endswith(_ENDS) else '.'} {end}"


def unit(vectors: Vectors | Matrix) -> Matrix:
    """Rows of length 1; a row of zeros stays one."""
    whole = vectors.astype(np.float64)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    return np.asarray(whole / np.maximum(lengths, 1e-9))


def signed_bytes(matrix: npt.NDArray[np.floating]) -> Vectors:
    """The matrix in whole numbers, its largest being 127."""
    whole: Vectors = np.rint(matrix * UNIT / np.abs(matrix).max()).astype(np.int8)
    return whole


def _line(text: str) -> str:
    return " ".join(text.split())
