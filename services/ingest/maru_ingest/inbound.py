"""The address that webhooks are sent to."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from maru_ingest.service.receiving import Receiver
from maru_kit.http import requires

router = APIRouter(tags=["hooks"])


class Received(BaseModel):
    """What became of the posts of one webhook message."""

    accepted: int = Field(description="Posts that the log has acknowledged")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Rows that are no posts; they are in the dead letters")
    deleted: int = Field(description="Posts that were known and are gone now")


def receiver(request: Request) -> Receiver:
    """Return the receiver that `app.create_app` made."""
    found: Receiver = request.app.state.receiver
    return found


@router.get(
    "/hooks/{source_id}",
    openapi_extra=requires("public"),
    response_class=PlainTextResponse,
)
async def greet(
    source_id: str, request: Request, receiver: Annotated[Receiver, Depends(receiver)]
) -> str:
    """Answer a platform that asks whether it may send here, as Meta's apps do.

    The answer is its challenge; 401 when it does not know the source's verify token.
    """
    return await receiver.greet(source_id, dict(request.query_params))


@router.post("/hooks/{source_id}", status_code=202, openapi_extra=requires("public"))
async def receive(
    source_id: str,
    request: Request,
    response: Response,
    receiver: Annotated[Receiver, Depends(receiver)],
) -> Received:
    """Take one signed message (https://www.standardwebhooks.com): a post or an array of posts.

    An object with an id whose `deleted` is true ends the post of that id. To a source whose
    platform pushes in its own way, that platform sends what it does, signed as it does,
    and is answered with 200 in place of 202.
    202 means that the log has acknowledged them; 503 asks to send the message again.
    """
    taken = await receiver.receive(source_id, dict(request.headers), await request.body())
    if taken.by_platform:
        response.status_code = HTTPStatus.OK  # Meta takes nothing else for an answer
    counts = taken.counts
    return Received(
        accepted=counts.published,
        duplicates=counts.duplicates,
        rejected=counts.rejected,
        deleted=counts.deleted,
    )
