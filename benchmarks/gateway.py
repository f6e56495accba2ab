"""Gateway: requests a second for a list of ideas, beside the barest servers of the same rows."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

import asyncpg
import httpx

from benchmarks import material
from benchmarks.figures import Figure, at_least, in_turns, median, ratio
from benchmarks.services import reader_key, serving, until_listed
from benchmarks.stage import Stage, free_port, running
from maru_contracts.topics import POSTS_COLLECTED, TOPICS
from maru_kit.bus import open_bus
from maru_kit.stream import publish

_LIST = "/api/v1/ideas?limit=20"
_CONNECTIONS = 16
_WISHES = 260
"""Posts that make about 200 ideas."""
_OPEN = {"MARU_GATEWAY_REQUESTS_PER_MINUTE": "100000000"}
_NO_CACHE = {"MARU_GATEWAY_CACHE_BYTES": "0"}
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

_KEPT, _ASKED = "Gateway lists ideas, as it is", "Gateway lists ideas, without its cache"
_ROWS = "bare FastAPI + asyncpg, the same 20 rows"
_CONSTANT = "bare FastAPI, a constant"


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:
    """Rates and the 99th percentile of the time, with and without the gateway's cache."""
    seconds, rounds = (2, 1) if quick else (4, 5)
    database, folder = await stage.new_database(), stage.new_folder("gateway")
    key = {"Authorization": f"Bearer {await reader_key(database)}"}
    with ExitStack() as stack:
        kafka_url = stack.enter_context(stage.kafka())
        start = partial(serving, folder=folder, log=kafka_url, database=database)
        with start("sentiment", "ideas"):
            await _fill(kafka_url, database)
        urls = stack.enter_context(start("ideas", "gateway", **_OPEN))
        alone = {**_OPEN, **_NO_CACHE, "MARU_GATEWAY_IDEAS_URL": urls["ideas"]}
        other = stack.enter_context(start("gateway", **alone))
        bare = f"http://127.0.0.1:{(port := free_port())}"
        arguments = ["-m", "uvicorn", "benchmarks.bare_http:app", "--no-access-log"]
        stack.enter_context(
            running(
                "bare",
                [*arguments, "--port", str(port)],
                {"BENCH_DATABASE_URL": database},
                folder,
                ready=f"{bare}/constant",
            )
        )
        targets: dict[str, tuple[str, Mapping[str, str]]] = {
            _KEPT: (f"{urls['gateway']}{_LIST}", key),
            _ASKED: (f"{other['gateway']}{_LIST}", key),
            _ROWS: (f"{bare}/rows", {}),
            _CONSTANT: (f"{bare}/constant", {}),
        }
        for ours in (_KEPT, _ASKED):
            await until_listed(*targets[ours])
        await _demand_the_same(targets)
        slowest: dict[str, list[float]] = {name: [] for name in targets}

        async def loaded(name: str) -> float:
            rate, slow = await _wrk(*targets[name], seconds=seconds)
            slowest[name].append(slow)
            return rate

        rates = await in_turns(rounds, {name: partial(loaded, name) for name in targets})
    return [
        figure
        for ours in (_KEPT, _ASKED)
        for figure in (
            _rate(ours, _ROWS, rates),
            Figure(
                f"{ours}, p99",
                median(slowest[ours]),
                "ms",
                _ROWS,
                median(slowest[_ROWS]),
            ),
        )
    ] + [_rate(_KEPT, _CONSTANT, rates, aimed=False)]


def _rate(
    ours: str, reference: str, rates: Mapping[str, list[float]], *, aimed: bool = True
) -> Figure:
    return Figure(
        ours,
        median(rates[ours]),
        "requests/s",
        reference,
        median(rates[reference]),
        ratio(rates[ours], rates[reference]),
        at_least(0.7) if aimed else None,
    )


async def _fill(log: str, database: str) -> None:
    """Let real wishes become ideas."""
    async with open_bus(log) as bus:
        await bus.create(TOPICS)
        await publish(bus, POSTS_COLLECTED, material.posts(material.wishes()[:_WISHES]))
    connection = await asyncpg.connect(database)
    try:
        async with asyncio.timeout(120):
            while await connection.fetchval("SELECT count(*) FROM ideas.posts") < _WISHES:
                await asyncio.sleep(0.2)
    finally:
        await connection.close()


async def _demand_the_same(targets: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
    """See that ours and the reference list the same ideas."""
    async with httpx.AsyncClient() as client:
        lists = []
        for name in (_KEPT, _ASKED, _ROWS):
            url, headers = targets[name]
            answer = (await client.get(url, headers=dict(headers))).raise_for_status().json()
            lists.append(answer["items"] if isinstance(answer, dict) else answer)
    if not lists[0] or any(one != lists[0] for one in lists):
        raise RuntimeError("The reference does not answer with the same ideas")


async def _wrk(url: str, headers: Mapping[str, str], *, seconds: int) -> tuple[float, float]:
    """Return requests a second and the 99th percentile in milliseconds."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: `apt-get install wrk`, and run `make bench` again")
    process = await asyncio.create_subprocess_exec(
        "wrk",
        *("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency"),
        *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")),
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or slow is None or "Non-2xx" in said:
        raise RuntimeError(f"wrk says:\n{said}")
    return float(rate[1]), float(slow[1]) * _MILLISECONDS[slow[2]]
