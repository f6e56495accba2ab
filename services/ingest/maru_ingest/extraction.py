"""Finds articles in web pages, in a process of its own that ends when a page takes too long.

What finds them runs for minutes over pages that are made so, and can't be stopped from within.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager

import structlog

from maru_ingest.formats.parsed import Article
from maru_kit.errors import MaruError

log = structlog.get_logger(__name__)

_SECONDS = 5.0


class NoArticle(MaruError):
    """Nothing can be made of a page."""


class Extraction:
    """One worker, which is started for the first page; `seconds` of a processor are a page's."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None

    async def article(self, body: bytes, *, url: str, content_type: str) -> Article:
        """Return the article of a page; one after the other, so that one's end is only its own.

        Raises NoArticle for a page that took too long or broke the reader.
        """
        async with self._turn:
            pool = self._pool = self._pool or _new_pool()
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(
                    pool, _article, body, url, content_type, self._seconds
                )
            except BrokenProcessPool as error:
                self._pool = None
                raise NoArticle("The page took too long to read.") from error
            except Exception as error:
                # The edge of a library that is given what strangers wrote.
                log.exception("article.broke")
                raise NoArticle(f"The page can't be read: {error!r}.") from error

    async def close(self) -> None:
        """End the worker."""
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


@asynccontextmanager
async def open_extraction(seconds: float = _SECONDS) -> AsyncIterator[Extraction]:
    """Make an extraction, and end its worker with the block, if one was needed."""
    extraction = Extraction(seconds)
    try:
        yield extraction
    finally:
        await extraction.close()


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )


def _begin() -> None:
    logging.disable()  # a page's text would be in it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _article(body: bytes, url: str, content_type: str, seconds: float) -> Article:
    """Read a page. The process ends (SIGVTALRM) when that takes `seconds` of a processor."""
    from maru_ingest.formats import article  # what only this process needs is big

    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return article.read(body, url=url, content_type=content_type)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
