"""The tags that a text would get, and the words that moved them."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from maru_kit.http import requires
from maru_sentiment import corrections
from maru_sentiment.explanation import explain, parts_of, without_each
from maru_sentiment.routes.asking import Asking, AtParts

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

    head: str = Field(
        description="`sentiment`, `intent`, `spam`, `toxicity`, `emotions`, `topics` or `aspects`"
    )
    label: str
    probability: float
    words: list[MovingWords]


class Explanation(BaseModel):
    """The tags that a post of this text would get, and why."""

    language: str
    corrections: list[str] = Field(description="Terms whose mood the workspace has corrected")
    tags: list[ExplainedTag]


@router.post("/api/v1/explanations", openapi_extra=requires("reader"))
async def explanations(asking: Asking, parts: AtParts, wanted: Explain) -> Explanation:
    """Tag a text as a post of the workspace, and tell which words moved each tag.

    Each word (in texts of over 100 words: each of 100 runs of words) is left out in turn and the
    rest tagged again; the weight says by how much the probability falls without it.
    """
    workspace, definitions = asking.workspace, parts.definitions
    pieces = parts_of(wanted.text)
    texts = [wanted.text, *without_each(wanted.text, pieces)]
    tags, *without = await corrections.tag(
        parts.inference,
        texts,
        definitions.subjects(workspace),
        [None] * len(texts),
        finder=definitions.finder(workspace),
        choices=definitions.choices(workspace),
        learnt=await parts.retraining.heads(workspace),
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
            for found in explain(tags, pieces, without)
        ],
    )
