"""One database for each service: a file on a laptop, a schema of PostgreSQL in production.

Both are spoken to through SQLAlchemy Core. A use case is one `transaction()`; nothing else
commits. Whatever may pass if it is tried again (a lost connection, a lock, a full disk, an
exhausted pool) is raised as Unavailable.
"""

import asyncio
import errno
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import structlog
from sqlalchemy import Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from maru_kit.errors import ConfigError, Unavailable, Unprocessable

_PASSING_SQLSTATES = ("08", "40", "53", "57")
"""Classes of PostgreSQL's error codes that a later try may survive: connection exception,
transaction rollback, insufficient resources, operator intervention
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

_PASSING_SQLITE = ("locked", "busy", "full", "I/O error")

_DISK_FULL = "53100"
_FULL = "The database can't write: the disk is full; free some space"

_NO_TEXT = ("22021", "22P05")
"""PostgreSQL's codes for a text that holds U+0000 or a half of a surrogate pair."""

STATEMENT_SECONDS = 8.0
"""How long one statement may take; migrations are given more."""

_TURN_SECONDS = 10.0
"""How long a writer waits for the others of its process, as for those of other processes."""

_WAL_TRIES, _WAL_SECONDS = 100, 0.02
"""How often, and after how long, it is tried again to have a new file use a log of its own."""

_READ_OPTIONS: dict[str, dict[str, Any]] = {
    "sqlite": {"maru_begin": "BEGIN DEFERRED"},
    # One statement is one round trip: no BEGIN and no COMMIT around it.
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}

log = structlog.get_logger(__name__)


class Database:
    """An open database. Closed by whoever opened it."""

    def __init__(self, engine: AsyncEngine, schema: str) -> None:
        self.engine = engine
        self._reader = engine.execution_options(**_READ_OPTIONS[engine.dialect.name])
        self.schema = schema
        self.dialect = cast("Literal['sqlite', 'postgresql']", engine.dialect.name)
        # SQLite's writers ask for its lock again and again, with longer and longer sleeps between.
        # Those of one process come in turn instead, and each follows the one before at once.
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Do one use case: committed at the end, rolled back when anything is raised.

        On SQLite it holds the one write lock from its first statement on.
        """
        with _passing_as_unavailable():
            async with self._in_turn(), self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        if self._turn is None:
            yield
            return
        async with asyncio.timeout(_TURN_SECONDS):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read what is committed; takes no write lock, and nothing may be written in it."""
        with _passing_as_unavailable():
            async with self._reader.connect() as connection:
                yield connection

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Make an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        make = sqlite.insert if self.dialect == "sqlite" else postgresql.insert
        return make(table)

    async def ping(self) -> None:
        """Return when the database answers; raises Unavailable when it does not."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


@asynccontextmanager
async def open_database(
    url: str, schema: str, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[Database]:
    """Open the part of a database that belongs to one service, and close it at the end.

    `sqlite:////folder` is the file `<folder>/<schema>.db`; `postgresql://user:password@host/name`
    is that database's schema `<schema>`, where a statement that takes longer than
    `statement_seconds` is Unavailable. Raises ConfigError for any other.
    """
    database = Database(create_engine(url, schema, statement_seconds), schema)
    try:
        yield database
    finally:
        await database.close()


def create_engine(
    url: str, schema: str, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncEngine:
    """Make the engine behind `open_database`; nothing is connected yet."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"MARU_DATABASE_URL is no URL: {error}") from error
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite_engine(parsed, schema)
        case "postgresql":
            return _postgresql_engine(parsed, schema, statement_seconds)
        case other:
            raise ConfigError(
                f"MARU_DATABASE_URL starts with {other}: Maru knows sqlite and postgresql"
            )


def _sqlite_engine(url: URL, schema: str) -> AsyncEngine:
    folder = Path(url.database or "")
    if not folder.is_absolute():
        raise ConfigError(
            "MARU_DATABASE_URL must name an absolute folder, such as sqlite:////var/lib/maru"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{schema}.db"
    if not file.exists():
        file.touch(mode=0o600)  # what SQLite adds beside it (-wal, -shm) takes the same mode
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file)),
        pool_size=4,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: a deferred one that turns into a writer
    # fails at once when somebody else writes, whatever the busy timeout is.
    connection.isolation_level = None
    cursor = connection.cursor()
    _use_wal(cursor)
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 10000",
        "cache_size = -16000",
        # 16 MB: rows that are found by random ids dirty the same pages again and again until then.
        "wal_autocheckpoint = 4000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Have changes go to a log of their own, which is a property of the file.

    SQLite waits for nobody here, so of two processes that open a new file at once one is refused.
    """
    for left in reversed(range(_WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(_WAL_SECONDS)
        else:
            return


def _begin_sqlite(connection: Any) -> None:
    how = connection.get_execution_options().get("maru_begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(how)


def _postgresql_engine(url: URL, schema: str, statement_seconds: float) -> AsyncEngine:
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=10,
        max_overflow=0,
        pool_timeout=2,
        hide_parameters=True,
        connect_args={
            "timeout": 5,
            "command_timeout": statement_seconds + 2,
            "server_settings": {
                "search_path": schema,
                "application_name": f"maru-{schema}",
                "timezone": "UTC",
                "statement_timeout": str(round(statement_seconds * 1000)),
                "idle_in_transaction_session_timeout": "3000",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _demand_open)
    return engine


def _demand_open(connection: Any, _record: object, _proxy: object) -> None:
    # The driver watches the socket, so it knows of a server that went away; asking the server
    # before every use would cost as much as most statements do.
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@contextmanager
def _passing_as_unavailable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if _may_pass(error):
            log.warning("database.unavailable", reason=str(error.orig))
            raise Unavailable(_told(error)) from error
        if _sqlstate(error) in _NO_TEXT:
            raise Unprocessable("A text holds U+0000, which no text may hold") from error
        raise
    except PoolTimeout as error:
        raise Unavailable("All database connections are busy", retry_after=1) from error
    except (TimeoutError, OSError) as error:
        log.warning("database.unavailable", reason=str(error) or type(error).__name__)
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        raise Unavailable(_FULL if is_full else "The database does not answer") from error


def _may_pass(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    origin = error.orig
    cause = getattr(origin, "__cause__", None) or origin
    if isinstance(cause, sqlite3.OperationalError):
        return any(word in str(cause) for word in _PASSING_SQLITE)
    if isinstance(cause, (OSError, asyncio.TimeoutError)):
        return True
    return _sqlstate(error).startswith(_PASSING_SQLSTATES)


def _told(error: DBAPIError) -> str:
    """Say what keeps the database from taking this, where somebody can do something about it."""
    cause = getattr(error.orig, "__cause__", None) or error.orig
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # without its extension
    is_full = code == sqlite3.SQLITE_FULL or _sqlstate(error) == _DISK_FULL
    return _FULL if is_full else "The database does not take this now"


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
