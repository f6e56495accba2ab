"""What ideas are when posts come to stand behind them, within the caller's transaction."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import ChangeKind, IdeaChanged
from maru_contracts.tags import TaggedPost
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.ideas import Backed, NewVoices
from maru_ideas.domain.scoring import Weights
from maru_ideas.domain.summarising import Quote, quote
from maru_ideas.domain.tally import Heard, Place, Spread, is_public, written_at
from maru_ideas.domain.times import micros
from maru_ideas.domain.voices import voice
from maru_ideas.outbox import Outbox
from maru_ideas.service.index import ShelfName
from maru_ideas.store.ideas import Evidence, IdeaStore, Shown

Spoken = tuple[UUID, str, str]
"""Idea, scope (whole or public) and voice."""


@dataclass(frozen=True)
class Touch:
    """Something that happens to an idea because of a post.

    `before` is what an edited one was counted as; `carries` says that the post is no evidence, and
    spreads the words of some.
    """

    idea: UUID
    tagged: TaggedPost
    similarity: float
    offer: Quote | None = None
    founds: bool = False
    before: Heard | None = None
    carries: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the post becomes evidence."""
        return self.before is None and not self.carries

    @property
    def kind(self) -> ChangeKind:
        """What the event says."""
        if not self.is_new:
            return "evidence_changed"
        return "created" if self.founds else "evidence_added"


@dataclass(frozen=True)
class Why:
    """The post because of which copies are counted elsewhere, and when that is."""

    post: UUID
    is_public: bool
    at: datetime

    @classmethod
    def of(cls, tagged: TaggedPost, at: datetime | None = None) -> Self:
        """Because of a post: when it was collected, or at another time."""
        post = tagged.post
        return cls(post.id, is_public(post.channel), at or post.collected_at)


class Counting:
    """Gives ideas the counts, the score and the words that they have with more posts."""

    def __init__(self, *, store: IdeaStore, outbox: Outbox, weights: Weights) -> None:
        self._store = store
        self._outbox = outbox
        self._weights = weights

    async def back(
        self,
        connection: AsyncConnection,
        touches: Sequence[Touch],
        *,
        by: str = rules.MATCHER,
        at: datetime | None = None,
    ) -> None:
        """Put posts behind ideas, and count those that are there as what they say now.

        `at` is when that happens: by itself when the post was collected.
        """
        new = [evidence_of(it) for it in touches if it.is_new]
        await self._store.add_evidence(connection, new)
        await self._apply(connection, touches, by=by, at=at)

    async def carry(
        self, connection: AsyncConnection, idea: UUID, spread: Spread, step: int, why: Why
    ) -> None:
        """Count copies and reposts that come (`step` 1) or go (-1)."""
        state = (await self._store.states(connection, [idea]))[idea]
        after = rules.carried(state, spread, step, public=why.is_public)
        seen = rules.seen(after, self._weights)
        shown = Shown(after, seen, rules.seen_in_public(after, self._weights))
        await self._store.save(connection, [shown])
        change = rules.change(seen, "evidence_changed", at=why.at, post=why.post)
        await self._outbox.add_changes(connection, [change], [rules.words(after).post])

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
            whole = rules.seen(state, self._weights)
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
        if touch.carries:
            why = Why.of(touch.tagged)
            return rules.carried(state, {Place.of(touch.tagged.post): 1}, 1, public=why.is_public)
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
            self._weights.half_life,
        )

    def _with_public(self, one: Shown) -> Shown:
        return replace(one, public=rules.seen_in_public(one.state, self._weights))

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


def _founded(touch: Touch) -> Backed:
    post = touch.tagged.post
    return Backed(id=touch.idea, workspace=post.workspace, product=post.product)


def evidence_of(touch: Touch) -> Evidence:
    """That the post stands behind the idea."""
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
        if touch.is_new:
            speaker = voice(touch.tagged.post)
            yield touch.idea, "whole", speaker
            if is_public(touch.tagged.post.channel):
                yield touch.idea, "public", speaker
