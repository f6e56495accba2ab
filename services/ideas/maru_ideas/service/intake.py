"""From tagged posts to ideas: one batch, one transaction, every effect and the position in it."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from time import perf_counter
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas import metrics
from maru_ideas.domain import ideas as rules
from maru_ideas.domain import terms
from maru_ideas.domain.arrivals import Arrival, arrivals, news
from maru_ideas.domain.corrections import still_corrected
from maru_ideas.domain.matching import Shelf, idea_id
from maru_ideas.domain.mentions import changes
from maru_ideas.domain.scoring import Weights
from maru_ideas.domain.space import Space, Vectors
from maru_ideas.domain.summarising import quote
from maru_ideas.domain.tally import Heard
from maru_ideas.domain.voices import voice
from maru_ideas.domain.wordings import Wording
from maru_ideas.service.comparing import ALONE, Comparing, Looked
from maru_ideas.service.copying import Copying
from maru_ideas.service.counting import Counting, Touch
from maru_ideas.service.deleting import Deleting
from maru_ideas.service.discovering import Discovering, Turns
from maru_ideas.service.index import Held, Index, ShelfName
from maru_ideas.service.removing import Removing
from maru_ideas.store import copies, deletions, mentions, posts
from maru_ideas.store.ideas import Evidence, IdeaStore, Shape
from maru_ideas.store.positions import StoredPositions
from maru_kit.crash import crash_point
from maru_kit.database import Database
from maru_kit.stream import Batch


@dataclass(frozen=True)
class Rules:
    """What decides: the space of comparison, the gates, the weights of the score."""

    space: Space
    weights: Weights
    min_suggestion: float
    min_problem: float

    def asks(self, tagged: TaggedPost) -> bool:
        """Whether a post wants something, so that it becomes evidence."""
        return rules.asks(tagged, suggestion=self.min_suggestion, problem=self.min_problem)


@dataclass(frozen=True)
class Outcome:
    """What a run of posts, or of tombstones, brought about."""

    repeated: int = 0
    arrived: Sequence[Arrival] = ()
    touches: Sequence[Touch] = ()
    turns: Turns = field(default_factory=dict)
    ended: int = 0


Take = Callable[[AsyncConnection, Held, Sequence[Arrival]], Awaitable[list[Touch]]]
"""A way to take posts that arrive."""


class Intake:
    """Takes batches of tagged posts. Running a batch twice is running it once."""

    def __init__(
        self,
        *,
        database: Database,
        positions: StoredPositions,
        store: IdeaStore,
        index: Index,
        discovering: Discovering,
        counting: Counting,
        comparing: Comparing,
        copying: Copying,
        removing: Removing,
        deleting: Deleting,
        rules: Rules,
    ) -> None:
        self._database = database
        self._positions = positions
        self._store = store
        self._index = index
        self._discovering = discovering
        self._counting = counting
        self._comparing = comparing
        self._copying = copying
        self._removing = removing
        self._deleting = deleting
        self.rules = rules

    async def take(self, batch: Batch[TaggedPost]) -> None:
        """Bring about everything that the posts mean. Raises Fenced when another writer went on."""
        with self._index.writing(
            batch.topic, batch.partition, start=batch.start, next=batch.next
        ) as held:
            async with self._database.transaction() as connection:
                await self._positions.advance(
                    connection, batch.topic, batch.partition, start=batch.start, next=batch.next
                )
                outcomes = await self._take(connection, held, batch.messages)
                crash_point("before_commit")
        crash_point("after_db_before_kafka_commit")
        for outcome in outcomes:
            _measure(outcome)

    async def _take(
        self, connection: AsyncConnection, held: Held, messages: Sequence[TaggedPost]
    ) -> list["Outcome"]:
        """Take posts and tombstones in the order of the log, whatever the batches."""
        outcomes = []
        for deleted, run in groupby(messages, key=lambda it: it.post.deleted):
            tagged = list(run)
            if deleted:
                ended = await self._deleting.end(connection, held, tagged)
                outcomes.append(Outcome(ended=ended))
            else:
                outcomes.append(await self._absorb(connection, held, tagged))
        return outcomes

    async def _absorb(
        self, connection: AsyncConnection, held: Held, messages: Sequence[TaggedPost]
    ) -> "Outcome":
        arrived = await self._news(connection, messages)
        revised = {it.tagged.post.id for it in arrived if it.before is not None}
        backing = await self._store.evidence_of(connection, revised)
        looked = await self._comparing.look(connection, arrived)
        touches: list[Touch] = []
        for take, run in groupby(arrived, key=lambda it: self._way(it, backing, looked)):
            if take == self._join:
                together = list(run)
                touches += await self._join(connection, held, together, looked)
                await self._comparing.remember(connection, looked, together)
            else:
                for arrival in run:
                    touches += await take(connection, held, [arrival])
        turns = await self._discovering.absorb(connection, held, arrived)
        # Last, as other partitions' writers wait for these rows until the transaction ends.
        await mentions.add(connection, self._database, changes(arrived))
        return Outcome(len(messages) - len(arrived), arrived, touches, turns)

    def _way(self, arrival: Arrival, backing: Mapping[UUID, Evidence], looked: Looked) -> Take:
        """How a post is taken: with its neighbours, or by itself."""
        if arrival.tagged.post.id in looked.closely and self.rules.asks(arrival.tagged):
            return self._weigh
        return self._leave if self._leaves(arrival, backing) else self._join

    def _leaves(self, arrival: Arrival, backing: Mapping[UUID, Evidence]) -> bool:
        """Whether a post that may be evidence asks for nothing any more, or is somebody else's."""
        before, tagged = arrival.before, arrival.tagged
        if before is None or not (tagged.post.id in backing or self.rules.asks(before)):
            return False
        return not self.rules.asks(tagged) or voice(tagged.post) != voice(before.post)

    async def _weigh(
        self, connection: AsyncConnection, held: Held, arrived: Sequence[Arrival]
    ) -> list[Touch]:
        """Take a post that may have another's words, or others its own."""
        (arrival,) = arrived
        before, tagged = arrival.before, arrival.tagged
        former = None
        if before is not None:
            when = tagged.post.collected_at
            former = await self._copying.leave(connection, before, at=when, instead=tagged)
        standing = await self._comparing.standing(connection, Wording.of(tagged.post))
        was_evidence = former is not None and former.copy is None
        if standing.first is not None:
            await self._keep(connection, arrival)
            if before is not None and former is not None and was_evidence:
                await self._removing.remove(
                    connection, before, former.carrier, by=rules.MATCHER, at=when
                )
            touches = [await self._copying.follow(connection, tagged, standing.first)]
        elif former is not None and not was_evidence:
            await self._keep(connection, arrival)
            touches = [await self._copying.step_up(connection, tagged, former.carrier)]
        elif former is None and (behind := standing.behind):
            await self._keep(connection, arrival)
            touches = [await self._copying.step_up(connection, tagged, behind)]
        else:
            touches = await self._leave(connection, held, arrived)
        await self._copying.lead(connection, tagged, standing, former)
        return touches

    async def _join(
        self,
        connection: AsyncConnection,
        held: Held,
        arrived: Sequence[Arrival],
        looked: Looked = ALONE,
    ) -> list[Touch]:
        """Put posts behind ideas, and count those that are there as what they say now."""
        revised = {it.tagged.post.id for it in arrived if it.before is not None}
        backing = await self._store.evidence_of(connection, revised)
        spread = (await copies.of(connection, revised)).keys() | looked.follows.keys()
        apart = [it for it in arrived if it.tagged.post.id not in spread]
        touches = await self._match(connection, held, apart, backing)
        await posts.add(connection, [it.tagged for it in arrived if it.before is None])
        await posts.replace(connection, _latest(it.tagged for it in arrived if it.before))
        touches = await self._copying.spread(connection, looked, arrived, touches)
        await self._counting.back(connection, touches)
        return touches

    async def _leave(
        self, connection: AsyncConnection, held: Held, arrived: Sequence[Arrival]
    ) -> list[Touch]:
        """Take an edited post from behind its idea; one of another voice comes back as its own."""
        (arrival,) = arrived
        before, tagged = arrival.before, arrival.tagged
        when = tagged.post.collected_at
        asks = self.rules.asks(tagged)
        if before is not None and not asks:
            await self._copying.leave(connection, before, at=when)
        behind = (await self._store.evidence_of(connection, [tagged.post.id])).get(tagged.post.id)
        if before is None or behind is None or (asks and voice(tagged.post) == voice(before.post)):
            return await self._join(connection, held, arrived)
        await posts.replace(connection, [tagged])
        await self._removing.remove(
            connection, before, behind, by=rules.MATCHER, at=when, wordless=True
        )
        if not asks:
            return []
        return [await self._copying.step_up(connection, tagged, behind)]

    async def _keep(self, connection: AsyncConnection, arrival: Arrival) -> None:
        if arrival.before is None:
            await posts.add(connection, [arrival.tagged])
        else:
            await posts.replace(connection, [arrival.tagged])

    async def _news(
        self, connection: AsyncConnection, messages: Sequence[TaggedPost]
    ) -> list[Arrival]:
        known = await posts.known(connection, {tagged.post.id for tagged in messages})
        gone = await deletions.known(connection, {it.post.id for it in messages} - known.keys())
        new = news([it for it in messages if it.post.id not in gone], known)
        stored = await posts.stored(connection, {it.post.id for it in new} & known.keys())
        words = {post: kept.correction for post, kept in stored.items()}
        return arrivals([still_corrected(it, words.get(it.post.id)) for it in new], stored)

    async def back(
        self, connection: AsyncConnection, tagged: TaggedPost, *, by: str, at: datetime
    ) -> None:
        """Make a stored post evidence because a person says so, of the nearest idea or a new one.

        It shapes no idea that is there: whoever takes batches has their vectors in memory. One
        that has another's words spreads that one's voice.
        """
        standing = await self._comparing.standing(connection, Wording.of(tagged.post))
        if standing.first is not None:
            await self._copying.follow(connection, tagged, standing.first)
        elif behind := standing.behind:
            await self._copying.step_up(connection, tagged, behind, by=by, at=at)
        else:
            await self._found(connection, tagged, by=by, at=at)
        await self._copying.lead(connection, tagged, standing)

    async def _found(
        self, connection: AsyncConnection, tagged: TaggedPost, *, by: str, at: datetime
    ) -> None:
        name = _shelf_name(tagged)
        shelf = await self._index.load(connection, name)
        vector = self._vectors([tagged])[id(tagged)]
        place, touch = await asyncio.to_thread(_placed, self.rules.space, shelf, tagged, vector)
        if touch.founds:
            await self._store.save_shapes(connection, [_shape(shelf, name, place)])
        await self._counting.back(connection, [touch], by=by, at=at)

    async def change(
        self,
        connection: AsyncConnection,
        before: TaggedPost,
        after: TaggedPost,
        behind: Evidence,
        *,
        by: str,
        at: datetime,
    ) -> None:
        """Count a post that is evidence by what a person says of it."""
        touch = Touch(behind.idea_id, after, behind.similarity, before=Heard.of(before))
        await self._counting.back(connection, [touch], by=by, at=at)

    async def _match(
        self,
        connection: AsyncConnection,
        held: Held,
        arrived: Sequence[Arrival],
        backing: Mapping[UUID, Evidence],
    ) -> list[Touch]:
        names = dict.fromkeys(_shelf_name(it.tagged) for it in arrived)
        shelves = {name: await self._index.shelf(connection, held, name) for name in names}
        started = perf_counter()
        # In a thread: the heart of it are matrix products, which let the event loop run.
        touches, shaped = await asyncio.to_thread(self._place, arrived, backing, shelves)
        metrics.MATCHING.observe(perf_counter() - started)
        await self._store.save_shapes(connection, shaped)
        return touches

    def _place(
        self,
        arrived: Sequence[Arrival],
        backing: Mapping[UUID, Evidence],
        shelves: Mapping[ShelfName, Shelf],
    ) -> tuple[list[Touch], list[Shape]]:
        vectors = self._vectors([it.tagged for it in arrived])
        owners = {post: (it.idea_id, it.similarity) for post, it in backing.items()}
        touches: list[Touch] = []
        space = self.rules.space
        moved: dict[tuple[ShelfName, int], None] = {}
        for arrival in arrived:
            tagged, post = arrival.tagged, arrival.tagged.post.id
            if arrival.before is not None and post in owners:
                idea, similarity = owners[post]
                before = Heard.of(arrival.before)
                touches.append(Touch(idea, tagged, similarity, before=before))
            elif post not in owners and self.rules.asks(tagged):
                name = _shelf_name(tagged)
                place, touch = _placed(space, shelves[name], tagged, vectors[id(tagged)])
                owners[post] = (touch.idea, touch.similarity)
                touches.append(touch)
                moved[name, place] = None
        return touches, [_shape(shelves[name], name, place) for name, place in moved]

    def _vectors(self, tagged: Sequence[TaggedPost]) -> dict[int, Vectors]:
        asking = [one for one in tagged if self.rules.asks(one)]
        if not asking:
            return {}
        packed = b"".join(b64decode(one.embedding) for one in asking)
        embeddings = np.frombuffer(packed, np.int8).reshape(len(asking), -1)
        texts = [_words(one) for one in asking]
        vectors = self.rules.space.vectors(embeddings, texts)
        return {id(one): vector for one, vector in zip(asking, vectors, strict=True)}


def _shelf_name(tagged: TaggedPost) -> ShelfName:
    return tagged.post.workspace, tagged.post.product


def _placed(space: Space, shelf: Shelf, tagged: TaggedPost, vector: Vectors) -> tuple[int, Touch]:
    scripts = terms.scripts(_words(tagged))
    match = shelf.nearest(vector, scripts)
    founds = match is None
    if match is None:
        match = shelf.found(idea_id(tagged.post.id), vector, scripts)
    else:
        shelf.join(match.place, vector, scripts)
    near = partial(space.nearness_in_words, vector=shelf.vector_of(match.place))
    offer = quote(tagged, match.similarity, near)
    return match.place, Touch(shelf.ids[match.place], tagged, match.similarity, offer, founds)


def _shape(shelf: Shelf, name: ShelfName, place: int) -> Shape:
    return Shape(
        idea_id=shelf.ids[place],
        shelf=name,
        place=place,
        shapers=shelf.shapers_of(place),
        scripts=shelf.scripts_of(place),
        sum=shelf.sum_of(place),
    )


def _words(tagged: TaggedPost) -> str:
    return f"{tagged.post.title} {tagged.post.text}"


def _latest(tagged: Iterable[TaggedPost]) -> list[TaggedPost]:
    return list({one.post.id: one for one in tagged}.values())


def _measure(outcome: Outcome) -> None:
    now = datetime.now(UTC)
    for touch in outcome.touches:
        if touch.carries:
            metrics.POSTS_SPREAD.inc()
            continue
        if touch.before is not None:
            metrics.EVIDENCE_CHANGED.inc()
            continue
        metrics.EVIDENCE_ADDED.inc()
        metrics.IDEAS_CREATED.inc(touch.founds)
        post = touch.tagged.post
        metrics.POST_TO_IDEA.observe(max(0.0, (now - post.created_at).total_seconds()))
        metrics.COLLECTED_TO_IDEA.observe(max(0.0, (now - post.collected_at).total_seconds()))
    metrics.SPAM_POSTS.inc(sum(rules.is_spam(it.tagged) for it in outcome.arrived))
    metrics.POSTS_REPEATED.inc(outcome.repeated)
    metrics.POSTS_DELETED.inc(outcome.ended)
    _measure_discovery(outcome.turns)


def _measure_discovery(turns: Turns) -> None:
    for turn in turns.values():
        metrics.TOPICS_DISCOVERED.inc(len(turn.founded))
        metrics.TOPICS_MERGED.inc(len(turn.merged))
        metrics.POSTS_IN_TOPICS.inc(len(turn.placed))
