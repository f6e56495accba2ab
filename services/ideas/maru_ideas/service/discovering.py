"""From tagged posts to discovered topics, within the transaction that takes the posts in."""

import asyncio
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import TypeVar
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas import metrics
from maru_ideas.domain import naming
from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.discovered import Said, Turn
from maru_ideas.domain.discovery import Discovery, Grain
from maru_ideas.domain.ideas import is_spam
from maru_ideas.domain.mentions import day_of
from maru_ideas.domain.space import UNIT, Space
from maru_ideas.domain.summarising import civil
from maru_ideas.domain.tally import written_at
from maru_ideas.domain.times import micros
from maru_ideas.domain.voices import voice
from maru_ideas.service.index import Held, ShelfName
from maru_ideas.store import discoveries, posts
from maru_ideas.store.discoveries import Changed, Day, Found, ProductDay, Status
from maru_kit.database import Database

Turns = Mapping[ShelfName, Turn]
Key = TypeVar("Key", Day, ProductDay)


class Discovering:
    """Finds topics in all posts of a product, whatever they want."""

    def __init__(self, database: Database, space: Space, grain: Grain) -> None:
        self._database = database
        self._space = space
        self._grain = grain

    async def absorb(
        self, connection: AsyncConnection, held: Held, arrived: Sequence[Arrival]
    ) -> Turns:
        """Let posts that are stored already join topics, found and change them.

        A post that was edited or tagged anew stays where it is, and is counted as what it is now.
        Spam and reposts belong to no topic, and found none.
        """
        new: defaultdict[ShelfName, list[TaggedPost]] = defaultdict(list)
        for arrival in arrived:
            post = arrival.tagged.post
            if arrival.before is None and not (is_spam(arrival.tagged) or post.repost_of):
                new[post.workspace, post.product].append(arrival.tagged)
        known = {name: await self._discovery(connection, held, name) for name in new}
        started = perf_counter()
        turns = await asyncio.to_thread(self._take, known, new)
        metrics.DISCOVERING.observe(perf_counter() - started)
        await self._store(connection, known, turns)
        await self._count(connection, arrived, turns)
        held.trim()
        return turns

    async def forget(
        self, connection: AsyncConnection, held: Held, gone: Sequence[TaggedPost]
    ) -> None:
        """Take posts that are gone from topics and from their counts."""
        shelves: defaultdict[ShelfName, set[UUID]] = defaultdict(set)
        for tagged in gone:
            shelves[tagged.post.workspace, tagged.post.product].add(tagged.post.id)
        poorer = []
        for name, ids in shelves.items():
            found = (await self._discovery(connection, held, name)).forget(ids)
            poorer += [Changed(name, topic, "alive", None) for topic in found]
        await discoveries.save(connection, self._database, poorer)
        topics = await discoveries.topics_of(connection, {it.post.id for it in gone})
        await discoveries.remove(connection, {it.post.id for it in gone})
        steps: Counter[Day] = Counter()
        for tagged in gone:
            if tagged.post.id in topics:
                steps[_day(topics[tagged.post.id], tagged)] -= 1
        days = Counter(
            (it.post.workspace, it.post.product, day_of(written_at(it.post))) for it in gone
        )
        less = Counter({day: -posts for day, posts in days.items()})
        await discoveries.count(connection, self._database, _changes(steps), _changes(less))
        held.trim()

    async def _discovery(
        self, connection: AsyncConnection, held: Held, name: ShelfName
    ) -> Discovery:
        """What is known of a product, from memory or from the database."""
        found = held.discoveries.pop(name, None) or Discovery(
            self._grain,
            await discoveries.kept(connection, name),
            await discoveries.living(connection, name),
            await discoveries.waiting(connection, name),
        )
        held.discoveries[name] = found
        return found

    def _take(
        self,
        known: Mapping[ShelfName, Discovery],
        new: Mapping[ShelfName, Sequence[TaggedPost]],
    ) -> Turns:
        turns = {}
        for name, tagged in new.items():
            packed = b"".join(b64decode(one.embedding) for one in tagged)
            embeddings = np.frombuffer(packed, np.int8).reshape(len(tagged), -1)
            vectors = self._space.meaning(embeddings, UNIT)
            turns[name] = known[name].take([_said(one) for one in tagged], vectors)
        return turns

    async def _store(
        self, connection: AsyncConnection, known: Mapping[ShelfName, Discovery], turns: Turns
    ) -> None:
        changed = [it for name, turn in turns.items() for it in _changed(name, turn)]
        await discoveries.save(connection, self._database, changed)
        merged = {
            gone: into
            for turn in turns.values()
            for gone, into in turn.merged.items()
            if gone not in turn.founded  # nothing is stored yet that could be moved
        }
        await discoveries.merge(connection, self._database, merged)
        began = [
            (name, waiter) for name, turn in turns.items() for waiter in turn.began_waiting.values()
        ]
        stopped = {post for turn in turns.values() for post in turn.stopped_waiting}
        await discoveries.wait(connection, began, stopped)
        kept = {name: known[name].kept for name in turns}
        await discoveries.keep(connection, self._database, kept)

    async def _count(
        self, connection: AsyncConnection, arrived: Sequence[Arrival], turns: Turns
    ) -> None:
        placed = {post: it for turn in turns.values() for post, it in turn.placed.items()}
        latest = {it.tagged.post.id: it.tagged for it in arrived}
        latest |= await posts.stored(connection, placed.keys() - latest.keys())
        edited = {it.tagged.post.id for it in arrived if it.before is not None}
        topics = await discoveries.topics_of(connection, edited)
        at = {post: micros(written_at(it.post)) for post, it in latest.items()}
        await discoveries.place(
            connection,
            [Found(post, it.topic, it.similarity, at[post]) for post, it in placed.items()],
        )
        redated = {it.tagged.post.id for it in arrived if _moved_in_time(it)} & topics.keys()
        await discoveries.date(connection, {post: at[post] for post in sorted(redated)})
        steps = Counter(_day(it.topic, latest[post]) for post, it in placed.items())
        steps.update(_corrections(arrived, topics))
        await discoveries.count(
            connection, self._database, _changes(steps), _changes(_posts_by_day(arrived))
        )


def _moved_in_time(arrival: Arrival) -> bool:
    """Whether an edit says that the post was written at another time."""
    before = arrival.before
    return before is not None and written_at(before.post) != written_at(arrival.tagged.post)


def _said(tagged: TaggedPost) -> Said:
    post = tagged.post
    return Said(
        post=post.id,
        voice=voice(post),
        language=tagged.language,
        words=naming.words(" ".join(civil(tagged))),
    )


def _changed(name: ShelfName, turn: Turn) -> Iterator[Changed]:
    for topic in turn.changed.values():
        into = turn.merged.get(topic.id)
        status: Status = "merged" if into else "retired" if topic.id in turn.retired else "alive"
        yield Changed(name, topic, status, into)


def _day(topic: UUID, tagged: TaggedPost) -> Day:
    return topic, day_of(written_at(tagged.post)), tagged.sentiment.label, tagged.language


def _corrections(arrived: Sequence[Arrival], topics: Mapping[UUID, UUID]) -> Counter[Day]:
    """What edits of posts in topics change in the counts."""
    steps: Counter[Day] = Counter()
    for arrival in arrived:
        topic = topics.get(arrival.tagged.post.id)
        if topic is not None and arrival.before is not None:
            steps[_day(topic, arrival.before)] -= 1
            steps[_day(topic, arrival.tagged)] += 1
    return steps


def _posts_by_day(arrived: Sequence[Arrival]) -> Counter[ProductDay]:
    steps: Counter[ProductDay] = Counter()
    for arrival in arrived:
        for tagged, step in ((arrival.before, -1), (arrival.tagged, 1)):
            if tagged is not None:
                post = tagged.post
                steps[post.workspace, post.product, day_of(written_at(post))] += step
    return steps


def _changes(steps: Counter[Key]) -> dict[Key, int]:
    """The steps that change something, in one order for all writers."""
    return {key: step for key, step in sorted(steps.items()) if step}
