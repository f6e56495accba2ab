"""Taking a post from behind its idea, within the caller's transaction."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas.domain import ideas as rules
from maru_ideas.domain.ideas import Rest
from maru_ideas.domain.scoring import Weights
from maru_ideas.domain.summarising import quote
from maru_ideas.domain.tally import Heard
from maru_ideas.domain.times import moment
from maru_ideas.domain.voices import voice
from maru_ideas.outbox import Outbox
from maru_ideas.store.ideas import Evidence, IdeaStore, Shown

_QUOTED_FROM = 20
"""Posts among which an idea looks for new words when it loses those it had."""


class Removing:
    """Gives an idea the counts, the score and the words that it has without a post.

    What the post taught the idea's vector stays: sums of many numbers, and no words.
    """

    def __init__(self, *, store: IdeaStore, outbox: Outbox, weights: Weights) -> None:
        self._store = store
        self._outbox = outbox
        self._weights = weights

    async def remove(
        self,
        connection: AsyncConnection,
        post: TaggedPost,
        behind: Evidence,
        *,
        by: str,
        at: datetime,
        wordless: bool = False,
    ) -> None:
        """Take a post away, `wordless` so that no idea keeps its words for want of others."""
        state = (await self._store.states(connection, [behind.idea_id]))[behind.idea_id]
        await self._store.remove_evidence(connection, post.post.id)
        rest = [
            await self._rest(connection, face, behind, post, public=public)
            for face, public in ((state.whole, False), (state.public, True))
            if behind.is_public or not public
        ]
        heard = replace(Heard.of(post), at=moment(behind.at))
        public = rest[1] if behind.is_public else None
        left = rules.unheard(state, heard, rest[0], public, self._weights.half_life)
        if wordless:
            left = rules.unquoted(left, post.post.id)
        seen = rules.seen(left, self._weights)
        shown = Shown(left, seen, rules.seen_in_public(left, self._weights))
        await self._store.save(connection, [shown])
        gone = -(not left.whole.tally.posts), left.is_public - state.is_public
        if any(gone):
            await self._store.count(
                connection, (left.workspace, left.product), ideas=gone[0], public_ideas=gone[1]
            )
        change = rules.change(seen, "evidence_removed", at=at, actor=by, post=post.post.id)
        change = change.model_copy(update={"left_public": left.is_public < state.is_public})
        await self._outbox.add_changes(connection, [change], [rules.words(left).post])

    async def _rest(
        self,
        connection: AsyncConnection,
        face: rules.Face,
        behind: Evidence,
        gone: TaggedPost,
        *,
        public: bool,
    ) -> Rest:
        words = None
        if face.quote.post == gone.post.id:
            offers = await self._store.newest_evidence(
                connection, behind.idea_id, _QUOTED_FROM, public=public
            )
            quotes = [quote(post, similarity) for post, similarity in offers]
            words = max(quotes, key=lambda it: it.worth, default=None)
        return Rest(
            lost_voice=await self._lost_voice(connection, behind, gone, public=public),
            span=await self._store.span(connection, behind.idea_id, public=public),
            quote=words,
        )

    async def _lost_voice(
        self, connection: AsyncConnection, behind: Evidence, gone: TaggedPost, *, public: bool
    ) -> bool:
        post = gone.post
        if post.author is not None and await self._store.speaks(
            connection, behind.idea_id, post.author, post.channel, public=public
        ):
            return False
        scope = "public" if public else "whole"
        await self._store.remove_voice(connection, behind.idea_id, scope, voice(post))
        return True
