"""The SQL of consumer groups: who is a member, who holds which partition, how far they are.

A member is alive while its `seen` is fresh. It holds slots by its `session`, which it makes anew
each time it joins: a process that comes back under the same instance name takes over at once.
Each change of holder raises the slot's `epoch`, and a commit must name the epoch under which
its records were read.
"""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from maru_kit.errors import Fenced
from maru_kit.sqlite_log.records import TopicRow

SCHEMA = """
CREATE TABLE IF NOT EXISTS team (
    topic INTEGER NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (topic, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member (
    topic INTEGER NOT NULL, team TEXT NOT NULL, instance TEXT NOT NULL, session TEXT NOT NULL,
    seen INTEGER NOT NULL, PRIMARY KEY (topic, team, instance)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holding (
    team TEXT NOT NULL, slot INTEGER NOT NULL, session TEXT, epoch INTEGER NOT NULL,
    next INTEGER, PRIMARY KEY (team, slot)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One process in one group: `instance` lasts over restarts, `session` does not."""

    topic: TopicRow
    group: str
    instance: str
    session: str


@dataclass(frozen=True, slots=True)
class Seat:
    """One partition in a member's hands; `committed` is None in a new group."""

    epoch: int
    committed: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """What a member holds, and which of that it should let go because others came."""

    generation: int
    seats: Mapping[int, Seat]
    surplus: frozenset[int]


def join(db: sqlite3.Connection, member: Member, now: int) -> None:
    """Become a member, in the place of whoever had the same instance name."""
    db.execute(
        "INSERT INTO member (topic, team, instance, session, seen) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET session = excluded.session, seen = excluded.seen",
        (member.topic.id, member.group, member.instance, member.session, now),
    )
    db.executemany(
        "INSERT INTO holding (team, slot, epoch) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        [(member.group, slot) for slot in member.topic.slots],
    )
    _next_generation(db, member)


def beat(db: sqlite3.Connection, member: Member, now: int, oldest: int) -> None:
    """Say that the member is alive, and drop those not seen since `oldest`."""
    row = db.execute(
        "SELECT session FROM member WHERE topic = ? AND team = ? AND instance = ?",
        (member.topic.id, member.group, member.instance),
    ).fetchone()
    if row is None:  # dropped while this process was frozen
        join(db, member, now)
        return
    if row[0] != member.session:
        raise Fenced(
            f"Another process has joined group {member.group!r} as {member.instance!r}; each "
            "running process needs an instance name of its own (MARU_INSTANCE)."
        )
    db.execute(
        "UPDATE member SET seen = ? WHERE topic = ? AND team = ? AND instance = ?",
        (now, member.topic.id, member.group, member.instance),
    )
    gone = db.execute(
        "DELETE FROM member WHERE topic = ? AND team = ? AND seen < ?",
        (member.topic.id, member.group, oldest),
    )
    if gone.rowcount:
        _next_generation(db, member)


def leave(db: sqlite3.Connection, member: Member) -> None:
    """Stop being a member; whoever remains can take over at once."""
    _let_go(db, member, member.topic.slots)
    db.execute(
        "DELETE FROM member WHERE topic = ? AND team = ? AND instance = ? AND session = ?",
        (member.topic.id, member.group, member.instance, member.session),
    )
    _next_generation(db, member)


def share(
    db: sqlite3.Connection, member: Member, let_go: Collection[int], now: int, oldest: int
) -> Share:
    """Let partitions go, take what is ours and free, and return all that we hold."""
    beat(db, member, now, oldest)
    if let_go:
        _let_go(db, member, [member.topic.slots[partition] for partition in let_go])
        _next_generation(db, member)
    wanted = _wanted(db, member)
    _take(db, member, [member.topic.slots[partition] for partition in wanted])
    seats = _seats(db, member)
    return Share(generation(db, member), seats, frozenset(seats) - wanted)


def generation(db: sqlite3.Connection, member: Member) -> int:
    """A number that grows with every change in who is a member or lets go of something."""
    row = db.execute(
        "SELECT generation FROM team WHERE topic = ? AND name = ?",
        (member.topic.id, member.group),
    ).fetchone()
    return int(row[0])


def commit(
    db: sqlite3.Connection,
    member: Member,
    positions: Mapping[int, int],
    epochs: Mapping[int, int],
) -> None:
    """Store the next positions, all or none. Raises Fenced when one is not ours any more."""
    for partition, position in positions.items():
        done = db.execute(
            "UPDATE holding SET next = ? WHERE team = ? AND slot = ? AND session = ? AND epoch = ?",
            (
                position,
                member.group,
                member.topic.slots[partition],
                member.session,
                epochs.get(partition),
            ),
        )
        if not done.rowcount:
            raise Fenced(
                f"Partition {partition} of {member.topic.name} is no longer held by "
                f"{member.instance!r} in group {member.group!r}."
            )


def committed(db: sqlite3.Connection, topic: TopicRow, group: str) -> dict[int, int]:
    """The group's positions, without the partitions that have none."""
    rows = db.execute(
        "SELECT slot.partition, holding.next FROM holding JOIN slot ON slot.id = holding.slot "
        "WHERE slot.topic = ? AND holding.team = ? AND holding.next IS NOT NULL",
        (topic.id, group),
    )
    return dict(rows)


def members(db: sqlite3.Connection, topic: TopicRow, group: str, oldest: int) -> int:
    """How many members were seen since `oldest`."""
    row = db.execute(
        "SELECT count(*) FROM member WHERE topic = ? AND team = ? AND seen >= ?",
        (topic.id, group, oldest),
    ).fetchone()
    return int(row[0])


def _next_generation(db: sqlite3.Connection, member: Member) -> None:
    db.execute(
        "INSERT INTO team (topic, name, generation) VALUES (?, ?, 1) "
        "ON CONFLICT DO UPDATE SET generation = generation + 1",
        (member.topic.id, member.group),
    )


def _wanted(db: sqlite3.Connection, member: Member) -> frozenset[int]:
    """This member's fair share: members in the order of their names take turns."""
    rows = db.execute(
        "SELECT instance FROM member WHERE topic = ? AND team = ? ORDER BY instance",
        (member.topic.id, member.group),
    )
    instances = [instance for (instance,) in rows]
    turn = instances.index(member.instance)
    return frozenset(range(turn, len(member.topic.slots), len(instances)))


def _take(db: sqlite3.Connection, member: Member, slots: Collection[int]) -> None:
    """Hold the slots that no living member holds."""
    db.executemany(
        "UPDATE holding SET session = ?1, epoch = epoch + 1 WHERE team = ?2 AND slot = ?3 "
        "AND (session IS NULL OR session NOT IN "
        "(SELECT session FROM member WHERE topic = ?4 AND team = ?2))",
        [(member.session, member.group, slot, member.topic.id) for slot in slots],
    )


def _let_go(db: sqlite3.Connection, member: Member, slots: Collection[int]) -> None:
    db.executemany(
        "UPDATE holding SET session = NULL WHERE team = ? AND slot = ? AND session = ?",
        [(member.group, slot, member.session) for slot in slots],
    )


def _seats(db: sqlite3.Connection, member: Member) -> dict[int, Seat]:
    rows = db.execute(
        "SELECT slot.partition, holding.epoch, holding.next FROM holding "
        "JOIN slot ON slot.id = holding.slot "
        "WHERE slot.topic = ? AND holding.team = ? AND holding.session = ?",
        (member.topic.id, member.group, member.session),
    )
    return {partition: Seat(epoch, next_) for partition, epoch, next_ in rows}
