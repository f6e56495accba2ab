"""Runs the tagger in processes of its own, so that no model ever blocks an event loop.

A worker that dies is replaced; the batch it had is raised as Unavailable and tried again. Workers
end with the process that started them, however it ends.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from maru_contracts.tags import ChosenHead, ModelVersion
from maru_kit.errors import Unavailable
from maru_sentiment.domain import Choice, CorrectedText, NamedModel, Subject

if TYPE_CHECKING:
    from maru_sentiment.analyser import Tags
    from maru_sentiment.learning import Labelled, LearntHead
    from maru_sentiment.tagger import Tagger

T = TypeVar("T")


@dataclass(frozen=True)
class _Additions:
    """What a workspace adds to Maru's own models: others, their folder, and heads that learnt."""

    choices: tuple[Choice, ...]
    folder: Path
    learnt: "tuple[LearntHead, ...]" = ()


_TOGETHER = 128
"""Corrected texts that go through the models at once."""

_tagger: "Tagger | None" = None
"""The models of this process, if it is a worker."""


class Inference:
    """A pool of workers, each with all models loaded; `folder` holds those that may be chosen."""

    def __init__(self, workers: int, folder: Path) -> None:
        self._workers = workers
        self._folder = folder
        self._pool = self._new_pool()
        self._models: tuple[ModelVersion, ...] = ()

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Which models are in use; empty until they are loaded."""
        return self._models

    async def load(self) -> None:
        """Load the models; raises what loading them raises."""
        self._models = await self._run(_models)

    async def tag(
        self,
        texts: Sequence[str],
        subjects: tuple[Subject, ...],
        hints: Sequence[str | None] = (),
        choices: tuple[Choice, ...] = (),
        learnt: "Sequence[LearntHead]" = (),
    ) -> "list[Tags]":
        """Tag texts of one workspace, in order; raises Unavailable when the worker dies."""
        return await self._run(
            _tag,
            list(texts),
            subjects,
            list(hints),
            _Additions(choices, self._folder, tuple(learnt)),
        )

    async def learn(
        self,
        head: "Labelled",
        texts: Sequence[str],
        labels: Sequence[str],
        choices: tuple[Choice, ...],
    ) -> "LearntHead":
        """Learn a head from corrected texts; raises Unavailable when the worker dies."""
        additions = _Additions(choices, self._folder)
        return await self._run(_learn, head, list(texts), list(labels), additions)

    async def learn_topics(
        self, corrected: Sequence[CorrectedText], subjects: tuple[Subject, ...]
    ) -> "LearntHead":
        """Learn a workspace's topics; raises Unavailable when the worker dies."""
        return await self._run(_learn_topics, list(corrected), subjects)

    async def check(self, head: ChosenHead, model: NamedModel) -> ModelVersion:
        """Load a model that may be chosen, and run it; raises ConfigError when it can't be used."""
        return await self._run(_check, self._folder, head, model)

    def choosable(self) -> list[str]:
        """Name the models in the folder."""
        if not self._folder.is_dir():
            return []
        return sorted(place.parent.name for place in self._folder.glob("*/config.json"))

    async def close(self) -> None:
        """End the workers; what they have in hand is finished first."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
        except BrokenProcessPool as error:
            if pool is self._pool:
                self._pool = self._new_pool()
            raise Unavailable("The process that runs the models ended; it is replaced") from error

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
        )


@asynccontextmanager
async def open_inference(workers: int, folder: Path) -> AsyncIterator[Inference]:
    """Start a pool and end it with the block; nothing is loaded before `load`."""
    inference = Inference(workers, folder)
    try:
        yield inference
    finally:
        await inference.close()


def _begin() -> None:
    # One thread for each worker: the number of workers decides how many cores are used.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _loaded() -> "Tagger":
    global _tagger  # noqa: PLW0603 - a worker's own state
    if _tagger is None:
        from maru_sentiment.tagger import Tagger

        _tagger = Tagger()
    return _tagger


def _models() -> tuple[ModelVersion, ...]:
    return _loaded().models


def _tag(
    texts: Sequence[str],
    subjects: tuple[Subject, ...],
    hints: Sequence[str | None],
    additions: _Additions,
) -> "list[Tags]":
    tags = _loaded().tag(texts, subjects, hints)
    if additions.choices:
        from maru_sentiment import chosen

        tags = chosen.apply(tags, texts, additions.choices, additions.folder)
    if additions.learnt:
        from maru_sentiment import learnt

        tags = learnt.apply(tags, texts, additions.learnt, _models())
    return _with_topics(tags, texts, subjects, additions.learnt)


def _with_topics(
    tags: "list[Tags]",
    texts: Sequence[str],
    subjects: tuple[Subject, ...],
    heads: "Sequence[LearntHead]",
) -> "list[Tags]":
    for head in heads:
        if head.head == "topics":
            from maru_sentiment import learnt_topics

            tags = learnt_topics.apply(tags, texts, head, _loaded().topics(subjects))
    return tags


def _learn(
    head: "Labelled",
    texts: Sequence[str],
    labels: Sequence[str],
    additions: _Additions,
) -> "LearntHead":
    from maru_sentiment.learnt import learn_head

    return learn_head(head, texts, labels, _read(texts, additions), _models())


def _learn_topics(
    corrected: Sequence[CorrectedText], subjects: tuple[Subject, ...]
) -> "LearntHead":
    from maru_sentiment.analyser import vectors_of
    from maru_sentiment.learnt_topics import learn_topics

    tags = _read([it.text for it in corrected], _Additions((), Path()))
    return learn_topics(corrected, vectors_of(tags), subjects, _loaded().topics(subjects))


def _read(texts: Sequence[str], additions: _Additions) -> "list[Tags]":
    return [
        tag
        for at in range(0, len(texts), _TOGETHER)
        for tag in _tag(texts[at : at + _TOGETHER], (), (), additions)
    ]


def _check(folder: Path, head: ChosenHead, model: NamedModel) -> ModelVersion:
    from maru_sentiment.chosen import open_head

    return open_head(folder, head, model).model
