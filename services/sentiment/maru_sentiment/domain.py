"""Which subjects a workspace's posts are searched for: pure values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maru_contracts.default_topics import DEFAULT_TOPICS
from maru_contracts.tags import TopicDefined


@dataclass(frozen=True)
class Subject:
    """Something that posts speak of: a name, and phrases that speak of it in any language."""

    name: str
    examples: tuple[str, ...]


DEFAULT_SUBJECTS: tuple[Subject, ...] = tuple(
    Subject(name, examples) for name, examples in DEFAULT_TOPICS.items()
)


def subjects_of(definitions: Iterable[TopicDefined]) -> Mapping[str, Sequence[Subject]]:
    """Work out each workspace's subjects from all definitions, oldest first.

    A later definition of a name replaces an earlier one; a default subject can be replaced or
    removed in the same way.
    """
    spaces: dict[str, dict[str, Subject]] = {}
    for definition in definitions:
        own = spaces.setdefault(
            definition.workspace, {subject.name: subject for subject in DEFAULT_SUBJECTS}
        )
        own.pop(definition.name, None)
        if not definition.removed:
            own[definition.name] = Subject(definition.name, definition.examples)
    return {workspace: tuple(own.values()) for workspace, own in spaces.items()}
