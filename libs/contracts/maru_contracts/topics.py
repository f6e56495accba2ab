"""The map of the house: every topic, what travels on it, who writes it and who reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from maru_contracts.ideas import IdeaChanged
from maru_contracts.message import Message
from maru_contracts.posts import Post
from maru_contracts.tags import (
    ModelSelected,
    TaggedPost,
    TagsCorrected,
    TermDefined,
    TopicDefined,
)

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Topic(Generic[M]):
    """A named, partitioned stream of one kind of message.

    `key` decides the partition: messages with one key stay in order. `retention` None keeps
    everything; `compacted` keeps the newest message of each key for ever.
    """

    name: str
    message: type[M]
    key: Callable[[M], str]
    producer: str
    consumers: tuple[str, ...]
    partitions: int = 6
    retention: timedelta | None = timedelta(days=7)
    compacted: bool = False


def _product(workspace: str, product: str) -> str:
    return f"{workspace}/{product}"


POSTS_COLLECTED = Topic(
    name="posts.collected.v1",
    message=Post,
    key=lambda post: _product(post.workspace, post.product),
    producer="ingest",
    consumers=("sentiment",),
)

POSTS_TAGGED = Topic(
    name="posts.tagged.v1",
    message=TaggedPost,
    key=lambda tagged: _product(tagged.post.workspace, tagged.post.product),
    producer="sentiment",
    consumers=("ideas",),
)

IDEAS_CHANGED = Topic(
    name="ideas.changed.v1",
    message=IdeaChanged,
    key=lambda changed: _product(changed.idea.workspace, changed.idea.product),
    producer="ideas",
    consumers=("gateway",),
)

TOPICS_DEFINED = Topic(
    name="topics.defined.v1",
    message=TopicDefined,
    key=lambda defined: _product(defined.workspace, defined.name),
    producer="ideas",
    consumers=("sentiment",),
    partitions=1,
    retention=None,
    compacted=True,
)

TERMS_DEFINED = Topic(
    name="terms.defined.v1",
    message=TermDefined,
    key=lambda defined: f"{defined.workspace}/{defined.section}/{defined.name}",
    producer="ideas",
    consumers=("sentiment",),
    partitions=1,
    retention=None,
    compacted=True,
)

TAGS_CORRECTED = Topic(
    name="tags.corrected.v1",
    message=TagsCorrected,
    key=lambda corrected: f"{corrected.workspace}/{corrected.post_id}",
    producer="ideas",
    consumers=("sentiment",),
    partitions=1,
    retention=None,
    compacted=True,
)

MODELS_SELECTED = Topic(
    name="models.selected.v1",
    message=ModelSelected,
    key=lambda chosen: f"{chosen.workspace}/{chosen.head}",
    producer="sentiment",
    consumers=("sentiment",),
    partitions=1,
    retention=None,
    compacted=True,
)

TOPICS: tuple[
    Topic[Post]
    | Topic[TaggedPost]
    | Topic[IdeaChanged]
    | Topic[TopicDefined]
    | Topic[TermDefined]
    | Topic[TagsCorrected]
    | Topic[ModelSelected],
    ...,
] = (
    POSTS_COLLECTED,
    POSTS_TAGGED,
    IDEAS_CHANGED,
    TOPICS_DEFINED,
    TERMS_DEFINED,
    TAGS_CORRECTED,
    MODELS_SELECTED,
)


def dead_letters(topic: str, group: str) -> str:
    """The name of the topic that takes what `group` could not read from `topic`."""
    return f"{topic}.{group}.dlq"
