"""Where models in the shadow would have tagged otherwise: counted since this process began."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from maru_contracts.tags import Aspect, ChosenHead, Intent, Sentiment
from maru_sentiment import metrics
from maru_sentiment.analyser import Choosable, Tags
from maru_sentiment.domain import Choice

EXAMPLES = 50
"""Posts that are kept for each comparison, the latest ones that were tagged otherwise."""
_EXCERPT = 200


@dataclass(frozen=True)
class Difference:
    """The beginning of a post, its tag, and the one that the shadow would have given it."""

    text: str
    tag: str
    shadow: str


@dataclass
class Comparison:
    """A choice, and what its shadow said of the posts since then.

    `pairs` counts posts by label and the shadow's label; for aspects, by their number.
    """

    choice: Choice
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    posts: int = 0
    agreed: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: deque[Difference] = field(default_factory=lambda: deque(maxlen=EXAMPLES))


class Shadows:
    """The comparisons of all workspaces; one begins anew when its choice changes."""

    def __init__(self) -> None:
        self._comparisons: dict[tuple[str, ChosenHead], Comparison] = {}

    def of(self, workspace: str, head: ChosenHead) -> Comparison | None:
        """Return the comparison that runs for a head; None when nothing was compared yet."""
        return self._comparisons.get((workspace, head))

    def take(
        self,
        workspace: str,
        choices: Iterable[Choice],
        texts: Sequence[str],
        tags: Sequence[Tags],
    ) -> None:
        """Compare the tags of a batch."""
        for choice in choices:
            key = (workspace, choice.head)
            if choice.shadow is None:
                self._comparisons.pop(key, None)
                continue
            found = self._comparisons.get(key)
            if found is None or found.choice != choice:
                found = self._comparisons[key] = Comparison(choice)
            for text, given in zip(texts, tags, strict=True):
                if choice.head in given.chosen.shadows:
                    _compare(found, text, _of(given, choice.head), given.chosen.shadows)


def _compare(
    found: Comparison, text: str, tag: Choosable, shadows: Mapping[ChosenHead, Choosable]
) -> None:
    head = found.choice.head
    shadow = shadows[head]
    agrees = _written(tag) == _written(shadow)
    found.posts += 1
    found.agreed += agrees
    found.pairs[_label(tag), _label(shadow)] += 1
    metrics.SHADOW_POSTS.labels(head, "yes" if agrees else "no").inc()
    if not agrees:
        found.examples.append(Difference(text[:_EXCERPT], _written(tag), _written(shadow)))


def _of(tags: Tags, head: ChosenHead) -> Choosable:
    by_head: Mapping[ChosenHead, Choosable] = {
        "sentiment": tags.sentiment,
        "intent": tags.intent,
        "aspects": tags.aspects,
    }
    return by_head[head]


def _label(tag: Choosable) -> str:
    return tag.label if isinstance(tag, (Sentiment, Intent)) else str(len(tag))


def _written(tag: Choosable) -> str:
    if isinstance(tag, (Sentiment, Intent)):
        return tag.label
    return "; ".join(sorted(map(_aspect, tag)))


def _aspect(aspect: Aspect) -> str:
    return f"{aspect.term.lower()}: {aspect.label}"
