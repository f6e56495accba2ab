"""Builds the sentiment service from its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI

from maru_contracts.topics import (
    MODELS_SELECTED,
    POSTS_COLLECTED,
    POSTS_TAGGED,
    TAGS_CORRECTED,
    TERMS_DEFINED,
    TOPICS_DEFINED,
)
from maru_kit.bus import open_bus
from maru_kit.http import Check, answers
from maru_kit.http import create_app as create_http_app
from maru_kit.stream import StreamHealth, consume
from maru_sentiment import metrics
from maru_sentiment.definitions import Definitions
from maru_sentiment.handlers import Posts
from maru_sentiment.inference import Inference, open_inference
from maru_sentiment.parts import Parts
from maru_sentiment.retraining import Retraining
from maru_sentiment.routes import explanations, models
from maru_sentiment.settings import Settings
from maru_sentiment.shadow import Shadows

GROUP = "sentiment"
TOPICS = (
    POSTS_COLLECTED,
    POSTS_TAGGED,
    TOPICS_DEFINED,
    TERMS_DEFINED,
    TAGS_CORRECTED,
    MODELS_SELECTED,
)

log = structlog.get_logger(__name__)


def create_app(settings: Settings, *, work: bool = True) -> FastAPI:
    """Make the service; without `work` it answers requests, loads no model and tags nothing."""
    health = StreamHealth()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            bus = await stack.enter_async_context(open_bus(settings.common.bus_url))
            await bus.create(TOPICS)
            inference = await stack.enter_async_context(
                open_inference(settings.workers, settings.models_folder)
            )
            definitions = Definitions(bus)
            retraining = Retraining(inference, definitions)
            parts = Parts(bus, inference, definitions, Shadows(), retraining)
            app.state.parts = parts
            if work:
                await stack.enter_async_context(_working(settings, parts, health))
            yield

    async def checks() -> list[Check]:
        parts: Parts = app.state.parts
        loaded = bool(parts.inference.models)
        return [
            await answers("log", parts.bus),
            Check("model", loaded, "" if loaded else "The models are loading"),
            Check("stream", health.ready, health.reason),
        ]

    app = create_http_app(
        title="Maru sentiment",
        service="sentiment",
        lifespan=lifespan,
        routers=[explanations.router, models.router],
        checks=checks,
        service_token=settings.common.service_token,
    )
    return app


@asynccontextmanager
async def _working(settings: Settings, parts: Parts, health: StreamHealth) -> AsyncIterator[None]:
    """Tag until the block ends, then finish what is in hand."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_tag(settings, parts, health, stop))
        try:
            yield
        finally:
            stop.set()


async def _tag(settings: Settings, parts: Parts, health: StreamHealth, stop: asyncio.Event) -> None:
    await _load(parts.inference)
    await parts.definitions.load()
    posts = Posts(
        parts.bus,
        parts.inference,
        parts.definitions,
        parts.shadows,
        parts.retraining,
        redact=settings.redact_pii,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(parts.definitions.follow(stop))
        tasks.create_task(parts.retraining.run(stop))
        tasks.create_task(
            consume(
                parts.bus,
                POSTS_COLLECTED,
                GROUP,
                posts.on_posts,
                instance=settings.common.instance,
                stop=stop,
                batch_size=settings.batch_size,
                health=health,
            )
        )


async def _load(inference: Inference) -> None:
    await inference.load()
    for model in inference.models:
        metrics.MODEL.labels(model.head, model.name, model.version).set(1)
    log.info("models.loaded", models=[f"{m.head}={m.name}@{m.version}" for m in inference.models])
