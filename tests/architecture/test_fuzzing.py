"""Every parser is fuzzed: a file in `formats/` that no target of `tests/fuzz` reaches is none."""

import inspect
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import IO, BinaryIO, get_type_hints

import pytest

from fuzz.bounds import tried
from fuzz.corpus import seeds
from fuzz.targets import TARGETS
from maru_ingest import formats

_SHAPES = {"maru_ingest.formats.parsed"}
"""What parsers yield; there is nothing to run in it."""


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(formats.__path__, f"{formats.__name__}.")
    names = [each.name for each in found if not each.ispkg]
    return [import_module(name) for name in names if name not in _SHAPES]


@cache
def reached() -> frozenset[tuple[str, str]]:
    """Files and the functions in them that run when every target is given its first inputs."""
    found: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for target in TARGETS:
            for data in seeds(target, most=0):
                tried(target, data)
    finally:
        sys.setprofile(before)
    return frozenset(found)


def parsers(module: ModuleType) -> Iterator[str]:
    """The public functions of a module that take bytes."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("_") or function.__module__ != module.__name__:
            continue
        taken = [hint for key, hint in get_type_hints(function).items() if key != "return"]
        if {bytes, BinaryIO, IO[bytes]} & set(taken):
            yield name


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_what_reads_is_fuzzed(module: ModuleType) -> None:
    own = {name for file, name in reached() if Path(file) == Path(str(module.__file__))}

    assert own - {"<module>"}, "add a line to TARGETS in tests/fuzz/targets.py"
    assert set(parsers(module)) <= own, "add a line to TARGETS in tests/fuzz/targets.py"
