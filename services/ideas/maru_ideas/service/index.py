"""The ideas that this process holds in memory for matching, by partition.

What is held is true only as long as this process is the partition's writer: it is kept together
with the position that it was true at, and read again from the database whenever that differs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.domain.discovery import Discovery
from maru_ideas.domain.matching import Closeness, Shelf
from maru_ideas.domain.space import Space
from maru_ideas.metrics import INDEX_SIZE
from maru_ideas.store.ideas import IdeaStore

ShelfName = tuple[str, str]
"""Workspace and product."""


DISCOVERIES = 64
"""Products of a partition whose discovered topics stay in memory, those with the newest posts: each
takes up to 5 MB."""


@dataclass
class Held:
    """The shelves of one partition, and what is known of the topics that posts speak of."""

    shelves: dict[ShelfName, Shelf] = field(default_factory=dict)
    discoveries: dict[ShelfName, Discovery] = field(default_factory=dict)

    def trim(self) -> None:
        """Forget the discoveries that were longest unused; the database has them."""
        for name in list(self.discoveries)[:-DISCOVERIES]:
            del self.discoveries[name]


class Index:
    """Shelves in memory, at most one batch ahead of the database and only while it is written."""

    def __init__(self, store: IdeaStore, space: Space, closeness: Closeness) -> None:
        self._store = store
        self._space = space
        self._closeness = closeness
        self._held: dict[tuple[str, int], tuple[int, Held]] = {}

    @contextmanager
    def writing(self, topic: str, partition: int, *, start: int, next: int) -> Iterator[Held]:
        """The partition's shelves at `start`, kept for `next` if the block ends well."""
        position, held = self._held.pop((topic, partition), (start, Held()))
        if position != start:
            held = Held()
        yield held
        self._held[topic, partition] = (next, held)
        INDEX_SIZE.set(self._size())

    async def shelf(self, connection: AsyncConnection, held: Held, name: ShelfName) -> Shelf:
        """One product's ideas, from memory or from the database.

        What is in memory is not all when a person's correction has founded an idea meanwhile.
        """
        shelf = held.shelves.get(name)
        if shelf is None or len(shelf) != await self._store.places(connection, name):
            held.shelves[name] = shelf = await self.load(connection, name)
        return shelf

    async def load(self, connection: AsyncConnection, name: ShelfName) -> Shelf:
        """One product's ideas from the database, for one who will not write on."""
        shelf = Shelf(self._space, self._closeness)
        shapes = await self._store.shapes(connection, name)
        if shapes:
            shelf.restore(
                [shape.idea_id for shape in shapes],
                np.stack([shape.sum for shape in shapes]),
                [shape.shapers for shape in shapes],
                [shape.scripts for shape in shapes],
            )
        return shelf

    def _size(self) -> int:
        return sum(len(shelf) for _, held in self._held.values() for shelf in held.shelves.values())
