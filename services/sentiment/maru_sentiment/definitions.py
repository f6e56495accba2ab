"""Follows on the log what workspaces define: subjects, terms, models, and tags they corrected."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

import structlog
from pydantic import ValidationError

from maru_contracts.message import Message
from maru_contracts.tags import ModelSelected, TagsCorrected, TermDefined, TopicDefined
from maru_contracts.topics import (
    MODELS_SELECTED,
    TAGS_CORRECTED,
    TERMS_DEFINED,
    TOPICS_DEFINED,
    Topic,
)
from maru_kit.bus import Bus
from maru_kit.errors import Unavailable
from maru_sentiment.domain import (
    DEFAULT_SUBJECTS,
    Choice,
    CorrectedText,
    Subject,
    choices_of,
    corrected_of,
    subjects_of,
)
from maru_sentiment.terms import Finder, Term, terms_of

log = structlog.get_logger(__name__)

M = TypeVar("M", bound=Message)

_WAIT = 1.0


class Definitions:
    """What each workspace has defined by now."""

    def __init__(self, bus: Bus) -> None:
        self._subjects: dict[str, tuple[Subject, ...]] = {}
        self._terms: dict[str, list[Term]] = {}
        self._finders: dict[str, Finder] = {}
        self._choices: Mapping[str, tuple[Choice, ...]] = {}
        self._corrected: Mapping[str, tuple[CorrectedText, ...]] = {}
        self._followed = (
            _Followed(bus, TOPICS_DEFINED, self._on_topics),
            _Followed(bus, TERMS_DEFINED, self._on_terms),
            _Followed(bus, MODELS_SELECTED, self._on_models),
            _Followed(bus, TAGS_CORRECTED, self._on_corrected),
        )

    def subjects(self, workspace: str) -> tuple[Subject, ...]:
        """Return the subjects to look for in a workspace's posts."""
        return self._subjects.get(workspace, DEFAULT_SUBJECTS)

    def finder(self, workspace: str) -> Finder | None:
        """Return what finds the workspace's terms; None when it never defined any."""
        return self._finders.get(workspace)

    def choices(self, workspace: str) -> tuple[Choice, ...]:
        """Return the models that the workspace chose, for heads that have another than Maru's."""
        return self._choices.get(workspace, ())

    def corrected(self, workspace: str) -> tuple[CorrectedText, ...]:
        """Return the texts whose tags people of the workspace corrected, newest last."""
        return self._corrected.get(workspace, ())

    async def load(self) -> None:
        """Read all definitions up to now, from the beginning at the first call."""
        for followed in self._followed:
            await followed.load()

    async def follow(self, stop: asyncio.Event) -> None:
        """Take on new definitions until `stop`; waits while the log does not answer."""
        async with asyncio.TaskGroup() as tasks:
            for followed in self._followed:
                tasks.create_task(followed.follow(stop))

    def _on_topics(self, definitions: Collection[TopicDefined]) -> None:
        self._subjects = {
            workspace: tuple(subjects) for workspace, subjects in subjects_of(definitions).items()
        }

    def _on_models(self, chosen: Collection[ModelSelected]) -> None:
        self._choices = choices_of(chosen)

    def _on_corrected(self, told: Collection[TagsCorrected]) -> None:
        self._corrected = corrected_of(told)

    def _on_terms(self, definitions: Collection[TermDefined]) -> None:
        before, self._terms = self._terms, terms_of(definitions)
        for workspace, terms in self._terms.items():
            if terms != before.get(workspace):
                self._finders[workspace] = Finder(terms)


class _Followed(Generic[M]):
    """The newest message of each key of a compacted topic, the oldest first."""

    def __init__(self, bus: Bus, topic: Topic[M], changed: Callable[[Collection[M]], None]) -> None:
        self._bus = bus
        self._topic = topic
        self._changed = changed
        self._newest: dict[str, M] = {}
        self._positions: dict[int, int] = {}

    async def load(self) -> None:
        """Read all up to now."""
        self._positions = self._positions or dict(await self._bus.begins(self._topic.name))
        ends = await self._bus.ends(self._topic.name)
        while any(self._positions.get(part, 0) < end for part, end in ends.items()):
            await self._read()

    async def follow(self, stop: asyncio.Event) -> None:
        """Read on until `stop`."""
        while not stop.is_set():
            try:
                await self._read()
            except Unavailable as error:
                log.warning("definitions.waiting", topic=self._topic.name, reason=str(error))
                await asyncio.sleep(_WAIT)

    async def _read(self) -> None:
        spans = await self._bus.read(self._topic.name, self._positions, max_records=500, wait=_WAIT)
        for span in spans:
            for record in span.records:
                self._take(record.value)
            self._positions[span.partition] = span.next
        if spans:
            self._changed(self._newest.values())

    def _take(self, value: bytes) -> None:
        try:
            defined = self._topic.message.model_validate_json(value)
        except ValidationError as error:
            log.warning(
                "definitions.unreadable", topic=self._topic.name, errors=error.error_count()
            )
            return
        key = self._topic.key(defined)
        self._newest.pop(key, None)
        self._newest[key] = defined
