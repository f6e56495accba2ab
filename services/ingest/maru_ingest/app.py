"""Builds the ingest service from its settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from fastapi import FastAPI

from maru_contracts.topics import TOPICS
from maru_ingest import api, connectors, inbound
from maru_ingest.collector import Collector
from maru_ingest.connector import ConnectorKind, Tools
from maru_ingest.extraction import open_extraction
from maru_ingest.service.discovery import Discovery
from maru_ingest.service.granting import Granting
from maru_ingest.service.lists import Lists
from maru_ingest.service.publishing import DEAD, Publisher
from maru_ingest.service.pushing import Pushing
from maru_ingest.service.receiving import Receiver
from maru_ingest.service.sources import Sources
from maru_ingest.service.trying import Trying
from maru_ingest.settings import Settings
from maru_ingest.subscriber import Subscriber
from maru_kit.bus import open_bus
from maru_kit.database import open_database
from maru_kit.http import Check, answers
from maru_kit.http import create_app as create_http_app
from maru_kit.migrate import migrate
from maru_kit.outbound import open_outbound
from maru_kit.vault import Vault

SCHEMA = "ingest"


def create_app(settings: Settings, *, work: bool = True) -> FastAPI:
    """Make the service; without `work` it answers requests and follows no source."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        common = settings.common
        await migrate(common.database_url, SCHEMA, "maru_ingest")
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(common.database_url, SCHEMA))
            bus = await stack.enter_async_context(open_bus(common.bus_url))
            await bus.create([*TOPICS, DEAD])
            publisher = Publisher(bus, database)
            kinds = connectors.kinds()
            app.state.bus, app.state.database = bus, database
            allowed = settings.allow_hosts
            outbound = await stack.enter_async_context(open_outbound(allow=allowed))
            vault = Vault(settings.keys())
            app.state.sources = Sources(database, kinds, vault)
            await app.state.sources.seal()
            app.state.lists = Lists(app.state.sources)
            app.state.discovery = Discovery(
                outbound, settings.max_body_bytes, settings.page_delay_seconds
            )
            app.state.receiver = Receiver(publisher, vault, kinds)
            tools = Tools(
                outbound,
                settings.files_root,
                settings.max_body_bytes,
                extraction=await stack.enter_async_context(open_extraction()),
                page_delay=settings.page_delay_seconds,
            )
            app.state.trying = Trying(kinds, replace(tools, grants=Granting(database, vault)))
            app.state.pushing = Pushing(publisher, outbound, vault, settings.public_url)
            if work:
                await stack.enter_async_context(
                    _collecting(settings, app.state.pushing, kinds, tools)
                )
            yield

    async def checks() -> list[Check]:
        return [await answers("log", app.state.bus), await answers("database", app.state.database)]

    app = create_http_app(
        title="Maru ingest",
        service="ingest",
        lifespan=lifespan,
        routers=[api.router, inbound.router],
        checks=checks,
        service_token=settings.common.service_token,
        max_body=settings.max_body_bytes,
    )
    return app


@asynccontextmanager
async def _collecting(
    settings: Settings, pushing: Pushing, kinds: Mapping[str, ConnectorKind], tools: Tools
) -> AsyncIterator[None]:
    """Follow the sources while the block runs; what is under way at its end is repeated later."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        collector = Collector(
            publisher=pushing.publisher,
            kinds=kinds,
            tools=tools,
            vault=pushing.vault,
            instance=settings.common.instance,
            concurrency=settings.concurrency,
            tick_seconds=settings.tick_seconds,
            poll_seconds=settings.poll_seconds,
            lease_seconds=settings.lease_seconds,
            pushing=pushing,
        )
        group.create_task(collector.run(stop), name="collector")
        group.create_task(Subscriber(pushing).run(stop), name="subscriber")
        try:
            yield
        finally:
            stop.set()
