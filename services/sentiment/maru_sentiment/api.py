"""What the sentiment service tells over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from maru_contracts.tags import ModelVersion
from maru_kit.http import Caller, Page, caller, requires
from maru_sentiment import corrections
from maru_sentiment.definitions import Definitions
from maru_sentiment.explanation import explain, parts_of, without_each
from maru_sentiment.inference import Inference

router = APIRouter(tags=["models"])


class Explain(BaseModel):
    """A text to tag and to explain; it is not stored, and personal data in it is not replaced."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=10_000)]


class MovingWords(BaseModel):
    """Words, where they stand, and how much surer they make the tag (less sure if below 0)."""

    words: str
    start: int
    end: int
    weight: float


class ExplainedTag(BaseModel):
    """A tag with its probability or score, and up to 10 words that moved it."""

    head: str = Field(description="`sentiment`, `intent`, `emotions`, `topics` or `aspects`")
    label: str
    probability: float
    words: list[MovingWords]


class Explanation(BaseModel):
    """The tags that a post of this text would get, and why."""

    language: str
    corrections: list[str] = Field(description="Terms whose mood the workspace has corrected")
    tags: list[ExplainedTag]


@router.get("/api/v1/models", openapi_extra=requires("reader"))
async def models(
    request: Request, _caller: Annotated[Caller, Depends(caller)]
) -> Page[ModelVersion]:
    """List the models that tag posts now; none while they are loading."""
    inference: Inference = request.app.state.inference
    return Page(items=list(inference.models))


@router.post("/api/v1/explanations", openapi_extra=requires("reader"))
async def explanations(
    request: Request, asking: Annotated[Caller, Depends(caller)], wanted: Explain
) -> Explanation:
    """Tag a text as a post of the workspace, and tell which words moved each tag.

    Each word (in texts of over 100 words: each of 100 runs of words) is left out in turn and the
    rest tagged again; the weight says by how much the probability falls without it.
    """
    inference: Inference = request.app.state.inference
    definitions: Definitions = request.app.state.definitions
    workspace = asking.workspace
    parts = parts_of(wanted.text)
    texts = [wanted.text, *without_each(wanted.text, parts)]
    tags, *without = await corrections.tag(
        inference,
        texts,
        definitions.subjects(workspace),
        [None] * len(texts),
        definitions.finder(workspace),
    )
    return Explanation(
        language=tags.language,
        corrections=list(tags.sentiment.corrections),
        tags=[
            ExplainedTag(
                head=found.tag[0],
                label=found.tag[1],
                probability=found.probability,
                words=[
                    MovingWords(
                        words=wanted.text[moved.part.start : moved.part.end],
                        start=moved.part.start,
                        end=moved.part.end,
                        weight=moved.weight,
                    )
                    for moved in found.parts
                ],
            )
            for found in explain(tags, parts, without)
        ],
    )
