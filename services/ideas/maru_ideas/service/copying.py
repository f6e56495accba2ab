"""Posts with another's words: such a post spreads a voice, and is none of its own."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.ideas import MATCHER
from maru_ideas.domain.tally import Place
from maru_ideas.domain.wordings import Wording, Words
from maru_ideas.service.comparing import Comparing, Looked, Member, Standing
from maru_ideas.service.counting import Counting, Touch, Why
from maru_ideas.service.removing import Removing
from maru_ideas.store import copies, posts
from maru_ideas.store.copies import Copy
from maru_ideas.store.ideas import Evidence, IdeaStore
from maru_kit.errors import Conflict


class MovedOn(Conflict):
    """Somebody took the original of a copy from behind its idea at the same moment."""


@dataclass(frozen=True)
class Former:
    """What a post was until it was edited; `carrier` is what its voice stood behind."""

    copy: Copy | None
    carrier: Evidence


class Copying:
    """Keeps which posts have another's words, within the caller's transaction."""

    def __init__(
        self, *, store: IdeaStore, comparing: Comparing, counting: Counting, removing: Removing
    ) -> None:
        self._store = store
        self._comparing = comparing
        self._counting = counting
        self._removing = removing

    async def spread(
        self,
        connection: AsyncConnection,
        looked: Looked,
        arrived: Sequence[Arrival],
        touches: Sequence[Touch],
    ) -> list[Touch]:
        """Note which of some posts have another's words; return what happens to ideas, in order.

        `touches` are those of the other posts. Raises MovedOn.
        """
        came = [it.tagged for it in arrived if it.tagged.post.id in looked.follows]
        came = [it for it in came if it.post.id not in looked.closely]
        if not came:
            return list(touches)
        new = await self._follow_all(connection, [looked.follows[it.post.id] for it in came])
        await copies.add(
            connection,
            [(new[it.post.id], it.post.repost_of is not None) for it in came],
        )
        ideas = {it.tagged.post.id: it.idea for it in touches}
        for carrier in await self._carriers(
            connection, {it.original for it in new.values()} - ideas.keys()
        ):
            ideas[carrier.post_id] = carrier.idea_id
        carried = [Touch(ideas[new[it.post.id].original], it, 0.0, carries=True) for it in came]
        places = {id(it.tagged): at for at, it in enumerate(arrived)}
        return sorted([*touches, *carried], key=lambda it: places[id(it.tagged)])

    async def _follow_all(
        self, connection: AsyncConnection, noted: Sequence[Copy]
    ) -> dict[UUID, Copy]:
        """The copies as they are by now: what they follow may follow another since."""
        there = await copies.of(connection, {it.words_of for it in noted})
        new: dict[UUID, Copy] = {}
        for copy in noted:
            first = there.get(copy.words_of) or new.get(copy.words_of)
            original = first.original if first else copy.words_of
            new[copy.post] = replace(copy, original=original)
        return new

    async def follow(self, connection: AsyncConnection, tagged: TaggedPost, first: Member) -> Touch:
        """Note that a post has the words of another, and count it there. Raises MovedOn."""
        carrier = await self._carrier(connection, first.original)
        copy = Copy(tagged.post.id, first.post, first.original)
        await copies.add(connection, [(copy, tagged.post.repost_of is not None)])
        touch = Touch(carrier.idea_id, tagged, 0.0, carries=True)
        await self._counting.back(connection, [touch])
        return touch

    async def step_up(
        self,
        connection: AsyncConnection,
        tagged: TaggedPost,
        behind: Evidence,
        *,
        by: str = MATCHER,
        at: datetime | None = None,
    ) -> Touch:
        """Put a post that has words of its own behind the idea that others brought them to."""
        touch = Touch(behind.idea_id, tagged, behind.similarity)
        await self._counting.back(connection, [touch], by=by, at=at)
        return touch

    async def lead(
        self,
        connection: AsyncConnection,
        tagged: TaggedPost,
        standing: Standing,
        former: Former | None = None,
    ) -> None:
        """Let those with a post's words that come after it follow it, and let it be found."""
        root = standing.first.original if standing.first else tagged.post.id
        if former is not None:
            await self._bring(connection, tagged, former, root)
        for member in standing.later:
            await self._demote(connection, tagged, member, root)
        await self._comparing.let_be_found(connection, standing)

    async def leave(
        self,
        connection: AsyncConnection,
        gone: TaggedPost,
        *,
        at: datetime,
        instead: TaggedPost | None = None,
    ) -> Former | None:
        """Take a post from among those with its words, not from behind its idea.

        Of those that have its words others carry the voice on, in the same idea; `instead` is what
        the post says from now on, and those that say it, too, stay with it.
        """
        post = gone.post.id
        copy = (await copies.of(connection, [post])).get(post)
        there = await self._store.evidence_of(connection, [post])
        if copy is None and post not in there:
            return None
        original = copy.original if copy else post
        carrier = await self._carrier(connection, original)
        await copies.forget(connection, Wording.of(gone.post))
        why = Why.of(gone, at)
        await self._settle(connection, why, carrier, Wording.of(instead.post) if instead else None)
        if copy is not None:
            await copies.remove(connection, post)
            place = {Place.of(gone.post): 1}
            await self._counting.carry(connection, carrier.idea_id, place, -1, why)
        return Former(copy, carrier)

    async def _carrier(self, connection: AsyncConnection, original: UUID) -> Evidence:
        """What carries a voice, its idea locked until the transaction ends. Raises MovedOn."""
        (carrier,) = await self._carriers(connection, [original])
        return carrier

    async def _carriers(
        self, connection: AsyncConnection, originals: Collection[UUID]
    ) -> Collection[Evidence]:
        there = await self._store.evidence_of(connection, originals)
        await self._store.states(connection, {it.idea_id for it in there.values()})
        there = await self._store.evidence_of(connection, originals)
        if len(there) < len(originals):
            raise MovedOn("An original has just ceased to be evidence: try again")
        return there.values()

    async def _demote(
        self, connection: AsyncConnection, tagged: TaggedPost, member: Member, root: UUID
    ) -> None:
        """Let a post that carried a voice follow another, with all that followed it."""
        post = (await posts.stored(connection, [member.post]))[member.post]
        behind = await self._carrier(connection, member.post)
        followers = await copies.carried_by(connection, member.post)
        to, why = await self._carrier(connection, root), Why.of(tagged)
        await self._hand_over(connection, why, followers.keys(), behind, to)
        await self._removing.remove(
            connection, post, behind, by=MATCHER, at=tagged.post.collected_at
        )
        copy = Copy(post.post.id, tagged.post.id, root)
        await copies.add(connection, [(copy, member.wording.is_repost)])
        await self._counting.carry(
            connection, to.idea_id, {Place.of(post.post): 1}, 1, replace(why, post=post.post.id)
        )
        if member.wording.repeats(Wording.of(tagged.post)):
            await copies.forget(connection, member.wording)

    async def _bring(
        self, connection: AsyncConnection, tagged: TaggedPost, former: Former, root: UUID
    ) -> None:
        """Take along those that have a post's words when its voice is carried by another now."""
        carried = await copies.carried_by(connection, former.carrier.post_id)
        followers = _tree(carried, tagged.post.id)
        if former.carrier.post_id != root and followers:
            to = await self._carrier(connection, root)
            await self._hand_over(connection, Why.of(tagged), followers, former.carrier, to)

    async def _hand_over(
        self,
        connection: AsyncConnection,
        why: Why,
        followers: Collection[UUID],
        of: Evidence,
        to: Evidence,
    ) -> None:
        """Let another post carry the voice that copies spread, and count them behind its idea."""
        if of.idea_id != to.idea_id and followers:
            spread = await copies.spread(connection, followers)
            await self._counting.carry(connection, of.idea_id, spread, -1, why)
            await self._counting.carry(connection, to.idea_id, spread, 1, why)
        await copies.hand_over(connection, followers, to.post_id)

    async def _settle(
        self,
        connection: AsyncConnection,
        why: Why,
        carrier: Evidence,
        instead: Wording | None,
    ) -> None:
        """Find whose words those have that had the words of a post; the first come first."""
        carried = await copies.carried_by(connection, carrier.post_id)
        mine = [it.post for it in carried.values() if it.words_of == why.post]
        wordings = await copies.wordings(connection, mine)
        heirs: dict[tuple[UUID, Words | None], Copy] = {}
        for wording in sorted(wordings.values(), key=lambda it: it.rank):
            stays = instead is not None and instead.rank < wording.rank
            if instead is not None and stays and instead.has_words_of(wording):
                if not wording.repeats(instead):
                    await self._comparing.write(connection, wording, wording.prints())
                continue
            followers = _tree(carried, wording.post)
            heir = heirs.get((wording.work, wording.words))
            if heir is None:
                heir = await self._heir(connection, why, carrier, wording, followers)
                heirs[wording.work, wording.words] = heir
            else:
                to = await self._carrier(connection, heir.original)
                moved = [wording.post, *followers]
                await self._hand_over(connection, why, moved, carrier, to)
                await copies.rewrite(connection, wording.post, heir.post)

    async def _heir(
        self,
        connection: AsyncConnection,
        why: Why,
        carrier: Evidence,
        wording: Wording,
        followers: Collection[UUID],
    ) -> Copy:
        """Let a post that had the words of one that is gone have another's, or its own."""
        standing = await self._comparing.standing(connection, wording, without=why.post)
        post, first = wording.post, standing.first
        if first is not None:
            to = await self._carrier(connection, first.original)
            await self._hand_over(connection, why, [post, *followers], carrier, to)
            await copies.rewrite(connection, post, first.post)
            await self._comparing.let_be_found(connection, standing)
            return Copy(post, first.post, first.original)
        tagged = (await posts.stored(connection, [post]))[post]
        await copies.remove(connection, post)
        place = {Place.of(tagged.post): 1}
        heir = replace(why, post=post)
        await self._counting.carry(connection, carrier.idea_id, place, -1, heir)
        await self.step_up(connection, tagged, carrier, at=why.at)
        await copies.hand_over(connection, followers, post)
        await self.lead(connection, tagged, replace(standing, later=()))
        return Copy(post, post, post)


def _tree(carried: Mapping[UUID, Copy], top: UUID) -> list[UUID]:
    """The posts with the words of one, and with theirs, and so on."""
    below: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for copy in carried.values():
        below[copy.words_of].append(copy.post)
    tree = list(below[top])
    for post in tree:
        tree += below[post]
    return tree
