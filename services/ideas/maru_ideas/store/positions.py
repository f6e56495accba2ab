"""How far each partition was read, kept beside what the reading brought about."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.tables import offsets
from maru_kit.database import Database
from maru_kit.errors import Fenced


class StoredPositions:
    """`maru_kit.bus.Positions` on the service's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, topic: str, partitions: Iterable[int]) -> Mapping[int, int]:
        """The next position of each partition; 0 where nothing was stored."""
        wanted = list(partitions)
        query = select(offsets.c.partition, offsets.c.next).where(
            offsets.c.topic == topic, offsets.c.partition.in_(wanted)
        )
        async with self._database.reading() as connection:
            stored = {row.partition: row.next for row in await connection.execute(query)}
        return {partition: stored.get(partition, 0) for partition in wanted}

    async def skip(self, topic: str, partition: int, start: int, next: int) -> None:
        """Move from `start` to `next` without an effect. Raises Fenced when not at `start`."""
        async with self._database.transaction() as connection:
            await self.advance(connection, topic, partition, start=start, next=next)

    async def advance(
        self, connection: AsyncConnection, topic: str, partition: int, *, start: int, next: int
    ) -> None:
        """Move from `start` to `next` within the caller's transaction, by compare-and-set.

        Raises Fenced when the position is not `start`: another writer has taken over.
        """
        row = {"topic": topic, "partition": partition, "next": next}
        change = (
            self._database.insert(offsets)
            .values(row)
            .on_conflict_do_update(
                index_elements=[offsets.c.topic, offsets.c.partition],
                set_={"next": next},
                where=offsets.c.next == start,
            )
            .returning(offsets.c.next)
        )
        if (await connection.execute(change)).first() is None:
            raise Fenced(f"{topic}/{partition} is no longer at {start}: another writer went on")
