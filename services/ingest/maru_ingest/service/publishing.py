"""From parsed rows to the log: the one way that every post takes, polled, pushed or imported.

In this order, so that a crash at any point loses nothing and counts nothing twice:

1. one transaction decides what is new and writes down id, fingerprint and revision (`announce`),
2. the posts are appended to the log, which acknowledges them,
3. one transaction marks them published, counts them and saves the cursor.

After a crash between 1 and 3 the same posts are read again, and come out with the revisions that
were written down, whether the words are still the same (published once more, same revision: every
reader is idempotent) or were edited meanwhile (the next revision).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.topics import POSTS_COLLECTED
from maru_ingest import domain
from maru_ingest.domain import Decision, Gone, Named, Origin, Removal, Seen
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost, Row
from maru_ingest.metrics import POSTS
from maru_ingest.store import history, sources
from maru_ingest.store.sources import Counts
from maru_kit.bus import Bus, Outgoing
from maru_kit.crash import crash_point
from maru_kit.database import Database
from maru_kit.stream.letters import DeadTopic

GROUP = "ingest"
"""Whose dead letters the rejected rows are."""

BATCH = 2_000
"""Posts that are decided on and appended together."""

_SCHEMA = (("schema", POSTS_COLLECTED.name.encode()),)
DEAD = DeadTopic(POSTS_COLLECTED.name, GROUP)
"""Takes the rows that are no posts, as they came."""

_REJECT_SIZE = 16


@dataclass(frozen=True, slots=True)
class _News:
    """What is to be published, and the announcement's number if there is anything.

    `products` are those of other sources that own posts which end.
    """

    decisions: Sequence[Decision] = ()
    removals: Sequence[Removal] = ()
    products: Mapping[str, str] = field(default_factory=dict)
    duplicates: int = 0
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Publisher:
    """What publishing needs of the world."""

    bus: Bus
    database: Database

    async def publish(
        self,
        origin: Origin,
        rows: Iterable[Row],
        *,
        deleted: Iterable[str] = (),
        cursor: Mapping[str, Any] | None = None,
        delivery: str | None = None,
    ) -> Counts:
        """Publish the posts among `rows`, put the others into the dead letters, save progress.

        Posts that are gone, by their native ids in `deleted` or in rows, end after all others. The
        cursor (and the id of a webhook's delivery) is stored with the last batch, after the log has
        acknowledged everything. Raises Unavailable when log or database do not answer; publishing
        the same rows again is then safe.
        """
        checked = [domain.as_row(row) if isinstance(row, ParsedPost) else row for row in rows]
        posts = [domain.name_post(origin, row) for row in checked if isinstance(row, ParsedPost)]
        bad = [row for row in checked if isinstance(row, BadRow)]
        ends = [name for row in checked if isinstance(row, Deletion) for name in row.native_ids]
        gone = [domain.name_gone(origin, name) for name in (*ends, *deleted)]
        total = Counts()
        for start in range(0, len(posts) - BATCH, BATCH):
            total += await self.publish_named(origin, posts[start : start + BATCH])
        rest = posts[(max(len(posts) - 1, 0) // BATCH) * BATCH :]
        return total + await self.publish_named(
            origin, rest, gone=gone, bad=bad, cursor=cursor, delivery=delivery
        )

    async def known(self, origin: Origin, native_ids: Sequence[str]) -> list[str]:
        """Return those of the native ids, in order, whose posts were brought or ended before."""
        if not native_ids:
            return []
        gone = [domain.name_gone(origin, name) for name in native_ids]
        ids = [(one.id, domain.apart_gone(origin, one).id) for one in gone]
        async with self.database.reading() as connection:
            there = await history.there(connection, [name for pair in ids for name in pair])
        return [
            name for name, pair in zip(native_ids, ids, strict=True) if there.intersection(pair)
        ]

    async def publish_named(
        self,
        origin: Origin,
        posts: Sequence[Named],
        *,
        gone: Sequence[Gone] = (),
        bad: Sequence[BadRow] = (),
        cursor: Mapping[str, Any] | None = None,
        delivery: str | None = None,
        rejected: int = 0,
    ) -> Counts:
        """Publish one batch of posts that have their ids; `rejected` more were dealt with."""
        now = domain.utc_now()
        news = await self._announce(origin, posts, gone, now)
        await self._append(origin, news, now)
        letters = await self._bury(origin, bad, now)
        crash_point("after_produce_before_cursor")
        counts = Counts(
            len(news.decisions), news.duplicates, len(letters) + rejected, len(news.removals)
        )
        async with self.database.transaction() as connection:
            if news.number is not None:
                await history.acknowledge(connection, news.number)
            if cursor is not None or counts != Counts():
                await sources.save_progress(
                    connection,
                    origin.source_id,
                    counts,
                    now=now,
                    cursor=cursor,
                    generation=origin.generation,
                )
            await history.add_rejects(connection, origin.source_id, letters, now=now)
            if delivery is not None:
                await history.add_delivery(connection, origin.source_id, delivery, now=now)
        crash_point("after_cursor")
        _count(origin.kind, counts)
        return counts

    async def _announce(
        self, origin: Origin, posts: Sequence[Named], gone: Sequence[Gone], now: datetime
    ) -> "_News":
        """Decide and write down. What ends in this batch is not published in it."""
        if not posts and not gone:
            return _News()
        ends = {one.id: one for one in gone}
        latest: Sequence[Named] = [one for one in domain.latest(posts) if one.id not in ends]
        number = history.new_announcement()
        async with self.database.transaction() as connection:
            latest, known = await self._known(connection, origin, latest, number, now)
            decisions = domain.decide(origin, latest, known, now=now)
            removals, products = await self._end(connection, origin, ends, number, now)
            if decisions or removals:
                await history.keep(connection, number, [*decisions, *removals])
        told = [removal for removal in removals if removal.seen.fingerprint]
        return _News(
            decisions=decisions,
            removals=told,
            products=products,
            duplicates=len(posts) - len(decisions),
            number=number if decisions or removals else None,
        )

    async def _known(
        self,
        connection: AsyncConnection,
        origin: Origin,
        posts: Sequence[Named],
        number: int,
        now: datetime,
    ) -> tuple[Sequence[Named], Mapping[str, Seen]]:
        """Return the posts under their final names, and what is known of them."""
        known = await history.announce(connection, origin, posts, number=number, now=now)
        names = {
            one.id: domain.apart(origin, one)
            for one in posts
            if domain.is_anothers(origin, one, known.get(one.id))
        }
        if names:
            apart = names.values()
            known |= await history.announce(connection, origin, apart, number=number, now=now)
        return [names.get(one.id, one) for one in posts], known

    async def _end(
        self,
        connection: AsyncConnection,
        origin: Origin,
        ends: Mapping[str, Gone],
        number: int,
        now: datetime,
    ) -> tuple[list[Removal], Mapping[str, str]]:
        """Return which posts end, and the products of sources that own some of them."""
        if not ends:
            return [], {}
        apart = {one.id: domain.apart_gone(origin, one) for one in ends.values()}
        there = await history.there(connection, [one.id for one in apart.values()])
        gone = [apart[one.id] if apart[one.id].id in there else one for one in ends.values()]
        known = await history.announce_gone(connection, origin, gone, number=number, now=now)
        removals = domain.remove(origin, gone, known, now=now)
        owners = {it.was.owner for it in removals if it.was.owner}
        return removals, await sources.products(connection, owners - {origin.source_id})

    async def _append(self, origin: Origin, news: "_News", now: datetime) -> None:
        records = [
            Outgoing(
                f"{origin.workspace}/{origin.product}".encode(),
                domain.wire(origin, one, now=now),
                _SCHEMA,
            )
            for one in news.decisions
        ]
        for one in news.removals:
            # In the partition that has the post, so that nobody reads its end before it.
            product = news.products.get(one.was.owner or "", origin.product)
            key = f"{origin.workspace}/{product}".encode()
            records.append(Outgoing(key, domain.tombstone(origin, product, one, now=now), _SCHEMA))
        if records:
            await self.bus.append(POSTS_COLLECTED.name, records)

    async def _bury(self, origin: Origin, bad: Sequence[BadRow], now: datetime) -> list[str]:
        """Write the bad rows that are not there yet to the dead letters; return their ids."""
        by_id = {_reject_id(origin, row): row for row in bad}
        if not by_id:
            return []
        async with self.database.reading() as connection:
            known = await history.known_rejects(connection, by_id.keys())
        new = {name: row for name, row in by_id.items() if name not in known}
        if new:
            await self.bus.append(DEAD.name, [_letter(origin, row, now) for row in new.values()])
        return list(new)


def _reject_id(origin: Origin, row: BadRow) -> str:
    said = b"\x1f".join((origin.source_id.encode(), row.reason.encode(), row.original))
    return hashlib.blake2b(said, digest_size=_REJECT_SIZE).hexdigest()


def _letter(origin: Origin, row: BadRow, now: datetime) -> Outgoing:
    """Return a dead letter with the headers that the kit's own have; its offset is the line."""
    headers = {
        "reason": "rejected",
        "error": row.reason,
        "topic": POSTS_COLLECTED.name,
        "partition": "0",
        "offset": str(row.line),
        "at": now.isoformat(),
        "source": origin.source_id,
    }
    return Outgoing(
        key=f"{origin.workspace}/{origin.product}".encode(),
        value=row.original,
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )


def _count(kind: str, counts: Counts) -> None:
    POSTS.labels(kind, "published").inc(counts.published)
    POSTS.labels(kind, "duplicate").inc(counts.duplicates)
    POSTS.labels(kind, "rejected").inc(counts.rejected)
    POSTS.labels(kind, "deleted").inc(counts.deleted)
