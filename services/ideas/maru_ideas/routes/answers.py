"""What all routes share: who asks, and how stored JSON becomes an answer without being parsed."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import RowMapping

from maru_ideas.service.correcting import Correcting
from maru_ideas.service.desk import Desk
from maru_kit.errors import BadRequest
from maru_kit.http import Caller, caller, decode_cursor

Name = Annotated[str, Field(max_length=100)]
Words = Annotated[str, Field(max_length=200, description="Words that it must contain.")]


class Paged(BaseModel):
    """Which page of a list is asked for."""

    limit: int = Field(20, ge=1, le=100, description="How many on a page.")
    cursor: str | None = Field(
        None, max_length=500, description="`next` of the page before; none for the first page."
    )


def desk(request: Request) -> Desk:
    """The desk that the application has set up."""
    found: Desk = request.app.state.desk
    return found


def correcting(request: Request) -> Correcting:
    """Who takes corrections in this application."""
    found: Correcting = request.app.state.correcting
    return found


Asking = Annotated[Caller, Depends(caller)]
AtDesk = Annotated[Desk, Depends(desk)]
Correct = Annotated[Correcting, Depends(correcting)]


def json_page(items: Iterable[str], *, next: str | None, total: int | None = None) -> bytes:
    """A page of objects that are JSON already. `next` is a cursor: letters, digits, - and _."""
    cursor = "null" if next is None else f'"{next}"'
    number = "" if total is None else f',"total":{total}'
    return f'{{"items":[{",".join(items)}],"next":{cursor}{number}}}'.encode()


def turned(
    rows: Sequence[RowMapping], limit: int
) -> tuple[Sequence[RowMapping], RowMapping | None]:
    """The page's rows, and the last of them if another page follows.

    One row more than the limit must have been read.
    """
    return rows[:limit], rows[limit - 1] if len(rows) > limit else None


def answer(request: Request, body: bytes, *, public: bool = False) -> Response:
    """JSON with an ETag; 304 when the caller has it already."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache" if public else "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def after(
    cursor: str | None, kind: type, *names: str
) -> tuple[Any, UUID] | None:  # the rank is of the given kind
    """Where a cursor says that the page begins: after this rank and id of the list `names`."""
    if cursor is None:
        return None
    *given, rank, last = decode_cursor(cursor, *(str for _ in names), kind, str)
    if given != list(names):
        raise BadRequest("The cursor belongs to a list in another order")
    try:
        return rank, UUID(last)
    except ValueError as error:
        raise BadRequest("The cursor is not one that this list has given out") from error
