"""The subjects of a post: those whose phrases lie near it in the encoder's space.

A subject's phrases are its examples, and where it is described also its description and its name.

Which subject a post is about most is told by kernel ridge regression from the examples (Saunders,
Gammerman and Vovk 1998) with a Gaussian kernel on unit vectors, exp(4 (cosine - 1)). It learns what
tells neighbouring subjects apart, from five examples of each on, and needs no rounds of training.
The 4 and the ridge were chosen among a few on banking77-test and clinc150-val.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import ModelVersion, TopicTag
from maru_sentiment.analyser import Batch
from maru_sentiment.domain import DEFAULT_SUBJECTS, Subject

HEAD = "topics"
THRESHOLD = 0.42
"""Cosine to the nearest example from which on a post speaks of a subject."""
MOST = 3
"""Subjects of one post, the likeliest ones."""
_SHARPNESS = 4.0
_RIDGE = 0.1
_WORD = re.compile(r"[^\W\d_ㄱ-ㆎ]")
"""What a post about a subject has: a letter, and not of ㅋㅋ or ㅠㅠ alone."""
_WHOLE = (
    "I love this app",
    "this app is bad",
    "a good app",
    "the app is fine",
    "I like it",
    "It is very useful",
    "이 앱 너무 좋아요",
    "이 앱 별로예요",
    "잘 쓰고 있어요",
)
"""What is said of a product as a whole: near to "the app is slow" by its words alone."""
_NEARER = 0.1
"""How much nearer than a default subject the whole must be for a post not to speak of the subject.

Of 600 reviews in minibar-samsung of up to four words that neither wish nor complain, 28 % had a
default subject, mostly performance and crashes; 7 % have one now. Of 600 that complain 17.0 % had
one, and 16.8 % have. In minibar-garmin-huawei, which was not looked at: 22 and 5.5 %, 31 and 31 %.
"""
_ROWS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""

Floats = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]
Embed = Callable[[Sequence[str]], npt.NDArray[np.int8]]


@dataclass(frozen=True)
class TopicsHead:
    """The subjects of one workspace.

    `examples` is (n, 512) whole numbers, in order of subject; `coefficients` (n, subjects).
    `whole` is (m, 512), what default subjects are told from, and `defaults` (subjects,) which are.
    """

    names: tuple[str, ...]
    examples: Floats
    starts: npt.NDArray[np.int64]
    coefficients: Floats
    whole: Floats
    defaults: npt.NDArray[np.bool_]

    @property
    def model(self) -> ModelVersion:
        """The rule's version; the vectors' is the encoder's."""
        return ModelVersion(head=HEAD, name="kernel-ridge", version="3")

    def tag(self, batch: Batch) -> Sequence[tuple[TopicTag, ...]]:
        """Name up to `MOST` subjects near each text, the likeliest first; `score` is the cosine."""
        if not self.names or not len(batch.embeddings):
            return [()] * len(batch.embeddings)
        return self.named(batch.texts, *self.standing(batch.embeddings))

    def standing(self, embeddings: npt.NDArray[np.int8]) -> tuple[Floats, Floats]:
        """Return how near each subject is to each text, and how likely it is: (n, subjects).

        A default subject is not near to a text that is much nearer to the whole.
        """
        cosines = _cosines(embeddings, self.examples)
        near: Floats = np.maximum.reduceat(cosines, self.starts, axis=1)
        if self.defaults.any():
            whole = _cosines(embeddings, self.whole).max(axis=1, keepdims=True)
            near[(near < whole - _NEARER) & self.defaults] = 0
        return near, self._likelihoods(cosines)

    def named(
        self, texts: Sequence[str], near: AnyFloats, likely: AnyFloats
    ) -> list[tuple[TopicTag, ...]]:
        """Name the subjects of texts, where they stand like that."""
        return [
            tuple(TopicTag(name=self.names[at], score=_score(row[at])) for at in places)
            if _WORD.search(text)
            else ()
            for text, row, places in zip(texts, near, self.chosen(near, likely), strict=True)
        ]

    @staticmethod
    def chosen(near: AnyFloats, likely: AnyFloats) -> list[list[int]]:
        """Choose up to `MOST` subjects of each row that are near enough, the likeliest first."""
        ordered = np.argsort(-likely, axis=1, kind="stable")
        return [
            [at for at in places if row[at] >= THRESHOLD][:MOST]
            for row, places in zip(near.tolist(), ordered.tolist(), strict=True)
        ]

    def likeliest(self, embeddings: npt.NDArray[np.int8]) -> list[str]:
        """Name the one subject that each text is about most, however far it is."""
        return [
            self.names[at]
            for at in self._likelihoods(_cosines(embeddings, self.examples)).argmax(1)
        ]

    def _likelihoods(self, cosines: Floats) -> Floats:
        count = len(cosines)
        rows = np.zeros((-(-count // _ROWS) * _ROWS, cosines.shape[1]), np.float32)
        rows[:count] = _kernel(cosines)
        parts = [rows[at : at + _ROWS] @ self.coefficients for at in range(0, len(rows), _ROWS)]
        return np.concatenate(parts)[:count]


def _cosines(embeddings: npt.NDArray[np.int8], examples: Floats) -> Floats:
    # Whole numbers below 2**24: the products are exact, whatever the batch's size.
    vectors = embeddings.astype(np.float32)
    cosines: Floats = (vectors @ examples.T) / _lengths(examples)
    cosines /= _lengths(vectors)[:, None]
    return cosines


def _lengths(vectors: Floats) -> Floats:
    lengths: Floats = np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1)
    return lengths


def _score(near: float) -> float:
    return round(min(1.0, float(near)), 4)


def _kernel(cosines: Floats) -> Floats:
    values: Floats = np.exp(_SHARPNESS * (cosines - 1))
    return values


def head_for(subjects: Sequence[Subject], embed: Embed) -> TopicsHead:
    """Make the head of a workspace; `embed` turns what its subjects are told by into vectors."""
    known = [subject for subject in subjects if subject.phrases]
    counts = [len(subject.phrases) for subject in known]
    phrases = [phrase for subject in known for phrase in subject.phrases]
    examples = embed(phrases).astype(np.float32) if phrases else np.empty((0, 512), np.float32)
    defaults = np.array([subject in DEFAULT_SUBJECTS for subject in known], bool)
    whole = embed(_WHOLE).astype(np.float32) if defaults.any() else np.empty((0, 512), np.float32)
    return TopicsHead(
        names=tuple(subject.name for subject in known),
        examples=examples,
        starts=(np.cumsum(counts) - counts).astype(np.int64),
        coefficients=_coefficients(examples / _lengths(examples)[:, None], counts),
        whole=whole,
        defaults=defaults,
    )


def _coefficients(units: Floats, counts: Sequence[int]) -> Floats:
    """Solve (K + ridge) c = y, where y is 1 for an example's own subject and 0 for the others."""
    kernel = _kernel(units @ units.T)
    kernel[np.diag_indices(len(kernel))] += _RIDGE
    answers = np.repeat(np.eye(len(counts), dtype=np.float32), counts, axis=0)
    found: Floats = np.linalg.solve(kernel, answers)
    return found
