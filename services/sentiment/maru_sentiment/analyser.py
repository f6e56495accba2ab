"""What an analyser is: a batch of texts in, one tag for each out. A head is one file."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import (
    Aspect,
    ChosenHead,
    EmotionTag,
    Intent,
    ModelVersion,
    Sentiment,
    TopicTag,
    ToxicPart,
)

Tag_co = TypeVar("Tag_co", covariant=True)


@dataclass(frozen=True)
class Batch:
    """n texts with what the heads read: vectors as 512 signed bytes each, and the network's logits.

    `logits` is (n, `network.LABELS`); `hints` says of each text which language its source names (a
    BCP 47 tag), if any.
    """

    texts: Sequence[str]
    embeddings: npt.NDArray[np.int8]
    logits: npt.NDArray[np.float32]
    hints: Sequence[str | None]


Choosable = Sentiment | Intent | tuple[Aspect, ...]
"""A tag of a head for which workspaces may choose a model."""


@dataclass(frozen=True)
class Chosen:
    """What models that the workspace chose did for one text.

    `models` made tags of it, in place of Maru's own; `shadows` holds what models in the shadow
    would have said; `failures` names models that could not be used, and says why.
    """

    models: tuple[ModelVersion, ...] = ()
    shadows: Mapping[ChosenHead, Choosable] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tags:
    """What the heads say of one text; `embedding` is as in `TaggedPost`.

    Aspects and toxic parts stand in the analysed text, whatever their field says. `chosen` says
    which of the tags are those of models that the workspace chose.
    """

    language: str
    sentiment: Sentiment
    intent: Intent
    emotions: tuple[EmotionTag, ...]
    topics: tuple[TopicTag, ...]
    aspects: tuple[Aspect, ...]
    spam: float
    toxicity: float
    toxic: tuple[ToxicPart, ...]
    embedding: str
    chosen: Chosen = Chosen()


def vectors_of(tags: Sequence[Tags]) -> npt.NDArray[np.int8]:
    """Return (n, 512), the vectors that the tags carry."""
    packed = b"".join(b64decode(it.embedding) for it in tags)
    return np.frombuffer(packed, np.int8).reshape(len(tags), -1)


class Analyser(Protocol, Generic[Tag_co]):
    """A head. The tag of a text depends on that text alone, never on its neighbours."""

    @property
    def model(self) -> ModelVersion:
        """Which model makes the tags."""

    def tag(self, batch: Batch) -> Sequence[Tag_co]:
        """Tag every text of a batch, in order."""
