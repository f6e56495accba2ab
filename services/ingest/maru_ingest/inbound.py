"""The addresses that webhooks and hubs of feeds send to."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from maru_ingest.service.pushing import Pushing
from maru_ingest.service.receiving import Receiver
from maru_ingest.store.sources import Counts
from maru_kit.http import requires

router = APIRouter(tags=["hooks"])


class Received(BaseModel):
    """What became of the posts of one webhook message."""

    accepted: int = Field(description="Posts that the log has acknowledged")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Rows that are no posts; they are in the dead letters")
    deleted: int = Field(description="Posts that were known and are gone now")


class HubSaid(BaseModel):
    """What a hub says or asks of a subscription."""

    mode: str = Field(alias="hub.mode", description="subscribe, unsubscribe or denied")
    topic: str = Field(alias="hub.topic", description="The feed's address, as the hub was asked")
    challenge: str = Field(default="", alias="hub.challenge", max_length=4_000)
    lease_seconds: str = Field(default="", alias="hub.lease_seconds")
    reason: str = Field(default="", alias="hub.reason", description="Why it is denied")


def receiver(request: Request) -> Receiver:
    """Return the receiver that `app.create_app` made."""
    found: Receiver = request.app.state.receiver
    return found


def pushing(request: Request) -> Pushing:
    """Return the use cases around pushes that `app.create_app` made."""
    found: Pushing = request.app.state.pushing
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


@router.post(
    "/hooks/{source_id}",
    status_code=202,
    response_model=Received,
    openapi_extra=requires("public"),
)
async def receive(
    source_id: str,
    request: Request,
    response: Response,
    receiver: Annotated[Receiver, Depends(receiver)],
) -> Received | PlainTextResponse:
    """Take one signed message (https://www.standardwebhooks.com): a post or an array of posts.

    An object with an id whose `deleted` is true ends the post of that id. To a source whose
    platform pushes in its own way, that platform sends what it does, signed as it does,
    and is answered with 200 in place of 202; where it asks something first, as Slack does, with
    what it asks for.
    202 means that the log has acknowledged them; 503 asks to send the message again.
    """
    taken = await receiver.receive(source_id, dict(request.headers), await request.body())
    if taken.answer:
        return PlainTextResponse(taken.answer)
    if taken.by_platform:
        response.status_code = HTTPStatus.OK  # Meta takes nothing else for an answer
    return _received(taken.counts)


@router.get(
    "/hooks/{source_id}/websub/{token}",
    openapi_extra=requires("public"),
    response_class=PlainTextResponse,
)
async def answer_hub(
    source_id: str,
    token: str,
    said: Annotated[HubSaid, Query()],
    pushing: Annotated[Pushing, Depends(pushing)],
) -> str:
    """Confirm to a hub (https://www.w3.org/TR/websub/) that it was asked, or hear that it denies.

    The answer is its challenge; 404 when nothing of the kind was asked for.
    """
    await pushing.answer(
        source_id,
        token,
        mode=said.mode,
        topic=said.topic,
        lease=said.lease_seconds,
        reason=said.reason,
    )
    return said.challenge


@router.post("/hooks/{source_id}/websub/{token}", status_code=202, openapi_extra=requires("public"))
async def receive_push(
    source_id: str, token: str, request: Request, pushing: Annotated[Pushing, Depends(pushing)]
) -> Received:
    """Take what a hub sends of a feed. 202 means that the log has it, or that it is not signed.

    503 asks to send it again; 410 says that nothing is wanted here any more.
    """
    counts = await pushing.receive(
        source_id,
        token,
        signature=request.headers.get("x-hub-signature", ""),
        content_type=request.headers.get("content-type", ""),
        body=await request.body(),
    )
    return _received(counts)


def _received(counts: Counts) -> Received:
    return Received(
        accepted=counts.published,
        duplicates=counts.duplicates,
        rejected=counts.rejected,
        deleted=counts.deleted,
    )
