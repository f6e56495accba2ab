"""How much an idea matters: a sum of named terms, each of which is shown.

No term looks at a clock. Age is measured between posts, and recency counts from a fixed day, so
that the order of two ideas never changes by waiting, a stored score never goes stale, and a
replay gives the same numbers.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import log2

from maru_ideas.domain.tally import Tally

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
QUARTER = 365.25 / 4
"""Days in the unit of recency."""


@dataclass(frozen=True)
class Weights:
    """Points for each reason. `half_life` of momentum is in days."""

    voices: float = 2.0
    momentum: float = 1.0
    severity: float = 2.0
    spread: float = 1.0
    languages: float = 1.0
    recency: float = 0.5
    half_life: float = 30.0


def terms(tally: Tally, weights: Weights) -> dict[str, float]:
    """The contribution of each reason, in hundredths of a point (so that they add up exactly).

    voices: doublings of distinct people. momentum: doublings of posts, older ones fading by half
    every half-life before the idea's newest post. severity: the share of negative posts, two
    imagined neutral posts added (Laplace). spread and languages: doublings of places and
    languages. recency: quarters of a year from 2020 to the newest post, as in Reddit's ranking.
    """
    return {
        "voices": _points(weights.voices * log2(1 + tally.voices)),
        "momentum": _points(weights.momentum * log2(1 + tally.heat)),
        "severity": _points(weights.severity * tally.mood.get("negative", 0) / (tally.posts + 2)),
        "spread": _points(weights.spread * log2(max(1, len(tally.places)))),
        "languages": _points(weights.languages * log2(max(1, len(tally.languages)))),
        "recency": _points(weights.recency * _quarters(tally.last_seen)),
    }


def score(parts: dict[str, float]) -> float:
    """The sum of the terms."""
    return _points(sum(parts.values()))


def _points(value: float) -> float:
    return round(value, 2)


def _quarters(seen: datetime | None) -> float:
    return (seen - EPOCH).total_seconds() / 86_400 / QUARTER if seen else 0.0
