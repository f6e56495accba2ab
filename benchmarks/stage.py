"""The servers and processes of a run: started when first needed, all gone at its end."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Self

import asyncpg
import httpx
import psutil

from servers.kafka import Broker
from servers.ports import free_ports
from servers.postgres import Server

_MEGABYTE = 1e6
_PATIENCE = 60.0


class Stage:
    """A folder, a Kafka broker and a PostgreSQL server, for a whole run."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.folder = Path(mkdtemp(prefix="maru-bench-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def kafka(self) -> Iterator[str]:
        """Run a broker around a block, with nothing in it: what it holds, services would read."""
        broker = Broker(self.new_folder("kafka"))
        broker.start()
        try:
            yield broker.url
        finally:
            broker.stop()

    @cached_property
    def _postgres(self) -> Server:
        """A server of our own that writes to disk what it says it has, unlike that of the tests."""
        server = Server(("max_connections=200", "timezone=UTC"))
        self._stack.callback(server.remove)
        server.start()
        self._stack.callback(server.stop)
        return server

    async def new_database(self) -> str:
        """Make an empty database on our own server and return its URL."""
        name = f"bench_{secrets.token_hex(4)}"
        connection = await asyncpg.connect(f"{self._postgres.url}/postgres")
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
        return f"{self._postgres.url}/{name}"

    def new_folder(self, name: str) -> Path:
        """Make an empty folder."""
        folder = self.folder / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir()
        return folder


class Process:
    """A child and all its descendants."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command, env={**os.environ, **env}, stdout=output, stderr=output
            )

    def megabytes(self) -> float:
        """The resident memory of all processes together."""
        total = 0
        for process in self._family():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / _MEGABYTE

    def demand_alive(self) -> None:
        """Raise RuntimeError with what it printed if it has ended."""
        if self._child.poll() is not None:
            said = self._log.read_text("utf-8", "replace")
            raise RuntimeError(f"{self._log.stem} ended by itself:\n{said[-3000:]}")

    def stop(self) -> None:
        """End it, gently first."""
        family = self._family()
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for process in family:
            if process.is_running():
                process.kill()

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._child.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def peak_megabytes(arguments: Sequence[str], env: Mapping[str, str], log: Path) -> float:
    """Run `python …` to its end; return the most resident memory that it ever had (Linux).

    Raises RuntimeError with what it printed if it fails.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], env={**os.environ, **env}, stdout=output, stderr=output
        )
    _, status, used = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{log.stem} failed:\n{log.read_text('utf-8', 'replace')[-3000:]}")
    return used.ru_maxrss * 1024 / _MEGABYTE


@contextmanager
def running(
    name: str, arguments: Sequence[str], env: Mapping[str, str], folder: Path, *, ready: str
) -> Iterator[Process]:
    """Run `python -m …` around a block, which begins once the URL `ready` answers 200."""
    process = Process([sys.executable, *arguments], env, folder / f"{name}.log")
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(ready):
            process.demand_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not ready after {_PATIENCE:.0f} s")
            time.sleep(0.05)
        yield process
    finally:
        process.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A loopback port that nobody uses at this moment."""
    return free_ports(1)[0]
