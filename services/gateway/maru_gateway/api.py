"""What the gateway itself answers: keys, who am I, health, the live stream and the feeds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from maru_gateway.cache import is_known
from maru_gateway.domain import Key
from maru_gateway.door import House
from maru_gateway.feeds import atom, entity_tag
from maru_gateway.live import Live
from maru_gateway.service import Keys
from maru_gateway.settings import Settings
from maru_gateway.streams import Streams
from maru_gateway.upstream import Upstream
from maru_kit.errors import Unavailable
from maru_kit.http import Caller, Page, Role, caller, requires

router = APIRouter()

Who = Annotated[Caller, Depends(caller)]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=500)]

_FEED_LENGTH = 50
_CHECK_SECONDS = 5.0


class KeyShown(BaseModel):
    """A key as it is listed; its first characters tell it from others."""

    id: UUID
    name: str
    role: Role
    prefix: str
    created_at: datetime
    used_at: datetime | None


class KeyMade(KeyShown):
    """A new key, told this once."""

    key: str


class KeyWanted(BaseModel):
    """What a new key shall be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str, Field(min_length=1, max_length=200, pattern="^[^\\u0000-\\u001f\\u007f]+$")
    ]
    role: Literal["reader", "contributor", "owner", "admin"] = "reader"


class ServiceHealth(BaseModel):
    """Whether one service is ready, and what it says of itself."""

    ok: bool
    checks: list[dict[str, Any]] = []
    reason: str = ""


class Health(BaseModel):
    """Whether all of Maru is ready."""

    status: Literal["ok", "degraded"]
    services: dict[str, ServiceHealth]


@router.get("/api/v1/me", tags=["keys"], openapi_extra=requires("reader"))
async def me(who: Who) -> Caller:
    """Tell whose key this is: its workspace and role."""
    return who


@router.get("/api/v1/keys", tags=["keys"], openapi_extra=requires("admin"))
async def list_keys(request: Request, who: Who) -> Page[KeyShown]:
    """List the workspace's keys."""
    return Page(items=[_shown(key) for key in await _keys(request).list(who.workspace)])


@router.post("/api/v1/keys", status_code=201, tags=["keys"], openapi_extra=requires("admin"))
async def make_key(request: Request, who: Who, wanted: KeyWanted) -> KeyMade:
    """Make a key. The answer holds it in full; nobody can see it again."""
    key, secret = await _keys(request).create(
        workspace=who.workspace, role=wanted.role, name=wanted.name
    )
    return KeyMade(**_shown(key).model_dump(), key=secret)


@router.delete(
    "/api/v1/keys/{key_id}", status_code=204, tags=["keys"], openapi_extra=requires("admin")
)
async def revoke_key(request: Request, who: Who, key_id: UUID) -> None:
    """End a key for good."""
    await _keys(request).revoke(who.workspace, key_id)


@router.get("/api/v1/health", tags=["health"], openapi_extra=requires("public"))
async def health(request: Request, response: Response) -> Health:
    """Tell how all services are; 503 when one is not ready."""
    upstreams = _house(request).upstreams
    found = await asyncio.gather(*(_health_of(upstream) for upstream in upstreams.values()))
    services = dict(zip(upstreams, found, strict=True))
    is_well = all(service.ok for service in services.values())
    if not is_well:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Health(status="ok" if is_well else "degraded", services=services)


@router.get(
    "/api/v1/live/ideas",
    tags=["live"],
    openapi_extra=requires("reader"),
    response_class=StreamingResponse,
)
async def live_ideas(request: Request, who: Who, after: LastEventId = None) -> StreamingResponse:
    """Stream every change of the workspace's ideas as server-sent events.

    Events: `idea` (data: an IdeaChanged) and `reset` (fetch the list again). A stream lives ten
    minutes; reconnect with the `Last-Event-ID` to go on without a gap.
    """
    return _stream(request, who, public=False, after=after)


@router.get(
    "/board/live",
    tags=["board"],
    openapi_extra=requires("public"),
    response_class=StreamingResponse,
)
async def live_board(request: Request, who: Who, after: LastEventId = None) -> StreamingResponse:
    """Stream which ideas of the public board have changed."""
    return _stream(request, who, public=True, after=after)


@router.get(
    "/feeds/ideas.atom", tags=["feeds"], openapi_extra=requires("reader"), response_class=Response
)
async def ideas_feed(request: Request, who: Who) -> Response:
    """Show the ideas that changed last as an Atom feed. Takes the key as a Basic password too."""
    return await _feed(request, who, "/api/v1/ideas")


@router.get(
    "/board/ideas.atom", tags=["board"], openapi_extra=requires("public"), response_class=Response
)
async def board_feed(request: Request, who: Who) -> Response:
    """Show the public ideas that changed last as an Atom feed."""
    return await _feed(request, who, "/board/ideas")


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _keys(request: Request) -> Keys:
    return _house(request).keys


def _shown(key: Key) -> KeyShown:
    return KeyShown(
        id=key.id,
        name=key.name,
        role=key.role,
        prefix=key.prefix,
        created_at=key.created_at,
        used_at=key.used_at,
    )


async def _health_of(upstream: Upstream) -> ServiceHealth:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            answer = await upstream.ask("GET", "/readyz", b"", [], b"")
    except (Unavailable, TimeoutError) as error:
        return ServiceHealth(ok=False, reason=str(error) or "The service does not answer")
    try:
        checks = orjson.loads(answer.body)["checks"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ServiceHealth(ok=False, reason="What answers is not the service")
    return ServiceHealth(ok=answer.status == HTTPStatus.OK, checks=checks)


def _stream(request: Request, who: Caller, *, public: bool, after: str | None) -> StreamingResponse:
    live: Live = request.app.state.live
    streams: Streams = request.app.state.streams
    client = request.client.host if request.client else "unknown"
    holder = client if who.role == "public" else who.actor
    streams.check(holder)
    events = live.stream(who.workspace, public=public, after=after)

    async def body() -> AsyncIterator[bytes]:
        with streams.held(holder):
            async for event in events:
                yield event

    return StreamingResponse(
        body(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _feed(request: Request, who: Caller, path: str) -> Response:
    headers = [
        (b"x-maru-workspace", who.workspace.encode()),
        (b"x-maru-actor", who.actor.encode()),
        (b"x-maru-role", who.role.encode()),
    ]
    query = f"sort=last_seen&limit={_FEED_LENGTH}".encode()
    answer = await _house(request).upstreams["ideas"].ask("GET", path, query, headers, b"")
    if answer.status != HTTPStatus.OK:
        raise Unavailable("The ideas service did not list its ideas")
    settings: Settings = request.app.state.settings
    base = settings.public_url or str(request.base_url)
    ideas = orjson.loads(answer.body)["items"]
    body = atom(ideas, address=base.rstrip("/") + request.url.path, board=base.rstrip("/") + "/")
    tag = entity_tag(body)
    shared = {"ETag": tag, "Cache-Control": "private, max-age=60"}
    if is_known(tag.encode(), request.headers.get("if-none-match", "").encode() or None):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=shared)
    return Response(body, media_type="application/atom+xml", headers=shared)
