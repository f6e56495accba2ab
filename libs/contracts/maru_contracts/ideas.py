"""What customers ask for, and everything that happens to it."""

from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import Field

from maru_contracts.message import Message, Moment
from maru_contracts.posts import Channel
from maru_contracts.tags import Mood

_EVENTS = UUID("8f0c6c0e-6a52-5c0b-9d55-6d6172750002")

Status = Literal["new", "under_review", "planned", "in_progress", "shipped", "declined"]
"""The life of an idea. `shipped` and `declined` end it; both can be reopened to `under_review`."""

ChangeKind = Literal[
    "created",
    "evidence_added",
    "evidence_changed",
    "evidence_removed",
    "merged",
    "split",
    "status_changed",
    "voted",
    "commented",
    "replied",
]


class Idea(Message):
    """An idea as everyone outside the ideas service sees it.

    `voices` counts distinct people, `evidence_count` their posts. `copies` are posts elsewhere with
    the words of one of these, `reposts` those that only pass one on: they carry a voice further and
    are none of their own. `spread` is the number of distinct (channel, source) pairs that all of
    them were heard in. `mood` counts the evidence by sentiment. `score` is the sum of `terms`, each
    the contribution of one named reason. `is_public` is true when at least one post behind it came
    through a public channel (then title and summary are quoted from public posts only).
    """

    id: UUID
    version: Annotated[int, Field(ge=1)]
    workspace: str
    product: str = ""
    title: str
    summary: str
    status: Status
    score: float
    terms: dict[str, float]
    voices: Annotated[int, Field(ge=0)]
    evidence_count: Annotated[int, Field(ge=0)]
    mood: dict[Mood, int]
    topics: tuple[str, ...] = ()
    channels: tuple[Channel, ...]
    languages: tuple[str, ...]
    spread: Annotated[int, Field(ge=0)]
    copies: Annotated[int, Field(ge=0)] = 0
    reposts: Annotated[int, Field(ge=0)] = 0
    is_public: bool
    first_seen: Moment
    last_seen: Moment


class IdeaChanged(Message):
    """Something happened to an idea; `idea` is the idea after it.

    `id` is `event_id(idea.id, idea.version)`: published twice, it is still one event. `left_public`
    says that the idea was public until now.
    """

    id: UUID
    kind: ChangeKind
    actor: str
    at: Moment
    idea: Idea
    post_id: UUID | None = None
    left_public: bool = False


def event_id(idea: UUID, version: int) -> UUID:
    """The id of the change that made `version` of an idea."""
    return uuid5(_EVENTS, f"{idea}/{version}")
