"""People's corrections of posts' tags: one transaction for the post, its idea and the counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.corrections import KeptPost, Word, corrected, told, uncorrected
from maru_ideas.domain.mentions import changes
from maru_ideas.domain.tally import Heard
from maru_ideas.outbox import Outbox
from maru_ideas.service.copying import Copying
from maru_ideas.service.desk import NoSuchPost
from maru_ideas.service.intake import Intake
from maru_ideas.service.removing import Removing
from maru_ideas.store import copies, mentions, posts, topics
from maru_ideas.store.ideas import IdeaStore
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound, Unprocessable

MAX_CORRECTIONS = 10_000
"""Posts of one workspace whose tags people have corrected."""


class NotCorrected(NotFound):
    """Nobody has corrected the post's tags."""


class TooManyCorrections(Conflict):
    """The workspace's corrections are full."""


class UnknownTopic(Unprocessable):
    """The workspace has no topic of this name."""


class AtOnce(Conflict):
    """Another idea was founded at the same moment."""


class Correcting:
    """Takes people's words on tags. Saying the same again changes nothing."""

    def __init__(
        self,
        *,
        database: Database,
        store: IdeaStore,
        outbox: Outbox,
        intake: Intake,
        copying: Copying,
        removing: Removing,
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._intake = intake
        self._copying = copying
        self._removing = removing

    async def correct(self, workspace: str, post: UUID, word: Word, *, by: str) -> str:
        """Give a post a person's tags, in place of all that anyone said of it; return it as JSON.

        Raises NoSuchPost, UnknownTopic, TooManyCorrections.
        """
        now = datetime.now(UTC)
        async with self._changing() as connection:
            before = await self._post(connection, workspace, post)
            if before.correction is not None and before.correction.word == word:
                return _shown(before)
            word = await self._named_now(connection, workspace, word)
            await self._check_room(connection, workspace, before)
            after = corrected(before, word, by=by, at=now)
            await self._change(connection, before, after, by=by, at=now)
        return _shown(after)

    async def take_back(self, workspace: str, post: UUID, *, by: str) -> None:
        """Give a post the models' own tags again. Raises NoSuchPost, NotCorrected."""
        now = datetime.now(UTC)
        async with self._changing() as connection:
            before = await self._post(connection, workspace, post)
            if before.correction is None:
                raise NotCorrected(f"Nobody has corrected the tags of the post {post}.")
            await self._change(connection, before, uncorrected(before), by=by, at=now)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.transaction() as connection:
                yield connection
        except IntegrityError as error:
            raise AtOnce("Another post founded an idea at the same moment: try again") from error

    async def _post(self, connection: AsyncConnection, workspace: str, post: UUID) -> KeptPost:
        found = (await posts.stored(connection, [post])).get(post)
        if found is None or found.post.workspace != workspace:
            raise NoSuchPost(f"There is no post {post}.")
        return found

    async def _named_now(self, connection: AsyncConnection, workspace: str, word: Word) -> Word:
        """Put the names that topics have now in place of those that they had."""
        if not word.topics:
            return word
        there = await topics.current(connection, workspace)
        names = {former: it.name for it in there for former in it.formerly}
        names |= {it.name: it.name for it in there}
        if unknown := sorted(set(word.topics) - names.keys()):
            raise UnknownTopic(f"There is no topic {unknown[0]}: define it first.")
        return replace(word, topics=tuple(dict.fromkeys(names[it] for it in word.topics)))

    async def _check_room(
        self, connection: AsyncConnection, workspace: str, before: KeptPost
    ) -> None:
        if before.correction is not None:
            return
        if await posts.corrections(connection, workspace) >= MAX_CORRECTIONS:
            raise TooManyCorrections(
                f"A workspace has room for {MAX_CORRECTIONS:,} corrected posts: "
                "take some corrections back first."
            )

    async def _change(
        self,
        connection: AsyncConnection,
        before: KeptPost,
        after: KeptPost,
        *,
        by: str,
        at: datetime,
    ) -> None:
        await posts.replace(connection, [after])
        behind = (await self._store.evidence_of(connection, [after.post.id])).get(after.post.id)
        copy = (await copies.of(connection, [after.post.id])).get(after.post.id)
        asks = self._intake.rules.asks(after)
        if not asks:
            await self._copying.leave(connection, before, at=at)
        if behind is None and copy is None and asks:
            await self._intake.back(connection, after, by=by, at=at)
        elif behind is not None and asks and Heard.of(after) != Heard.of(before):
            await self._intake.change(connection, before, after, behind, by=by, at=at)
        elif behind is not None and not asks:
            await self._removing.remove(connection, before, behind, by=by, at=at)
        await self._outbox.add_definition(connection, told(after, by=by, at=at))
        await mentions.add(connection, self._database, changes([Arrival(after, before)]))


def _shown(kept: KeptPost) -> str:
    return kept.model_dump_json(exclude={"embedding"})
