"""The watched products in a post, and how it compares them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from maru_contracts.posts import Post
from maru_contracts.tags import MAX_ENTITIES, Comparison, Entity, ModelVersion
from maru_sentiment.comparing import comparisons
from maru_sentiment.terms import Finder

HEAD = "terms"


@dataclass(frozen=True)
class Marks:
    """What was found in one post."""

    entities: tuple[Entity, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


NO_MARKS = Marks()


def model_of(finder: Finder) -> ModelVersion:
    """Which rules and which of the workspace's definitions made the marks."""
    return ModelVersion(head=HEAD, name="maru-terms", version=finder.version)


def marked(finder: Finder, post: Post) -> Marks:
    """Look for a workspace's products in a post."""
    entities: list[Entity] = []
    compared: list[Comparison] = []
    for field, words in _fields(post):
        watched = finder.find(words)[0][:MAX_ENTITIES]
        compared += comparisons(words, watched)
        entities += (
            Entity(name=it.term.name, kind=it.term.side, field=field, start=it.start, end=it.end)
            for it in watched
        )
    return Marks(
        entities=tuple(entities[:MAX_ENTITIES]), comparisons=tuple(dict.fromkeys(compared))
    )


def _fields(post: Post) -> Iterator[tuple[Literal["title", "text"], str]]:
    yield "title", post.title
    yield "text", post.text
