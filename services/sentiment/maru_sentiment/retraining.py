"""Keeps the heads that learn from corrections: which workspace has which, and when they are learnt.

A head is learnt before the first post of its workspace is tagged, and again some seconds after the
corrections, the terms, the topics or the chosen models have changed. So what a post is tagged with
depends on what the log holds and on nothing that this process went through.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import structlog

from maru_contracts.tags import ModelVersion
from maru_kit.errors import Unavailable
from maru_sentiment import metrics
from maru_sentiment.definitions import Definitions
from maru_sentiment.domain import Choice, CorrectedText, Subject
from maru_sentiment.inference import Inference
from maru_sentiment.learning import HEADS, MOST, NEEDED, Learning, LearntHead
from maru_sentiment.terms import Finder

log = structlog.get_logger(__name__)

QUIET = 3.0
"""Seconds without a change after which heads are learnt again."""
AT_MOST = 30.0
"""Seconds after which they are, even if people go on correcting."""
_LOOK = 0.5
_REST = 10
"""How many times as long as learning took nothing is learnt again: a tenth of a worker's time."""

State = Literal["used", "not_better", "too_few", "off"]


@dataclass(frozen=True)
class Standing:
    """Where a head of a workspace stands: how many corrections it has, and what came of them."""

    head: Learning
    state: State
    corrections: int
    learnt: LearntHead | None = None


@dataclass(frozen=True)
class _Given:
    """All that the heads of a workspace are learnt from."""

    corrected: tuple[CorrectedText, ...]
    choices: tuple[Choice, ...]
    subjects: tuple[Subject, ...]
    finder: Finder | None

    def is_off(self, head: Learning) -> bool:
        return any(choice.head == head and not choice.learns for choice in self.choices)

    def lessons(self, head: Learning) -> list[CorrectedText]:
        """What a head learns from, the newest `MOST` of them."""
        return list(islice((it for it in reversed(self.corrected) if self._says(it, head)), MOST))

    def _says(self, it: CorrectedText, head: Learning) -> bool:
        """Whether a person said it; where a term has a mood of its own, the term speaks."""
        if head == "topics":
            return it.topics is not None
        if head == "intent":
            return it.intent is not None
        return it.mood is not None and not self._has_term(it.text)

    def _has_term(self, text: str) -> bool:
        return self.finder is not None and bool(self.finder.find(text)[1])


@dataclass
class _Kept:
    given: _Given
    standings: tuple[Standing, ...]
    changed: _Given | None = None
    since: float = 0.0
    first: float = 0.0


class Retraining:
    """Learns in the worker processes, one head at a time."""

    def __init__(self, inference: Inference, definitions: Definitions) -> None:
        self._inference = inference
        self._definitions = definitions
        self._kept: dict[str, _Kept] = {}
        self._learning = asyncio.Lock()
        self._rests_until = 0.0

    async def heads(self, workspace: str) -> tuple[LearntHead, ...]:
        """Return the heads that tag the workspace's posts; learns them when asked first.

        Raises Unavailable when the worker dies.
        """
        if workspace not in self._kept and not self._definitions.corrected(workspace):
            return ()
        given = self._given(workspace)
        return tuple(
            it.learnt
            for it in await self.standings(workspace)
            if it.learnt is not None and it.state == "used" and not given.is_off(it.head)
        )

    async def standings(self, workspace: str) -> Sequence[Standing]:
        """Return where each head of a workspace stands."""
        if workspace not in self._kept:
            async with self._learning:
                if workspace not in self._kept:
                    await self._learn(workspace)
        return self._kept[workspace].standings

    async def run(self, stop: asyncio.Event) -> None:
        """Learn again where something has changed, until `stop`."""
        while not stop.is_set():
            for workspace in [*self._kept]:
                if not self._is_due(workspace, time.monotonic()):
                    continue
                try:
                    async with self._learning:
                        await self._learn(workspace)
                except Unavailable as error:
                    log.warning("heads.waiting", workspace=workspace, reason=str(error))
            try:
                await asyncio.wait_for(stop.wait(), _LOOK)
            except TimeoutError:
                continue

    def _given(self, workspace: str) -> _Given:
        of = self._definitions
        alone = tuple(replace(choice, shadow=None) for choice in of.choices(workspace))
        return _Given(
            corrected=of.corrected(workspace),
            choices=alone,
            subjects=of.subjects(workspace),
            finder=of.finder(workspace),
        )

    def _is_due(self, workspace: str, now: float) -> bool:
        kept, given = self._kept[workspace], self._given(workspace)
        if given == kept.given:
            kept.given, kept.changed = given, None
            return False
        if given != kept.changed:
            kept.first = now if kept.changed is None else kept.first
            kept.changed, kept.since = given, now
        is_settled = now - kept.since >= QUIET or now - kept.first >= AT_MOST
        return is_settled and now >= self._rests_until

    async def _learn(self, workspace: str) -> None:
        given, began = self._given(workspace), time.monotonic()
        standings = [await self._standing(given, head) for head in HEADS]
        took = time.monotonic() - began
        metrics.LEARNING_SECONDS.observe(took)
        self._kept[workspace] = _Kept(given, tuple(standings))
        self._rests_until = time.monotonic() + _REST * took
        self._tell(workspace, standings, took)

    async def _standing(self, given: _Given, head: Learning) -> Standing:
        lessons = await asyncio.to_thread(given.lessons, head)
        if given.is_off(head):
            return Standing(head, "off", len(lessons))
        if len(lessons) < NEEDED:
            return Standing(head, "too_few", len(lessons))
        learnt = await self._learnt(given, head, lessons)
        state: State = "used" if learnt.weights is not None else "not_better"
        return Standing(head, state, len(lessons), learnt)

    async def _learnt(
        self, given: _Given, head: Learning, lessons: Sequence[CorrectedText]
    ) -> LearntHead:
        if head == "topics":
            return await self._inference.learn_topics(lessons, given.subjects)
        labels = [it.mood if head == "sentiment" else it.intent for it in lessons]
        known = [label for label in labels if label is not None]
        return await self._inference.learn(head, [it.text for it in lessons], known, given.choices)

    def _tell(self, workspace: str, standings: Sequence[Standing], took: float) -> None:
        counts = Counter(
            (it.head, it.state) for kept in self._kept.values() for it in kept.standings
        )
        for head in HEADS:
            for state in ("used", "not_better", "too_few", "off"):
                metrics.LEARNT_HEADS.labels(head, state).set(counts[head, state])
        for it in standings:
            measured = it.learnt.measured if it.learnt else None
            log.info(
                "head.learnt",
                workspace=workspace,
                head=it.head,
                state=it.state,
                corrections=it.corrections,
                base_accuracy=measured and round(measured.base, 4),
                exchanged_accuracy=measured and round(measured.exchanged, 4),
                accuracy=measured and round(measured.own, 4),
                p_value=measured and measured.p_value,
                version=_version(it.learnt.model) if it.learnt else None,
                seconds=round(took, 2),
            )


def _version(model: ModelVersion) -> str:
    return f"{model.name}@{model.version}"
