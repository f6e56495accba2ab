"""The SQL of topics and records. Every function runs inside a transaction of its caller.

A record's id is `slot << 40 | offset`: a slot is one partition of one topic, so one B-tree holds
each partition in order, and an offset needs no index of its own.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import orjson

from maru_kit.bus import LogTopic, Outgoing, Record, Span

SCHEMA = """
CREATE TABLE IF NOT EXISTS topic (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,
    retention INTEGER, compacted INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS slot (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    begin INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,
    newest INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition)
);
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    headers TEXT NOT NULL
);
"""
_SHIFT = 40
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic as the file holds it: `slots[partition]` names the partition's slot."""

    id: int
    name: str
    slots: tuple[int, ...]
    retention: timedelta | None
    compacted: bool


def create(db: sqlite3.Connection, topic: LogTopic) -> None:
    """Make the topic and its slots unless there is one of that name."""
    row = db.execute(
        "INSERT INTO topic (name, partitions, retention, compacted) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name) DO NOTHING RETURNING id",
        (
            topic.name,
            topic.partitions,
            None if topic.retention is None else topic.retention // _MICROSECOND,
            topic.compacted,
        ),
    ).fetchone()
    if row is not None:
        db.executemany(
            "INSERT INTO slot (topic, partition) VALUES (?, ?)",
            [(row[0], partition) for partition in range(topic.partitions)],
        )


def find(db: sqlite3.Connection, name: str) -> TopicRow | None:
    """The topic of that name."""
    row = db.execute(
        "SELECT id, retention, compacted FROM topic WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    slots = db.execute("SELECT id FROM slot WHERE topic = ? ORDER BY partition", (row[0],))
    retention = None if row[1] is None else row[1] * _MICROSECOND
    return TopicRow(row[0], name, tuple(slot for (slot,) in slots), retention, bool(row[2]))


def names(db: sqlite3.Connection) -> list[str]:
    """All topics."""
    return [name for (name,) in db.execute("SELECT name FROM topic ORDER BY name")]


@lru_cache(4096)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that records with `key` go to; the same in every process, for ever."""
    return int.from_bytes(blake2b(key, digest_size=8).digest()) % partitions


def append(
    db: sqlite3.Connection, topic: TopicRow, records: Sequence[Outgoing], now: datetime
) -> None:
    """Write the records behind those that are there."""
    groups: dict[int, list[Outgoing]] = {}
    for record in records:
        groups.setdefault(partition_of(record.key, len(topic.slots)), []).append(record)
    for partition, group in groups.items():
        _append_to(db, topic.slots[partition], group, to_microseconds(now))


def _append_to(db: sqlite3.Connection, slot: int, records: list[Outgoing], now: int) -> None:
    next_, at = db.execute(
        # Times never go back within a slot, whatever the clock does: `position_at` relies on it.
        "UPDATE slot SET next = next + ?, newest = max(newest, ?) WHERE id = ? "
        "RETURNING next, newest",
        (len(records), now, slot),
    ).fetchone()
    first = (slot << _SHIFT) + next_ - len(records)
    db.executemany(
        "INSERT INTO record (id, at, key, value, headers) VALUES (?, ?, ?, ?, ?)",
        [
            (id_, at, record.key, record.value, _headers_text(record.headers))
            for id_, record in enumerate(records, first)
        ],
    )


def spans(
    db: sqlite3.Connection, topic: TopicRow, start: Mapping[int, int], limit: int
) -> list[Span]:
    """What stands from `start` on, at most `limit` records, partitions in the order of `start`.

    A position outside the log (its records are gone, or the log was made anew) reads from the
    oldest record, as Kafka's `auto.offset.reset=earliest` does.
    """
    found = []
    for partition, position in start.items():
        if limit <= 0:
            break
        records = _records(db, topic, partition, position, limit)
        if records:
            limit -= len(records)
            found.append(Span(partition, position, records[-1].offset + 1, records))
    return found


def _records(
    db: sqlite3.Connection, topic: TopicRow, partition: int, position: int, limit: int
) -> list[Record]:
    base = topic.slots[partition] << _SHIFT
    begin, end = db.execute(
        "SELECT begin, next FROM slot WHERE id = ?", (topic.slots[partition],)
    ).fetchone()
    if position == end:
        return []
    first = position if begin <= position < end else begin
    rows = db.execute(
        "SELECT id, at, key, value, headers FROM record WHERE id >= ? AND id < ? "
        "ORDER BY id LIMIT ?",
        (base + first, base + end, limit),
    )
    return [
        Record(topic.name, partition, id_ - base, _time(at), key, value, _headers(headers))
        for id_, at, key, value, headers in rows
    ]


def begins(db: sqlite3.Connection, topic: TopicRow) -> dict[int, int]:
    """The oldest position of each partition."""
    return dict(db.execute("SELECT partition, begin FROM slot WHERE topic = ?", (topic.id,)))


def ends(db: sqlite3.Connection, topic: TopicRow) -> dict[int, int]:
    """The position after the newest record of each partition."""
    return dict(db.execute("SELECT partition, next FROM slot WHERE topic = ?", (topic.id,)))


def position_at(db: sqlite3.Connection, slot: int, when: int) -> int:
    """The first position of a slot whose record is not older than `when`, by binary search."""
    low, high = db.execute("SELECT begin, next FROM slot WHERE id = ?", (slot,)).fetchone()
    base = slot << _SHIFT
    while low < high:
        middle = (low + high) // 2
        row = db.execute(
            "SELECT id, at FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
            (base + middle, base + high),
        ).fetchone()
        if row is None or row[1] >= when:
            high = middle
        else:
            low = row[0] - base + 1
    return int(low)


def trim(db: sqlite3.Connection, slot: int, before: int, limit: int) -> int:
    """Delete at most `limit` offsets older than the time `before`; return how many."""
    keep = position_at(db, slot, before)
    (begin,) = db.execute("SELECT begin FROM slot WHERE id = ?", (slot,)).fetchone()
    upto = min(keep, begin + limit)
    if upto > begin:
        base = slot << _SHIFT
        db.execute("DELETE FROM record WHERE id >= ? AND id < ?", (base + begin, base + upto))
        db.execute("UPDATE slot SET begin = ? WHERE id = ?", (upto, slot))
    return int(upto - begin)


def compact(db: sqlite3.Connection, slot: int, limit: int) -> int:
    """Delete at most `limit` records of a slot that a newer one with their key follows."""
    base = slot << _SHIFT
    return db.execute(
        "DELETE FROM record WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
        "(PARTITION BY key ORDER BY id DESC) AS age FROM record WHERE id >= ? AND id < ?) "
        "WHERE age > 1 LIMIT ?)",
        (base, base + (1 << _SHIFT), limit),
    ).rowcount


def to_microseconds(when: datetime) -> int:
    """Microseconds since 1970 (UTC)."""
    return (when - _EPOCH) // _MICROSECOND


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


@lru_cache(256)
def _headers_text(headers: tuple[tuple[str, bytes], ...]) -> str:
    """Headers as JSON; latin-1 gives every byte a character of its own."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers]).decode()


@lru_cache(256)
def _headers(text: str) -> tuple[tuple[str, bytes], ...]:
    pairs: Iterable[tuple[str, str]] = orjson.loads(text)
    return tuple((name, value.encode("latin-1")) for name, value in pairs)
