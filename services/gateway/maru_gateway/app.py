"""Builds the gateway from its settings, with the services in this process or in others."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from maru_contracts.topics import IDEAS_CHANGED
from maru_gateway import api, pages
from maru_gateway.cache import AnswerCache
from maru_gateway.door import OWN, Door, House
from maru_gateway.feeds import Changes
from maru_gateway.live import Live
from maru_gateway.openapi import Document, Operation, RouteTable, merged, operations
from maru_gateway.service import Keys
from maru_gateway.settings import Settings
from maru_gateway.streams import Streams
from maru_gateway.upstream import InProcess, Upstream, document_of, open_upstreams
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.errors import Unavailable
from maru_kit.http import Check, answers
from maru_kit.http import create_app as create_http_app
from maru_kit.migrate import migrate

SCHEMA = "gateway"
VERSION = "0.1.0"
MAX_BODY = 5 * 1024 * 1024

_SAVE_SECONDS = 60.0
_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


def create_app(
    settings: Settings,
    *,
    services: Mapping[str, ASGIApp] | None = None,
    work: bool = True,
) -> FastAPI:
    """Make the gateway. `services` are called in process; without them, over HTTP.

    Without `work` it answers requests and follows no changes.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        common = settings.common
        await migrate(common.database_url, SCHEMA, "maru_gateway")
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(common.database_url, SCHEMA))
            bus = await stack.enter_async_context(open_bus(common.bus_url))
            await bus.create([IDEAS_CHANGED])
            upstreams = await _upstreams(settings, services, stack)
            house = House(
                keys=Keys(database),
                upstreams=upstreams,
                cache=AnswerCache(settings.cache_bytes),
                table=RouteTable(_own_operations(own)),
                document=own,
            )
            app.state.house = house
            app.state.database, app.state.bus = database, bus
            app.state.live = Live(bus, on_change=house.cache.drop)
            app.state.draining = app.state.live.draining
            await _learn(house, own, wait=services is None)
            if work:
                await stack.enter_async_context(_working(app, house, own))
            yield

    async def checks() -> Sequence[Check]:
        house: House = app.state.house
        missing = sorted(house.upstreams.keys() - house.table.services)
        return [
            await answers("log", app.state.bus),
            await answers("database", app.state.database),
            Check(
                "services",
                ok=not missing,
                reason=f"not heard of yet: {', '.join(missing)}" if missing else "",
            ),
        ]

    app = create_http_app(
        title="Maru gateway",
        service="gateway",
        lifespan=lifespan,
        routers=[api.router, pages.router],
        checks=checks,
        max_body=MAX_BODY,
        door=lambda inner: Door(inner, settings=settings, house=lambda: app.state.house),
        streams=lambda scope: app.state.house.table.streams(scope["method"], scope["path"]),
    )
    own = app.openapi()
    app.openapi = lambda: app.state.house.document  # type: ignore[method-assign]
    app.state.settings = settings
    app.state.changes = Changes()
    app.state.streams = Streams(most=settings.streams, most_per_key=settings.streams_per_key)
    return app


async def _upstreams(
    settings: Settings, services: Mapping[str, ASGIApp] | None, stack: AsyncExitStack
) -> dict[str, Upstream]:
    if services is not None:
        token = settings.common.service_token
        return {name: InProcess(app, token) for name, app in services.items()}
    urls = {
        "ingest": settings.ingest_url,
        "sentiment": settings.sentiment_url,
        "ideas": settings.ideas_url,
    }
    return await stack.enter_async_context(open_upstreams(urls, settings.common.service_token))


def _own_operations(own: Document) -> list[Operation]:
    open_paths = ["/openapi.json", *pages.paths()]
    return [
        *operations(OWN, own),
        Operation(OWN, "GET", "/metrics", "reader", is_cached=False),
        *(Operation(OWN, "GET", path, "public", is_cached=False) for path in open_paths),
    ]


async def _learn(house: House, own: Document, *, wait: bool) -> bool:
    """Ask every service what it offers; False when one could not be asked."""
    documents: dict[str, Any] = {OWN: own}
    for name, upstream in house.upstreams.items():
        try:
            documents[name] = await document_of(upstream)
        except Unavailable as error:
            if not wait:
                raise
            log.info("service.awaited", upstream=name, reason=str(error))
    found = [op for name, doc in documents.items() if name != OWN for op in operations(name, doc)]
    house.table = RouteTable([*_own_operations(own), *found])
    house.document = merged(documents, version=VERSION)
    return documents.keys() >= house.upstreams.keys()


@asynccontextmanager
async def _working(app: FastAPI, house: House, own: Document) -> AsyncIterator[None]:
    """Follow the changes of ideas and keep the uses of keys until the block ends."""
    stop = asyncio.Event()
    live: Live = app.state.live
    await live.start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live.run(stop))
        learning = tasks.create_task(_keep_learning(house, own))
        saving = tasks.create_task(_save_uses(house.keys))
        try:
            yield
        finally:
            stop.set()
            live.draining.set()
            learning.cancel()
            saving.cancel()
            await house.keys.save_uses()


async def _keep_learning(house: House, own: Document) -> None:
    while not await _learn(house, own, wait=True):  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(_RETRY_SECONDS)


async def _save_uses(keys: Keys) -> None:
    while True:
        await asyncio.sleep(_SAVE_SECONDS)
        await keys.save_uses()
