"""How likely a post is toxic: that it insults, threatens, debases or harasses people.

Harsh words about a product are not toxic, nor is swearing that means nobody.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maru_contracts.tags import TOXIC_FROM, ModelVersion, ToxicPart
from maru_sentiment.analyser import Batch
from maru_sentiment.network import LABELS, NAME, Floats, chances

HEAD = "toxicity"
_COLUMN = LABELS.index("toxicity")
_LOOKED_INTO = 0.2
"""The probability of a whole text from which on its sentences are read one by one.

Civil words around an insult hide it; few texts come as far as this, so it costs little.
"""
_READ = 2_000
"""Characters of a text that are split; what follows belongs to the last sentence."""
_SENTENCE = re.compile(
    r"[^\s.!?。！？…][^\n.!?。！？…]*(?:[.!?。！？…]+(?!\s|$)[^\n.!?。！？…]*)*[.!?。！？…]*"
)

Read = Callable[[Sequence[str]], Floats]
"""Computes the network's logits of texts."""


@dataclass(frozen=True)
class Toxicity:
    """The probability of a text, and its sentences that are toxic; places are in the text."""

    chance: float
    parts: tuple[ToxicPart, ...] = ()


class ToxicityHead:
    """One yes-or-no question, for English and Korean first."""

    def __init__(self, version: str) -> None:
        self.model = ModelVersion(head=HEAD, name=NAME, version=version)

    def tag(self, batch: Batch, read: Read) -> Sequence[Toxicity]:
        """Say how toxic each text is: as much as its most toxic sentence, or the whole of it.

        A toxic text none of whose sentences is toxic by itself is toxic as a whole.
        """
        whole = chances(batch.logits[:, _COLUMN])
        spans = {
            at: sentences(batch.texts[at])
            for at, chance in enumerate(whole)
            if chance >= _LOOKED_INTO
        }
        apart = {at: parts for at, parts in spans.items() if len(parts) > 1}
        every = [batch.texts[at][it.start : it.end] for at, parts in apart.items() for it in parts]
        answers = iter(chances(read(every)[:, _COLUMN]) if every else ())
        judged = {at: [(part, next(answers)) for part in parts] for at, parts in apart.items()}
        return [
            _toxicity(text, chance, judged.get(at, ()))
            for at, (text, chance) in enumerate(zip(batch.texts, whole, strict=True))
        ]


def _toxicity(text: str, whole: float, judged: Sequence[tuple[ToxicPart, float]]) -> Toxicity:
    most = max((whole, *(chance for _, chance in judged)))
    if most < TOXIC_FROM:
        return Toxicity(most)
    parts = tuple(part for part, chance in judged if chance >= TOXIC_FROM)
    return Toxicity(most, parts or (ToxicPart(start=0, end=len(text)),))


def sentences(text: str) -> list[ToxicPart]:
    """Split a text where sentences and lines end."""
    spans = [match.span() for match in _SENTENCE.finditer(text[:_READ])]
    ends = [end for _, end in spans[:-1]] + [len(text)]
    return [ToxicPart(start=start, end=end) for (start, _), end in zip(spans, ends, strict=False)]
