"""The real encoder and heads, loaded once in a test process."""

import pytest

from maru_sentiment.encoder import Encoder
from maru_sentiment.tagger import Tagger, Tags


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture(scope="session")
def tagger() -> Tagger:
    return Tagger()


def tag(tagger: Tagger, text: str) -> Tags:
    """Tag one text, with the default subjects."""
    from maru_sentiment.domain import DEFAULT_SUBJECTS

    (tags,) = tagger.tag([text], DEFAULT_SUBJECTS)
    return tags
