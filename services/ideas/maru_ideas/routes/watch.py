"""Watched products, their share of voice, and the correction dictionary."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from maru_contracts.tags import Mood, Side
from maru_ideas.domain.mentions import Voice
from maru_ideas.routes.answers import Asking, AtDesk
from maru_ideas.store.terms import StoredTerm
from maru_kit.errors import BadRequest
from maru_kit.http import requires

router = APIRouter(tags=["watch"], prefix="/api/v1")

Name = Annotated[
    str, Path(min_length=1, max_length=100, pattern=r"^[^|/\x00-\x1f]*\w[^|/\x00-\x1f]*$")
]
Alias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=r"\w"),
]
Aliases = Annotated[
    tuple[Alias, ...],
    Field(max_length=50, description="Other names, in any language; case and width do not count"),
]
_DAYS = timedelta(days=29)


class Watched(BaseModel):
    """A product that posts are searched for: the workspace's own, or a competitor's."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    kind: Annotated[Side, Field(validation_alias="meaning")]
    aliases: tuple[str, ...]
    updated_at: datetime


class Watch(BaseModel):
    """Whose a product is, and what else it is called."""

    model_config = ConfigDict(extra="forbid")

    kind: Side
    aliases: Aliases = ()


class TermCorrection(BaseModel):
    """The mood of a term, whatever the sentiment model takes it for."""

    model_config = ConfigDict(from_attributes=True)

    term: Annotated[str, Field(validation_alias="name")]
    mood: Annotated[Mood, Field(validation_alias="meaning")]
    aliases: tuple[str, ...]
    updated_at: datetime


class Correct(BaseModel):
    """What a term says; `neutral` keeps the model from reading a mood into it."""

    model_config = ConfigDict(extra="forbid")

    mood: Mood
    aliases: Aliases = ()


class ProductVoice(BaseModel):
    """A watched product in a period."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    kind: Side
    posts: int = Field(description="Posts that mention it, each once")
    share: float = Field(description="Its part of all mentions; the shares add up to 1")
    mood: dict[Mood, int] = Field(description="These posts by mood")


class ShareOfVoice(BaseModel):
    """How often watched products were mentioned, from day to day, the most mentioned first."""

    first: date
    last: date
    products: list[ProductVoice]


class Period(BaseModel):
    """From the first day to the last, both counted, in UTC."""

    first: date | None = Field(None, description="29 days before the last if it is not given.")
    last: date | None = Field(None, description="Today if it is not given.")


@router.get("/watch", response_model=list[Watched], openapi_extra=requires("reader"))
async def list_watched(asking: Asking, at: AtDesk) -> Any:
    """List the products that posts are searched for, by name."""
    return await at.terms(asking.workspace, "watch")


@router.put("/watch/{name}", response_model=Watched, openapi_extra=requires("owner"))
async def watch(asking: Asking, at: AtDesk, name: Name, wanted: Watch) -> StoredTerm:
    """Watch a product, or define it anew; it is found in posts that come from now on."""
    return await at.define_term(asking.workspace, name, wanted.kind, wanted.aliases)


@router.delete("/watch/{name}", status_code=204, openapi_extra=requires("owner"))
async def unwatch(asking: Asking, at: AtDesk, name: Name) -> Response:
    """Stop watching a product; what was counted stays."""
    await at.remove_term(asking.workspace, name, "own")
    return Response(status_code=204)


@router.get("/share-of-voice", openapi_extra=requires("reader"))
async def share_of_voice(
    asking: Asking, at: AtDesk, period: Annotated[Period, Query()]
) -> ShareOfVoice:
    """Compare how often the watched products were mentioned, and in which mood."""
    last = period.last or datetime.now(UTC).date()
    first = period.first or max(date.min + _DAYS, last) - _DAYS
    if first > last:
        raise BadRequest(f"The period ends ({last}) before it begins ({first}): swap the days")
    voices: list[Voice] = await at.share_of_voice(asking.workspace, first, last)
    return ShareOfVoice(
        first=first, last=last, products=[ProductVoice.model_validate(it) for it in voices]
    )


@router.get("/corrections", response_model=list[TermCorrection], openapi_extra=requires("reader"))
async def list_corrections(asking: Asking, at: AtDesk) -> Any:
    """List the terms whose mood the workspace has corrected, by term."""
    return await at.terms(asking.workspace, "corrections")


@router.put("/corrections/{name}", response_model=TermCorrection, openapi_extra=requires("owner"))
async def correct(asking: Asking, at: AtDesk, name: Name, wanted: Correct) -> StoredTerm:
    """Correct the mood of a term; it counts for posts that come from now on."""
    return await at.define_term(asking.workspace, name, wanted.mood, wanted.aliases)


@router.delete("/corrections/{name}", status_code=204, openapi_extra=requires("owner"))
async def remove_correction(asking: Asking, at: AtDesk, name: Name) -> Response:
    """Let the sentiment model judge a term again."""
    await at.remove_term(asking.workspace, name, "neutral")
    return Response(status_code=204)
