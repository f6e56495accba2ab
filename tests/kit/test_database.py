"""One transaction a use case, on both databases; what may pass is Unavailable."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select, text
from sqlalchemy.exc import IntegrityError

from maru_kit.database import Database, open_database
from maru_kit.errors import ConfigError, Unavailable, Unprocessable
from servers.postgres import Server

notes = Table(
    "notes",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", String(20), nullable=False, unique=True),
)

SECRET = "canary"


async def make_table(database: Database) -> None:
    async with database.transaction() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {database.schema}"))
        await connection.run_sync(notes.metadata.create_all)


async def add(database: Database, id: int, what: str = "") -> None:
    async with database.transaction() as connection:
        await connection.execute(notes.insert().values(id=id, text=what or str(id)))


async def count(database: Database) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(notes)) or 0)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, "notes") as database:
        await make_table(database)
        yield database


async def test_writers_of_one_process_come_in_turn_on_sqlite(tmp_path: Path) -> None:
    done: list[int] = []

    async def write(database: Database, number: int) -> None:
        await add(database, number)
        done.append(number)

    async with open_database(f"sqlite:///{tmp_path}", "notes") as database:
        await make_table(database)
        await asyncio.gather(*(write(database, number) for number in range(50)))

    assert done == list(range(50))


async def test_a_use_case_is_kept_whole_or_not_at_all(database: Database) -> None:
    async def fail_halfway() -> None:
        async with database.transaction() as connection:
            await connection.execute(notes.insert().values(id=2, text="2"))
            raise ZeroDivisionError

    await add(database, 1)
    with pytest.raises(ZeroDivisionError):
        await fail_halfway()

    assert await count(database) == 1


async def test_a_use_case_that_is_cut_short_leaves_nothing(database: Database) -> None:
    async def never_done() -> None:
        async with database.transaction() as connection:
            await connection.execute(notes.insert().values(id=1, text="1"))
            begun.set()
            await asyncio.sleep(3600)

    begun = asyncio.Event()
    task = asyncio.create_task(never_done())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await count(database) == 0
    await add(database, 1)


async def test_cancelled_work_gives_its_connection_back(database: Database) -> None:
    async def work(id: int) -> None:
        await add(database, id)
        await count(database)

    for round_ in range(10):
        tasks = [asyncio.create_task(work(round_ * 20 + n)) for n in range(20)]
        await asyncio.sleep(0.003 * round_)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async with asyncio.timeout(5):
        await asyncio.gather(*(count(database) for _ in range(30)))
    assert "Current Checked out connections: 0" in database.engine.pool.status()


async def test_a_reader_sees_what_was_committed_while_a_writer_writes(database: Database) -> None:
    await add(database, 1)
    async with database.transaction() as connection:
        await connection.execute(notes.insert().values(id=2, text="2"))
        async with asyncio.timeout(1):
            assert await count(database) == 1
    assert await count(database) == 2


async def test_writers_take_turns(database: Database) -> None:
    await add(database, 0, "0")

    async def increase() -> None:
        async with database.transaction() as connection:
            locked = select(notes.c.text).with_for_update()
            value = int((await connection.execute(locked)).scalar_one())
            await connection.execute(notes.update().values(text=str(value + 1)))

    await asyncio.gather(*(increase() for _ in range(8)))

    async with database.reading() as connection:
        assert await connection.scalar(select(notes.c.text)) == "8"


async def test_an_insert_may_meet_what_is_there(database: Database) -> None:
    await add(database, 1, "first")
    statement = database.insert(notes).values(id=1, text="second")

    async with database.transaction() as connection:
        await connection.execute(statement.on_conflict_do_nothing())
    async with database.transaction() as connection:
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"text": "third"})
        )

    async with database.reading() as connection:
        assert await connection.scalar(select(notes.c.text)) == "third"


async def test_a_mistake_stays_one_and_does_not_tell_the_values(database: Database) -> None:
    await add(database, 1, SECRET)

    with pytest.raises(IntegrityError) as told:
        await add(database, 2, SECRET)

    assert f"'{SECRET}'" not in str(told.value)
    assert not isinstance(told.value, Unavailable)


async def test_services_do_not_see_one_another(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(open_database(database_url, schema))
            for schema in ("one", "other")
        ]
        for database in (one, other):
            await make_table(database)
        await add(one, 1)

        assert (await count(one), await count(other)) == (1, 0)


async def test_all_connections_busy_is_unavailable_and_soon_told(database: Database) -> None:
    async with AsyncExitStack() as stack:
        size = 4 if database.dialect == "sqlite" else 10
        if database.dialect == "sqlite":
            database.engine.pool._timeout = 0.2  # type: ignore[attr-defined]
        for _ in range(size):
            await stack.enter_async_context(database.reading())
        began = time.monotonic()
        with pytest.raises(Unavailable, match="busy"):
            await database.ping()
        assert time.monotonic() - began < 6
    await database.ping()


@pytest.mark.parametrize("url", ["mysql://h/x", "nonsense", "sqlite:///relative", ""])
async def test_a_url_that_cannot_work_is_said_so(url: str) -> None:
    with pytest.raises(ConfigError, match="MARU_DATABASE_URL"):
        async with open_database(url, "notes"):
            pass


async def test_sqlite_survives_a_lost_machine_and_waits_for_locks(tmp_path: Path) -> None:
    async with (
        open_database(f"sqlite:///{tmp_path}", "notes") as database,
        database.reading() as connection,
    ):
        found = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
    assert (tmp_path / "notes.db").exists()


async def test_a_file_that_somebody_holds_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}"
    async with open_database(url, "notes") as holder, open_database(url, "notes") as other:
        await make_table(holder)
        async with other.engine.connect() as connection:
            await connection.execute(text("PRAGMA busy_timeout = 100"))
        async with holder.transaction():
            with pytest.raises(Unavailable):
                await add(other, 1)
        await add(other, 1)


async def test_a_full_disk_is_unavailable_and_nothing_is_lost(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path}", "notes") as database:
        await make_table(database)
        await add(database, 1)
        rows = [{"id": n, "text": f"{n:020}"} for n in range(10, 2000)]

        async def fill() -> None:
            async with database.transaction() as connection:
                pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
                await connection.execute(text(f"PRAGMA max_page_count = {pages}"))
                await connection.execute(notes.insert(), rows)

        with pytest.raises(Unavailable, match="the disk is full"):
            await fill()
        assert await count(database) == 1


@pytest.mark.postgres
async def test_a_text_with_nul_is_the_callers_fault(postgres_database: str) -> None:
    async with open_database(postgres_database, "notes") as database:
        await make_table(database)
        with pytest.raises(Unprocessable, match="U\\+0000"):
            await add(database, 1, "a\0b")


@pytest.mark.postgres
async def test_a_statement_that_takes_too_long_is_unavailable(postgres_database: str) -> None:
    async with open_database(postgres_database, "notes", statement_seconds=0.2) as database:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            async with database.reading() as connection:
                await connection.execute(text("SELECT pg_sleep(20)"))
        assert time.monotonic() - began < 5
        await database.ping()


@pytest.mark.postgres
async def test_a_deadlock_is_worth_another_try(postgres_database: str) -> None:
    async with open_database(postgres_database, "notes") as database:
        await make_table(database)
        await add(database, 1)
        await add(database, 2)

        async def touch(*ids: int) -> None:
            async with database.transaction() as connection:
                for one in ids:
                    await connection.execute(
                        notes.update().where(notes.c.id == one).values(text=f"{ids}-{one}")
                    )
                    await asyncio.sleep(0.2)

        results = await asyncio.gather(touch(1, 2), touch(2, 1), return_exceptions=True)

        assert sorted(type(result).__name__ for result in results) == ["NoneType", "Unavailable"]


@pytest.mark.postgres
async def test_a_forgotten_transaction_lets_go_of_its_locks(postgres_database: str) -> None:
    async with open_database(postgres_database, "notes") as database:
        await make_table(database)
        await add(database, 1)

        async def forget() -> None:
            async with database.transaction() as connection:
                await connection.execute(notes.update().values(text="held"))
                await asyncio.sleep(3.3)
                await connection.execute(notes.update().values(text="held on"))

        with pytest.raises(Unavailable):
            await forget()
        await add(database, 2)


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_after_a_restart_of_the_server_work_goes_on(
    own_postgres: Server, how: signal.Signals
) -> None:
    async with open_database(f"{own_postgres.url}/postgres", "notes") as database:
        await make_table(database)
        await asyncio.gather(*(count(database) for _ in range(10)))

        async def lose_the_server() -> None:
            async with database.transaction() as connection:
                await connection.execute(notes.insert().values(id=1, text="lost"))
                await asyncio.to_thread(own_postgres.stop, how)
                await connection.execute(notes.insert().values(id=2, text="lost too"))

        with pytest.raises(Unavailable):
            await lose_the_server()
        with pytest.raises(Unavailable):
            await database.ping()

        await asyncio.to_thread(own_postgres.start)

        began = time.monotonic()
        while True:
            try:
                await add(database, 3)
                break
            except Unavailable:
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 5
        await asyncio.gather(*(database.ping() for _ in range(10)))
        assert await count(database) == 1
