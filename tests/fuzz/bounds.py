"""What an input may cost, and what is wrong with one that costs more, or that nobody foresaw."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fuzz.targets import Target

SECONDS = 1.0
"""Processor time for one input. It is the process's own, since a machine may be busy."""

MEGABYTES = 64.0
"""Memory that one input may need beside what the process has."""

HANGS = 20.0
"""Processor time after which an input is given up."""

_AGAIN = 2
_PLACES = ("maru_ingest", "maru_kit", "maru_contracts", "/fuzz/targets.py")


@dataclass(frozen=True)
class Tried:
    """What one input cost, in seconds and megabytes, and what was wrong: `where` tells it apart."""

    seconds: float
    megabytes: float
    fault: str = ""
    where: str = ""


class Hangs(BaseException):
    """An input takes so long that it was given up; no `except Exception` may swallow it."""


def tried(target: Target, data: bytes) -> Tried:
    """Give an input to a parser. What was slow is tried again, and its quickest time counts."""
    found = _once(target, data)
    for _ in range(_AGAIN if SECONDS < found.seconds < HANGS else 0):
        found = min(found, _once(target, data), key=lambda one: one.seconds)
    if found.fault:
        return found
    if found.seconds > SECONDS:
        return Tried(found.seconds, found.megabytes, f"takes {found.seconds:.1f} s", "slow")
    if found.megabytes > MEGABYTES:
        return Tried(found.seconds, found.megabytes, f"takes {found.megabytes:.0f} MB", "large")
    return found


def _once(target: Target, data: bytes) -> Tried:
    fault = where = ""
    before = _peak.anew()
    begun = time.process_time()
    try:
        with _given_up_after(HANGS):
            target.read(data)
    except target.refusals:
        pass
    except (Exception, Hangs) as error:  # noqa: BLE001 - the unforeseen is what we look for
        fault, where = f"{type(error).__name__}: {error!s:.200}", _place(error)
    return Tried(time.process_time() - begun, _peak.now() - before, fault, where)


def _place(error: BaseException) -> str:
    """Return what tells one fault from another: its type and the last lines of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if any(place in one.filename for place in _PLACES)]
    lines = [f"{Path(one.filename).name}:{one.lineno}" for one in (*ours[-2:], *frames[-1:])]
    return " < ".join([type(error).__name__, *reversed(lines)])


@contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    def give_up(_: int, __: FrameType | None) -> NoReturn:
        raise Hangs(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class _Peak:
    """The most memory that the process had since the last time somebody asked.

    Linux forgets it on demand; elsewhere it is what the process ever had, so that only an input
    that needs more than all before it is seen.
    """

    def __init__(self) -> None:
        self._unit = 2**20 if sys.platform == "darwin" else 2**10
        forget = Path("/proc/self/clear_refs")
        self._forget = os.open(forget, os.O_WRONLY) if forget.exists() else None

    def anew(self) -> float:
        if self._forget is not None:
            os.pwrite(self._forget, b"5", 0)
        return self.now()

    def now(self) -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / self._unit


_peak = _Peak()
