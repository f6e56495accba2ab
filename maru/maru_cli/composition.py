"""All four services in one process: what `maru up` runs, and what the commands ask.

The gateway calls the other three through their ASGI applications, by the same forwarder that
calls them over HTTP in production.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from maru_kit.settings import Common

FILES = "files"
"""The folder in MARU_HOME that file sources may read from, unless another one is set."""


@dataclass(frozen=True)
class Composition:
    """The applications, by service; the gateway has a name of its own."""

    services: Mapping[str, FastAPI]
    gateway: FastAPI
    common: Common
    port: int


def compose(*, work: bool) -> Composition:
    """Make all applications from the settings; without `work` they only answer requests."""
    import maru_gateway.app
    import maru_gateway.settings
    import maru_ideas.app
    import maru_ideas.settings
    import maru_ingest.app
    import maru_ingest.settings
    import maru_sentiment.app
    import maru_sentiment.settings

    common = Common()
    ingest = maru_ingest.settings.Settings(common=common)
    if ingest.files_root is None:
        ingest = ingest.model_copy(update={"files_root": common.home / FILES})
    services = {
        "sentiment": maru_sentiment.app.create_app(
            maru_sentiment.settings.Settings(common=common), work=work
        ),
        "ideas": maru_ideas.app.create_app(maru_ideas.settings.Settings(common=common), work=work),
        "ingest": maru_ingest.app.create_app(ingest, work=work),
    }
    gateway = maru_gateway.settings.Settings(common=common)
    return Composition(
        services=services,
        gateway=maru_gateway.app.create_app(gateway, services=services, work=work),
        common=common,
        port=gateway.port,
    )


@asynccontextmanager
async def running(apps: Mapping[str, FastAPI]) -> AsyncIterator[None]:
    """Run applications' lifespans around a block; they end in the opposite order."""
    async with AsyncExitStack() as stack:
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield
