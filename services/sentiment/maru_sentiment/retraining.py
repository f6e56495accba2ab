"""Keeps the heads that learn from corrections: which workspace has which, and when they are learnt.

A head is learnt before the first post of its workspace is tagged, and again some seconds after that
has changed which it is learnt from: its own corrections, and the topics of a head of topics, the
terms of one of moods, the model that it stands on. So what a post is tagged with depends on what
the log holds and on nothing that this process went through.
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
class Grounds:
    """All that decides what one head learns: the same grounds give the same head.

    `lessons` are the newest `MOST` corrections of it, the newest first.
    """

    head: Learning
    lessons: tuple[CorrectedText, ...]
    choices: tuple[Choice, ...]
    subjects: tuple[Subject, ...]

    @property
    def is_off(self) -> bool:
        """Whether the workspace wants nothing learnt."""
        return any(not choice.learns for choice in self.choices)


@dataclass(frozen=True)
class Standing:
    """Where a head of a workspace stands: what it can learn from, and what came of it."""

    grounds: Grounds
    state: State
    learnt: LearntHead | None = None

    @property
    def head(self) -> Learning:
        """Which head it is."""
        return self.grounds.head

    @property
    def corrections(self) -> int:
        """How many corrections it can learn from."""
        return len(self.grounds.lessons)


@dataclass(frozen=True)
class _Given:
    """All that the heads of a workspace are learnt from."""

    corrected: tuple[CorrectedText, ...]
    choices: tuple[Choice, ...]
    subjects: tuple[Subject, ...]
    finder: Finder | None

    def grounds(self, head: Learning) -> Grounds:
        """What one head is learnt from, and nothing that is another's."""
        said = (it for it in reversed(self.corrected) if self._says(it, head))
        return Grounds(
            head=head,
            lessons=tuple(_alone(it, head) for it in islice(said, MOST)),
            choices=self.choices_of(head),
            subjects=self.subjects if head == "topics" else (),
        )

    def choices_of(self, head: Learning) -> tuple[Choice, ...]:
        return tuple(choice for choice in self.choices if choice.head == head)

    def _says(self, it: CorrectedText, head: Learning) -> bool:
        """Whether a person said it; where a term has a mood of its own, the term speaks."""
        if head == "topics":
            return it.topics is not None
        if head == "intent":
            return it.intent is not None
        return it.mood is not None and not self._has_term(it.text)

    def _has_term(self, text: str) -> bool:
        return self.finder is not None and bool(self.finder.find(text)[1])


def _alone(it: CorrectedText, head: Learning) -> CorrectedText:
    """Leave out what a correction says of other heads."""
    return replace(
        it,
        mood=it.mood if head == "sentiment" else None,
        intent=it.intent if head == "intent" else None,
        topics=it.topics if head == "topics" else None,
    )


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
            if it.learnt is not None
            and it.state == "used"
            and all(choice.learns for choice in given.choices_of(it.head))
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
        kept = self._kept.get(workspace)
        before = {it.grounds: it for it in kept.standings} if kept else {}
        grounds = [await asyncio.to_thread(given.grounds, head) for head in HEADS]
        standings = [before.get(of) or await self._standing(of) for of in grounds]
        self._kept[workspace] = _Kept(given, tuple(standings))
        self._rests_until = time.monotonic() + _REST * (time.monotonic() - began)
        self._tell(workspace, [it for it in standings if it.grounds not in before])

    async def _standing(self, grounds: Grounds) -> Standing:
        if grounds.is_off:
            return Standing(grounds, "off")
        if len(grounds.lessons) < NEEDED:
            return Standing(grounds, "too_few")
        with metrics.LEARNING_SECONDS.labels(grounds.head).time():
            learnt = await self._learnt(grounds)
        state: State = "used" if learnt.weights is not None else "not_better"
        return Standing(grounds, state, learnt)

    async def _learnt(self, grounds: Grounds) -> LearntHead:
        head, lessons = grounds.head, grounds.lessons
        if head == "topics":
            return await self._inference.learn_topics(lessons, grounds.subjects)
        labels = [it.mood if head == "sentiment" else it.intent for it in lessons]
        known = [label for label in labels if label is not None]
        texts = [it.text for it in lessons]
        return await self._inference.learn(head, texts, known, grounds.choices)

    def _tell(self, workspace: str, anew: Sequence[Standing]) -> None:
        counts = Counter(
            (it.head, it.state) for kept in self._kept.values() for it in kept.standings
        )
        for head in HEADS:
            for state in ("used", "not_better", "too_few", "off"):
                metrics.LEARNT_HEADS.labels(head, state).set(counts[head, state])
        for it in anew:
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
            )


def _version(model: ModelVersion) -> str:
    return f"{model.name}@{model.version}"
