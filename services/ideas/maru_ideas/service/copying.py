"""Which posts have another's words: such a post spreads a voice, and is none of its own.

A post that asks for something is a copy exactly if another that does, and comes first (see
`Wording.rank`), has its words; so which posts are voices does not depend on the order in which they
came. What this decides is written within the caller's transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.ideas import MATCHER
from maru_ideas.domain.sketches import Sketches
from maru_ideas.domain.tally import Place
from maru_ideas.domain.wordings import Wording, Words
from maru_ideas.service.counting import Counting, Touch, Why
from maru_ideas.service.removing import Removing
from maru_ideas.store import copies, posts
from maru_ideas.store.copies import Copy
from maru_ideas.store.ideas import Evidence, IdeaStore
from maru_kit.database import Database
from maru_kit.errors import Conflict


class MovedOn(Conflict):
    """Somebody took the original of a copy from behind its idea at the same moment."""


@dataclass(frozen=True)
class Member:
    """A post that carries a voice (`evidence`) or spreads another's (`copy`), and what it says."""

    wording: Wording
    copy: Copy | None
    evidence: Evidence | None

    @property
    def post(self) -> UUID:
        """Its id."""
        return self.wording.post

    @property
    def original(self) -> UUID:
        """The post that carries the voice."""
        return self.copy.original if self.copy else self.post


@dataclass(frozen=True)
class Standing:
    """Where a post stands among those with its words.

    `first` has them before it; `later` carry a voice, and come after it; `prints` are those by
    which it shall be found.
    """

    wording: Wording
    first: Member | None
    later: Sequence[Member]
    prints: Collection[int]

    @property
    def behind(self) -> Evidence | None:
        """What the first that comes after it stood behind until now."""
        return self.later[0].evidence if self.later else None


@dataclass(frozen=True)
class Former:
    """What a post was until it was edited; `carrier` is what its voice stood behind."""

    copy: Copy | None
    carrier: Evidence


@dataclass(frozen=True)
class Looked:
    """Which of the posts that came have to be looked at one by one, and the others' prints."""

    closely: Collection[UUID]
    prints: Mapping[Wording, Collection[int]]


class Copying:
    """Keeps the posts that have another's words. `asks` says whether a post wants something."""

    def __init__(
        self,
        *,
        database: Database,
        store: IdeaStore,
        counting: Counting,
        removing: Removing,
        asks: Callable[[TaggedPost], bool],
    ) -> None:
        self._database = database
        self._store = store
        self._counting = counting
        self._removing = removing
        self._asks = asks

    async def look(self, connection: AsyncConnection, arrived: Sequence[Arrival]) -> Looked:
        """Tell posts that may be copies, or have some, from those that surely are alone.

        Of the latter, which are nearly all, this is all that is asked.
        """
        closely: set[UUID] = set()
        alone: dict[Wording, Collection[int]] = {}
        sketches: dict[int, Sketches] = {}
        compared = [it for it in arrived if self._asks(it.tagged) and self._says_news(it)]
        wordings = [Wording.of(it.tagged.post) for it in compared]
        near: set[UUID] = set()
        for shelf in dict.fromkeys(it.shelf for it in wordings):
            its = [it for it in wordings if it.shelf == shelf]
            known = sketches[shelf] = await self._sketches(connection, its)
            near.update(*(known.near(it) for it in its))
        said = await copies.wordings(connection, near)
        edits = sum(it.before is not None for it in compared)
        for arrival, wording in zip(compared, wordings, strict=True):
            known = sketches[wording.shelf]
            edited = arrival.before is not None and self._asks(arrival.before)
            others = (said[it] for it in known.near(wording) if it in said)
            crowded = known.may_be_crowded(wording, edits)
            if edited or crowded or any(map(wording.has_words_of, others)):
                closely.add(wording.post)
            elif keys := known.prints(wording):
                alone[wording] = keys
            known.add(wording, wording.prints())
            said[wording.post] = wording
        return Looked(closely, alone)

    async def remember(
        self, connection: AsyncConnection, looked: Looked, came: Iterable[Arrival]
    ) -> None:
        """Let posts that are alone be found by others that come."""
        ids = {it.tagged.post.id for it in came} - set(looked.closely)
        shelves: defaultdict[int, dict[Wording, Collection[int]]] = defaultdict(dict)
        for wording, keys in looked.prints.items():
            if wording.post in ids:
                shelves[wording.shelf][wording] = keys
        for shelf, found in shelves.items():
            newest = max(it.month for it in found)
            await copies.remember(connection, self._database, shelf, found, newest=newest)

    async def standing(self, connection: AsyncConnection, tagged: TaggedPost) -> Standing:
        """Find the posts that have a post's words, before it and after it."""
        return await self._standing(connection, Wording.of(tagged.post))

    async def follow(self, connection: AsyncConnection, tagged: TaggedPost, first: Member) -> None:
        """Note that a post has the words of another, and count it there. Raises MovedOn."""
        carrier = await self._carrier(connection, first.original)
        copy = Copy(tagged.post.id, first.post, first.original)
        await copies.add(connection, copy, is_repost=tagged.post.repost_of is not None)
        place = {Place.of(tagged.post): 1}
        await self._counting.carry(connection, carrier.idea_id, place, 1, Why.of(tagged))

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
        await self._let_be_found(connection, standing)

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

    def _says_news(self, arrival: Arrival) -> bool:
        if arrival.before is None or not self._asks(arrival.before):
            return True
        before, after = (Wording.of(it.post) for it in (arrival.before, arrival.tagged))
        return before != after and any(it.words or it.is_repost for it in (before, after))

    async def _sketches(self, connection: AsyncConnection, wordings: Sequence[Wording]) -> Sketches:
        shelf = wordings[0].shelf
        keys = {key for it in wordings for key in (*it.prints(), it.lineage)}
        found = await copies.found(connection, shelf, keys)
        return Sketches(found, await copies.month(connection, shelf))

    async def _standing(
        self, connection: AsyncConnection, wording: Wording, without: UUID | None = None
    ) -> Standing:
        sketches = await self._sketches(connection, [wording])
        near = await self._members(connection, sketches.near(wording))
        # Of a crowd not all are found, but whose voice they carry is.
        crowd = {it.original for it in near.values()} - near.keys()
        same = [
            it
            for it in (near | await self._members(connection, crowd)).values()
            if it.post not in {wording.post, without} and it.wording.has_words_of(wording)
        ]
        before = [it for it in same if it.wording.rank < wording.rank]
        after = [it for it in same if it.wording.rank > wording.rank and it.copy is None]
        return Standing(
            wording,
            min(before, key=lambda it: it.wording.rank, default=None),
            sorted(after, key=lambda it: it.wording.rank),
            sketches.prints(wording),
        )

    async def _members(
        self, connection: AsyncConnection, ids: Collection[UUID]
    ) -> dict[UUID, Member]:
        spread = await copies.of(connection, ids)
        behind = await self._store.evidence_of(connection, ids)
        wordings = await copies.wordings(connection, spread.keys() | behind.keys())
        return {
            post: Member(wording, spread.get(post), behind.get(post))
            for post, wording in wordings.items()
        }

    async def _carrier(self, connection: AsyncConnection, original: UUID) -> Evidence:
        """What carries a voice, its idea locked until the transaction ends. Raises MovedOn."""
        there = await self._store.evidence_of(connection, [original])
        await self._store.states(connection, {it.idea_id for it in there.values()})
        there = await self._store.evidence_of(connection, [original])
        if original not in there:
            raise MovedOn(f"The post {original} has just ceased to be evidence: try again")
        return there[original]

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
        is_repost = member.wording.is_repost
        await copies.add(connection, Copy(post.post.id, tagged.post.id, root), is_repost=is_repost)
        await self._counting.carry(
            connection, to.idea_id, {Place.of(post.post): 1}, 1, replace(why, post=post.post.id)
        )
        if member.wording.repeats(Wording.of(tagged.post)):
            await copies.forget(connection, member.wording)

    async def _let_be_found(self, connection: AsyncConnection, standing: Standing) -> None:
        """Write down a post's prints, but of one that only repeats another, which is found."""
        first = standing.first
        repeats = first is not None and standing.wording.repeats(first.wording)
        await self._write(connection, standing.wording, () if repeats else standing.prints)

    async def _write(
        self, connection: AsyncConnection, wording: Wording, prints: Collection[int]
    ) -> None:
        newest = wording.month if wording.words else 0
        await copies.remember(
            connection, self._database, wording.shelf, {wording: prints}, newest=newest
        )

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
                    await self._write(connection, wording, wording.prints())
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
        standing = await self._standing(connection, wording, without=why.post)
        post, first = wording.post, standing.first
        if first is not None:
            to = await self._carrier(connection, first.original)
            await self._hand_over(connection, why, [post, *followers], carrier, to)
            await copies.rewrite(connection, post, first.post)
            await self._let_be_found(connection, standing)
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
