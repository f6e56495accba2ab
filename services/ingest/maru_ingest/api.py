"""The HTTP interface for sources and connectors."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from maru_contracts.posts import Channel
from maru_ingest.domain import State
from maru_ingest.service.sources import NewSource, Sources, shown_settings
from maru_ingest.store.sources import Source as Stored
from maru_ingest.tables import micros
from maru_kit.http import Caller, Page, caller, decode_cursor, encode_cursor, requires

router = APIRouter(prefix="/api/v1", tags=["sources"])


class SourceWanted(BaseModel):
    """A source that is to be followed."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=50, description="One of the kinds of GET /api/v1/connectors")
    name: str = Field(min_length=1, max_length=200, description="Unique among sources of a kind")
    product: str = Field(default="", max_length=100, description="The product its posts speak of")
    channel: Channel | None = Field(default=None, description="Its medium; the kind's own if null")
    settings: dict[str, Any] = Field(default_factory=dict, description="As the kind's schema says")


class Source(BaseModel):
    """A source, with what became of it."""

    id: str
    workspace: str
    product: str
    name: str
    kind: str
    channel: Channel
    settings: dict[str, Any] = Field(description="Secrets are hidden")
    state: State
    reason: str = Field(description="Why it is broken, in words")
    posts: int = Field(description="Posts published, each revision counted")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Rows that are in the dead letters or a rejects file")
    created_at: datetime
    last_polled_at: datetime | None
    last_post_at: datetime | None
    next_poll_at: datetime | None


class SourceAdded(Source):
    """A new source; the only time that its signing secret is shown."""

    secret: str | None = Field(description="Signs webhooks to /hooks/{id}; null for polled kinds")


class Connector(BaseModel):
    """A kind of source, and what can be set for it."""

    kind: str
    summary: str
    channel: Channel
    pushed: bool = Field(description="Whether posts are sent to us rather than fetched")
    settings: dict[str, Any] = Field(description="JSON Schema of a source's settings")


def sources(request: Request) -> Sources:
    """Return the use cases that `app.create_app` made."""
    found: Sources = request.app.state.sources
    return found


By = Annotated[Caller, Depends(caller)]
Use = Annotated[Sources, Depends(sources)]


@router.get("/sources", openapi_extra=requires("reader"))
async def list_sources(
    by: By,
    use: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> Page[Source]:
    """List the workspace's sources, oldest first."""
    after = None if cursor is None else decode_cursor(cursor, int, str)
    found = await use.page(by.workspace, after=after, limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    last = shown[-1] if more else None
    return Page(
        items=[_shown(source, use) for source in shown],
        next=encode_cursor(micros(last.created_at), last.id) if last else None,
    )


@router.post("/sources", status_code=201, openapi_extra=requires("owner"))
async def add_source(wanted: SourceWanted, by: By, use: Use) -> SourceAdded:
    """Follow a source from now on. For a webhook, the answer holds the signing secret."""
    added = await use.add(
        NewSource(
            workspace=by.workspace,
            product=wanted.product,
            name=wanted.name,
            kind=wanted.kind,
            channel=wanted.channel,
            settings=wanted.settings,
        )
    )
    return SourceAdded(**_shown(added, use).model_dump(), secret=added.secret)


@router.get("/sources/{source_id}", openapi_extra=requires("reader"))
async def show_source(source_id: str, by: By, use: Use) -> Source:
    """Show one source."""
    return _shown(await use.find(by.workspace, source_id), use)


@router.delete("/sources/{source_id}", status_code=204, openapi_extra=requires("owner"))
async def remove_source(source_id: str, by: By, use: Use) -> None:
    """Stop following a source; the posts that it brought stay."""
    await use.remove(by.workspace, source_id)


@router.post("/sources/{source_id}/pause", openapi_extra=requires("owner"))
async def pause_source(source_id: str, by: By, use: Use) -> Source:
    """Leave a source alone until it is resumed."""
    return _shown(await use.pause(by.workspace, source_id), use)


@router.post("/sources/{source_id}/resume", openapi_extra=requires("owner"))
async def resume_source(source_id: str, by: By, use: Use) -> Source:
    """Follow a paused source again, or try a broken one at once."""
    return _shown(await use.resume(by.workspace, source_id), use)


@router.get("/connectors", openapi_extra=requires("reader"))
async def list_connectors(use: Use) -> list[Connector]:
    """List the kinds of sources there can be."""
    return [
        Connector(
            kind=kind.kind,
            summary=kind.summary,
            channel=kind.channel,
            pushed=kind.open is None,
            settings=kind.settings.model_json_schema(),
        )
        for kind in use.kinds.values()
    ]


def _shown(source: Stored, use: Sources) -> Source:
    fields = {name: getattr(source, name) for name in Source.model_fields if name != "settings"}
    kind = use.kinds.get(source.kind)
    return Source(settings=shown_settings(kind, source.settings), **fields)
