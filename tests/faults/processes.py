"""The four services as processes of their own, to be killed at will."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
import psutil

from servers.postgres import SECRET_KEYS

PACKAGES = {
    "ingest": "maru_ingest",
    "sentiment": "maru_sentiment",
    "ideas": "maru_ideas",
    "gateway": "maru_gateway",
}
TOKEN = "token-of-the-fault-tests"


def free_port() -> int:
    """A loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """Services on one log and one database, each a child process with a log file of its own."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        self.ports = {service: free_port() for service in PACKAGES}
        self.env = {
            **os.environ,
            "MARU_HOME": str(home),
            "MARU_INSTANCE": "one",
            "MARU_SERVICE_TOKEN": TOKEN,
            "MARU_INGEST_SECRET_KEYS": SECRET_KEYS,
            "MARU_LOG_FORMAT": "json",
            **{
                f"MARU_{service.upper()}_PORT".replace("MARU_GATEWAY_PORT", "MARU_PORT"): str(port)
                for service, port in self.ports.items()
            },
            **{
                f"MARU_GATEWAY_{service.upper()}_URL": f"http://127.0.0.1:{port}"
                for service, port in self.ports.items()
            },
            **settings,
        }
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.armed: set[str] = set()
        self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()

    def start(self, *services: str, **extra: str) -> None:
        """Start services; `extra` goes into their environment, and they count as armed."""
        for service in services:
            (self.armed.add if extra else self.armed.discard)(service)
            with (self.home / f"{service}.log").open("ab") as log:
                self._children[service] = subprocess.Popen(
                    [sys.executable, "-m", PACKAGES[service]],
                    env={**self.env, **extra},
                    stdout=log,
                    stderr=log,
                )

    def kill(self, service: str, with_signal: signal.Signals = signal.SIGKILL) -> int:
        """End a service with a signal, wait for its end, and return its exit status."""
        child = self._children.pop(service)
        child.send_signal(with_signal)
        self.kills += 1
        return child.wait(30)

    def wait_dead(self, service: str, seconds: float = 60) -> int:
        """Wait until a service ends by itself; return its exit status."""
        status = self._children[service].wait(seconds)
        del self._children[service]
        return status

    def signal(self, service: str, with_signal: signal.Signals) -> None:
        """Send a signal and leave the service be."""
        self._children[service].send_signal(with_signal)

    def alive(self, service: str) -> bool:
        """Whether the process runs."""
        return service in self._children and self._children[service].poll() is None

    def is_frozen(self, service: str) -> bool:
        """Whether a signal has stopped the process."""
        return psutil.Process(self._children[service].pid).status() == psutil.STATUS_STOPPED

    def output(self, service: str) -> str:
        """What the service has printed, over all its lives."""
        return (self.home / f"{service}.log").read_text("utf-8", "replace")

    def get(self, service: str, path: str, **params: str) -> httpx.Response:
        """Ask a service as the gateway would, for an administrator of the default workspace."""
        return httpx.get(
            f"http://127.0.0.1:{self.ports[service]}{path}",
            params=params,
            headers=self.headers,
            timeout=10,
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the gateway adds to what it forwards."""
        return {
            "X-Maru-Service-Token": TOKEN,
            "X-Maru-Workspace": "default",
            "X-Maru-Actor": "fault-tests",
            "X-Maru-Role": "admin",
        }

    def wait_ready(self, *services: str, seconds: float = 60) -> None:
        """Wait until each service says that it is ready."""
        deadline = time.monotonic() + seconds
        for service in services:
            while not self._is_ready(service):
                if not self.alive(service):
                    raise AssertionError(
                        f"{service} ended by itself:\n{self.output(service)[-1500:]}"
                    )
                if time.monotonic() > deadline:
                    raise AssertionError(
                        f"{service} not ready in {seconds} s:\n{self.output(service)[-1500:]}"
                    )
                time.sleep(0.05)

    def _is_ready(self, service: str) -> bool:
        try:
            return self.get(service, "/readyz").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


class Killer:
    """Kills and restarts services at random moments, in a thread, until it is stopped."""

    def __init__(
        self,
        stack: Stack,
        services: Sequence[str],
        *,
        kills: int,
        pause: tuple[float, float],
        seed: int,
    ) -> None:
        self._stack = stack
        self._plan = [services[number % len(services)] for number in range(kills)]
        self._pause = pause
        self._random = random.Random(seed)
        self._random.shuffle(self._plan)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.done = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def finished(self) -> bool:
        """Whether the whole plan was carried out."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        for service in self._plan:
            if self._stop.wait(self._random.uniform(*self._pause)):
                return
            self._stack.kill(service)
            self._stack.start(service)
            self.done += 1
