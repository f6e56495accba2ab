"""The real command line, as a child process, in a home folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.ports import free_ports


@dataclass
class Maru:
    """One installation: a home folder and settings."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MARU_")}
        return {**own, "MARU_HOME": str(self.home), "COLUMNS": "200", **self.settings}

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "maru_cli", *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> Any:  # JSON as it comes
        """Run a command that must succeed, and read what it prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    @contextmanager
    def up(self, *arguments: str) -> Iterator[httpx.Client]:
        """Run `maru up` around a block, and stop it as Ctrl-C does."""
        (port,) = free_ports(1)
        log = (self.home.parent / "up.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "maru_cli", "up", *arguments],
            env={**self.environment, "MARU_PORT": str(port)},
            stdout=log,
            stderr=log,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            until(lambda: answers(f"{address}/readyz"), seconds=60)
            until((self.home / "admin.key").is_file, seconds=10)
            key = (self.home / "admin.key").read_text().strip()
            with httpx.Client(
                base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30
            ) as client:
                yield client
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0, self.output()
        finally:
            process.kill()
            process.wait()
            log.close()

    def output(self) -> str:
        """What `maru up` has printed."""
        return (self.home.parent / "up.log").read_text()


@pytest.fixture
def maru(tmp_path: Path) -> Maru:
    return Maru(tmp_path / "home")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def until(happens: Callable[[], bool], *, seconds: float) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.1)
