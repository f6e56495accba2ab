"""Posts that their sources took away: nothing of them is left, and none comes back."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.posts import Post
from maru_contracts.tags import TaggedPost
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.corrections import KeptPost, ended
from maru_ideas.domain.ideas import MATCHER
from maru_ideas.domain.mentions import losses
from maru_ideas.domain.scoring import Weights
from maru_ideas.outbox import Outbox
from maru_ideas.service.copying import Copying
from maru_ideas.service.discovering import Discovering
from maru_ideas.service.index import Held
from maru_ideas.service.removing import Removing
from maru_ideas.store import deletions, mentions, posts
from maru_ideas.store.ideas import Evidence, IdeaStore, Shown
from maru_kit.database import Database


class Deleting:
    """Takes tombstones, within the transaction that takes posts. Twice is once."""

    def __init__(
        self,
        *,
        database: Database,
        store: IdeaStore,
        outbox: Outbox,
        discovering: Discovering,
        copying: Copying,
        removing: Removing,
        weights: Weights,
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._discovering = discovering
        self._copying = copying
        self._removing = removing
        self._weights = weights

    async def end(
        self, connection: AsyncConnection, held: Held, tombstones: Sequence[TaggedPost]
    ) -> int:
        """Delete posts with all that is of them; return how many there were.

        One that has not come yet is remembered, and will not be let in.
        """
        gone = {it.post.id: it.post for it in reversed(tombstones)}
        await deletions.remember(connection, self._database, list(gone.values()))
        stored = await posts.stored(connection, gone.keys())
        if not stored:
            return 0
        there = [stored[post] for post in reversed(gone) if post in stored]
        for kept in there:
            await self._end(connection, kept, gone[kept.post.id])
        await deletions.forget(connection, stored.keys())
        await self._discovering.forget(connection, held, there)
        # Last, as other partitions' writers wait for these rows until the transaction ends.
        await mentions.add(connection, self._database, losses(there))
        return len(there)

    async def _end(self, connection: AsyncConnection, kept: KeptPost, end: Post) -> None:
        await self._copying.leave(connection, kept, at=end.collected_at)
        behind = (await self._store.evidence_of(connection, [end.id])).get(end.id)
        if behind is not None:
            await self._removing.remove(
                connection, kept, behind, by=MATCHER, at=end.collected_at, wordless=True
            )
        await self._unquote(connection, kept, behind)
        if kept.correction is not None:
            told = ended(kept, by=MATCHER, at=end.collected_at)
            await self._outbox.add_definition(connection, told)

    async def _unquote(
        self, connection: AsyncConnection, kept: KeptPost, behind: Evidence | None
    ) -> None:
        """Take the post's words out of history, and from ideas that it is no longer behind."""
        post = kept.post.id
        quoting = await self._outbox.unquote(connection, post, behind.idea_id if behind else None)
        states = await self._store.states(connection, quoting)
        shown = []
        for state in states.values():
            left = rules.unquoted(state, post)
            if left != state:
                public = rules.seen_in_public(left, self._weights)
                shown.append(Shown(left, rules.seen(left, self._weights), public))
        await self._store.save(connection, shown)
