"""One target in a process of its own, mutation guided by what of its code an input reaches.

atheris gives the inputs and sees the code; `bounds` judges them. A fault ends nothing: it is noted,
and the rest goes on, until there were as many inputs as were asked for.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import NoReturn

import atheris

_SEEN = ["maru_ingest", "maru_kit.outbound", "feedparser", "listparser", "sgmllib", "protego"]
_SPACE = 2 * 2**30
"""Bytes of data beyond which the process gets none: a bomb is a MemoryError, not a full machine."""

_STUCK = 120
"""Seconds after which libFuzzer ends a process that has not come back to Python."""

_OURS = 0.5
"""How many inputs are made by `mutation`, and not by libFuzzer."""


def main() -> None:
    """Fuzz a target; write what came of it to a file as JSON."""
    parser = argparse.ArgumentParser(prog="fuzz.guided")
    parser.add_argument("target")
    parser.add_argument("inputs", type=int)
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--dice", type=int, default=1, help="another number: other inputs")
    asked = parser.parse_args()
    begun = time.monotonic()
    with atheris.instrument_imports(include=_SEEN):
        from fuzz.bounds import Tried, tried
        from fuzz.corpus import seeds
        from fuzz.mutation import MAX_INPUT, TOKENS, mutated
        from fuzz.targets import TARGETS

    target = next(one for one in TARGETS if one.name == asked.target)
    resource.setrlimit(resource.RLIMIT_DATA, (_SPACE, _SPACE))
    count, slowest, largest = 0, 0.0, 0.0
    faults: dict[str, tuple[Tried, bytes]] = {}

    def one(data: bytes) -> None:
        nonlocal count, slowest, largest
        found = tried(target, data)
        count += 1
        slowest, largest = max(slowest, found.seconds), max(largest, found.megabytes)
        known = faults.get(found.where)
        if found.fault and (known is None or len(data) < len(known[1])):
            faults[found.where] = found, data
        if count >= asked.inputs:
            _end(
                asked.outcome,
                {
                    "target": target.name,
                    "inputs": count,
                    "dice": asked.dice,
                    "seconds": time.monotonic() - begun,
                    "slowest": slowest,
                    "largest": largest,
                    "faults": [
                        {"what": it.fault, "where": it.where, "input": data.hex()}
                        for it, data in faults.values()
                    ],
                },
            )

    def other(data: bytes, limit: int, number: int) -> bytes:
        dice = Random(number)
        if dice.random() < _OURS:
            return mutated(data, dice, limit)
        return bytes(atheris.Mutate(data, limit))

    with tempfile.TemporaryDirectory() as folder:
        words, corpus = Path(folder) / "words", Path(folder) / "corpus"
        words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS))
        corpus.mkdir()
        for number, data in enumerate(seeds(target)):
            (corpus / f"{number:04}").write_bytes(data)
        options = {
            "dict": words, "max_len": MAX_INPUT, "timeout": _STUCK, "seed": asked.dice,
            "rss_limit_mb": 0, "verbosity": 0, "artifact_prefix": f"{asked.outcome}-",
        }  # fmt: skip
        flags = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *flags, str(corpus)], one, custom_mutator=other)
        atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _end(outcome: Path, told: Mapping[str, object]) -> NoReturn:
    """Write down what came of it and end; libFuzzer would go on for ever."""
    outcome.write_text(json.dumps(told), "utf-8")
    os._exit(0)


if __name__ == "__main__":
    main()
