"""The whole service as it runs: posts go in at the log, ideas come out of the API and the log."""

import asyncio
from pathlib import Path

import httpx

from ideas.factories import a_tagged
from maru_contracts.topics import IDEAS_CHANGED, POSTS_TAGGED
from maru_ideas.app import create_app
from maru_ideas.settings import Settings
from maru_kit.bus import Bus, open_bus
from maru_kit.migrate import migrate
from maru_kit.settings import Common
from maru_kit.stream import publish

CALLER = {"X-Maru-Workspace": "default", "X-Maru-Actor": "test", "X-Maru-Role": "reader"}


async def test_posts_become_ideas_and_events(database_url: str, tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path}/log.db"
    common = Common(home=tmp_path, database_url=database_url, bus_url=log, instance="one")
    app = create_app(Settings(common=common))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://ideas", headers=CALLER
        ) as client,
        open_bus(log) as bus,
    ):
        await publish(bus, POSTS_TAGGED, [a_tagged(str(n), subject=n % 3) for n in range(30)])

        async with asyncio.timeout(20):
            # Nothing tells a stranger that all is through.
            while await _evidence(client) < 30 or await _length(bus, IDEAS_CHANGED.name) < 30:
                await asyncio.sleep(0.05)
        ready = await client.get("/readyz")
        metrics = (await client.get("/metrics")).text

    assert ready.status_code == 200
    assert "maru_ideas_created_total" in metrics


async def _evidence(client: httpx.AsyncClient) -> int:
    items = (await client.get("/api/v1/ideas")).json()["items"]
    return sum(item["evidence_count"] for item in items)


async def _length(bus: Bus, topic: str) -> int:
    return sum((await bus.ends(topic)).values())


async def test_the_tables_go_up_and_down(database_url: str) -> None:
    await migrate(database_url, "ideas", "maru_ideas")
    await migrate(database_url, "ideas", "maru_ideas", to="base")
    await migrate(database_url, "ideas", "maru_ideas")
