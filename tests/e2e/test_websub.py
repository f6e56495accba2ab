"""A feed that a hub pushes, from the subscription to an idea, through the gateway's own door."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from cli.conftest import until
from e2e.house import PATIENCE, House, Mode, open_house
from upstreams.websub import Hub, PushedBlog

_PUBLIC = "https://maru.example"


class Proxy(httpx.AsyncHTTPTransport):
    """What stands before Maru at its public address."""

    gateway = httpx.URL()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(f"{_PUBLIC}/")
        request.url = self.gateway.copy_with(raw_path=request.url.raw_path)
        return await super().handle_async_request(request)


@asynccontextmanager
async def a_pushed_blog(proxy: Proxy) -> AsyncIterator[PushedBlog]:
    async with PushedBlog().serving() as blog, httpx.AsyncClient(transport=proxy) as subscriber:
        blog.hub = Hub(subscriber)
        yield blog


@contextmanager
def beside(proxy: Proxy) -> Iterator[tuple[PushedBlog, BlockingPortal]]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(a_pushed_blog(proxy)) as blog,
    ):
        yield blog, portal


@pytest.mark.parametrize(
    "mode",
    ["embedded", pytest.param("production", marks=[pytest.mark.kafka, pytest.mark.postgres])],
)
def test_what_a_hub_pushes_becomes_an_idea_and_a_removed_source_is_left(
    mode: Mode, tmp_path: Path
) -> None:
    proxy = Proxy()
    public = {"MARU_INGEST_PUBLIC_URL": _PUBLIC}
    with beside(proxy) as (blog, portal), open_house(mode, tmp_path, public) as house:
        proxy.gateway = house.client.base_url
        source = house.add("feed", "notes", blog.settings())["id"]
        until(lambda: _push_of(house, source) == "active", seconds=PATIENCE)
        until(lambda: bool(blog.hub.granted), seconds=PATIENCE)
        blog.write("Please add a dark mode to the app")

        (answer,) = portal.call(blog.hub.push, blog.document())

        assert (answer.status, answer.told["accepted"]) == (202, 1)
        house.becomes_ideas("notes", 1)
        shown = house.maru.run("sources", "show", source).stdout.decode()
        assert f"pushes by {blog.hub_url}: active until " in shown
        house.client.delete(f"/api/v1/sources/{source}").raise_for_status()
        until(lambda: not blog.hub.granted, seconds=PATIENCE)


def _push_of(house: House, source: str) -> str:
    shown = house.client.get(f"/api/v1/sources/{source}").raise_for_status().json()
    return str((shown["push"] or {}).get("state"))
