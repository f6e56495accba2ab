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
from maru_sentiment.domain import Subject

HEAD = "topics"
THRESHOLD = 0.42
"""Cosine to the nearest example from which on a post speaks of a subject."""
MOST = 3
"""Subjects of one post, the likeliest ones."""
_SHARPNESS = 4.0
_RIDGE = 0.1
_WORD = re.compile(r"[^\W\d_ㄱ-ㆎ]")
"""What a post about a subject has: a letter, and not of ㅋㅋ or ㅠㅠ alone."""
_ROWS = 32
"""Rows in one matrix product, always: BLAS then computes each row the same way."""

Floats = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]
Embed = Callable[[Sequence[str]], npt.NDArray[np.int8]]


@dataclass(frozen=True)
class TopicsHead:
    """The subjects of one workspace.

    `examples` is (n, 512) whole numbers, in order of subject; `coefficients` (n, subjects).
    """

    names: tuple[str, ...]
    examples: Floats
    lengths: Floats
    starts: npt.NDArray[np.int64]
    coefficients: Floats

    @property
    def model(self) -> ModelVersion:
        """The rule's version; the vectors' is the encoder's."""
        return ModelVersion(head=HEAD, name="kernel-ridge", version="2")

    def tag(self, batch: Batch) -> Sequence[tuple[TopicTag, ...]]:
        """Name up to `MOST` subjects near each text, the likeliest first; `score` is the cosine."""
        if not self.names or not len(batch.embeddings):
            return [()] * len(batch.embeddings)
        return self.named(batch.texts, *self.standing(batch.embeddings))

    def standing(self, embeddings: npt.NDArray[np.int8]) -> tuple[Floats, Floats]:
        """Return how near each subject is to each text, and how likely it is: (n, subjects)."""
        cosines = self._cosines(embeddings)
        return np.maximum.reduceat(cosines, self.starts, axis=1), self._likelihoods(cosines)

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
        return [self.names[at] for at in self._likelihoods(self._cosines(embeddings)).argmax(1)]

    def _cosines(self, embeddings: npt.NDArray[np.int8]) -> Floats:
        # Whole numbers below 2**24: the products are exact, whatever the batch's size.
        vectors = embeddings.astype(np.float32)
        cosines: Floats = (vectors @ self.examples.T) / self.lengths
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        cosines /= np.maximum(lengths, 1)[:, None]
        return cosines

    def _likelihoods(self, cosines: Floats) -> Floats:
        count = len(cosines)
        rows = np.zeros((-(-count // _ROWS) * _ROWS, cosines.shape[1]), np.float32)
        rows[:count] = _kernel(cosines)
        parts = [rows[at : at + _ROWS] @ self.coefficients for at in range(0, len(rows), _ROWS)]
        return np.concatenate(parts)[:count]


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
    lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", examples, examples)), 1)
    return TopicsHead(
        names=tuple(subject.name for subject in known),
        examples=examples,
        lengths=lengths,
        starts=(np.cumsum(counts) - counts).astype(np.int64),
        coefficients=_coefficients(examples / lengths[:, None], counts),
    )


def _coefficients(units: Floats, counts: Sequence[int]) -> Floats:
    """Solve (K + ridge) c = y, where y is 1 for an example's own subject and 0 for the others."""
    kernel = _kernel(units @ units.T)
    kernel[np.diag_indices(len(kernel))] += _RIDGE
    answers = np.repeat(np.eye(len(counts), dtype=np.float32), counts, axis=0)
    found: Floats = np.linalg.solve(kernel, answers)
    return found
