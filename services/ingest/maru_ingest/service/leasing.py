"""Which sources this process polls: taken, kept and given back, many in one transaction."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from maru_ingest import domain
from maru_ingest.store import leases
from maru_ingest.store.leases import Polled, Taker
from maru_ingest.store.sources import Source
from maru_kit.database import Database
from maru_kit.vault import Vault


@dataclass
class Leases:
    """The leases of one process, each of `seconds`, renewed for as long as it is alive.

    Thousands of polls a minute would wait for the disk two or three times each; so they are taken
    together, kept together, and what came of those that end at about the same time is written
    together.
    """

    database: Database
    vault: Vault
    instance: str
    seconds: float

    def __post_init__(self) -> None:
        self._held: dict[str, Source] = {}
        self._ended: list[tuple[Polled, asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()

    async def take(
        self, kinds: Collection[str], *, busy_with: Collection[str], limit: int
    ) -> list[Source]:
        """Take up to `limit` due sources of these kinds, those that wait longest first.

        Looks before it writes, so that a process with nothing to do takes no write lock.
        """
        if limit <= 0 or not kinds:
            return []
        now = domain.utc_now()
        taker = Taker(self.instance, kinds, now, busy_with)
        async with self.database.reading() as connection:
            if not await leases.are_any_due(connection, taker):
                return []
        async with self.database.transaction() as connection:
            taken = await leases.take(
                connection, taker, self.vault, until=self._until(now), limit=limit
            )
        self._held |= {source.id: source for source in taken}
        return taken

    async def renew(self) -> set[str]:
        """Keep what is held; return the ids of sources that are not this process's any more."""
        # While nothing is being written: what has ended is held until that is written down.
        async with self._writing:
            held = dict(self._held)
            if not held:
                return set()
            async with self.database.transaction() as connection:
                kept = await leases.renew(
                    connection,
                    held.values(),
                    instance=self.instance,
                    until=self._until(domain.utc_now()),
                )
        return {name for name in held.keys() - kept if self._held.get(name) is held[name]}

    def drop(self, source: Source) -> None:
        """Renew it no longer: its poll has ended, however it did."""
        if self._held.get(source.id) is source:
            del self._held[source.id]

    async def give_back(self, polled: Polled) -> None:
        """Write down what came of a poll; returns once it is. Raises Unavailable.

        Whoever finds nobody writing writes for all that have ended until then.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended.append((polled, written))
        async with self._writing:
            if not written.done():
                await self._write()
        await written

    async def _write(self) -> None:
        ended, self._ended = self._ended, []
        try:
            async with self.database.transaction() as connection:
                await leases.note(
                    connection,
                    [polled for polled, _ in ended],
                    instance=self.instance,
                    now=domain.utc_now(),
                )
        except asyncio.CancelledError:
            # Only whoever wrote is cancelled: the next of the others writes for the rest. If it was
            # written all the same, no source is touched again, for no lease is left; its requests
            # may then count twice.
            self._ended = ended + self._ended
            raise
        except Exception as error:
            _tell(ended, error)
            raise
        for polled, _ in ended:
            self.drop(polled.source)
        _tell(ended, None)

    def _until(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)


def _tell(ended: list[tuple[Polled, asyncio.Future[None]]], error: Exception | None) -> None:
    """Wake all that wait; those that were cancelled meanwhile hear nothing."""
    for _, written in ended:
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
            written.exception()  # seen, even if whoever waited was cancelled
