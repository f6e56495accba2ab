"""Maru's services as processes of their own, as in production."""

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.stage import free_port, running
from maru_gateway.service import Keys
from maru_kit.database import open_database
from maru_kit.migrate import migrate
from maru_kit.vault import new_key

WORKSPACE = "default"
_TOKEN = secrets.token_hex(16)
_PORTS = {
    "ingest": "MARU_INGEST_PORT",
    "sentiment": "MARU_SENTIMENT_PORT",
    "ideas": "MARU_IDEAS_PORT",
    "gateway": "MARU_PORT",
}


@contextmanager
def serving(
    *names: str, folder: Path, log: str, database: str, **settings: str
) -> Iterator[dict[str, str]]:
    """Run these services around a block, which gets their URLs."""
    ports = {name: free_port() for name in _PORTS}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    env = {
        "MARU_HOME": str(folder),
        "MARU_BUS_URL": log,
        "MARU_DATABASE_URL": database,
        "MARU_INSTANCE": secrets.token_hex(4),
        "MARU_SERVICE_TOKEN": _TOKEN,
        "MARU_INGEST_SECRET_KEYS": json.dumps([new_key()]),
        "MARU_LOG_LEVEL": "warning",
        **{_PORTS[name]: str(port) for name, port in ports.items()},
        **{f"MARU_GATEWAY_{name.upper()}_URL": url for name, url in urls.items()},
        **settings,
    }
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(
                running(name, ["-m", f"maru_{name}"], env, folder, ready=urls[name] + _ready(name))
            )
        yield urls


async def reader_key(database: str) -> str:
    """Make a key that may read."""
    await migrate(database, "gateway", "maru_gateway")
    async with open_database(database, "gateway") as opened:
        _, secret = await Keys(opened).create(workspace=WORKSPACE, role="reader", name="bench")
    return secret


async def until_listed(url: str, headers: Mapping[str, str]) -> None:
    """Wait until the gateway has heard of the ideas service, a minute at the most."""
    async with asyncio.timeout(60), httpx.AsyncClient(headers=dict(headers)) as client:
        while (await client.get(url)).status_code != httpx.codes.OK:
            await asyncio.sleep(0.1)


def _ready(name: str) -> str:
    """The probe to wait for: the gateway is ready only when all services are there."""
    return "/healthz" if name == "gateway" else "/readyz"
