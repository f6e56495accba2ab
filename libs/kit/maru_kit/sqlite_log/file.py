"""One SQLite file: writes grouped into transactions on one thread, reads on another."""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from maru_kit.errors import ConfigError, MaruError, Unavailable

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
_Queued = tuple[Job[Any], asyncio.Future[Any]]

LOCK_WAIT = 5.0
"""Seconds that a transaction waits for another process's transaction to end."""
DEADLINE = 10.0
"""Seconds after which a write that has not been confirmed is reported as Unavailable."""
POLL = 0.02
"""Seconds between two looks for what other processes wrote, while somebody waits for it."""
GROUP = 64
"""Writes that share one transaction, at most: under load one fsync serves them all."""


class SqliteFile:
    """A database file in WAL mode with synchronous=FULL: what is committed survives power loss.

    No SQLite call runs on the event loop. Writes that come while another is being committed
    are committed together; each fails or succeeds by itself.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self.changes = 0
        self._schema = schema
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="log-write")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="log-read")
        self._queue: deque[_Queued] = deque()
        self._queued = asyncio.Event()
        self._changed = asyncio.Event()
        self._waiting = 0
        self._watched = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connect, creating file and tables where they are missing. Raises ConfigError."""
        loop = asyncio.get_running_loop()
        try:
            self._writer = await loop.run_in_executor(self._writes, self._connect)
            await loop.run_in_executor(self._writes, self._prepare)
            self._reader = await loop.run_in_executor(self._reads, self._connect)
        except (sqlite3.DatabaseError, OSError) as error:
            self._writes.shutdown(wait=False)
            self._reads.shutdown(wait=False)
            raise ConfigError(
                f"The log {self.path} cannot be opened ({error}). It must be a SQLite file in a "
                "folder on a local disk that this user may write to."
            ) from error
        self._tasks = [asyncio.create_task(self._write_on()), asyncio.create_task(self._watch())]

    async def close(self) -> None:
        """Commit what is queued, then let go of the file."""
        try:
            await self.write(_nothing)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._reads, self._reader.close)
            await loop.run_in_executor(self._writes, self._writer.close)
            self._reads.shutdown()
            self._writes.shutdown()

    async def read(self, job: Job[T]) -> T:
        """Run `job` in one read transaction, so that all it sees is of one moment."""
        loop = asyncio.get_running_loop()
        with self._clear_errors():
            return await loop.run_in_executor(self._reads, self._in_snapshot, job)

    async def write(self, job: Job[T]) -> T:
        """Run `job` in a transaction; return its result once that is on the disk."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append((job, done))
        self._queued.set()
        try:
            async with asyncio.timeout(DEADLINE):
                with self._clear_errors():
                    return await done
        except TimeoutError:
            raise Unavailable(
                f"The log {self.path} has not confirmed a write within {DEADLINE:g} s; the disk "
                "may be overloaded."
            ) from None

    async def change_after(self, seen: int, wait: float) -> None:
        """Return when `changes` is no longer `seen`, or `wait` seconds have passed."""
        if self.changes != seen or wait <= 0:
            return
        self._waiting += 1
        self._watched.set()
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._waiting -= 1

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists():
            self.path.touch(mode=0o600)
        db = sqlite3.connect(self.path, timeout=LOCK_WAIT, isolation_level=None)
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -16000")
        return db

    def _prepare(self) -> None:
        _begin(self._writer)
        for statement in self._schema.split(";\n"):
            self._writer.execute(statement)
        self._writer.execute("COMMIT")
        self._writer.execute("PRAGMA busy_timeout = 0")

    def _in_snapshot(self, job: Job[T]) -> T:
        self._reader.execute("BEGIN")
        try:
            return job(self._reader)
        finally:
            self._reader.execute("ROLLBACK")

    async def _write_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._queued.wait()
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            if not self._queue:
                self._queued.clear()
            jobs = [job for job, _ in group]
            outcomes = await loop.run_in_executor(self._writes, self._commit, jobs)
            self._note_change()
            for (_, done), outcome in zip(group, outcomes, strict=True):
                _settle(done, outcome)

    def _commit(self, jobs: list[Job[Any]]) -> list[Any]:
        """One outcome for each job: its result, or the exception that it ended with."""
        try:
            _begin(self._writer)
            outcomes = [_in_savepoint(self._writer, job) for job in jobs]
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each caller gets it from `write`
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return [error] * len(jobs)
        return outcomes

    async def _watch(self) -> None:
        """Notice what other processes commit: `data_version` differs from the last look."""
        last = -1
        while True:
            await self._watched.wait()
            version = await asyncio.get_running_loop().run_in_executor(self._reads, self._version)
            if version != last:
                last = version
                self._note_change()
            if not self._waiting:
                self._watched.clear()
            await asyncio.sleep(POLL)

    def _version(self) -> int:
        return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def _note_change(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"The log {self.path} does not answer: {_reason(error)}") from error


def _begin(db: sqlite3.Connection) -> None:
    """Start a write transaction. SQLite's own waiting naps up to 100 ms; this one naps 1-5 ms."""
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.005))
        else:
            return


def _nothing(_: sqlite3.Connection) -> None:
    """A write that changes nothing: it is done when all before it are."""


def _in_savepoint(db: sqlite3.Connection, job: Job[Any]) -> Any:
    """The job's result, or the error with which it refused; then nothing of it remains."""
    db.execute("SAVEPOINT job")
    try:
        outcome = job(db)
    except MaruError as error:
        db.execute("ROLLBACK TO job")
        outcome = error
    db.execute("RELEASE job")
    return outcome


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # the caller has gone
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space."
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"another process has held it locked for more than {LOCK_WAIT:g} s."
    return f"{error}."
