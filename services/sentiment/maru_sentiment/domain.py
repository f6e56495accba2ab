"""What workspaces want of the tagger: subjects, models of their choice, tags that are theirs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maru_contracts.default_topics import DEFAULT_TOPICS
from maru_contracts.tags import (
    ChosenHead,
    ChosenModel,
    IntentLabel,
    ModelSelected,
    Mood,
    TagsCorrected,
    TopicDefined,
)


@dataclass(frozen=True)
class Subject:
    """Something that posts speak of: a name, and phrases that speak of it in any language."""

    name: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class NamedModel:
    """A model in the folder of models, and what its labels mean (see `ChosenModel`)."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which model answers for a head, and which in the shadow; None is Maru's own, or no shadow."""

    head: ChosenHead
    model: NamedModel | None = None
    shadow: NamedModel | None = None
    learns: bool = True


@dataclass(frozen=True)
class CorrectedText:
    """A post's text, and the tags that a person gave it; None is what nobody corrected."""

    text: str
    mood: Mood | None
    intent: IntentLabel | None


def corrected_of(told: Iterable[TagsCorrected]) -> Mapping[str, tuple[CorrectedText, ...]]:
    """Sort what people said of moods and intents by workspace, in the order they said it."""
    spaces: dict[str, list[CorrectedText]] = {}
    for it in told:
        if not it.removed and (it.mood or it.intent):
            text = CorrectedText(joined(it.title, it.text), it.mood, it.intent)
            spaces.setdefault(it.workspace, []).append(text)
    return {workspace: tuple(texts) for workspace, texts in spaces.items()}


def joined(title: str, text: str) -> str:
    """Put title and text together as the models read them, unless the text begins with it."""
    if not title or text.startswith(title):
        return text
    return f"{title}\n{text}"


def choices_of(chosen: Iterable[ModelSelected]) -> Mapping[str, tuple[Choice, ...]]:
    """Sort by workspace, the newest of each head; those that change nothing are left out."""
    newest = {(it.workspace, it.head): it for it in chosen}
    spaces: dict[str, tuple[Choice, ...]] = {}
    for it in newest.values():
        if it.model or it.shadow or not it.learns:
            choice = Choice(it.head, named(it.model), named(it.shadow), it.learns)
            spaces[it.workspace] = (*spaces.get(it.workspace, ()), choice)
    return spaces


def named(model: ChosenModel | None) -> NamedModel | None:
    """Return the same as a value that can be a key."""
    return NamedModel(model.name, tuple(sorted(model.labels.items()))) if model else None


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
