"""Ideas for those who are signed in; their public face for everybody is in `board`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from maru_contracts.ideas import Idea, IdeaChanged, Status
from maru_ideas.routes.answers import Asking, AtDesk, Paged, answer, json_page, turned
from maru_ideas.routes.idea_pages import (
    Evidence,
    IdeaPage,
    IdeaQuery,
    Spread,
    copies_of,
    evidence_of,
    ideas_of,
)
from maru_kit.http import Page, decode_cursor, encode_cursor, requires

router = APIRouter(tags=["ideas"], prefix="/api/v1/ideas")


class Move(BaseModel):
    """The status that an idea shall have."""

    model_config = ConfigDict(extra="forbid")

    status: Status


@router.get("", response_model=IdeaPage, openapi_extra=requires("reader", cached=True))
async def list_ideas(
    request: Request, asking: Asking, at: AtDesk, query: Annotated[IdeaQuery, Query()]
) -> Response:
    """List ideas, the highest in the chosen order first."""
    return answer(request, await ideas_of(at, asking.workspace, query, public=False))


@router.get("/{idea_id}", response_model=Idea, openapi_extra=requires("reader", cached=True))
async def show_idea(request: Request, asking: Asking, at: AtDesk, idea_id: UUID) -> Response:
    """Show one idea."""
    return answer(request, (await at.idea(asking.workspace, idea_id)).encode())


@router.get("/{idea_id}/evidence", response_model=Page[Evidence], openapi_extra=requires("reader"))
async def list_evidence(
    request: Request, asking: Asking, at: AtDesk, idea_id: UUID, page: Annotated[Paged, Query()]
) -> Response:
    """List the posts behind an idea, the newest first."""
    return answer(request, await evidence_of(at, asking.workspace, idea_id, page, public=False))


@router.get("/{idea_id}/copies", response_model=Page[Spread], openapi_extra=requires("reader"))
async def list_copies(
    request: Request, asking: Asking, at: AtDesk, idea_id: UUID, page: Annotated[Paged, Query()]
) -> Response:
    """List the copies and reposts of the posts behind an idea, the newest first."""
    return answer(request, await copies_of(at, asking.workspace, idea_id, page))


@router.get(
    "/{idea_id}/history", response_model=Page[IdeaChanged], openapi_extra=requires("reader")
)
async def list_history(
    request: Request, asking: Asking, at: AtDesk, idea_id: UUID, page: Annotated[Paged, Query()]
) -> Response:
    """List everything that happened to an idea, the newest first."""
    before = decode_cursor(page.cursor, int)[0] if page.cursor else None
    rows = await at.history(asking.workspace, idea_id, before=before, limit=page.limit + 1)
    shown, last = turned(rows, page.limit)
    following = encode_cursor(last["version"]) if last else None
    return answer(request, json_page((row["body"] for row in shown), next=following))


@router.post("/{idea_id}/status", response_model=Idea, openapi_extra=requires("owner"))
async def move_idea(asking: Asking, at: AtDesk, idea_id: UUID, move: Move) -> Response:
    """Give an idea another status; 409 when its status does not allow that."""
    wire = await at.move(asking.workspace, idea_id, move.status, actor=asking.actor)
    return Response(wire, media_type="application/json")
