"""Follows the definitions of subjects on the log, from its beginning on."""

import asyncio

import structlog
from pydantic import ValidationError

from maru_contracts.tags import TopicDefined
from maru_contracts.topics import TOPICS_DEFINED
from maru_kit.bus import Bus
from maru_kit.errors import Unavailable
from maru_sentiment.domain import DEFAULT_SUBJECTS, Subject, subjects_of

log = structlog.get_logger(__name__)

_WAIT = 1.0


class Subjects:
    """Each workspace's subjects as they are defined by now."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._definitions: dict[tuple[str, str], TopicDefined] = {}
        self._subjects: dict[str, tuple[Subject, ...]] = {}
        self._positions: dict[int, int] = {}

    def of(self, workspace: str) -> tuple[Subject, ...]:
        """Return the subjects to look for in a workspace's posts."""
        return self._subjects.get(workspace, DEFAULT_SUBJECTS)

    async def load(self) -> None:
        """Read all definitions up to now."""
        self._positions = dict(await self._bus.begins(TOPICS_DEFINED.name))
        ends = await self._bus.ends(TOPICS_DEFINED.name)
        while any(self._positions.get(part, 0) < end for part, end in ends.items()):
            await self._read(_WAIT)

    async def follow(self, stop: asyncio.Event) -> None:
        """Take on new definitions until `stop`; waits while the log does not answer."""
        while not stop.is_set():
            try:
                await self._read(_WAIT)
            except Unavailable as error:
                log.warning("subjects.waiting", reason=str(error))
                await asyncio.sleep(_WAIT)

    async def _read(self, wait: float) -> None:
        spans = await self._bus.read(
            TOPICS_DEFINED.name, self._positions, max_records=500, wait=wait
        )
        for span in spans:
            for record in span.records:
                self._take(record.value)
            self._positions[span.partition] = span.next
        if spans:
            self._subjects = {
                workspace: tuple(subjects)
                for workspace, subjects in subjects_of(self._definitions.values()).items()
            }

    def _take(self, value: bytes) -> None:
        try:
            defined = TopicDefined.model_validate_json(value)
        except ValidationError as error:
            log.warning("subjects.unreadable", errors=error.error_count())
            return
        key = (defined.workspace, defined.name)
        self._definitions.pop(key, None)
        self._definitions[key] = defined
