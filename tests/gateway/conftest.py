"""The whole API in process: the gateway before the real services, on a fresh home."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import maru_gateway.app
import maru_ideas.app
import maru_ideas.settings
import maru_ingest.app
import maru_ingest.settings
import maru_sentiment.app
import maru_sentiment.settings
from maru_contracts.tags import TaggedPost
from maru_gateway.service import Keys
from maru_gateway.settings import Settings
from maru_ideas.app import Parts
from maru_kit.http import Role
from maru_kit.settings import Common
from maru_kit.stream import Batch


@dataclass
class Api:
    """The gateway's application, and what a test needs of the house behind it."""

    app: FastAPI
    services: Mapping[str, FastAPI]
    http: httpx.AsyncClient

    @property
    def keys(self) -> Keys:
        keys: Keys = self.app.state.house.keys
        return keys

    @property
    def ideas(self) -> Parts:
        parts: Parts = self.services["ideas"].state.parts
        return parts

    async def key(self, role: Role, workspace: str = "default") -> dict[str, str]:
        """The header of a new key."""
        _, secret = await self.keys.create(workspace=workspace, role=role, name=role)
        return {"Authorization": f"Bearer {secret}"}

    async def take(self, *tagged: TaggedPost) -> None:
        """Let the ideas service take tagged posts, and tell the log."""
        start = (await self.ideas.positions.load("posts.tagged.v1", [0]))[0]
        batch = Batch("posts.tagged.v1", 0, start, start + len(tagged), list(tagged), [])
        await self.ideas.intake.take(batch)


@asynccontextmanager
async def opened(
    home: Path, *, work: bool = False, database_url: str | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """Open the API on a home; `settings` are the gateway's."""
    common = Common(
        home=home,
        bus_url=f"sqlite:///{home}/log.db",
        database_url=database_url or f"sqlite:///{home}",
    )
    services = {
        "ingest": maru_ingest.app.create_app(
            maru_ingest.settings.Settings(common=common), work=False
        ),
        "sentiment": maru_sentiment.app.create_app(
            maru_sentiment.settings.Settings(common=common), work=False
        ),
        "ideas": maru_ideas.app.create_app(maru_ideas.settings.Settings(common=common), work=work),
    }
    app = maru_gateway.app.create_app(
        Settings(common=common, **settings), services=services, work=work
    )
    async with AsyncExitStack() as stack:
        for each in [*services.values(), app]:
            await stack.enter_async_context(each.router.lifespan_context(each))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://maru")
        )
        yield Api(app, services, http)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as api:
        yield api
