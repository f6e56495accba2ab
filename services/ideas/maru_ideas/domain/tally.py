"""What is counted of an idea's evidence: a value that grows by one post at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from maru_contracts.posts import PUBLIC_CHANNELS, Channel, Post
from maru_contracts.tags import Mood, TaggedPost

Counts = dict[str, int]
MOODS: tuple[Mood, ...] = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Heard:
    """What is counted of one post. `at` is when it was written, never later than collected."""

    mood: Mood
    channel: Channel
    source: str
    language: str
    topics: tuple[str, ...]
    at: datetime

    @classmethod
    def of(cls, tagged: TaggedPost) -> Self:
        """What a tagged post adds to its idea."""
        post = tagged.post
        return cls(
            mood=tagged.sentiment.label,
            channel=post.channel,
            source=post.source_id,
            language=tagged.language,
            topics=tuple(sorted({topic.name for topic in tagged.topics})),
            at=written_at(post),
        )


def written_at(post: Post) -> datetime:
    """When a post was written; a date in the future is not believed."""
    return min(post.created_at, post.collected_at)


def is_public(channel: Channel) -> bool:
    """Whether anybody can already read what comes through this channel."""
    return channel in PUBLIC_CHANNELS


@dataclass(frozen=True)
class Place:
    """Where a copy or a repost was heard."""

    channel: str
    source: str
    is_repost: bool

    @classmethod
    def of(cls, post: Post) -> Self:
        """Where a post was heard."""
        return cls(post.channel.value, post.source_id, post.repost_of is not None)


Spread = Mapping[Place, int]
"""How many copies and reposts were heard where."""


@dataclass(frozen=True)
class Span:
    """When the first and the last of some posts were written."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Tally:
    """The counts of an idea: of its evidence; `copies` and `reposts` are counted in places, too.

    `heat` is the number of posts, each weighted by 2 ** -(age / half-life), its age taken at
    `last_seen`.
    """

    posts: int = 0
    voices: int = 0
    mood: Counts = field(default_factory=dict)
    places: Counts = field(default_factory=dict)
    channels: Counts = field(default_factory=dict)
    languages: Counts = field(default_factory=dict)
    topics: Counts = field(default_factory=dict)
    heat: float = 0.0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    copies: int = 0
    reposts: int = 0

    def plus(self, heard: Heard, *, new_voice: bool, half_life: float) -> "Tally":
        """The counts with one post more. `half_life` is in days."""
        if not self.posts and self.last_seen:
            again = Tally(
                places=self.places,
                channels=self.channels,
                copies=self.copies,
                reposts=self.reposts,
            )
            return again.plus(heard, new_voice=new_voice, half_life=half_life)
        last = max(heard.at, self.last_seen or heard.at)
        cooled = self.heat * _decay(self.last_seen or last, last, half_life)
        return replace(
            _counting(self, heard, 1),
            posts=self.posts + 1,
            voices=self.voices + new_voice,
            heat=cooled + _decay(heard.at, last, half_life),
            first_seen=min(heard.at, self.first_seen or heard.at),
            last_seen=last,
        )

    def minus(
        self, heard: Heard, *, lost_voice: bool, span: Span | None, half_life: float
    ) -> "Tally":
        """The counts without a post that is counted; `span` is when the others were written.

        Without any other the times stay as they were.
        """
        counts = replace(
            _counting(self, heard, -1), posts=self.posts - 1, voices=self.voices - lost_voice
        )
        if span is None:
            return replace(counts, heat=0.0)
        seen = self.last_seen or span.last
        heat = max(0.0, self.heat - _decay(heard.at, seen, half_life))
        return replace(
            counts,
            heat=heat / _decay(span.last, seen, half_life),
            first_seen=span.first,
            last_seen=span.last,
        )

    def carried(self, spread: Spread, step: int) -> "Tally":
        """The counts when copies and reposts of what is counted come (`step` 1) or go (-1)."""
        counts = self
        for place, times in spread.items():
            more = times * step
            name = f"{place.channel}/{place.source}"
            counts = replace(
                counts,
                places=_stepped(counts.places, (name,), more),
                channels=_stepped(counts.channels, (place.channel,), more),
                copies=counts.copies + (0 if place.is_repost else more),
                reposts=counts.reposts + (more if place.is_repost else 0),
            )
        return counts

    def changed(self, before: Heard, after: Heard) -> "Tally":
        """The counts when a post that is already counted now says something else."""
        return _counting(_counting(self, before, -1), after, 1)


def ranked(counts: Counts) -> tuple[str, ...]:
    """Names, the most frequent first, equals by name."""
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _stepped(counts: Counts, names: Iterable[str], step: int) -> Counts:
    stepped = dict(counts)
    for name in names:
        stepped[name] = stepped.get(name, 0) + step
        if not stepped[name]:
            del stepped[name]
    return stepped


def _decay(then: datetime, now: datetime, half_life: float) -> float:
    return float(2.0 ** -((now - then).total_seconds() / (half_life * 86_400)))


def _counting(tally: Tally, heard: Heard, step: int) -> Tally:
    place = f"{heard.channel}/{heard.source}"
    return replace(
        tally,
        mood=_stepped(tally.mood, (heard.mood,), step),
        places=_stepped(tally.places, (place,), step),
        channels=_stepped(tally.channels, (str(heard.channel),), step),
        languages=_stepped(tally.languages, (heard.language,), step),
        topics=_stepped(tally.topics, heard.topics, step),
    )
