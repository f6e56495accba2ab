"""What the log and the ideas database hold, as the oracle wants it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from faults.oracle import Arrived, Counted
from maru_contracts.ideas import IdeaChanged, event_id
from maru_contracts.topics import IDEAS_CHANGED, POSTS_COLLECTED, POSTS_TAGGED
from maru_ideas.settings import Settings
from maru_ideas.tables import copies, events, evidence, ideas, posts
from maru_kit.bus import Bus, Record
from maru_kit.database import Database

_CHUNK = 1_000


@dataclass(frozen=True)
class Shown:
    """An idea as the database has it."""

    counted: Counted
    version: int
    title: str


@dataclass(frozen=True)
class Snapshot:
    """The world after a run. `unheard` ask for something, and are neither evidence nor a copy."""

    posts: list[Arrived]
    ideas: list[Shown]
    streams: Mapping[str, list[list[str]]]
    changes: list[IdeaChanged] = field(repr=False)
    unheard: list[str] = field(default_factory=list)

    def wrong_events(self) -> list[str]:
        """Events whose id does not follow, and ideas whose versions have gaps or run backwards."""
        wrong = [
            f"event {it.id} is not that of {it.idea.id} version {it.idea.version}"
            for it in self.changes
            if it.id != event_id(it.idea.id, it.idea.version)
        ]
        firsts: defaultdict[UUID, dict[int, None]] = defaultdict(dict)
        for it in self.changes:
            firsts[it.idea.id].setdefault(it.idea.version)
        for shown in self.ideas:
            versions = list(firsts.pop(shown.counted.id, {}))
            if versions != list(range(1, shown.version + 1)):
                wrong.append(f"idea {shown.counted.id} went through {versions[:20]}")
        return wrong + [f"idea {idea} is only in events" for idea in firsts]


async def everything(bus: Bus, topic: str) -> list[Record]:
    """All records of a topic, partition by partition."""
    begins, ends = await bus.begins(topic), await bus.ends(topic)
    found: list[Record] = []
    for partition, end in ends.items():
        at = begins[partition]
        while at < end:
            spans = await bus.read(topic, {partition: at}, max_records=_CHUNK, wait=5.0)
            if not spans:
                raise AssertionError(f"{topic}/{partition} ends at {end}, and {at} can't be read")
            at = spans[0].next
            found += spans[0].records
    return found


async def snapshot(bus: Bus, database: Database, product: str) -> Snapshot:
    """All that there is of one product."""
    arrived, unheard = await _posts(database, product)
    streams = {
        POSTS_COLLECTED.name: await _stream(bus, POSTS_COLLECTED.name, product),
        POSTS_TAGGED.name: await _stream(bus, POSTS_TAGGED.name, product),
    }
    changes = [
        change
        for record in await everything(bus, IDEAS_CHANGED.name)
        if (change := IdeaChanged.model_validate_json(record.value)).idea.product == product
    ]
    return Snapshot(arrived, await _ideas(database, product), streams, changes, unheard)


async def count_posts(database: Database, product: str) -> int:
    """How many posts of a product are in the ideas service."""
    async with database.reading() as connection:
        query = select(func.count()).where(posts.c.product == product)
        return int((await connection.execute(query)).scalar_one())


async def unfinished(bus: Bus, database: Database) -> str:
    """What is still on its way, in words; empty when nothing is."""
    for topic, group in ((POSTS_COLLECTED.name, "sentiment"), (POSTS_TAGGED.name, "ideas")):
        done = await bus.committed(topic, group)
        ends = await bus.ends(topic)
        behind = sum(end - done.get(partition, 0) for partition, end in ends.items())
        if behind:
            return f"{group} is {behind} behind"
    async with database.reading() as connection:
        query = select(func.count()).where(~events.c.published)
        waiting = (await connection.execute(query)).scalar_one()
    return f"{waiting} events are in the outbox" if waiting else ""


async def _posts(database: Database, product: str) -> tuple[list[Arrived], list[str]]:
    gates = Settings()
    query = (
        select(posts.c.id, posts.c.body, evidence.c.post_id, copies.c.original)
        .outerjoin_from(posts, evidence, evidence.c.post_id == posts.c.id)
        .outerjoin(copies, copies.c.post_id == posts.c.id)
        .where(posts.c.product == product)
    )
    arrived, unheard = [], []
    async with database.reading() as connection:
        for row in await connection.execute(query):
            body = json.loads(row.body)
            post = Arrived(row.id, body["post"]["native_id"], body["post"]["text"])
            arrived.append(post)
            if row.post_id is None and row.original is None and _asks(body, gates):
                unheard.append(post.native_id)
    return arrived, unheard


def _asks(body: dict[str, Any], gates: Settings) -> bool:
    share = body["intent"]["probabilities"]
    return bool(
        share.get("suggestion", 0) >= gates.min_suggestion
        or share.get("problem", 0) >= gates.min_problem
    )


async def _ideas(database: Database, product: str) -> list[Shown]:
    behind: defaultdict[UUID, list[UUID]] = defaultdict(list)
    async with database.reading() as connection:
        pairs = select(evidence.c.idea_id, evidence.c.post_id)
        for row in await connection.execute(pairs):
            behind[row.idea_id].append(row.post_id)
        query = select(ideas.c.id, ideas.c.version, ideas.c.wire).where(ideas.c.product == product)
        rows = (await connection.execute(query)).all()
    found = []
    for row in rows:
        wire = json.loads(row.wire)
        counted = Counted(row.id, wire["evidence_count"], wire["voices"], behind[row.id])
        found.append(Shown(counted, row.version, wire["title"]))
    return found


async def _stream(bus: Bus, topic: str, product: str) -> list[list[str]]:
    """The native ids in each partition."""
    partitions: list[list[str]] = [[] for _ in await bus.ends(topic)]
    for record in await everything(bus, topic):
        if record.key.decode().partition("/")[2] == product:
            partitions[record.partition].append(_native_id(record))
    return partitions


def _native_id(record: Record) -> str:
    try:
        message = json.loads(record.value)
        return str(message.get("post", message)["native_id"])
    except (ValueError, KeyError):
        return f"unreadable {record.offset}"
