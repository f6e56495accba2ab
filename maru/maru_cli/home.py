"""The folder that holds an installation: its locks, its admin key."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maru_gateway.service import Keys
from maru_kit.errors import ConfigError

WORKSPACE = "default"
"""The workspace that the command line works in."""

_KEY_FILE = "admin.key"

_LOCK = "maru.lock"
"""Held by who runs, and touched by nobody who does not want to."""

_RUNNING = "running.lock"
"""Held too by who runs; who only looks shares it for a moment."""


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold an installation's lock; raises ConfigError when a running Maru holds it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / _LOCK).open("a") as lock, (home / _RUNNING).open("a") as running:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Maru is running in {home} already: stop it, or choose another folder with "
                "MARU_HOME"
            ) from error
        fcntl.flock(running, fcntl.LOCK_EX)  # waits for those who look, which takes no time
        yield


def is_running(home: Path) -> bool:
    """Whether a Maru runs in this folder. Looking keeps nobody from starting one."""
    try:
        with (home / _RUNNING).open() as running:
            fcntl.flock(running, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


async def admin_key(home: Path, keys: Keys) -> str:
    """Return the admin key that the folder keeps; make one where there is none that is valid."""
    path = home / _KEY_FILE
    if path.is_file():
        secret = path.read_text("utf-8").strip()
        if await keys.find(secret) is not None:
            return secret
    _, secret = await keys.create(workspace=WORKSPACE, role="admin", name="first admin")
    _keep(path, secret)
    return secret


def _keep(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(secret + "\n", "utf-8")
