"""All of Maru as four processes on a log and a database, in either mode, to be broken at will."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import httpx

from faults import reading
from faults.oracle import Verdict, judge
from faults.processes import PACKAGES, Stack
from faults.reading import Snapshot
from faults.simulator import Site, Written
from maru_kit.bus import Bus, open_bus
from maru_kit.database import Database, open_database
from maru_kit.errors import Unavailable
from servers.kafka import Broker
from servers.postgres import Server

T = TypeVar("T")
Mode = Literal["embedded", "production"]
SERVICES = ("ingest", "sentiment", "ideas", "gateway")
_MARU = [sys.executable, "-c", "from maru_cli.main import main; main()"]


class World:
    """A running system. Every test has a product of its own in it, and judges only that."""

    def __init__(
        self, home: Path, stack: Stack, broker: Broker | None, postgres: Server | None
    ) -> None:
        self.home = home
        self.stack = stack
        self.broker = broker
        self.postgres = postgres
        self.bus_url = stack.env["MARU_BUS_URL"]
        self.database_url = stack.env["MARU_DATABASE_URL"]

    @property
    def mode(self) -> Mode:
        """Which of the two it is."""
        return "embedded" if self.broker is None else "production"

    def up(self, *services: str) -> None:
        """See that services run (all of them without a name) as they should, and are ready."""
        wanted = services or SERVICES
        for service in self.stack.armed.intersection(wanted):
            if self.stack.alive(service):
                self.stack.kill(service)
        self.stack.start(*(service for service in wanted if not self.stack.alive(service)))
        self.stack.wait_ready(*wanted)

    def follow(self, site: Site, product: str, *, name: str = "") -> None:
        """Have ingest poll every feed of a site, each second, as sources of that name."""
        for number in range(site.feeds):
            wanted = {
                "kind": "feed",
                "name": f"{name or product}-{number}",
                "product": product,
                "channel": "other",
                "settings": {"url": site.url(number), "interval_seconds": 1},
            }
            url = f"http://127.0.0.1:{self.stack.ports['ingest']}/api/v1/sources"
            httpx.post(url, json=wanted, headers=self.stack.headers, timeout=10).raise_for_status()

    def start_import(self, file: Path, product: str, **extra: str) -> "subprocess.Popen[bytes]":
        """Begin `maru import`; `extra` goes into its environment."""
        with (self.home / "import.log").open("ab") as log:
            return subprocess.Popen(
                [*_MARU, "import", str(file), "--product", product, "--json"],
                env={**self.stack.env, **extra},
                stdout=log,
                stderr=log,
            )

    def import_file(self, file: Path, product: str) -> None:
        """Import a file to its end."""
        status = self.start_import(file, product).wait(60)
        assert status == 0, (self.home / "import.log").read_text()[-3000:]

    def count(self, product: str) -> int:
        """How many posts of a product have arrived in ideas."""
        return asyncio.run(self._count(product))

    async def _count(self, product: str) -> int:
        async with self._database() as database:
            return await reading.count_posts(database, product)

    def drain(self, product: str, count: int, *, seconds: float = 60) -> None:
        """Wait until `count` posts have arrived and nothing is on its way."""
        asyncio.run(self._drain(product, count, seconds))

    async def _drain(self, product: str, count: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        state = "nothing answers"
        async with self.opened() as (bus, database):
            while time.monotonic() < deadline:
                try:
                    arrived = await reading.count_posts(database, product)
                    state = await reading.unfinished(bus, database)
                except Unavailable as error:
                    state = str(error)
                else:
                    if arrived >= count and not state:
                        return
                    state = f"{arrived} of {count} posts have arrived, {state or 'no work is left'}"
                await asyncio.sleep(0.2)
        raise AssertionError(f"not drained in {seconds} s: {state}\n{self.tails()}")

    def judge(self, product: str, truth: Sequence[Written]) -> Verdict:
        """What went wrong with a product's posts."""
        return verdict(self.snapshot(product), {it.native_id: (it.author, it.text) for it in truth})

    def snapshot(self, product: str) -> Snapshot:
        """All that there is of a product."""
        return self.ask(lambda bus, database: reading.snapshot(bus, database, product))

    def ask(self, question: Callable[[Bus, Database], Awaitable[T]]) -> T:
        """Open log and ideas database for one question."""

        async def run() -> T:
            async with self.opened() as (bus, database):
                return await question(bus, database)

        return asyncio.run(run())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Bus, Database]]:
        """Log and ideas database, as the services see them."""
        async with (
            open_bus(self.bus_url) as bus,
            open_database(self.database_url, "ideas") as database,
        ):
            yield bus, database

    def settles(self, product: str) -> int:
        """Wait until no more posts of a product arrive; return how many have."""
        arrived, before = self.count(product), -1
        while arrived != before:
            time.sleep(0.5)
            arrived, before = self.count(product), arrived
        return arrived

    def resumes(self, product: str, *, within: float, arrived: int | None = None) -> float:
        """Wait for the next post of a product to arrive; return how many seconds it took."""
        return asyncio.run(self._resumes(product, within, arrived))

    async def _resumes(self, product: str, within: float, arrived: int | None) -> float:
        begun = time.monotonic()
        async with self._database() as database:
            while (took := time.monotonic() - begun) < within:
                try:
                    now = await reading.count_posts(database, product)
                except Unavailable:
                    now = 0
                if arrived is not None and now > arrived:
                    return took
                arrived = now if arrived is None else arrived
                await asyncio.sleep(0.05)
        raise AssertionError(f"no post arrived for {within} s\n{self.tails()}")

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        async with open_database(self.database_url, "ideas") as database:
            yield database

    @contextmanager
    def second(self, service: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
        """Run another replica of a service."""
        env = {"MARU_INSTANCE": "two", f"MARU_{service.upper()}_PORT": str(port)}
        with (self.home / "second.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", PACKAGES[service]],
                env={**self.stack.env, **env},
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def is_locked(self) -> bool:
        """Whether some process holds the write lock of one of the files of the embedded mode."""
        for file in self.home.glob("*.db") if self.mode == "embedded" else ():
            with closing(sqlite3.connect(file, timeout=1.0, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    return True
                connection.execute("ROLLBACK")
        return False

    def waits_for(self, happened: Callable[[], bool], *, seconds: float = 30) -> None:
        """Wait until something has happened."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.tails()
            time.sleep(0.1)

    def tails(self) -> str:
        """The end of what each service has printed."""
        return "\n".join(f"-- {it}:\n{self.stack.output(it)[-1200:]}" for it in SERVICES)


def verdict(found: Snapshot, truth: Mapping[str, tuple[str, str]]) -> Verdict:
    """Judge a snapshot against the truth (native id to author and text)."""
    result = judge(truth, found.posts, [it.counted for it in found.ideas], found.streams)
    result.lost += [f"evidence of {native_id}" for native_id in found.unheard]
    result.out_of_order += found.wrong_events()
    return result


@contextmanager
def make_world(mode: Mode, folder: Path) -> Iterator[World]:
    """Start the servers that a mode needs and prepare the services, which are started by `up`."""
    home = folder / "home"
    home.mkdir(parents=True)
    broker, postgres = None, None
    urls = {"MARU_BUS_URL": f"sqlite:///{home}/log.db", "MARU_DATABASE_URL": f"sqlite:///{home}"}
    try:
        if mode == "production":
            postgres = Server()
            postgres.start()
            broker = Broker(folder / "broker")
            broker.start()
            urls = {"MARU_BUS_URL": broker.url, "MARU_DATABASE_URL": f"{postgres.url}/postgres"}
        allowed = {"MARU_INGEST_ALLOW_HOSTS": json.dumps(["127.0.0.1"])}
        with Stack(home, {**urls, **allowed}) as stack:
            yield World(home, stack, broker, postgres)
    finally:
        if broker is not None and broker.pid:
            broker.stop(signal.SIGKILL)
        if postgres is not None:
            postgres.stop(signal.SIGKILL)
            postgres.remove()
