"""From tagged posts to ideas: one batch, one transaction, every effect and the position in it."""

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from time import perf_counter
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import ChangeKind, IdeaChanged
from maru_contracts.tags import TaggedPost
from maru_ideas import metrics
from maru_ideas.domain import ideas as rules
from maru_ideas.domain import terms
from maru_ideas.domain.arrivals import Arrival, arrivals, news
from maru_ideas.domain.corrections import still_corrected
from maru_ideas.domain.ideas import Backed, NewVoices
from maru_ideas.domain.matching import Shelf, idea_id
from maru_ideas.domain.mentions import changes
from maru_ideas.domain.scoring import Weights
from maru_ideas.domain.space import Space, Vectors
from maru_ideas.domain.summarising import Quote, quote
from maru_ideas.domain.tally import Heard, is_public, written_at
from maru_ideas.domain.times import micros
from maru_ideas.domain.voices import voice
from maru_ideas.outbox import Outbox
from maru_ideas.service.deleting import Deleting
from maru_ideas.service.discovering import Discovering, Turns
from maru_ideas.service.index import Held, Index, ShelfName
from maru_ideas.service.removing import Removing
from maru_ideas.store import deletions, mentions, posts
from maru_ideas.store.ideas import Evidence, IdeaStore, Shape, Shown
from maru_ideas.store.positions import StoredPositions
from maru_kit.crash import crash_point
from maru_kit.database import Database
from maru_kit.stream import Batch

Spoken = tuple[UUID, str, str]
"""Idea, scope (whole or public) and voice."""


@dataclass(frozen=True)
class Rules:
    """What decides: the space of comparison, the gates, the weights of the score."""

    space: Space
    weights: Weights
    min_suggestion: float
    min_problem: float


@dataclass(frozen=True)
class Touch:
    """Something that happens to an idea because of a post. `before` is None for new evidence."""

    idea: UUID
    tagged: TaggedPost
    similarity: float
    offer: Quote | None = None
    founds: bool = False
    before: Heard | None = None

    @property
    def kind(self) -> ChangeKind:
        """What the event says."""
        if self.before is not None:
            return "evidence_changed"
        return "created" if self.founds else "evidence_added"


@dataclass(frozen=True)
class Outcome:
    """What a run of posts, or of tombstones, brought about."""

    repeated: int = 0
    arrived: Sequence[Arrival] = ()
    touches: Sequence[Touch] = ()
    turns: Turns = field(default_factory=dict)
    ended: int = 0


class Intake:
    """Takes batches of tagged posts. Running a batch twice is running it once."""

    def __init__(
        self,
        *,
        database: Database,
        positions: StoredPositions,
        store: IdeaStore,
        outbox: Outbox,
        index: Index,
        discovering: Discovering,
        removing: Removing,
        deleting: Deleting,
        rules: Rules,
    ) -> None:
        self._database = database
        self._positions = positions
        self._store = store
        self._outbox = outbox
        self._index = index
        self._discovering = discovering
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
        touches: list[Touch] = []
        for leaves, run in groupby(arrived, key=lambda it: self._leaves(it, backing)):
            if leaves:
                for arrival in run:
                    touches += await self._leave(connection, held, arrival)
            else:
                touches += await self._join(connection, held, list(run))
        turns = await self._discovering.absorb(connection, held, arrived)
        # Last, as other partitions' writers wait for these rows until the transaction ends.
        await mentions.add(connection, self._database, changes(arrived))
        return Outcome(len(messages) - len(arrived), arrived, touches, turns)

    def _leaves(self, arrival: Arrival, backing: Mapping[UUID, Evidence]) -> bool:
        """Whether a post that may be evidence asks for nothing any more, or is somebody else's."""
        before, tagged = arrival.before, arrival.tagged
        if before is None or not (tagged.post.id in backing or self.asks(before)):
            return False
        return not self.asks(tagged) or voice(tagged.post) != voice(before.post)

    async def _join(
        self, connection: AsyncConnection, held: Held, arrived: Sequence[Arrival]
    ) -> list[Touch]:
        """Put posts behind ideas, and count those that are there as what they say now."""
        revised = {it.tagged.post.id for it in arrived if it.before is not None}
        backing = await self._store.evidence_of(connection, revised)
        touches = await self._match(connection, held, arrived, backing)
        await posts.add(connection, [it.tagged for it in arrived if it.before is None])
        await posts.replace(connection, _latest(it.tagged for it in arrived if it.before))
        await self._store.add_evidence(
            connection, [_evidence(it) for it in touches if not it.before]
        )
        await self._apply(connection, touches)
        return touches

    async def _leave(
        self, connection: AsyncConnection, held: Held, arrival: Arrival
    ) -> list[Touch]:
        """Take an edited post from behind its idea; one of another voice comes back as its own."""
        before, tagged = arrival.before, arrival.tagged
        behind = (await self._store.evidence_of(connection, [tagged.post.id])).get(tagged.post.id)
        if before is None or behind is None:
            return await self._join(connection, held, [arrival])
        await posts.replace(connection, [tagged])
        await self._removing.remove(
            connection,
            before,
            behind,
            by=rules.MATCHER,
            at=tagged.post.collected_at,
            wordless=True,
        )
        if not self.asks(tagged):
            return []
        touch = Touch(behind.idea_id, tagged, behind.similarity)
        await self._store.add_evidence(connection, [_evidence(touch)])
        await self._apply(connection, [touch])
        return [touch]

    async def _news(
        self, connection: AsyncConnection, messages: Sequence[TaggedPost]
    ) -> list[Arrival]:
        known = await posts.known(connection, {tagged.post.id for tagged in messages})
        gone = await deletions.known(connection, {it.post.id for it in messages} - known.keys())
        new = news([it for it in messages if it.post.id not in gone], known)
        stored = await posts.stored(connection, {it.post.id for it in new} & known.keys())
        words = {post: kept.correction for post, kept in stored.items()}
        return arrivals([still_corrected(it, words.get(it.post.id)) for it in new], stored)

    def asks(self, tagged: TaggedPost) -> bool:
        """Whether a post becomes evidence."""
        by = self.rules
        return rules.asks(tagged, suggestion=by.min_suggestion, problem=by.min_problem)

    async def back(
        self, connection: AsyncConnection, tagged: TaggedPost, *, by: str, at: datetime
    ) -> None:
        """Make a stored post evidence because a person says so, of the nearest idea or a new one.

        It shapes no idea that is there: whoever takes batches has their vectors in memory.
        """
        name = _shelf_name(tagged)
        shelf = await self._index.load(connection, name)
        vector = self._vectors([tagged])[id(tagged)]
        place, touch = await asyncio.to_thread(_placed, self.rules.space, shelf, tagged, vector)
        if touch.founds:
            await self._store.save_shapes(connection, [_shape(shelf, name, place)])
        await self._store.add_evidence(connection, [_evidence(touch)])
        await self._apply(connection, [touch], by=by, at=at)

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
        await self._apply(connection, [touch], by=by, at=at)

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
            elif post not in owners and self.asks(tagged):
                name = _shelf_name(tagged)
                place, touch = _placed(space, shelves[name], tagged, vectors[id(tagged)])
                owners[post] = (touch.idea, touch.similarity)
                touches.append(touch)
                moved[name, place] = None
        return touches, [_shape(shelves[name], name, place) for name, place in moved]

    def _vectors(self, tagged: Sequence[TaggedPost]) -> dict[int, Vectors]:
        asking = [one for one in tagged if self.asks(one)]
        if not asking:
            return {}
        packed = b"".join(b64decode(one.embedding) for one in asking)
        embeddings = np.frombuffer(packed, np.int8).reshape(len(asking), -1)
        texts = [_words(one) for one in asking]
        vectors = self.rules.space.vectors(embeddings, texts)
        return {id(one): vector for one, vector in zip(asking, vectors, strict=True)}

    async def _apply(
        self,
        connection: AsyncConnection,
        touches: Sequence[Touch],
        *,
        by: str = rules.MATCHER,
        at: datetime | None = None,
    ) -> None:
        founded = {it.idea for it in touches if it.founds}
        states = await self._store.states(connection, {it.idea for it in touches} - founded)
        were_empty = {idea for idea, state in states.items() if not state.whole.tally.posts}
        were_public = {idea for idea, state in states.items() if state.is_public}
        new_voices = await self._store.add_voices(connection, _spoken(touches))
        shown: dict[UUID, Shown] = {}
        changes: list[IdeaChanged] = []
        quoted: list[UUID | None] = []
        for touch in touches:
            state = self._touched(states.get(touch.idea) or _founded(touch), touch, new_voices)
            states[touch.idea] = state
            whole = rules.seen(state, self.rules.weights)
            shown[touch.idea] = Shown(state, whole, None)
            post = touch.tagged.post
            when = at or post.collected_at
            changes.append(rules.change(whole, touch.kind, at=when, actor=by, post=post.id))
            quoted.append(rules.words(state).post)
        final = [self._with_public(one) for one in shown.values()]
        await self._store.save(connection, final)
        await self._count(connection, final, founded | were_empty, were_public)
        await self._outbox.add_changes(connection, changes, quoted)

    def _touched(self, state: Backed, touch: Touch, new_voices: set[Spoken]) -> Backed:
        if touch.before is not None:
            return rules.corrected(state, touch.before, touch.tagged, touch.similarity)
        speaker = voice(touch.tagged.post)
        first = {scope: (touch.idea, scope, speaker) in new_voices for scope in ("whole", "public")}
        if is_public(touch.tagged.post.channel):
            new_voices.discard((touch.idea, "public", speaker))
        new_voices.discard((touch.idea, "whole", speaker))
        return rules.heard(
            state,
            touch.tagged,
            touch.offer or quote(touch.tagged, touch.similarity),
            NewVoices(whole=first["whole"], public=first["public"]),
            self.rules.weights.half_life,
        )

    def _with_public(self, one: Shown) -> Shown:
        return replace(one, public=rules.seen_in_public(one.state, self.rules.weights))

    async def _count(
        self,
        connection: AsyncConnection,
        shown: Sequence[Shown],
        listed: set[UUID],
        were_public: set[UUID],
    ) -> None:
        added: Counter[ShelfName] = Counter()
        opened: Counter[ShelfName] = Counter()
        for one in shown:
            name = (one.state.workspace, one.state.product)
            added[name] += one.state.id in listed
            opened[name] += one.state.is_public and one.state.id not in were_public
        for name in sorted(name for name in added if added[name] or opened[name]):
            await self._store.count(connection, name, ideas=added[name], public_ideas=opened[name])


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


def _founded(touch: Touch) -> Backed:
    post = touch.tagged.post
    return Backed(id=touch.idea, workspace=post.workspace, product=post.product)


def _evidence(touch: Touch) -> Evidence:
    post = touch.tagged.post
    return Evidence(
        post_id=post.id,
        idea_id=touch.idea,
        similarity=round(touch.similarity, 4),
        at=micros(written_at(post)),
        is_public=is_public(post.channel),
    )


def _spoken(touches: Sequence[Touch]) -> Iterator[Spoken]:
    for touch in touches:
        if touch.before is None:
            speaker = voice(touch.tagged.post)
            yield touch.idea, "whole", speaker
            if is_public(touch.tagged.post.channel):
                yield touch.idea, "public", speaker


def _latest(tagged: Iterable[TaggedPost]) -> list[TaggedPost]:
    return list({one.post.id: one for one in tagged}.values())


def _measure(outcome: Outcome) -> None:
    now = datetime.now(UTC)
    for touch in outcome.touches:
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
