"""The page docs/fuzzing.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fuzz.bounds import MEGABYTES, SECONDS
from fuzz.found import FOUND
from fuzz.mutation import MAX_INPUT

_NOTES = f"""\
Every parser of what strangers send is given inputs that nobody would: the fixtures that nobody here
wrote, and our own, with bytes and tokens moved about and JSON with values that nobody expects. Half
of them are made by `tests/fuzz/mutation.py`, half by libFuzzer, and atheris keeps those that reach
new code of Maru, feedparser, listparser and protego, to go on from there. An input has at most
{MAX_INPUT // 1024} KiB.

A finding is an input over which a parser
- raises anything but its own refusal (`Unreadable`, and what stands beside it in
  `tests/fuzz/targets.py`), or returns a post that can't go onto the log or be shown;
- takes more than {SECONDS:g} s of processor time, the quickest of three times (without atheris);
- needs more than {MEGABYTES:g} MB beside what the process has.

Inputs/s are those of a process beside others, its start included; slowest and memory are those of
one input, while atheris watches, which makes Python two to four times as slow. A run that was cut
off goes on with what is lacking (`--go-on`), so lines may be of different hours, and of the code as
it was then; a parser in which something was mended was fuzzed again.
"""


@dataclass(frozen=True)
class Outcome:
    """What came of one target; seconds of the whole, and of the slowest input, and megabytes."""

    target: str
    inputs: int
    seconds: float
    slowest: float
    largest: float
    findings: int


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what came of targets as a Markdown table, with their sum where there are several."""
    lines = [
        "| parser | inputs | inputs/s | slowest | most memory | findings |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one.target} | {one.inputs:,} | {one.inputs / one.seconds:,.0f} "
        f"| {1000 * one.slowest:.0f} ms | {one.largest:.1f} MB | {one.findings} |"
        for one in outcomes
    ]
    if len(outcomes) > 1:
        lines.append(
            f"| **all** | **{sum(one.inputs for one in outcomes):,}** | "
            f"| {1000 * max(one.slowest for one in outcomes):.0f} ms "
            f"| {max(one.largest for one in outcomes):.1f} MB "
            f"| **{sum(one.findings for one in outcomes)}** |"
        )
    return "\n".join(lines)


def written(page: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the page."""
    mended = "\n".join(f"- {one.target}: {one.what}" for one in FOUND)
    page.write_text(
        f"""\
# Fuzzing

Made by `make fuzz` on {datetime.now(UTC):%Y-%m-%d}, on {os.cpu_count()} cores, {platform.system()},
Python {platform.python_version()}, atheris {version("atheris")}.

{table(outcomes)}

{_NOTES}
## Found so far, and mended

Each stays as a test with the smallest input that showed it (`tests/fuzz/found.py`).

{mended}
""",
        "utf-8",
    )
