"""What people read of discovered topics and do with them; every call is for one workspace."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

import orjson
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import Mood, TopicDefined
from maru_ideas.domain import naming, rising
from maru_ideas.domain.mentions import day_of
from maru_ideas.domain.summarising import shortened
from maru_ideas.domain.tally import MOODS
from maru_ideas.domain.times import date_of
from maru_ideas.outbox import Outbox
from maru_ideas.service.desk import TopicThere
from maru_ideas.store import discovered, topics
from maru_ideas.store.discovered import Counted, Discovered, Period, Volume
from maru_ideas.store.topics import StoredTopic
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound

Sort = Literal["volume", "growth"]
SHOWN = 3
"""Sample posts of a topic in the list."""
_EXAMPLE = 200
"""Characters of a post that becomes an example phrase."""


class NoSuchDiscoveredTopic(NotFound):
    """The workspace has no discovered topic of this id."""


class Nameless(Conflict):
    """No word tells the topic from others, so it has no name to be adopted by."""


class NothingToAdopt(Conflict):
    """All posts that spoke of the topic clearly are gone."""


class AdoptedAlready(Conflict):
    """The workspace has made a topic of it, which has another name."""


@dataclass(frozen=True)
class Day:
    """How many posts a day has."""

    day: date
    posts: int


@dataclass(frozen=True)
class Find:
    """A discovered topic in a period; `before` counts the posts of the equally long one before.

    `share` is its part of all posts of the product, `samples` are posts as JSON.
    """

    topic: Discovered
    posts: int
    before: int
    share: float
    rising: bool
    days: tuple[Day, ...]
    mood: Mapping[Mood, int]
    languages: Mapping[str, int]
    first_seen: date | None = None
    samples: tuple[str, ...] = ()

    @property
    def growth(self) -> float | None:
        """How many times as many posts as before; None where there were none."""
        return rising.growth(self.posts, self.before)


class Finds:
    """Discovered topics."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def ranked(
        self,
        workspace: str,
        first: date,
        last: date,
        *,
        product: str | None,
        sort: Sort,
        dismissed: bool,
        limit: int,
    ) -> list[Find]:
        """The topics with a post in the period: most posts first, or most above before."""
        period = _period(first, last)
        async with self._database.reading() as connection:
            volumes = await discovered.volumes(
                connection, workspace, period, product=product, dismissed=dismissed
            )
            every = await discovered.every(connection, workspace, period, product=product)
            spoken = [it for it in volumes if it.posts]
            chosen = sorted(spoken, key=lambda it: _rank(it, every, sort))[:limit]
            return await self._shown(connection, workspace, period, chosen, every)

    async def find(self, workspace: str, topic: UUID, first: date, last: date) -> Find:
        """One topic, or the one that it was merged into. Raises NoSuchDiscoveredTopic."""
        period = _period(first, last)
        async with self._database.reading() as connection:
            stored = await self._stored(connection, workspace, topic)
            volumes = {
                it.topic: it
                for it in await discovered.volumes(
                    connection,
                    workspace,
                    period,
                    product=stored.product,
                    dismissed=stored.dismissed,
                )
            }
            every = await discovered.every(connection, workspace, period, product=stored.product)
            volume = volumes.get(stored.id, Volume(stored.id, stored.product, 0, 0))
            return (await self._shown(connection, workspace, period, [volume], every))[0]

    async def posts(
        self, workspace: str, topic: UUID, *, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[RowMapping]:
        """A page of a topic's posts, see `discovered.page`. Raises NoSuchDiscoveredTopic."""
        async with self._database.reading() as connection:
            stored = await self._stored(connection, workspace, topic)
            return await discovered.page(connection, workspace, stored.id, after=after, limit=limit)

    async def dismiss(self, workspace: str, topic: UUID, *, dismissed: bool) -> None:
        """Keep a topic out of the list, or let it in again; posts go on joining it.

        Raises NoSuchDiscoveredTopic.
        """
        async with self._database.transaction() as connection:
            stored = await self._stored(connection, workspace, topic)
            await discovered.dismiss(connection, workspace, stored.id, dismissed=dismissed)

    async def adopt(self, workspace: str, topic: UUID, name: str | None) -> StoredTopic:
        """Make it a topic of the workspace's own, with its clearest posts as examples.

        Without a name it gets its own, or a longer one where that is taken (`naming.free`). One
        that is adopted stays as it is. Raises NoSuchDiscoveredTopic, NothingToAdopt,
        Nameless when it has no name and none is given, AdoptedAlready when it was adopted by
        another name, or TopicThere when the given name is taken.
        """
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            stored = await self._stored(connection, workspace, topic)
            there = {it.name: it for it in await topics.current(connection, workspace)}
            if stored.adopted_as in there:
                if name not in {None, stored.adopted_as}:
                    raise AdoptedAlready(f"It is the topic {stored.adopted_as}: rename that one.")
                return there[stored.adopted_as]
            if not (name or stored.name):
                raise Nameless("This topic has no name: give it one.")
            bodies = await discovered.bodies(connection, workspace, stored.samples)
            defined = TopicDefined(
                workspace=workspace,
                name=name or naming.free(stored.name, stored.words, there),
                examples=_examples([bodies[it] for it in stored.samples if it in bodies]),
                since=now,
                at=now,
            )
            if not defined.examples:
                raise NothingToAdopt("No post is left that speaks of this topic clearly.")
            if defined.name in there:
                raise TopicThere(
                    f"There is a topic {defined.name} already: give this one another name."
                )
            if not await discovered.adopt(
                connection, workspace, stored.id, defined.name, before=stored.adopted_as
            ):
                raise AdoptedAlready("Somebody adopted this topic at the same moment.")
            await topics.save(connection, self._database, defined)
            await self._outbox.add_definition(connection, defined)
        return StoredTopic(defined.name, defined.examples, now, since=now)

    async def _stored(self, connection: AsyncConnection, workspace: str, topic: UUID) -> Discovered:
        found = await discovered.find(connection, workspace, [topic])
        if topic not in found:
            raise NoSuchDiscoveredTopic(f"There is no discovered topic {topic}.")
        return found[topic]

    async def _shown(
        self,
        connection: AsyncConnection,
        workspace: str,
        period: Period,
        volumes: Sequence[Volume],
        every: Mapping[str, tuple[int, int]],
    ) -> list[Find]:
        ids = [it.topic for it in volumes]
        stored = await discovered.find(connection, workspace, ids)
        counted = await discovered.counts(connection, ids, period.first, period.last)
        first_days = await discovered.first_days(connection, ids)
        wanted = {post for it in stored.values() for post in it.samples}
        bodies = await discovered.bodies(connection, workspace, wanted)
        by_topic: defaultdict[UUID, list[Counted]] = defaultdict(list)
        for it in counted:
            by_topic[it.topic].append(it)
        return [
            replace(
                _counted(stored[it.topic], it, every, by_topic[it.topic]),
                first_seen=date_of(first_days[it.topic]) if it.topic in first_days else None,
                samples=_varied(stored[it.topic], bodies)[:SHOWN],
            )
            for it in volumes
        ]


def _period(first: date, last: date) -> Period:
    start, end = day_of(first), day_of(last)
    return Period(before=2 * start - end - 1, first=start, last=end)


def _rank(
    volume: Volume, every: Mapping[str, tuple[int, int]], sort: Sort
) -> tuple[float, int, str]:
    surge = rising.surge(volume.posts, volume.before, *every.get(volume.product, (0, 0)))
    return -surge if sort == "growth" else 0.0, -volume.posts, str(volume.topic)


def _counted(
    topic: Discovered,
    volume: Volume,
    every: Mapping[str, tuple[int, int]],
    counted: Sequence[Counted],
) -> Find:
    posts, before = every.get(topic.product, (0, 0))
    days: Counter[int] = Counter()
    mood: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    for it in counted:
        days[it.day] += it.posts
        mood[it.mood] += it.posts
        languages[it.language] += it.posts
    return Find(
        topic=topic,
        posts=volume.posts,
        before=volume.before,
        share=round(volume.posts / posts, 4) if posts else 0.0,
        rising=rising.is_rising(volume.posts, volume.before, posts, before),
        days=tuple(Day(date_of(day), n) for day, n in sorted(days.items())),
        mood={label: mood[label] for label in MOODS},
        languages=dict(sorted(languages.items(), key=lambda it: (-it[1], it[0]))),
    )


def _varied(topic: Discovered, bodies: Mapping[UUID, str]) -> tuple[str, ...]:
    """The samples that are there, first one of each language."""
    seen: Counter[str] = Counter()
    rounds = []
    for place, body in enumerate(bodies[post] for post in topic.samples if post in bodies):
        language = orjson.loads(body)["language"]
        rounds.append((seen[language], place, body))
        seen[language] += 1
    return tuple(body for *_, body in sorted(rounds))


def _examples(bodies: Sequence[str]) -> tuple[str, ...]:
    said = (orjson.loads(body)["post"] for body in bodies)
    texts = (" ".join(f"{post['title']} {post['text']}".split()) for post in said)
    return tuple(dict.fromkeys(shortened(text, _EXAMPLE) for text in texts if text))
