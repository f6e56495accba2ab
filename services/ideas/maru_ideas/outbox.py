"""Events on their way out.

They are written in the transaction of the change that they tell of, published afterwards, and kept
as history.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

import orjson
import structlog
from sqlalchemy import (
    RowMapping,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import IdeaChanged
from maru_contracts.tags import TagsCorrected, TermDefined, TopicDefined
from maru_contracts.topics import (
    IDEAS_CHANGED,
    TAGS_CORRECTED,
    TERMS_DEFINED,
    TOPICS_DEFINED,
)
from maru_ideas.domain.ideas import NO_QUOTE
from maru_ideas.domain.times import micros
from maru_ideas.metrics import OUTBOX_AGE, OUTBOX_DEPTH
from maru_ideas.tables import events, relays
from maru_kit.bus import Bus
from maru_kit.database import Database
from maru_kit.errors import Unavailable
from maru_kit.stream import publish

log = structlog.get_logger()

LEASE = timedelta(seconds=15)
"""How long a relay may stay silent before another takes over. Clocks of replicas must agree
within this; if they do not, an event may be published twice, which its id tells."""

_NOBODY = UUID(int=0)
_BATCH = 500
_IDLE = 0.2
_BACKOFF = 1.0


_NAMES: Mapping[type, str] = {
    TopicDefined: TOPICS_DEFINED.name,
    TermDefined: TERMS_DEFINED.name,
    TagsCorrected: TAGS_CORRECTED.name,
}


@dataclass(frozen=True)
class Waiting:
    """An event that no log has acknowledged yet."""

    sequence: int
    topic: str
    body: str


class Outbox:
    """The events table. Rows are written by whoever changes something, in their transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_changes(
        self,
        connection: AsyncConnection,
        changes: Sequence[IdeaChanged],
        quoted: Sequence[UUID | None],
    ) -> None:
        """Write changes of ideas, in order; `quoted` are the posts whose words they have."""
        rows = [
            {
                "topic": IDEAS_CHANGED.name,
                "workspace": change.idea.workspace,
                "idea_id": change.idea.id,
                "version": change.idea.version,
                "at": micros(change.at),
                "body": change.model_dump_json(),
                "quoted": post or _NOBODY,
            }
            for change, post in zip(changes, quoted, strict=True)
        ]
        if rows:
            await connection.execute(insert(events), rows)

    async def unquote(
        self, connection: AsyncConnection, post: UUID, behind: UUID | None
    ) -> set[UUID]:
        """Take the words of a post that is gone out of what was told; return of which ideas.

        Of an idea that the post was `behind`, what was told before anyone noted whose words it has
        loses them, too.
        """
        theirs = events.c.quoted == post
        if behind is not None:
            unknown = and_(events.c.idea_id == behind, events.c.quoted.is_(None))
            theirs = or_(theirs, unknown)
        query = select(events.c.sequence, events.c.idea_id, events.c.body).where(theirs)
        told = (await connection.execute(query.order_by(events.c.sequence))).all()
        rows = [{"told": row.sequence, "without": _unquoted(row.body)} for row in told]
        if rows:
            change = update(events).where(events.c.sequence == bindparam("told"))
            await connection.execute(change.values(body=bindparam("without"), quoted=_NOBODY), rows)
        return {row.idea_id for row in told}

    async def add_definition(
        self, connection: AsyncConnection, defined: TopicDefined | TermDefined | TagsCorrected
    ) -> None:
        """Write that a workspace defined or removed a topic or a term, or corrected tags."""
        row = {
            "topic": _NAMES[type(defined)],
            "workspace": defined.workspace,
            "version": 0,
            "at": micros(defined.at),
            "body": defined.model_dump_json(),
        }
        await connection.execute(insert(events), row)

    async def history(
        self,
        connection: AsyncConnection,
        workspace: str,
        idea: UUID,
        *,
        before: int | None,
        limit: int,
    ) -> Sequence[RowMapping]:
        """Up to `limit` changes of an idea (`version`, `body`), the newest first."""
        query = select(events.c.version, events.c.body)
        query = query.where(events.c.workspace == workspace, events.c.idea_id == idea)
        if before is not None:
            query = query.where(events.c.version < before)
        query = query.order_by(events.c.version.desc()).limit(limit)
        return (await connection.execute(query)).mappings().all()

    async def waiting(self, limit: int) -> list[Waiting]:
        """The oldest events that were not published, in the order they were written."""
        query = (
            select(events.c.sequence, events.c.topic, events.c.body)
            .where(~events.c.published)
            .order_by(events.c.sequence)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(query)
            return [Waiting(row.sequence, row.topic, row.body) for row in rows]

    async def backlog(self) -> tuple[int, int | None]:
        """How many events wait, and when the oldest of them happened (microseconds)."""
        query = select(func.count(), func.min(events.c.at)).where(~events.c.published)
        async with self._database.reading() as connection:
            count, oldest = (await connection.execute(query)).one()
        return count, oldest

    async def mark(self, published: Sequence[Waiting]) -> None:
        """Remember that the log has acknowledged these events; changes of ideas are kept.

        Definitions are no history of an idea, and one of a correction has its post's words.
        """
        theirs = events.c.sequence.in_([event.sequence for event in published])
        async with self._database.transaction() as connection:
            await connection.execute(delete(events).where(theirs, events.c.idea_id.is_(None)))
            await connection.execute(update(events).where(theirs).values(published=true()))

    async def lease(self, holder: str, now: datetime) -> bool:
        """Whether `holder` may publish until LEASE from now: one at a time, so order holds."""
        row = {"name": "outbox", "holder": holder, "until": micros(now + LEASE)}
        claim = (
            self._database.insert(relays)
            .values(row)
            .on_conflict_do_update(
                index_elements=[relays.c.name],
                set_={"holder": holder, "until": row["until"]},
                where=or_(relays.c.holder == holder, relays.c.until < micros(now)),
            )
            .returning(relays.c.name)
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(claim)).first() is not None


def _unquoted(body: str) -> str:
    changed = orjson.loads(body)
    changed["idea"] |= {"title": NO_QUOTE.title, "summary": NO_QUOTE.summary}
    return orjson.dumps(changed).decode()


class Relay:
    """Publishes waiting events in order, at least once; several may run, one at a time works."""

    def __init__(self, outbox: Outbox, bus: Bus, holder: str) -> None:
        self._outbox = outbox
        self._bus = bus
        self._holder = holder
        self._wake = asyncio.Event()
        self._leased_until = datetime.min.replace(tzinfo=UTC)

    def wake(self) -> None:
        """Say that something may be waiting."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, then once more. What cannot be published now is tried again."""
        while not stop.is_set():
            try:
                sent = await self.publish_waiting()
            except (Unavailable, SQLAlchemyError) as error:
                log.warning("outbox.delayed", reason=type(error).__name__)
                sent, pause = 0, _BACKOFF
            else:
                pause = _IDLE
            if not sent:
                await self._rest(stop, pause)
        await self.publish_waiting()

    async def publish_waiting(self) -> int:
        """Publish one batch if this relay holds the lease; return how many events went out."""
        now = datetime.now(UTC)
        if now + LEASE / 2 > self._leased_until:
            if not await self._outbox.lease(self._holder, now):
                return 0
            self._leased_until = now + LEASE
        waiting = await self._outbox.waiting(_BATCH)
        await self._measure(len(waiting), now)
        for topic, run in groupby(waiting, key=lambda event: event.topic):
            await self._publish(topic, list(run))
        if waiting:
            await self._outbox.mark(waiting)
        return len(waiting)

    async def _publish(self, topic: str, run: Sequence[Waiting]) -> None:
        if topic == IDEAS_CHANGED.name:
            changes = [IdeaChanged.model_validate_json(event.body) for event in run]
            await publish(self._bus, IDEAS_CHANGED, changes)
        elif topic == TOPICS_DEFINED.name:
            topics = [TopicDefined.model_validate_json(event.body) for event in run]
            await publish(self._bus, TOPICS_DEFINED, topics)
        elif topic == TAGS_CORRECTED.name:
            corrected = [TagsCorrected.model_validate_json(event.body) for event in run]
            await publish(self._bus, TAGS_CORRECTED, corrected)
        else:
            terms = [TermDefined.model_validate_json(event.body) for event in run]
            await publish(self._bus, TERMS_DEFINED, terms)

    async def _measure(self, batch: int, now: datetime) -> None:
        if not batch:
            OUTBOX_DEPTH.set(0)
            OUTBOX_AGE.set(0)
            return
        depth, oldest = await self._outbox.backlog()
        OUTBOX_DEPTH.set(depth)
        OUTBOX_AGE.set(max(0.0, (micros(now) - oldest) / 1e6) if oldest else 0.0)

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        self._wake.clear()
        waits = {asyncio.create_task(event.wait()) for event in (self._wake, stop)}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waits:
                waiter.cancel()
