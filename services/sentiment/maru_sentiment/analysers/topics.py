"""The subjects of a post: those whose example phrases lie near it in the encoder's space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import ModelVersion, TopicTag
from maru_sentiment.analyser import Batch
from maru_sentiment.domain import Subject

HEAD = "topics"
THRESHOLD = 0.42
"""Cosine to the nearest example from which on a post speaks of a subject."""
MOST = 3
"""Subjects of one post, the nearest ones."""

Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], npt.NDArray[np.int8]]


@dataclass(frozen=True)
class TopicsHead:
    """The subjects of one workspace. `examples` is (n, 512) whole numbers, in order of subject."""

    names: tuple[str, ...]
    examples: Floats
    lengths: Floats
    starts: npt.NDArray[np.int64]

    @property
    def model(self) -> ModelVersion:
        """The rule's version; the vectors' is the encoder's."""
        return ModelVersion(head=HEAD, name="nearest-example", version="1")

    def tag(self, batch: Batch) -> Sequence[tuple[TopicTag, ...]]:
        """Name up to `MOST` subjects of each text, the surest first."""
        if not self.names or not len(batch.embeddings):
            return [()] * len(batch.embeddings)
        # Whole numbers below 2**24: the products are exact, whatever the batch's size.
        vectors = batch.embeddings.astype(np.float32)
        near = (vectors @ self.examples.T) / self.lengths
        near /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        best = np.maximum.reduceat(near, self.starts, axis=1)
        return [self._named(row) for row in best]

    def _named(self, row: Floats) -> tuple[TopicTag, ...]:
        nearest = np.argsort(-row, kind="stable")[:MOST]
        return tuple(
            TopicTag(name=self.names[place], score=round(min(1.0, float(row[place])), 4))
            for place in nearest
            if row[place] >= THRESHOLD
        )


def head_for(subjects: Sequence[Subject], embed: Embed) -> TopicsHead:
    """Make the head of a workspace; `embed` turns its example phrases into vectors."""
    known = [subject for subject in subjects if subject.examples]
    counts = [len(subject.examples) for subject in known]
    phrases = [phrase for subject in known for phrase in subject.examples]
    examples = embed(phrases).astype(np.float32) if phrases else np.empty((0, 512), np.float32)
    return TopicsHead(
        names=tuple(subject.name for subject in known),
        examples=examples,
        lengths=np.maximum(np.sqrt(np.einsum("ij,ij->i", examples, examples)), 1),
        starts=(np.cumsum(counts) - counts).astype(np.int64),
    )
