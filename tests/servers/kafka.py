"""A real Kafka broker as a child process."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from servers.ports import free_ports
from servers.shared import shared_server, start_detached, stop

_RUN = Path(__file__).parents[2] / "deploy" / "kafka" / "run.sh"
_STARTUP = 300.0
"""Seconds: the first start on a machine fetches the jars."""


class Broker:
    """A broker with a data folder and a port of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._controller = self.ports = free_ports(2)
        self._log = folder / "broker.log"
        self.url = f"kafka://127.0.0.1:{self._port}"
        self.pid = 0

    def settings(self, text: str) -> None:
        """Give it settings of its own, before it starts."""
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        (self._folder / "data" / "extra.properties").write_text(text)

    def tool(self, *arguments: str) -> None:
        """Run one of Kafka's own tools on it."""
        server = ["--bootstrap-server", f"127.0.0.1:{self._port}"]
        subprocess.run(
            [str(_RUN), "--tool", arguments[0], *server, *arguments[1:]],
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Start it, and return when it serves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        data, ports = str(self._folder / "data"), (str(self._port), str(self._controller))
        self.pid = start_detached([str(_RUN), data, *ports], self._log)
        deadline = time.monotonic() + _STARTUP
        while b"Kafka Server started" not in self._log.read_bytes():
            if not psutil.pid_exists(self.pid) or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with a signal, and return when it has gone."""
        stop(self.pid, how)


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's broker; every test uses topics of its own in it."""

    def start(folder: Path) -> tuple[str, int]:
        broker = Broker(folder)
        broker.start()
        return broker.url, broker.pid

    with shared_server("kafka", tmp_path_factory, start) as url:
        yield url


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test, to be stopped and killed at will."""
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop(signal.SIGKILL)
