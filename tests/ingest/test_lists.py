"""Whole lists of feeds in and out, and the feed behind a page, over the HTTP interface."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maru_ingest.app import create_app
from maru_ingest.settings import Settings
from maru_kit.settings import Common
from upstreams.feed import FeedServer, feed_server

_BY = {"X-Maru-Workspace": "w", "X-Maru-Actor": "key", "X-Maru-Role": "owner"}
_PAGE = b'<html><head><link rel="alternate" type="application/rss+xml" title="%b" href="%b">'


@pytest.fixture
async def server() -> AsyncIterator[FeedServer]:
    async with feed_server([("1", "hello")]) as server:
        yield server


@pytest.fixture
async def client(tmp_path: Path, server: FeedServer) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        common=Common(home=tmp_path), allow_hosts=[server.host], page_delay_seconds=0
    )
    app = create_app(settings, work=False)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=_BY) as client,
    ):
        yield client


def a_list(*outlines: str) -> str:
    return f'<opml version="2.0"><body>{"".join(outlines)}</body></opml>'


def an_outline(name: str, url: str) -> str:
    return f'<outline type="rss" text="{name}" xmlUrl="{url}"/>'


async def imported(client: httpx.AsyncClient, opml: str, **wanted: object) -> dict[str, Any]:
    answer = await client.post("/api/v1/sources/opml", json={"opml": opml, **wanted})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_list_is_followed_and_what_can_not_be_is_told(client: httpx.AsyncClient) -> None:
    opml = a_list(
        an_outline("Blog", "https://a.example/feed"),
        an_outline("Blog again", "https://a.example/feed?utm_source=x"),
        an_outline("Blog", "https://b.example/feed"),
        an_outline("Files", "file:///etc/passwd"),
        an_outline("Old", "gopher://c.example/"),
    )

    told = await imported(client, opml, product="notes", channel="press")

    assert [(one["name"], one["product"], one["channel"]) for one in told["added"]] == [
        ("Blog", "notes", "press"),
        ("Blog (b.example)", "notes", "press"),
    ]
    assert [one["name"] for one in told["known"]] == ["Blog again"]
    assert [one["url"] for one in told["failed"]] == ["file:///etc/passwd", "gopher://c.example/"]
    assert all(one["reason"] for one in told["failed"])


async def test_importing_a_list_twice_adds_nothing(client: httpx.AsyncClient) -> None:
    opml = a_list(an_outline("A", "https://a.example/1"), an_outline("B", "https://a.example/2"))
    await imported(client, opml)

    again = await imported(client, opml)

    assert (again["added"], len(again["known"]), again["failed"]) == ([], 2, [])
    assert len((await client.get("/api/v1/sources")).json()["items"]) == 2


async def test_what_is_exported_brings_another_workspace_the_same_feeds(
    client: httpx.AsyncClient,
) -> None:
    folder = (
        f'<outline text="제품">{an_outline("블로그", "https://a.example/?a=1&amp;b=2")}</outline>'
    )
    opml = a_list(folder, an_outline("Loose", "https://b.example/"))
    await imported(client, opml, folders_as_products=True)
    exported = await client.get("/api/v1/sources/opml")
    client.headers["X-Maru-Workspace"] = "other"

    told = await imported(client, exported.text, folders_as_products=True)

    assert exported.headers["content-type"].startswith("text/x-opml")
    assert {(one["name"], one["product"], one["settings"]["url"]) for one in told["added"]} == {
        ("블로그", "제품", "https://a.example/?a=1&b=2"),
        ("Loose", "", "https://b.example/"),
    }


async def test_what_is_no_list_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/sources/opml", json={"opml": "<html>no</html>"})

    assert answer.status_code == 422
    assert "not OPML" in answer.json()["detail"]


async def discovered(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.post("/api/v1/sources/discover", json={"url": url})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_page_leads_to_its_feed(client: httpx.AsyncClient, server: FeedServer) -> None:
    server.mode, server.body = "raw", _PAGE % (b"News", b"/news.xml")

    found = await discovered(client, server.url("/blog/"))

    assert found == {
        "is_feed": False,
        "feeds": [{"url": server.url("/news.xml"), "title": "News"}],
    }
    assert server.requests == {"/robots.txt": 1, "/blog/": 1}, "what a page says needs no guess"


async def test_a_feed_is_its_own_feed(client: httpx.AsyncClient, server: FeedServer) -> None:
    found = await discovered(client, server.url("/feed.xml"))

    assert found == {"is_feed": True, "feeds": [{"url": server.url("/feed.xml"), "title": ""}]}


async def test_common_places_are_tried_politely(
    client: httpx.AsyncClient, server: FeedServer
) -> None:
    server.mode = "page"

    found = await discovered(client, server.url("/blog/"))

    assert found == {"is_feed": False, "feeds": []}
    assert set(server.requests) >= {"/blog/", "/feed", "/rss.xml"}
    assert all(count == 1 for count in server.requests.values())


async def test_pages_that_a_site_keeps_from_programs_are_not_looked_at(
    client: httpx.AsyncClient, server: FeedServer
) -> None:
    server.robots = b"User-agent: *\nDisallow: /blog/\nDisallow: /feed$\nDisallow: /rss"
    server.mode = "page"

    refused = await client.post("/api/v1/sources/discover", json={"url": server.url("/blog/")})
    found = await discovered(client, server.url("/"))

    assert refused.status_code == 422
    assert "robots.txt" in refused.json()["detail"]
    assert found == {"is_feed": False, "feeds": []}
    assert not {"/blog/", "/feed", "/rss", "/rss.xml"} & set(server.requests)
    assert {"/", "/feed.xml", "/atom.xml"} < set(server.requests)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "file:///etc/passwd", "x"]
)
async def test_addresses_within_are_not_looked_at(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post("/api/v1/sources/discover", json={"url": url})

    assert answer.status_code == 422
    assert answer.json()["detail"]
