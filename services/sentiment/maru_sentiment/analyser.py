"""What an analyser is: a batch of texts in, one tag for each out. A head is one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from maru_contracts.tags import ModelVersion

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


class Analyser(Protocol, Generic[Tag_co]):
    """A head. The tag of a text depends on that text alone, never on its neighbours."""

    @property
    def model(self) -> ModelVersion:
        """Which model makes the tags."""

    def tag(self, batch: Batch) -> Sequence[Tag_co]:
        """Tag every text of a batch, in order."""
