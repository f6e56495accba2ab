"""Models that a workspace chooses, those in the shadow, and what was learnt from corrections."""

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from maru_contracts.tags import ChosenHead, ChosenModel, ModelSelected, ModelVersion
from maru_contracts.topics import MODELS_SELECTED
from maru_kit.errors import ConfigError, NotFound, Unprocessable
from maru_kit.http import Page, requires
from maru_kit.stream import publish
from maru_sentiment.domain import Choice, named
from maru_sentiment.learning import NEEDED, Learning
from maru_sentiment.parts import Parts
from maru_sentiment.retraining import Standing, State
from maru_sentiment.routes.asking import Asking, AtParts

router = APIRouter(tags=["models"], prefix="/api/v1/models")

HEADS: tuple[ChosenHead, ...] = ("sentiment", "intent", "aspects", "topics")


class Choose(BaseModel):
    """Which model makes a head's tags, and which runs in the shadow; null: Maru's own, or none.

    `learns` is whether the head may learn from tags that people corrected (not for aspects); it is
    all that can be chosen for topics.
    """

    model_config = ConfigDict(extra="forbid")

    model: ChosenModel | None = None
    shadow: ChosenModel | None = None
    learns: bool = True


class ChosenFor(BaseModel):
    """The choice for a head."""

    head: ChosenHead
    model: ChosenModel | None
    shadow: ChosenModel | None
    learns: bool


class Choices(BaseModel):
    """What is chosen for each head, and the models that there are to choose."""

    heads: list[ChosenFor]
    available: list[str]


class Pair(BaseModel):
    """Posts with one label that the shadow gave another, or the same; for aspects, their number."""

    label: str
    shadow: str
    posts: int


class Differently(BaseModel):
    """The beginning of a post that both tagged differently."""

    text: str
    label: str
    shadow: str


class ShadowComparison(BaseModel):
    """What a shadow said beside the model that tags, in this process, since it began."""

    head: ChosenHead
    model: ChosenModel | None
    shadow: ChosenModel | None
    since: datetime
    posts: int
    agreement: float
    pairs: list[Pair]
    examples: list[Differently]


class LearntFrom(BaseModel):
    """What came of the tags that people corrected.

    The accuracies are over corrections that were held out: of the model that is there (`base`), of
    the same with its labels exchanged as corrections exchange them most often, and of the head that
    learnt. It is `used` if it beats both beyond chance; null stands where nothing was learnt.
    """

    head: Learning
    state: State
    why: str
    corrections: int = Field(description="Of which it learns: up to 1,000, the newest ones")
    base: ModelVersion | None
    model: ModelVersion | None
    base_accuracy: float | None
    exchanged_accuracy: float | None
    accuracy: float | None
    p_value: float | None = Field(description="The larger one of both comparisons (McNemar)")


class LearntHeads(BaseModel):
    """What came of it for each head that can learn."""

    heads: list[LearntFrom]


@router.get("", openapi_extra=requires("reader"))
async def models(parts: AtParts, _asking: Asking) -> Page[ModelVersion]:
    """List Maru's own models, which tag posts unless others are chosen; none while they load."""
    return Page(items=list(parts.inference.models))


@router.get("/choices", openapi_extra=requires("reader"))
async def choices(asking: Asking, parts: AtParts) -> Choices:
    """List what the workspace has chosen, and the models in the folder of models."""
    await parts.definitions.load()
    chosen = {it.head: it for it in parts.definitions.choices(asking.workspace)}
    return Choices(
        heads=[_answer(chosen.get(head, Choice(head))) for head in HEADS],
        available=parts.inference.choosable(),
    )


@router.get("/learnt", openapi_extra=requires("reader"))
async def learnt(asking: Asking, parts: AtParts) -> LearntHeads:
    """Tell what was learnt from the tags that people corrected, how good it is and if it is used.

    Heads are learnt again some seconds after a correction.
    """
    await parts.definitions.load()
    standings = await parts.retraining.standings(asking.workspace)
    return LearntHeads(heads=[_learnt_from(it) for it in standings])


@router.put("/{head}", openapi_extra=requires("owner"))
async def choose(asking: Asking, parts: AtParts, head: ChosenHead, wanted: Choose) -> ChosenFor:
    """Have a model tag posts from now on, or run beside; it is loaded and tried first.

    Posts that are tagged already keep their tags until they are replayed.
    """
    await _try(parts, head, wanted.model)
    await _try(parts, head, wanted.shadow)
    chosen = ModelSelected(
        workspace=asking.workspace,
        head=head,
        model=wanted.model,
        shadow=wanted.shadow,
        learns=wanted.learns,
        at=datetime.now(UTC),
    )
    await publish(parts.bus, MODELS_SELECTED, [chosen])
    await parts.definitions.load()
    return ChosenFor(head=head, model=wanted.model, shadow=wanted.shadow, learns=wanted.learns)


@router.get("/{head}/comparison", openapi_extra=requires("reader"))
async def comparison(asking: Asking, parts: AtParts, head: ChosenHead) -> ShadowComparison:
    """Tell how the shadow of a head compares: in this process, since it started or was chosen."""
    found = parts.shadows.of(asking.workspace, head)
    if found is None:
        raise NotFound(f"No post has been tagged for {head} with a model in the shadow yet")
    chosen = _answer(found.choice)
    return ShadowComparison(
        head=head,
        model=chosen.model,
        shadow=chosen.shadow,
        since=found.since,
        posts=found.posts,
        agreement=round(found.agreed / found.posts, 4) if found.posts else 1.0,
        pairs=[
            Pair(label=label, shadow=shadow, posts=posts)
            for (label, shadow), posts in found.pairs.most_common()
        ],
        examples=[
            Differently(text=it.text, label=it.tag, shadow=it.shadow) for it in found.examples
        ],
    )


async def _try(parts: Parts, head: ChosenHead, model: ChosenModel | None) -> None:
    wanted = named(model)
    if wanted is None:
        return
    if head == "topics":
        raise Unprocessable("Topics have no model but Maru's own: say whether they learn.")
    try:
        await parts.inference.check(head, wanted)
    except ConfigError as error:
        raise Unprocessable(str(error)) from error


def _answer(choice: Choice) -> ChosenFor:
    model, shadow = (
        ChosenModel(name=it.name, labels=dict(it.labels)) if it else None
        for it in (choice.model, choice.shadow)
    )
    return ChosenFor(head=choice.head, model=model, shadow=shadow, learns=choice.learns)


def _learnt_from(standing: Standing) -> LearntFrom:
    found = standing.learnt
    measured = found.measured if found else None
    return LearntFrom(
        head=standing.head,
        state=standing.state,
        why=_WHY[standing.state],
        corrections=standing.corrections,
        base=found.base if found else None,
        model=found.model if found else None,
        base_accuracy=round(measured.base, 4) if measured else None,
        exchanged_accuracy=round(measured.exchanged, 4) if measured else None,
        accuracy=round(measured.own, 4) if measured else None,
        p_value=measured.p_value if measured else None,
    )


_WHY: Mapping[State, str] = {
    "used": "It is better on held-out corrections beyond chance, so it tags new posts.",
    "not_better": "It is not better on held-out corrections beyond chance, so it is not used. "
    "Say of posts whose tags are right that they are, too: corrections of errors alone do not "
    "tell when Maru is right.",
    "too_few": f"It takes {NEEDED} corrections to begin with.",
    "off": "The workspace has turned it off.",
}
