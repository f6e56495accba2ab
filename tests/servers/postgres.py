"""A real PostgreSQL server as a child process, and the databases of both kinds."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from servers.ports import free_ports
from servers.shared import shared_server, start_detached, stop

SECRET_KEYS = json.dumps([base64.b64encode(bytes(range(32))).decode()])
"""What `MARU_INGEST_SECRET_KEYS` is for services that tests start on a server."""

_STARTUP = 30.0
_SETTINGS = ("max_connections=200", "fsync=off", "full_page_writes=off", "timezone=UTC")
"""Tests kill the server, never the machine: what it wrote need not reach the disk."""


class Server:
    """A server with a data folder and a port of its own, that can be killed and started again."""

    def __init__(self, settings: Sequence[str] = _SETTINGS) -> None:
        self._settings = settings
        (self._port,) = free_ports(1)
        self._folder = Path(tempfile.gettempdir()) / f"maru-postgres-{self._port}"
        self.pid = 0

    @property
    def url(self) -> str:
        """The server's URL without a database."""
        return f"postgresql://maru@127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, making its data folder first, and return when it serves."""
        if not self._folder.exists():
            self._folder.mkdir(mode=0o755)
            if os.geteuid() == 0:
                shutil.chown(self._folder, "nobody")
            data = str(self._folder / "data")
            _run("initdb", "-D", data, "-U", "maru", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = [part for setting in self._settings for part in ("-c", setting)]
        command = [
            *_as_nobody(),
            _program("postgres"),
            *("-D", str(self._folder / "data"), "-p", str(self._port)),
            *("-k", str(self._folder), *settings),
        ]
        log = self._folder / "server.log"
        self.pid = start_detached(command, log)
        deadline = time.monotonic() + _STARTUP
        while not self._answers():
            if not psutil.pid_exists(self.pid) or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is a fast shutdown, SIGQUIT an immediate one, SIGKILL a crash."""
        stop(self.pid, how)

    def remove(self) -> None:
        """Delete its data."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(ready, check=False).returncode == 0


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's server; every test uses a database of its own in it."""

    def start(_folder: Path) -> tuple[str, int]:
        server = Server()
        server.start()
        return server.url, server.pid

    with shared_server("postgres", tmp_path_factory, start) as url:
        yield url
    folder = Path(tempfile.gettempdir()) / f"maru-postgres-{url.rpartition(':')[2]}"
    if not (folder / "data" / "postmaster.pid").exists():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new, empty database; services that use it find the key that seals secrets."""
    monkeypatch.setenv("MARU_INGEST_SECRET_KEYS", SECRET_KEYS)
    name = f"maru_{uuid4().hex}"
    _run("createdb", "--maintenance-db", f"{postgres_url}/postgres", name)
    yield f"{postgres_url}/{name}"
    _run("dropdb", "--force", "--maintenance-db", f"{postgres_url}/postgres", name)


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server for one test, to be stopped and killed at will; it has the database `postgres`."""
    server = Server()
    server.start()
    yield server
    server.stop(signal.SIGKILL)
    server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of either kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path}"


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [*_as_nobody(), _program(program), *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr}")


def _as_nobody() -> list[str]:
    """The prefix under which PostgreSQL runs: it refuses to be root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _program(name: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join(map(str, places))) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: install Debian's package postgresql, or run `make test`")
    return found
