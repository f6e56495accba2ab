"""What people do with ideas, topics and terms, and what they read."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import RowMapping

from maru_contracts.default_topics import DEFAULT_TOPICS
from maru_contracts.ideas import Status
from maru_contracts.tags import Mood, Section, Side, TermDefined, TopicDefined, section_of
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.mentions import Voice, day_of, shares
from maru_ideas.domain.scoring import Weights
from maru_ideas.outbox import Outbox
from maru_ideas.store import listing, mentions, posts, terms, topics
from maru_ideas.store.ideas import IdeaStore, Shown
from maru_ideas.store.listing import IdeaFilter, Sort
from maru_ideas.store.posts import PostFilter
from maru_ideas.store.terms import StoredTerm
from maru_ideas.store.topics import StoredTopic
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound


class NoSuchIdea(NotFound):
    """The workspace has no idea of this id, or not in public."""


class NoSuchPost(NotFound):
    """The workspace has no post of this id."""


class NoSuchTopic(NotFound):
    """The workspace has no topic of this name."""


class NoSuchTerm(NotFound):
    """The workspace has no watched product, or no correction, of this name."""


class TooManyTerms(Conflict):
    """The section is full."""


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
            stored = await topics.all_of(connection, workspace)
        known = {topic.name for topic in stored}
        default = [
            StoredTopic(name, examples, None)
            for name, examples in DEFAULT_TOPICS.items()
            if name not in known
        ]
        return sorted(
            (topic for topic in [*stored, *default] if topic.examples), key=lambda it: it.name
        )

    async def define_topic(self, workspace: str, name: str, examples: Sequence[str]) -> StoredTopic:
        """Define a topic, or define it anew."""
        defined = TopicDefined(
            workspace=workspace, name=name, examples=tuple(examples), at=datetime.now(UTC)
        )
        async with self._database.transaction() as connection:
            await topics.save(connection, self._database, defined)
            await self._outbox.add_definition(connection, defined)
        return StoredTopic(name=name, examples=defined.examples, updated_at=defined.at)

    async def remove_topic(self, workspace: str, name: str) -> None:
        """Stop tagging a topic, a default one too. Raises NoSuchTopic."""
        if name not in {topic.name for topic in await self.topics(workspace)}:
            raise NoSuchTopic(f"There is no topic {name}.")
        ended = TopicDefined(workspace=workspace, name=name, removed=True, at=datetime.now(UTC))
        async with self._database.transaction() as connection:
            await topics.save(connection, self._database, ended)
            await self._outbox.add_definition(connection, ended)

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
