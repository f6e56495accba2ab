"""The address that webhooks are sent to."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
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


@router.post("/hooks/{source_id}", status_code=202, openapi_extra=requires("public"))
async def receive(
    source_id: str, request: Request, receiver: Annotated[Receiver, Depends(receiver)]
) -> Received:
    """Take one signed message (https://www.standardwebhooks.com): a post or an array of posts.

    An object with an id whose `deleted` is true ends the post of that id.
    202 means that the log has acknowledged them; 503 asks to send the message again.
    """
    counts = await receiver.receive(source_id, dict(request.headers), await request.body())
    return Received(
        accepted=counts.published,
        duplicates=counts.duplicates,
        rejected=counts.rejected,
        deleted=counts.deleted,
    )
