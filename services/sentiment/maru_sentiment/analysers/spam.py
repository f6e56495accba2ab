"""How likely a post is spam: written to sell, to lure or to be found, and not to say anything."""

from collections.abc import Sequence

from maru_contracts.tags import ModelVersion
from maru_sentiment.analyser import Batch
from maru_sentiment.network import LABELS, NAME, chances

HEAD = "spam"
_COLUMN = LABELS.index("spam")


class SpamHead:
    """One yes-or-no question, for English and Korean first."""

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=version)

    def tag(self, batch: Batch) -> Sequence[float]:
        """Give each text a probability."""
        return chances(batch.logits[:, _COLUMN])
