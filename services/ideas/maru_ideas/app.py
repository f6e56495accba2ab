"""Builds the ideas service from its settings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from maru_contracts.topics import (
    IDEAS_CHANGED,
    POSTS_TAGGED,
    TAGS_CORRECTED,
    TERMS_DEFINED,
    TOPICS_DEFINED,
)
from maru_ideas.domain.space import trained
from maru_ideas.handlers import Posts
from maru_ideas.outbox import Outbox, Relay
from maru_ideas.routes import board, discovered, ideas, posts, topics, watch
from maru_ideas.service.comparing import Comparing
from maru_ideas.service.copying import Copying
from maru_ideas.service.correcting import Correcting
from maru_ideas.service.counting import Counting
from maru_ideas.service.deleting import Deleting
from maru_ideas.service.desk import Desk
from maru_ideas.service.discovering import Discovering
from maru_ideas.service.finds import Finds
from maru_ideas.service.index import Index
from maru_ideas.service.intake import Intake, Rules
from maru_ideas.service.removing import Removing
from maru_ideas.settings import Settings
from maru_ideas.store.ideas import IdeaStore
from maru_ideas.store.positions import StoredPositions
from maru_kit.bus import Bus, open_bus
from maru_kit.database import Database, open_database
from maru_kit.http import Check, answers
from maru_kit.http import create_app as create_http_app
from maru_kit.migrate import migrate
from maru_kit.stream import StreamHealth, consume

SCHEMA = "ideas"
GROUP = "ideas"
TOPICS = (POSTS_TAGGED, IDEAS_CHANGED, TOPICS_DEFINED, TERMS_DEFINED, TAGS_CORRECTED)


@dataclass(frozen=True)
class Parts:
    """The service's objects, wired."""

    database: Database
    bus: Bus
    desk: Desk
    finds: Finds
    correcting: Correcting
    intake: Intake
    relay: Relay
    positions: StoredPositions
    health: StreamHealth


def create_app(settings: Settings, *, work: bool = True) -> FastAPI:
    """Make the service; without `work` it answers requests, and consumes and publishes nothing."""
    health = StreamHealth()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        common = settings.common
        await migrate(common.database_url, SCHEMA, "maru_ideas")
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(common.database_url, SCHEMA))
            bus = await stack.enter_async_context(open_bus(common.bus_url))
            await bus.create(TOPICS)
            parts = wired(settings, database, bus, health)
            app.state.parts, app.state.desk = parts, parts.desk
            app.state.correcting = parts.correcting
            if work:
                await stack.enter_async_context(_working(settings, parts))
            yield

    async def checks() -> Sequence[Check]:
        parts: Parts = app.state.parts
        return [
            await answers("log", parts.bus),
            await answers("database", parts.database),
            Check("stream", health.ready, health.reason),
        ]

    app = create_http_app(
        title="Maru ideas",
        service="ideas",
        lifespan=lifespan,
        routers=[
            ideas.router,
            board.router,
            posts.router,
            topics.router,
            discovered.router,
            watch.router,
        ],
        checks=checks,
        service_token=settings.common.service_token,
    )
    return app


def wired(settings: Settings, database: Database, bus: Bus, health: StreamHealth) -> Parts:
    """Make the objects of the service and connect them; nothing runs yet."""
    # Products this small take 30 times as long on two threads of a busy machine as on one.
    threadpool_limits(1, user_api="blas")
    store, outbox, positions = IdeaStore(database), Outbox(database), StoredPositions(database)
    rules = Rules(
        space=trained(),
        weights=settings.weights,
        min_suggestion=settings.min_suggestion,
        min_problem=settings.min_problem,
    )
    discovering = Discovering(database, rules.space, settings.grain)
    removing = Removing(store=store, outbox=outbox, weights=settings.weights)
    counting = Counting(store=store, outbox=outbox, weights=settings.weights)
    comparing = Comparing(database=database, store=store, asks=rules.asks)
    copying = Copying(store=store, comparing=comparing, counting=counting, removing=removing)
    intake = Intake(
        database=database,
        positions=positions,
        store=store,
        index=Index(store, rules.space, settings.closeness),
        discovering=discovering,
        counting=counting,
        comparing=comparing,
        copying=copying,
        removing=removing,
        deleting=Deleting(
            database=database,
            store=store,
            outbox=outbox,
            discovering=discovering,
            copying=copying,
            removing=removing,
            weights=settings.weights,
        ),
        rules=rules,
    )
    return Parts(
        database=database,
        bus=bus,
        desk=Desk(database, store, outbox, settings.weights),
        finds=Finds(database, outbox),
        correcting=Correcting(
            database=database,
            store=store,
            outbox=outbox,
            intake=intake,
            copying=copying,
            removing=removing,
        ),
        intake=intake,
        relay=Relay(outbox, bus, settings.common.instance),
        positions=positions,
        health=health,
    )


@asynccontextmanager
async def _working(settings: Settings, parts: Parts) -> AsyncIterator[None]:
    """Consume and publish until the block ends, then finish what is in hand."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            consume(
                parts.bus,
                POSTS_TAGGED,
                GROUP,
                Posts(parts.intake, parts.relay).on_posts,
                instance=settings.common.instance,
                stop=stop,
                batch_size=settings.batch_size,
                positions=parts.positions,
                health=parts.health,
            )
        )
        tasks.create_task(parts.relay.run(stop))
        try:
            yield
        finally:
            stop.set()
