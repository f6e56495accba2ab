"""The space in which posts and ideas are compared: 512 whole numbers a text, exact on any machine.

The first half is the sentence vector without the common mean, after a trained linear map under
which posts of one idea lie near each other (see `training`); its last number says whether a post
asks for something new or reports a fault. The second half is a signed sketch of the words (feature
hashing, Weinberger et al., ICML 2009), weighted by their rarity. Each vector has a length of about
127, so a dot product over 127 * 127 is the similarity.

Every product and sum stays below 2**24 in absolute value, so float32 matrix products are exact:
the result depends neither on the batch nor on the order in which a BLAS adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from math import sqrt

import numpy as np
import numpy.typing as npt

from maru_ideas.domain import terms

MEANING = 256
WORDS = 256
SIZE = MEANING + WORDS
UNIT = 127.0
MEAN_SCALE = 8.0
"""The mean is stored in eighths: embedding entries are small whole numbers."""

Vectors = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Space:
    """The trained part: `mean` (512, eighths), two maps, `rarity` (one weight a bucket).

    Posts meet ideas under the map `ideas` (512 x 255), and each other in discovered topics, which
    are wider, under `topics` (512 x 256). `asking` (512) are weights whose sum tells wishes from
    faults: it is as likely one as the other at `even`, and plainly one of them from `plain` away.
    `word_share` and `asking_share` are the parts of the similarity to ideas that words, and being
    both wishes or both faults, decide. `cells` are fixed anchors that the index sorts ideas by.
    """

    mean: npt.NDArray[np.int16]
    ideas: npt.NDArray[np.int8]
    topics: npt.NDArray[np.int8]
    asking: npt.NDArray[np.int8]
    even: int
    plain: int
    rarity: npt.NDArray[np.uint8]
    cells: Vectors
    word_share: float
    asking_share: float

    def vectors(self, embeddings: Vectors, texts: Sequence[str]) -> Vectors:
        """One vector for each text, from its sentence vector (n x 512) and its words."""
        share = 1 - self.word_share - self.asking_share
        meaning = self._mapped(self.ideas, embeddings, sqrt(share) * UNIT)
        rare = np.stack([self._sketch(text) for text in texts]) if texts else np.empty((0, WORDS))
        words = scaled(rare, sqrt(self.word_share) * UNIT)
        return np.concatenate([meaning, self._asks(embeddings), words], axis=1)

    def meaning(self, embeddings: Vectors, length: float) -> Vectors:
        """What texts are about, at the given length, as topics are compared."""
        return self._mapped(self.topics, embeddings, length)

    def nearness_in_words(self, text: str, vector: Vectors) -> float:
        """The cosine of a text's words and those of a vector, from -1 to 1."""
        words, others = self._sketch(text), vector[MEANING:].astype(np.float64)
        lengths = float(words @ words) * float(others @ others)
        return float(words @ others) / sqrt(lengths) if lengths else 0.0

    def _mapped(self, by: Vectors, embeddings: Vectors, length: float) -> Vectors:
        return scaled(self._centred(embeddings) @ by.astype(np.float32), length)

    def _asks(self, embeddings: Vectors) -> Vectors:
        """One column: positive for wishes, negative for faults, around zero for what is neither."""
        sums = self._centred(embeddings) @ self.asking.astype(np.float32)
        far = np.clip((sums.astype(np.float64) - self.even) / self.plain, -1, 1)
        column: Vectors = np.rint(far * (sqrt(self.asking_share) * UNIT)).astype(np.int8)[:, None]
        return column

    def _centred(self, embeddings: Vectors) -> Floats:
        centred = embeddings.astype(np.float32) * np.float32(MEAN_SCALE) - self.mean
        return centred.astype(np.float32)

    def _sketch(self, text: str) -> npt.NDArray[np.float64]:
        hashed = terms.hashes(text)
        weights = self.rarity[hashed % terms.BUCKETS].astype(np.float64)
        signs = np.where(hashed >> 31, 1.0, -1.0)
        places = (hashed >> 14) % WORDS
        return np.bincount(places, weights * signs, WORDS).astype(np.float64)


def scaled(
    rows: npt.NDArray[np.float32]
    | npt.NDArray[np.float64]
    | npt.NDArray[np.int16]
    | npt.NDArray[np.int32],
    length: float,
) -> Vectors:
    """Rows of whole numbers brought to one length and rounded; a row of zeros stays one.

    Exact and the same everywhere: IEEE 754 rounds square root, product and quotient correctly,
    and the squares of whole numbers below 2**24 add up exactly in float64.
    """
    whole = rows.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", whole, whole))
    ratio = whole * length / np.where(lengths > 0, lengths, 1.0)[:, None]
    return np.rint(ratio).astype(np.int8)


@cache
def trained() -> Space:
    """The space that ships with this version (`maru_ideas/space.npz`)."""
    packed = files("maru_ideas").joinpath("space.npz").read_bytes()
    with np.load(BytesIO(packed), allow_pickle=False) as stored:
        return Space(
            mean=stored["mean"],
            ideas=stored["ideas"],
            topics=stored["topics"],
            asking=stored["asking"],
            even=int(stored["even"]),
            plain=int(stored["plain"]),
            rarity=stored["rarity"],
            cells=stored["cells"],
            word_share=float(stored["word_share"]),
            asking_share=float(stored["asking_share"]),
        )
