"""The topics that posts are tagged with: the default ones, and a workspace's own."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from maru_contracts.tags import MAX_DESCRIPTION
from maru_ideas.routes.answers import Asking, AtDesk
from maru_ideas.store.topics import StoredTopic
from maru_kit.http import requires

router = APIRouter(tags=["topics"])

Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^|/\x00-\x1f]+$")]
TopicName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=100, strip_whitespace=True, pattern=r"^[^|/\x00-\x1f]+$"
    ),
]
Example = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class Topic(BaseModel):
    """A subject that posts are searched for: a name, what it is, and phrases that speak of it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    examples: tuple[str, ...]
    formerly: tuple[str, ...] = Field(description="Names that it had before")
    updated_at: datetime | None = Field(description="Null for a default topic as it came")


class Told(BaseModel):
    """What tells the topic from others, in any language: a description, examples, or both.

    What is not given stays as it is, if the topic is there.
    """

    model_config = ConfigDict(extra="forbid")

    description: (
        Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION, strip_whitespace=True)] | None
    ) = Field(None, description="A sentence or two; the name is read with it.")
    examples: Annotated[tuple[Example, ...], Field(max_length=50)] | None = Field(
        None, description="A few phrases that speak of the topic."
    )


class NewName(BaseModel):
    """What the topic shall be called."""

    model_config = ConfigDict(extra="forbid")

    name: TopicName


@router.get("/api/v1/topics", response_model=list[Topic], openapi_extra=requires("reader"))
async def list_topics(asking: Asking, at: AtDesk) -> list[StoredTopic]:
    """List the topics that the workspace's posts are tagged with, by name."""
    return await at.topics(asking.workspace)


@router.put("/api/v1/topics/{name}", response_model=Topic, openapi_extra=requires("owner"))
async def define_topic(
    asking: Asking, at: AtDesk, name: Annotated[TopicName, Path()], wanted: Told
) -> StoredTopic:
    """Define a topic, or define it anew; posts that come from now on are tagged with it."""
    return await at.define_topic(
        asking.workspace, name, examples=wanted.examples, description=wanted.description
    )


@router.post("/api/v1/topics/{name}/name", response_model=Topic, openapi_extra=requires("owner"))
async def rename_topic(asking: Asking, at: AtDesk, name: Name, wanted: NewName) -> StoredTopic:
    """Call a topic otherwise; what it learnt from corrected posts goes with it.

    Posts keep the name that they are tagged with until they are replayed.
    """
    return await at.rename_topic(asking.workspace, name, wanted.name)


@router.delete("/api/v1/topics/{name}", status_code=204, openapi_extra=requires("owner"))
async def remove_topic(asking: Asking, at: AtDesk, name: Name) -> Response:
    """Stop tagging a topic, a default one or the workspace's own."""
    await at.remove_topic(asking.workspace, name)
    return Response(status_code=204)
