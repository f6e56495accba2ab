"""The addresses that webhooks and hubs of feeds send to."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from maru_ingest.service.pushing import Pushing
from maru_ingest.service.receiving import Receiver
from maru_ingest.service.streaming import Streaming
from maru_ingest.store.sources import Counts
from maru_kit.errors import BadRequest
from maru_kit.http import Caller, caller, requires

router = APIRouter(tags=["hooks"])


class Received(BaseModel):
    """What became of the posts of one webhook message."""

    accepted: int = Field(description="Posts that the log has acknowledged")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Rows that are no posts; they are in the dead letters")
    deleted: int = Field(description="Posts that were known and are gone now")


class RefusedLine(BaseModel):
    """A line that can't become a post."""

    line: int = Field(description="From 1")
    reason: str


class Streamed(BaseModel):
    """What became of the lines of one request."""

    lines: int = Field(description="Lines that were read, blank ones too")
    accepted: int = Field(description="Posts that the log has acknowledged")
    duplicates: int = Field(description="Posts that were known already")
    rejected: int = Field(description="Lines that are no posts; they are in the dead letters")
    deleted: int = Field(description="Posts that were known and are gone now")
    reasons: list[RefusedLine] = Field(description="Why the first hundred of them are no posts")


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


def streaming(request: Request) -> Streaming:
    """Return the use case that `app.create_app` made."""
    found: Streaming = request.app.state.streaming
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


_LINES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/api/v1/sources/{source_id}/posts",
    openapi_extra={**requires("contributor", streamed=True), **_LINES},
)
async def stream_posts(
    source_id: str,
    request: Request,
    by: Annotated[Caller, Depends(caller)],
    streaming: Annotated[Streaming, Depends(streaming)],
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
) -> Streamed:
    """Take posts as JSON Lines, one object a line, in a body of any length, plain or gzip.

    For sources that posts are sent to (`webhook`). The body is read no faster than the log takes
    it. The same lines again add nothing: posts without an id go by the Idempotency-Key and their
    line, or by their content. 503 says how many lines are in the log: send again from there, or
    all of them.
    """
    try:
        told = await streaming.take(
            by.workspace,
            source_id,
            request.stream(),
            encoding=request.headers.get("content-encoding", ""),
            name=idempotency_key,
        )
    except ClientDisconnect as error:
        raise BadRequest("The request ended before its body did.") from error
    return Streamed(
        lines=told.lines,
        accepted=told.counts.published,
        duplicates=told.counts.duplicates,
        rejected=told.rejected,
        deleted=told.counts.deleted,
        reasons=[RefusedLine(line=line, reason=reason) for line, reason in told.reasons],
    )


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
