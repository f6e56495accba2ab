"""The public board: what was voiced in public, counted over public posts alone, without authors."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from maru_contracts.ideas import Idea
from maru_ideas.routes.answers import Asking, AtDesk, Paged, answer
from maru_ideas.routes.idea_pages import Evidence, IdeaPage, IdeaQuery, evidence_of, ideas_of
from maru_kit.http import Page, requires

router = APIRouter(tags=["public board"], prefix="/board/ideas")


@router.get("", response_model=IdeaPage, openapi_extra=requires("public", cached=True))
async def list_public_ideas(
    request: Request, asking: Asking, at: AtDesk, query: Annotated[IdeaQuery, Query()]
) -> Response:
    """List ideas that were voiced in public, the highest in the chosen order first."""
    body = await ideas_of(at, asking.workspace, query, public=True)
    return answer(request, body, public=True)


@router.get("/{idea_id}", response_model=Idea, openapi_extra=requires("public", cached=True))
async def show_public_idea(request: Request, asking: Asking, at: AtDesk, idea_id: UUID) -> Response:
    """Show the public face of one idea."""
    wire = await at.idea(asking.workspace, idea_id, public=True)
    return answer(request, wire.encode(), public=True)


@router.get("/{idea_id}/evidence", response_model=Page[Evidence], openapi_extra=requires("public"))
async def list_public_evidence(
    request: Request, asking: Asking, at: AtDesk, idea_id: UUID, page: Annotated[Paged, Query()]
) -> Response:
    """List the public posts behind an idea, the newest first."""
    body = await evidence_of(at, asking.workspace, idea_id, page, public=True)
    return answer(request, body, public=True)
