"""What people do with ideas, topics and terms, and what they read."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import Status
from maru_contracts.tags import (
    MAX_FORMERLY,
    Mood,
    Section,
    Side,
    TermDefined,
    TopicDefined,
    section_of,
)
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.mentions import Voice, day_of, shares
from maru_ideas.domain.scoring import Weights
from maru_ideas.outbox import Outbox
from maru_ideas.store import discovered, listing, mentions, posts, terms, topics
from maru_ideas.store.ideas import IdeaStore, Shown
from maru_ideas.store.listing import IdeaFilter, Sort
from maru_ideas.store.posts import PostFilter
from maru_ideas.store.terms import StoredTerm
from maru_ideas.store.topics import StoredTopic
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound, Unprocessable


class NoSuchIdea(NotFound):
    """The workspace has no idea of this id, or not in public."""


class NoSuchPost(NotFound):
    """The workspace has no post of this id."""


class NoSuchTopic(NotFound):
    """The workspace has no topic of this name."""


class TopicThere(Conflict):
    """The workspace has a topic of this name already."""


class NothingTellsIt(Unprocessable):
    """The topic has neither a description nor examples."""


class NoSuchTerm(NotFound):
    """The workspace has no watched product, or no correction, of this name."""


class TooManyTerms(Conflict):
    """The section is full."""


_ALWAYS = datetime.fromtimestamp(0, UTC)
"""Since when a default topic is there."""

MAX_TERMS = 1_000
"""Terms in one section of a workspace."""


class Desk:
    """Every call is for one workspace, and sees nothing of another."""

    def __init__(
        self, database: Database, store: IdeaStore, outbox: Outbox, weights: Weights
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._weights = weights

    async def ideas(
        self,
        workspace: str,
        asked: IdeaFilter,
        sort: Sort,
        *,
        after: tuple[float, UUID] | None,
        limit: int,
    ) -> Sequence[RowMapping]:
        """A page of ideas, see `listing.page`."""
        async with self._database.reading() as connection:
            return await listing.page(connection, workspace, asked, sort, after=after, limit=limit)

    async def idea(self, workspace: str, idea: UUID, *, public: bool = False) -> str:
        """One idea as JSON. Raises NoSuchIdea."""
        async with self._database.reading() as connection:
            wire = await listing.find(connection, workspace, idea, public=public)
        if wire is None:
            raise NoSuchIdea(f"There is no idea {idea}.")
        return wire

    async def evidence(
        self,
        workspace: str,
        idea: UUID,
        *,
        public: bool,
        after: tuple[int, UUID] | None,
        limit: int,
    ) -> Sequence[RowMapping]:
        """A page of the posts behind an idea. Raises NoSuchIdea."""
        await self.idea(workspace, idea, public=public)
        async with self._database.reading() as connection:
            return await listing.evidence_page(
                connection, workspace, idea, public=public, after=after, limit=limit
            )

    async def copies(
        self, workspace: str, idea: UUID, *, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[RowMapping]:
        """A page of the posts that spread an idea's posts. Raises NoSuchIdea."""
        await self.idea(workspace, idea)
        async with self._database.reading() as connection:
            return await listing.copies_page(connection, workspace, idea, after=after, limit=limit)

    async def history(
        self, workspace: str, idea: UUID, *, before: int | None, limit: int
    ) -> Sequence[RowMapping]:
        """A page of an idea's changes. Raises NoSuchIdea."""
        await self.idea(workspace, idea)
        async with self._database.reading() as connection:
            return await self._outbox.history(
                connection, workspace, idea, before=before, limit=limit
            )

    async def move(self, workspace: str, idea: UUID, wanted: Status, *, actor: str) -> str:
        """Give an idea another status; return it as JSON.

        Raises NoSuchIdea, or lifecycle.MoveNotAllowed.
        """
        async with self._database.transaction() as connection:
            state = (await self._store.states(connection, [idea])).get(idea)
            if state is None or state.workspace != workspace:
                raise NoSuchIdea(f"There is no idea {idea}.")
            moved = rules.moved(state, wanted)
            whole = rules.seen(moved, self._weights)
            shown = Shown(moved, whole, rules.seen_in_public(moved, self._weights))
            await self._store.save(connection, [shown])
            change = rules.change(whole, "status_changed", at=datetime.now(UTC), actor=actor)
            await self._outbox.add_changes(connection, [change], [rules.words(moved).post])
        return whole.model_dump_json()

    async def posts(
        self,
        workspace: str,
        asked: PostFilter,
        *,
        after: tuple[int, UUID] | None,
        limit: int,
    ) -> Sequence[RowMapping]:
        """A page of posts, see `posts.newest`."""
        async with self._database.reading() as connection:
            return await posts.newest(connection, workspace, asked, after=after, limit=limit)

    async def post(self, workspace: str, post: UUID) -> str:
        """One post as JSON. Raises NoSuchPost."""
        async with self._database.reading() as connection:
            body = await posts.find(connection, workspace, post)
        if body is None:
            raise NoSuchPost(f"There is no post {post}.")
        return body

    async def topics(self, workspace: str) -> list[StoredTopic]:
        """What the workspace's posts are tagged with, by name: its own and the default topics."""
        async with self._database.reading() as connection:
            return await topics.current(connection, workspace)

    async def define_topic(
        self,
        workspace: str,
        name: str,
        examples: Sequence[str] | None = None,
        description: str | None = None,
    ) -> StoredTopic:
        """Define a topic, or define it anew; of one that is there, None leaves what it has.

        Raises NothingTellsIt.
        """
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            before = await self._topic(connection, workspace, name)
            had = before or StoredTopic(name, (), None, since=now)
            defined = TopicDefined(
                workspace=workspace,
                name=name,
                description=had.description if description is None else description,
                examples=had.examples if examples is None else tuple(examples),
                formerly=had.formerly,
                since=had.since or had.updated_at,
                at=now,
            )
            if not (defined.description or defined.examples):
                raise NothingTellsIt("Give the topic a description or examples.")
            await self._define(connection, defined)
        return _stored(defined)

    async def rename_topic(self, workspace: str, name: str, to: str) -> StoredTopic:
        """Call a topic otherwise; what people said of posts' topics goes with it.

        Posts keep the name that they are tagged with until they are tagged anew. Raises
        NoSuchTopic and TopicThere.
        """
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            before = await self._topic(connection, workspace, name)
            if before is None:
                raise NoSuchTopic(f"There is no topic {name}.")
            if to == name:
                return before
            if await self._topic(connection, workspace, to):
                raise TopicThere(f"There is a topic {to} already: give this one another name.")
            names = [it for it in (*before.formerly, name) if it != to]
            renamed = TopicDefined(
                workspace=workspace,
                name=to,
                description=before.description,
                examples=before.examples,
                formerly=tuple(names[-MAX_FORMERLY:]),
                since=before.since or before.updated_at or _ALWAYS,
                at=now,
            )
            await self._define(connection, renamed)
            await self._define(connection, _ended(workspace, name, now))
            await discovered.renamed(connection, workspace, name, to)
        return _stored(renamed)

    async def remove_topic(self, workspace: str, name: str) -> None:
        """Stop tagging a topic, a default one too. Raises NoSuchTopic."""
        async with self._database.transaction() as connection:
            if await self._topic(connection, workspace, name) is None:
                raise NoSuchTopic(f"There is no topic {name}.")
            await self._define(connection, _ended(workspace, name, datetime.now(UTC)))

    async def _topic(
        self, connection: AsyncConnection, workspace: str, name: str
    ) -> StoredTopic | None:
        there = await topics.current(connection, workspace)
        return next((it for it in there if it.name == name), None)

    async def _define(self, connection: AsyncConnection, defined: TopicDefined) -> None:
        await topics.save(connection, self._database, defined)
        await self._outbox.add_definition(connection, defined)

    async def terms(self, workspace: str, section: Section) -> Sequence[StoredTerm]:
        """The workspace's watched products, or its corrections, by name."""
        async with self._database.reading() as connection:
            return await terms.all_of(connection, workspace, section)

    async def define_term(
        self, workspace: str, name: str, meaning: Side | Mood, aliases: Sequence[str]
    ) -> StoredTerm:
        """Define a term, or define it anew. Raises TooManyTerms."""
        defined = TermDefined(
            workspace=workspace,
            name=name,
            meaning=meaning,
            aliases=tuple(aliases),
            at=datetime.now(UTC),
        )
        async with self._database.transaction() as connection:
            known = await terms.all_of(connection, workspace, defined.section)
            if len(known) >= MAX_TERMS and name not in {term.name for term in known}:
                raise TooManyTerms(
                    f"A workspace has room for {MAX_TERMS:,} of these: remove one first."
                )
            await terms.save(connection, self._database, defined)
            await self._outbox.add_definition(connection, defined)
        return StoredTerm(name, meaning, defined.aliases, defined.at)

    async def remove_term(self, workspace: str, name: str, meaning: Side | Mood) -> None:
        """End a term of the section that `meaning` is of. Raises NoSuchTerm."""
        ended = TermDefined(
            workspace=workspace, name=name, meaning=meaning, removed=True, at=datetime.now(UTC)
        )
        async with self._database.transaction() as connection:
            if not await terms.remove(connection, ended):
                kind = {"watch": "watched product", "corrections": "correction"}
                raise NoSuchTerm(f"There is no {kind[section_of(meaning)]} {name}.")
            await self._outbox.add_definition(connection, ended)

    async def share_of_voice(self, workspace: str, first: date, last: date) -> list[Voice]:
        """How often each watched product was mentioned, from the first day to the last (UTC)."""
        async with self._database.reading() as connection:
            return shares(
                await mentions.between(connection, workspace, day_of(first), day_of(last))
            )


def _ended(workspace: str, name: str, at: datetime) -> TopicDefined:
    return TopicDefined(workspace=workspace, name=name, removed=True, at=at)


def _stored(defined: TopicDefined) -> StoredTopic:
    return StoredTopic(
        name=defined.name,
        examples=defined.examples,
        updated_at=defined.at,
        description=defined.description,
        formerly=defined.formerly,
        since=defined.since,
    )
