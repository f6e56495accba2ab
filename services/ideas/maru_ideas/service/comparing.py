"""Whose words a post has, as far as others must be looked at to know; nothing is decided here.

A post that asks for something is a copy exactly if another that does, and comes first (see
`Wording.rank`), has its words; so which posts are voices does not depend on the order in which they
came.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas.domain.arrivals import Arrival
from maru_ideas.domain.sketches import Sketches
from maru_ideas.domain.wordings import Wording
from maru_ideas.store import copies
from maru_ideas.store.copies import Copy
from maru_ideas.store.ideas import Evidence, IdeaStore
from maru_kit.database import Database


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

    @property
    def related(self) -> set[UUID]:
        """The posts on which it depends what this one is."""
        return {self.post, self.copy.words_of, self.copy.original} if self.copy else {self.post}


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
class Looked:
    """Which of the posts that came have to be taken one by one.

    Of the others: by what they are found, and which of them only follow one that is there.
    """

    closely: set[UUID]
    prints: dict[Wording, Collection[int]]
    follows: dict[UUID, Copy]


ALONE = Looked(set(), {}, {})
"""Of a post that was looked at already."""


class Comparing:
    """Finds posts with the same words. `asks` says whether a post wants something."""

    def __init__(
        self, *, database: Database, store: IdeaStore, asks: Callable[[TaggedPost], bool]
    ) -> None:
        self._database = database
        self._store = store
        self._asks = asks

    async def look(self, connection: AsyncConnection, arrived: Sequence[Arrival]) -> Looked:
        """Tell posts that are alone or follow another, whatever becomes of those beside them.

        Nearly all do, and are taken together.
        """
        compared = [it for it in arrived if self._asks(it.tagged) and self._says_news(it)]
        wordings = [Wording.of(it.tagged.post) for it in compared]
        sketches: dict[int, Sketches] = {}
        near: set[UUID] = set()
        for shelf in dict.fromkeys(it.shelf for it in wordings):
            its = [it for it in wordings if it.shelf == shelf]
            known = sketches[shelf] = await self._sketches(connection, its)
            near.update(*(known.near(it) for it in its))
        members = await self._members(connection, near)
        members |= await self._members(connection, _originals(members))
        edited = {it.tagged.post.id for it in arrived if it.before is not None}
        looked = Looked(set(edited), {}, {})
        for wording in wordings:
            self._look_at(wording, sketches[wording.shelf], members, looked, len(edited))
        looked.closely.intersection_update(it.post for it in wordings)
        return looked

    def _look_at(
        self,
        wording: Wording,
        known: Sketches,
        members: dict[UUID, Member],
        looked: Looked,
        edits: int,
    ) -> None:
        post = wording.post
        near = {it: members[it] for it in known.near(wording) if it in members}
        crowd = {it: members[it] for it in _originals(near) if it in members}
        same = _same(wording, (near | crowd).values())
        first, later = _sides(wording, same)
        others = {it for one in same for it in one.related}
        if later or others & looked.closely or known.may_be_crowded(wording, edits):
            looked.closely.add(post)
        elif first is not None and post not in looked.closely:
            looked.follows[post] = Copy(post, first.post, first.original)
        repeats = first is not None and wording.repeats(first.wording)
        keys = set() if repeats else known.prints(wording)
        if post in looked.closely:
            known.add(wording, wording.prints())
        else:
            known.add(wording, keys)
            if keys:
                looked.prints[wording] = keys
        members[post] = Member(wording, looked.follows.get(post), None)

    async def remember(
        self, connection: AsyncConnection, looked: Looked, came: Iterable[Arrival]
    ) -> None:
        """Let posts that are alone be found by others that come."""
        ids = {it.tagged.post.id for it in came} - looked.closely
        shelves: defaultdict[int, dict[Wording, Collection[int]]] = defaultdict(dict)
        for wording, keys in looked.prints.items():
            if wording.post in ids:
                shelves[wording.shelf][wording] = keys
        for shelf, found in shelves.items():
            newest = max(it.month for it in found)
            await copies.remember(connection, self._database, shelf, found, newest=newest)

    async def standing(
        self, connection: AsyncConnection, wording: Wording, without: UUID | None = None
    ) -> Standing:
        """Find the posts that have a post's words, before it and after it; not `without`."""
        sketches = await self._sketches(connection, [wording])
        near = await self._members(connection, sketches.near(wording))
        # Of a crowd not all are found, but whose voice they carry is.
        near |= await self._members(connection, _originals(near))
        others = [it for it in near.values() if it.post not in {wording.post, without}]
        first, later = _sides(wording, _same(wording, others))
        return Standing(wording, first, later, sketches.prints(wording))

    async def let_be_found(self, connection: AsyncConnection, standing: Standing) -> None:
        """Write down a post's prints, but of one that only repeats another, which is found."""
        first = standing.first
        repeats = first is not None and standing.wording.repeats(first.wording)
        await self.write(connection, standing.wording, () if repeats else standing.prints)

    async def write(
        self, connection: AsyncConnection, wording: Wording, prints: Collection[int]
    ) -> None:
        """Write down prints by which a post shall be found."""
        newest = wording.month if wording.words else 0
        await copies.remember(
            connection, self._database, wording.shelf, {wording: prints}, newest=newest
        )

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


def _originals(members: Mapping[UUID, Member]) -> set[UUID]:
    """The originals of copies that are not there themselves."""
    return {it.original for it in members.values()} - members.keys()


def _same(wording: Wording, members: Iterable[Member]) -> list[Member]:
    return [it for it in members if it.post != wording.post and it.wording.has_words_of(wording)]


def _sides(wording: Wording, same: Iterable[Member]) -> tuple[Member | None, list[Member]]:
    """The first that has a post's words before it; those after it that carry a voice."""
    ranked = sorted(same, key=lambda it: it.wording.rank)
    first = next((it for it in ranked if it.wording.rank < wording.rank), None)
    return first, [it for it in ranked if it.wording.rank > wording.rank and it.copy is None]
