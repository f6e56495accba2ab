"""One server for a whole test session, however many xdist workers it has.

The first worker that needs it starts it, the last that is done with it stops it. Who uses it
stands in a file beside it, guarded by a lock.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
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


def stop(pid: int) -> None:
    """End a server by its process id, and make sure that it is gone."""
    try:
        server = psutil.Process(pid)
        server.terminate()
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
