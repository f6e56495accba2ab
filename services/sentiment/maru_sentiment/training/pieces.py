"""Makes the pieces that the convolution reads, and the vectors that they begin with."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
import sentencepiece

from maru_sentiment.encoder import Encoder

_PIECES = 24_000
_CHARACTERS = 400
"""Characters of a text that the pieces are learnt from."""


def learn_pieces(texts: Sequence[str]) -> bytes:
    """Learn a unigram model of at most `_PIECES` pieces from normalised texts."""
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text[:_CHARACTERS] for text in texts]),
        model_writer=model,
        model_type="unigram",
        vocab_size=_PIECES,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        num_threads=1,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    return model.getvalue()


def vectors_of_pieces(pieces: bytes, encoder: Encoder, size: int) -> npt.NDArray[np.float32]:
    """Return (pieces, size): the main directions of the encoder's vectors of its own tokens.

    A piece has the mean of the tokens that the encoder would read it as, so words of all its
    languages begin near their translations.
    """
    model = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    words = [model.id_to_piece(at).replace("▁", " ").strip() for at in range(2, len(model))]
    vectors = encoder.token_means([word or " " for word in words])
    vectors -= vectors.mean(axis=0)
    main = np.linalg.svd(vectors[:: max(1, len(vectors) // 8_000)], full_matrices=False)[2][:size]
    found = np.zeros((len(model), size), np.float32)
    found[2:, : len(main)] = vectors @ main.T
    found[2:] *= 0.5 / found[2:].std()
    return found
