"""What the gateway itself answers: keys, who am I, health, the live stream and the feeds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from maru_gateway.cache import is_known
from maru_gateway.domain import Key, from_micros, to_micros
from maru_gateway.door import House
from maru_gateway.feeds import Changes, atom, entity_tag, http_date, is_older
from maru_gateway.live import Live
from maru_gateway.service import Keys
from maru_gateway.settings import Settings
from maru_gateway.streams import Streams
from maru_gateway.upstream import Upstream
from maru_kit.errors import BadRequest, Unavailable
from maru_kit.http import (
    Caller,
    Page,
    Role,
    caller,
    decode_cursor,
    encode_cursor,
    requires,
)

router = APIRouter()

Who = Annotated[Caller, Depends(caller)]
Cursor = Annotated[str | None, Query(max_length=500)]
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
async def list_keys(
    request: Request,
    who: Who,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> Page[KeyShown]:
    """List the workspace's keys, the oldest first."""
    after = None if cursor is None else _place(cursor)
    found = await _keys(request).page(who.workspace, after=after, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    last = shown[-1] if more else None
    return Page(
        items=[_shown(key) for key in shown],
        next=encode_cursor(to_micros(last.created_at), last.id) if last else None,
    )


def _place(cursor: str) -> tuple[datetime, UUID]:
    micros, key_id = decode_cursor(cursor, int, str)
    try:
        return from_micros(micros), UUID(key_id)
    except (ValueError, OverflowError) as error:
        raise BadRequest("The cursor is not one that this list has given out") from error


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
async def ideas_feed(request: Request, who: Who, cursor: Cursor = None) -> Response:
    """Show the ideas that changed last as an Atom feed. Takes the key as a Basic password too."""
    return await _feed(request, who, "/api/v1/ideas", cursor)


@router.get(
    "/board/ideas.atom", tags=["board"], openapi_extra=requires("public"), response_class=Response
)
async def board_feed(request: Request, who: Who, cursor: Cursor = None) -> Response:
    """Show the public ideas that changed last as an Atom feed."""
    return await _feed(request, who, "/board/ideas", cursor)


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


async def _feed(request: Request, who: Caller, path: str, cursor: str | None) -> Response:
    headers = [
        (b"x-maru-workspace", who.workspace.encode()),
        (b"x-maru-actor", who.actor.encode()),
        (b"x-maru-role", who.role.encode()),
    ]
    query = {"sort": "last_seen", "limit": _FEED_LENGTH} | ({"cursor": cursor} if cursor else {})
    ask = _house(request).upstreams["ideas"].ask
    answer = await ask("GET", path, urlencode(query).encode(), headers, b"")
    if answer.status == HTTPStatus.BAD_REQUEST:
        raise BadRequest("The cursor is not one that this feed has given out")
    if answer.status != HTTPStatus.OK:
        raise Unavailable("The ideas service did not list its ideas")
    settings: Settings = request.app.state.settings
    base = (settings.public_url or str(request.base_url)).rstrip("/")
    first = base + request.url.path
    page = orjson.loads(answer.body)
    body = atom(
        page["items"],
        first=first,
        address=_page(first, cursor),
        next=_page(first, page["next"]) if page["next"] else None,
        board=f"{base}/",
    )
    return _unless_known(request, who, body)


def _page(first: str, cursor: str | None) -> str:
    return f"{first}?{urlencode({'cursor': cursor})}" if cursor else first


def _unless_known(request: Request, who: Caller, body: bytes) -> Response:
    """Answer with a feed, or say that the reader has it already (RFC 9110, 13.2.2)."""
    tag = entity_tag(body)
    changes: Changes = request.app.state.changes
    page = (who.workspace, str(request.url))
    changed = changes.since(page, tag, datetime.now(UTC))
    shared = {
        "ETag": tag,
        "Last-Modified": http_date(changed),
        "Cache-Control": "private, max-age=60",
    }
    tags = request.headers.get("if-none-match")
    if tags is None:
        is_there = is_older(changed, request.headers.get("if-modified-since"))
    else:
        is_there = is_known(tag.encode(), tags.encode())
    if is_there:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=shared)
    return Response(body, media_type="application/atom+xml", headers=shared)
