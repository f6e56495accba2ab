"""What only the SQLite log does: upkeep, one file for many processes, a disk that is full."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kit.notes import a_topic, everything, plain, texts, until
from maru_kit.bus import Outgoing
from maru_kit.errors import ConfigError, Fenced, Unavailable
from maru_kit.sqlite_log import SqliteLog, file, open_sqlite_log


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
async def log(url: str) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(url) as log:
        yield log


async def test_retention_deletes_what_is_too_old_and_readers_go_on_behind_it(
    log: SqliteLog,
) -> None:
    topic = a_topic(partitions=1, retention=timedelta(days=1))
    await log.create([topic])
    await log.append(topic.name, plain(*["old"] * 2500))
    await asyncio.sleep(0.01)
    between = datetime.now(UTC)
    await log.append(topic.name, plain("new"))

    await log.tidy(between + timedelta(days=1))

    assert await log.begins(topic.name) == {0: 2500}
    [span] = await log.read(topic.name, {0: 10}, max_records=10)
    assert (span.start, span.next, texts([span])) == (10, 2501, ["new"])


async def test_a_topic_without_retention_keeps_everything(log: SqliteLog) -> None:
    topic = a_topic(retention=None)
    await log.create([topic])
    await log.append(topic.name, plain("a"))

    await log.tidy(datetime.now(UTC) + timedelta(days=10_000))

    assert await everything(log, topic.name) == ["a"]


async def test_compaction_keeps_the_newest_of_each_key_and_the_offsets(log: SqliteLog) -> None:
    topic = a_topic(partitions=1, compacted=True, retention=None)
    await log.create([topic])
    for text in ("1", "2", "3"):
        await log.append(topic.name, plain(f"a{text}", key="a") + plain(f"b{text}", key="b"))

    await log.tidy(datetime.now(UTC))

    [span] = await log.read(topic.name, {0: 0}, max_records=10)
    assert [(r.offset, r.value) for r in span.records] == [(4, b"a3"), (5, b"b3")]
    assert (span.start, span.next) == (0, 6)


async def test_what_another_process_appends_is_seen_at_once(log: SqliteLog, url: str) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])
    reading = asyncio.create_task(log.read(topic.name, {0: 0}, max_records=1, wait=10.0))
    script = (
        "import asyncio, time\n"
        "from maru_kit.bus import Outgoing, open_bus\n"
        "async def main():\n"
        f"    async with open_bus({url!r}) as bus:\n"
        f"        await bus.append({topic.name!r}, [Outgoing(b'k', str(time.time()).encode())])\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)

    [span] = await reading
    delay = datetime.now(UTC).timestamp() - float(span.records[0].value)

    assert await process.wait() == 0
    assert delay < 1.0


async def test_processes_append_side_by_side(log: SqliteLog, url: str) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])
    async with open_sqlite_log(url) as other:

        async def write(log: SqliteLog, name: str) -> None:
            for number in range(100):
                await log.append(topic.name, plain(f"{name}{number}"))

        await asyncio.gather(write(log, "a"), write(other, "b"))

    found = await everything(log, topic.name)
    for name in "ab":
        own = [text for text in found if text.startswith(name)]
        assert own == [f"{name}{number}" for number in range(100)]


async def test_a_second_process_under_one_instance_name_takes_over(log: SqliteLog) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])
    await log.append(topic.name, plain("a"))
    async with log.subscribe(topic.name, "g", instance="a") as first:
        await first.fetch(max_records=1, wait=1.0)
        async with log.subscribe(topic.name, "g", instance="a") as second:
            [span] = await second.fetch(max_records=1, wait=1.0)
            await second.commit({0: span.next})

            with pytest.raises(Fenced, match="no longer held"):
                await first.commit({0: 0})
            with pytest.raises(Fenced, match="MARU_INSTANCE"):
                await first.fetch(max_records=1, wait=1.0)
    assert await log.committed(topic.name, "g") == {0: 1}


async def test_a_silent_member_is_dropped(url: str) -> None:
    topic = a_topic(partitions=2)
    async with open_sqlite_log(url, session=0.4) as log:
        await log.create([topic])
        async with log.subscribe(topic.name, "g", instance="a") as first:
            await first.fetch(max_records=1, wait=0.1)
            with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
                db.execute("INSERT INTO member SELECT topic, team, 'silent', 'x', 0 FROM member")
                db.execute("UPDATE holding SET session = 'x' WHERE slot % 2 = 0")
                db.execute("UPDATE team SET generation = generation + 1")
            db.close()

            async def alone() -> bool:
                await first.fetch(max_records=1, wait=0.1)
                return first.assigned() == {0, 1}

            await until(alone, 5)
            assert await log.members(topic.name, "g") == 1


async def test_a_full_disk_is_named_and_the_log_goes_on_when_there_is_room(
    log: SqliteLog,
) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])

    await log._file.write(lambda db: db.execute("PRAGMA max_page_count = 40").fetchone())
    with pytest.raises(Unavailable, match="disk is full"):
        await log.append(topic.name, [Outgoing(b"k", b"x" * 1_000_000)])
    await log._file.write(lambda db: db.execute("PRAGMA max_page_count = 40000").fetchone())
    await log.append(topic.name, plain("a"))

    assert await everything(log, topic.name) == ["a"]


async def test_a_log_that_another_process_keeps_locked_is_named(
    log: SqliteLog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])
    monkeypatch.setattr(file, "LOCK_WAIT", 0.2)
    db = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"):
        await log.append(topic.name, plain("a"))
    db.execute("ROLLBACK")
    db.close()
    await log.append(topic.name, plain("a"))


async def test_one_refused_write_does_not_take_its_neighbours_along(log: SqliteLog) -> None:
    topic = a_topic(partitions=1)
    await log.create([topic])
    async with log.subscribe(topic.name, "g", instance="a") as member:
        lost = member

    outcomes = await asyncio.gather(
        log.append(topic.name, plain("a")),
        lost.commit({0: 1}),
        log.append(topic.name, plain("b")),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), Fenced, type(None)]
    assert await everything(log, topic.name) == ["a", "b"]


@pytest.mark.parametrize("url", ["sqlite://relative.db", "redis://localhost", "sqlite:///x.db"])
async def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="names no log"):
        async with open_sqlite_log(url):
            pass


async def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("no database, but a letter\n" * 99)

    with pytest.raises(ConfigError, match="cannot be opened"):
        async with open_sqlite_log(f"sqlite:///{tmp_path}/log.db"):
            pass
