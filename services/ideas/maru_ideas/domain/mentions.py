"""How often watched products are spoken of: counts of posts by day, product and mood."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from maru_contracts.tags import Mood, Side, TaggedPost
from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.ideas import is_spam
from maru_ideas.domain.tally import MOODS, written_at

_START = date(1970, 1, 1)

Mention = tuple[str, int, str, Side, Mood]
"""Workspace, day (see `day_of`), name, kind and mood: what is counted apart."""


def day_of(when: date) -> int:
    """Days since 1970; of a moment, of its day in UTC."""
    if isinstance(when, datetime):
        when = when.astimezone(UTC).date()
    return (when - _START).days


def changes(arrived: Iterable[Arrival]) -> dict[Mention, int]:
    """What arriving posts add to the counts; a post that replaces another takes its counts back.

    Spam counts for nothing.
    """
    steps: Counter[Mention] = Counter()
    for arrival in arrived:
        if arrival.before is not None:
            steps.subtract(_mentions(arrival.before))
        steps.update(_mentions(arrival.tagged))
    return {mention: step for mention, step in sorted(steps.items()) if step}


def losses(gone: Iterable[TaggedPost]) -> dict[Mention, int]:
    """What posts that are gone take from the counts."""
    steps: Counter[Mention] = Counter()
    for tagged in gone:
        steps.subtract(_mentions(tagged))
    return {mention: step for mention, step in sorted(steps.items()) if step}


def _mentions(tagged: TaggedPost) -> set[Mention]:
    if is_spam(tagged):
        return set()
    day = day_of(written_at(tagged.post))
    mood = tagged.sentiment.label
    return {(tagged.post.workspace, day, it.name, it.kind, mood) for it in tagged.entities}


@dataclass(frozen=True)
class Voice:
    """A watched product in a period: posts that mention it, and its part of all such mentions."""

    name: str
    kind: Side
    posts: int
    share: float
    mood: dict[Mood, int]


def shares(counts: Iterable[tuple[str, Side, Mood, int]]) -> list[Voice]:
    """Share of voice from counts by name, kind and mood, the most spoken of first.

    A post that mentions two products counts for both; the shares add up to 1.
    """
    moods: dict[tuple[str, Side], Counter[Mood]] = {}
    for name, kind, mood, posts in counts:
        moods.setdefault((name, kind), Counter())[mood] += posts
    posts_of = {product: counter.total() for product, counter in moods.items()}
    whole = sum(posts_of.values())
    voices = [
        Voice(
            name=name,
            kind=kind,
            posts=posts_of[name, kind],
            share=round(posts_of[name, kind] / whole, 4),
            mood={mood: counter[mood] for mood in MOODS},
        )
        for (name, kind), counter in moods.items()
        if posts_of[name, kind]
    ]
    return sorted(voices, key=lambda it: (-it.posts, it.name, it.kind))
