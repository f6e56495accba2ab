"""All of Maru as `maru up` runs it, in either mode, with an eye on its memory and readiness."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import httpx
import psutil

from cli.conftest import Maru, until
from maru_kit.bus import Outgoing, open_bus
from servers.kafka import Broker
from servers.postgres import SECRET_KEYS, Server

Mode = Literal["embedded", "production"]
PATIENCE = 60.0
"""Seconds until something that is under way must have come through on a busy machine."""


@dataclass
class House:
    """A running Maru, and what an administrator asks of it."""

    maru: Maru
    client: httpx.Client
    bus_url: str
    watch: "Watch"

    def follow(self, url: str, product: str) -> str:
        """Have a feed polled each second; return the source's id."""
        return self.add("feed", product, {"url": url, "interval_seconds": 1})["id"]

    def add(self, kind: str, product: str, settings: dict[str, Any]) -> Any:  # JSON as it comes
        """Add a source that is called like its product."""
        wanted = {"kind": kind, "name": product, "product": product, "settings": settings}
        return self.client.post("/api/v1/sources", json=wanted).raise_for_status().json()

    def resume(self, source_id: str) -> None:
        """Try a source at once, as somebody does who has mended it."""
        self.client.post(f"/api/v1/sources/{source_id}/resume").raise_for_status()

    def reason(self, source_id: str) -> str:
        """What the source says is wrong with it."""
        return str(
            self.client.get(f"/api/v1/sources/{source_id}").raise_for_status().json()["reason"]
        )

    def texts(self, source_id: str) -> list[str]:
        """The texts of a source's posts that are tagged, in the order of the alphabet."""
        asked = {"source_id": source_id, "limit": 100}
        found = self.client.get("/api/v1/posts", params=asked).raise_for_status().json()["items"]
        assert all(post["intent"]["label"] and post["models"] for post in found)
        return sorted(post["post"]["text"] or post["post"]["title"] for post in found)

    def evidence(self, product: str) -> int:
        """How many posts stand behind the product's ideas."""
        asked = {"product": product, "limit": 100}
        found = self.client.get("/api/v1/ideas", params=asked).raise_for_status().json()["items"]
        return sum(idea["evidence_count"] for idea in found)

    def becomes_ideas(self, product: str, posts: int) -> None:
        """Wait until so many posts of a product are evidence."""
        until(lambda: self.evidence(product) == posts, seconds=PATIENCE)

    def says(self, source_id: str, words: str) -> None:
        """Wait until a source gives a reason that has these words."""
        deadline = time.monotonic() + PATIENCE
        while words not in (reason := self.reason(source_id)):
            assert time.monotonic() < deadline, f"{words!r} is not in {reason!r}"
            time.sleep(0.1)

    def dead(self, words: str) -> list[str]:
        """The reasons of the dead letters that have these words, as the command line lists them."""
        return [row["error"] for row in self.maru.json("dead", "list") if words in row["error"]]

    def append(self, topic: str, key: bytes, value: bytes, schema: str) -> None:
        """Write a record to the log past all services."""

        async def write() -> None:
            async with open_bus(self.bus_url) as bus:
                await bus.append(topic, [Outgoing(key, value, (("schema", schema.encode()),))])

        asyncio.run(write())


@dataclass
class Watch:
    """Looks every 50 ms how much memory each child process holds, and whether Maru is ready."""

    address: str
    peak: int = 0
    unready: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=it) for it in (self._weigh, self._ask)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _weigh(self) -> None:
        me = psutil.Process()
        mine = me.cmdline()
        while not self._stop.wait(0.05):
            for child in me.children(recursive=True):
                try:
                    # A child is a copy of the tests until it has become another program.
                    if child.cmdline() != mine:
                        self.peak = max(self.peak, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def _ask(self) -> None:
        while not self._stop.wait(0.25):
            try:
                answer = httpx.get(f"{self.address}/readyz", timeout=10)
            except httpx.HTTPError as error:
                self.unready.append(repr(error))
            else:
                if not answer.is_success:
                    self.unready.append(answer.text)


@contextmanager
def open_house(
    mode: Mode, folder: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[House]:
    """Start `maru up` on the log and the database of a mode, and stop everything at the end."""
    home = folder / "home"
    allowed = json.dumps(["127.0.0.1", "localhost"])
    settings = {"MARU_INGEST_ALLOW_HOSTS": allowed, **settings}
    bus_url = f"sqlite:///{home}/log.db"
    with ExitStack() as stack:
        if mode == "production":
            postgres = Server()
            stack.callback(postgres.remove)
            postgres.start()
            stack.callback(postgres.stop, signal.SIGKILL)
            broker = Broker(folder / "broker")
            broker.start()
            stack.callback(broker.stop, signal.SIGKILL)
            bus_url = broker.url
            settings |= {
                "MARU_BUS_URL": bus_url,
                "MARU_DATABASE_URL": f"{postgres.url}/postgres",
                "MARU_INGEST_SECRET_KEYS": SECRET_KEYS,
            }
        maru = Maru(home, settings)
        client = stack.enter_context(maru.up())
        watch = stack.enter_context(Watch(str(client.base_url).rstrip("/")))
        yield House(maru, client, bus_url, watch)
