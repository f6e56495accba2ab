"""What the sentiment service tells over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from maru_contracts.tags import ModelVersion
from maru_kit.http import Caller, Page, caller, requires
from maru_sentiment.inference import Inference

router = APIRouter(tags=["models"])


@router.get("/api/v1/models", openapi_extra=requires("reader"))
async def models(
    request: Request, _caller: Annotated[Caller, Depends(caller)]
) -> Page[ModelVersion]:
    """List the models that tag posts now; none while they are loading."""
    inference: Inference = request.app.state.inference
    return Page(items=list(inference.models))
