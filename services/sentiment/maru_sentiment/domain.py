"""What workspaces want of the tagger: subjects, models of their choice, tags that are theirs."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from maru_contracts.default_topics import DEFAULT_TOPICS
from maru_contracts.tags import (
    ChosenHead,
    ChosenModel,
    IntentLabel,
    ModelSelected,
    ModelVersion,
    Mood,
    TagsCorrected,
    TopicDefined,
)


@dataclass(frozen=True)
class Subject:
    """Something that posts speak of: a name, what it is, and phrases that speak of it.

    `formerly` and `since` are as in `TopicDefined`; None is always.
    """

    name: str
    examples: tuple[str, ...]
    description: str = ""
    formerly: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def phrases(self) -> tuple[str, ...]:
        """What a post about it lies near: a description speaks of it, and with it the name."""
        if not self.description:
            return self.examples
        return (self.name, self.description, *self.examples)


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
    topics: tuple[str, ...] | None
    at: datetime


def corrected_of(told: Iterable[TagsCorrected]) -> Mapping[str, tuple[CorrectedText, ...]]:
    """Sort what people said of posts' tags by workspace, in the order they said it."""
    spaces: dict[str, list[CorrectedText]] = {}
    for it in told:
        if not it.removed:
            text = joined(it.title, it.text)
            said = CorrectedText(text, it.mood, it.intent, it.topics, it.at)
            spaces.setdefault(it.workspace, []).append(said)
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
            own[definition.name] = _subject(definition)
    return {workspace: tuple(own.values()) for workspace, own in spaces.items()}


def of_subjects(
    models: Sequence[ModelVersion], subjects: tuple[Subject, ...]
) -> tuple[ModelVersion, ...]:
    """Name in the topics' version the subjects that a workspace defined.

    Posts that come again get new tags only from another version.
    """
    if subjects == DEFAULT_SUBJECTS:
        return tuple(models)
    told = json.dumps([[it.name, it.phrases] for it in subjects])
    version = hashlib.sha256(told.encode()).hexdigest()[:8]
    return tuple(
        model.model_copy(update={"version": f"{model.version}+{version}"})
        if model.head == "topics"
        else model
        for model in models
    )


def _subject(defined: TopicDefined) -> Subject:
    # A default subject that a workspace words anew has been there always.
    known_since = None if defined.name in DEFAULT_TOPICS else defined.at
    return Subject(
        name=defined.name,
        examples=defined.examples,
        description=defined.description,
        formerly=defined.formerly,
        since=defined.since or known_since,
    )


def bearers(subjects: Sequence[Subject]) -> Mapping[str, Sequence[Subject]]:
    """Say which subjects each name is of: the one that has it now, then those that had it."""
    found = {subject.name: [subject] for subject in subjects}
    for subject in subjects:
        for name in subject.formerly:
            found.setdefault(name, []).append(subject)
    return found


def name_now(known: Mapping[str, Sequence[Subject]], name: str, at: datetime) -> str:
    """Say what the subject that had this name then is called now; `known` is by `bearers`.

    The name of a subject that was defined only later was another's, if there is another.
    """
    of = known.get(name, ())
    there = (it for it in of if it.since is None or it.since <= at)
    meant = next(there, of[0] if of else None)
    return meant.name if meant else name
