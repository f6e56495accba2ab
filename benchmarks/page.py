"""The page docs/benchmarks.md."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.figures import Figure, table
from benchmarks.material import ROOT

_NOTES = """\
How to read it: ours and the reference take turns in one run, the figures are medians of the
rounds, and the ratio is the median of the rounds' ratios; a busy machine moves figures far more
than ratios.

- **Parse** makes posts of a feed's bytes: clean text, ids, links, times. The reference is what
  `feedparser.parse` does by default on the same bytes, which ends at sanitised HTML. Feeds of 25
  posts are made of the shared reviews and comments; the corpora are the fixtures of feedparser
  and gofeed.
- **Import** sends posts of one product, so of one partition: `maru import`'s own code, on an open
  log and database. The reference sends the values, keys and headers that the import had written.
- **Sources** are feeds of ten posts on loopback, 50 on each of 200 addresses, a tenth of them with
  a new post in every interval; one ingest process follows them. "From cold" is from the first
  request until every feed was asked once, all being due and new; once nothing waits, an interval
  and a quarter are measured. Sources then come in waves as steep as they first came. "Late" is from
  the moment at which a source was due until the fake upstream was asked; a poll is missed when it
  was due and not made within a tenth of the interval. Processor time is the process's own, for
  polls of which one in ten finds a post. The reference fetches the same feeds whole, once, and
  neither parses nor stores anything.
- **Tagging** is language, sentiment, intent, topics and the embedding, one process, one thread,
  on English and French reviews and Korean comments; the reference only embeds the same texts.
- **Matching** puts posts on a shelf of that many ideas of one product.
- **Gateway** lists 20 of about 200 ideas for an API key; gateway and ideas service are processes
  of their own on PostgreSQL, one uvicorn each, 16 connections of wrk. "As it is" answers come from
  the gateway's memory, which a change of an idea empties at once; "without its cache" every request
  goes on to the ideas service and its database, two processes more that share the two cores with
  wrk. The references are a FastAPI route that reads the same 20 rows through asyncpg, and one that
  returns a constant.
- **Post to idea** is the time from a post's append to the log until the change of its idea is read
  from the log, at a steady rate, tagging included.
- **Memory** is the sum of the resident memory of all processes of `maru up`; pages that
  processes share are counted once for each.
"""


def written(figures: Sequence[Figure]) -> None:
    """Write the page."""
    page = f"""\
# Benchmarks

Made by `make bench` on {datetime.now(UTC):%Y-%m-%d}, on {_machine()}, with Kafka, PostgreSQL, the
load and everything measured on that one machine. Parts of it: `python -m benchmarks --only NAME`.

{table(figures)}

{_NOTES}"""
    (ROOT / "docs" / "benchmarks.md").write_text(page, "utf-8")


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, NumPy {version('numpy')}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
