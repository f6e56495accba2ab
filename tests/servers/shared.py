"""One server for a whole test session, however many xdist workers it has.

The first worker that needs it starts it, the last that is done with it stops it. Who uses it
stands in a file beside it, guarded by a lock.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

Start = Callable[[Path], tuple[str, int]]
"""Starts a server that keeps its files in a folder; returns its URL and its process id."""


@contextmanager
def shared_server(name: str, factory: pytest.TempPathFactory, start: Start) -> Iterator[str]:
    """The URL of the session's server `name`."""
    folder = _session_folder(factory) / name
    folder.mkdir(exist_ok=True)
    with _locked(folder) as state:
        if not state:
            state["url"], state["pid"] = start(folder)
            state["users"] = []
        state["users"].append(os.getpid())
        url = str(state["url"])
    try:
        yield url
    finally:
        with _locked(folder) as state:
            state["users"].remove(os.getpid())
            if not any(psutil.pid_exists(user) for user in state["users"]):
                stop(state["pid"])
                state.clear()


def start_detached(command: Sequence[str], log: Path) -> int:
    """Start a server that is nobody's child, so that any worker can see it end."""
    pid_file = log.with_suffix(".pid")
    pid_file.unlink(missing_ok=True)
    note_pid = ["sh", "-c", 'echo $$ >"$0.part"; mv "$0.part" "$0"; exec "$@"', str(pid_file)]
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *note_pid, *command], stdout=output, stderr=output, check=True
        )
    while not pid_file.exists():
        time.sleep(0.01)
    return int(pid_file.read_text())


def stop(pid: int, how: signal.Signals = signal.SIGTERM) -> None:
    """End a server, and make sure that it has gone."""
    try:
        server = psutil.Process(pid)
        server.send_signal(how)
        try:
            server.wait(15)
        except psutil.TimeoutExpired:
            server.kill()
            server.wait(5)
    except psutil.NoSuchProcess:
        return


def _session_folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers: a worker's own base folder lies in that of the session."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def _locked(folder: Path) -> Iterator[dict[str, object]]:
    with (folder / "state.json").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state = json.loads(file.read() or "{}")
        yield state
        file.seek(0)
        file.truncate()
        file.write(json.dumps(state))
