"""The sample workspace: a made-up product, whose posts come in through ordinary sources."""

import asyncio
import shutil
from pathlib import Path

import httpx

from maru_cli.composition import FILES, Composition
from maru_cli.output import out
from maru_kit.errors import MaruError

FOLDER = Path(__file__).parent / "sample"
_PATIENCE = 120.0
_HEARD = 2.0
"""Seconds until the tagger has heard of a definition, so that the first posts are searched too."""

SOURCES = (
    ("feed", "Sample blog", "blog", "blog.atom"),
    ("feed", "Sample community", "community", "community.rss"),
    ("file", "Sample reviews", "review", "reviews.ndjson"),
)
"""Kind, name, channel and file of each sample source."""

WATCHED = (
    ("Maru Notes", "own", ("마루 노트",)),
    ("Cloverpad", "competitor", ("클로버패드",)),
)
"""Name, kind and aliases of each product that the sample watches; both are made up."""


async def load(composition: Composition, key: str) -> None:
    """Add the sample sources, once, and tell when their first ideas are there."""
    files = composition.common.home / FILES / "sample"
    loaded = files / ".loaded"
    if loaded.exists():  # whoever removes a sample source does not want it back
        return
    await asyncio.to_thread(shutil.copytree, FOLDER, files, dirs_exist_ok=True)
    transport = httpx.ASGITransport(composition.gateway)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://maru", headers=headers
    ) as http:
        listed = (await http.get("/api/v1/sources", params={"limit": 100})).json()["items"]
        known = {source["name"] for source in listed}
        await _watch(http)
        missing = [source for source in SOURCES if source[1] not in known]
        for kind, name, channel, file in missing:
            await _add(http, kind, name, channel, files / file)
        loaded.touch()
        if missing:
            await _await_ideas(http)


async def _watch(http: httpx.AsyncClient) -> None:
    for name, kind, aliases in WATCHED:
        wanted = {"kind": kind, "aliases": aliases}
        response = await http.put(f"/api/v1/watch/{name}", json=wanted)
        if response.is_error:
            raise MaruError(f"The sample product {name} is not watched: {response.text}")
    await asyncio.sleep(_HEARD)


async def _add(http: httpx.AsyncClient, kind: str, name: str, channel: str, path: Path) -> None:
    place = {"url": path.as_uri()} if kind == "feed" else {"path": str(path)}
    wanted = {
        "kind": kind,
        "name": name,
        "product": "Maru Notes (sample)",
        "channel": channel,
        "settings": place,
    }
    response = await http.post("/api/v1/sources", json=wanted)
    if response.is_error:
        raise MaruError(f"The sample source {name} was not added: {response.text}")


async def _await_ideas(http: httpx.AsyncClient) -> None:
    out.print("  The sample posts (a made-up product) are on their way …")
    async with asyncio.timeout(_PATIENCE):
        seen = -1
        while True:
            ideas = (await http.get("/api/v1/ideas", params={"limit": 1})).json()["total"]
            if ideas and ideas == seen:
                break
            seen = ideas
            await asyncio.sleep(1)
    out.print(f"  {ideas} ideas are on the board.\n")
