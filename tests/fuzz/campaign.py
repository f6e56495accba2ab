"""The long form: a million inputs over all parsers, and the page docs/fuzzing.md.

    PYTHONPATH=tests python -m fuzz.campaign                       # all of it, and the page
    PYTHONPATH=tests python -m fuzz.campaign --go-on               # what one that was cut off lacks
    PYTHONPATH=tests python -m fuzz.campaign --only date --inputs 50000 --dice 7
    PYTHONPATH=tests python -m fuzz.campaign --again date FILE     # one input, by itself

Every target has a process of its own, as many at once as there are processors or `--jobs`. The
smallest input of each fault is kept below .cache/fuzz. The exit status is 1 when there was one.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path

from fuzz.bounds import tried
from fuzz.page import Outcome, table, written
from fuzz.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
INPUTS = 1_000_000
_KEPT = ROOT / ".cache" / "fuzz"
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
_ALONE = 120.0
"""Seconds that one input may take by itself before it is called stuck."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a parser, and the file with the smallest input that shows it."""

    target: str
    what: str
    file: Path


def shares(targets: Sequence[Target], inputs: int) -> Mapping[str, int]:
    """Return how many inputs each target gets; together they are `inputs` or a few more."""
    whole = sum(one.share for one in targets)
    return {one.name: ceil(inputs * one.share / whole) for one in targets}


def run(target: Target, inputs: int, dice: int, *, go_on: bool) -> tuple[Outcome, list[Fault]]:
    """Fuzz one target in a process of its own, unless that is done and we only go on."""
    said = ""
    told = _KEPT / f"{_plain(target.name)}.json"
    if not (go_on and told.is_file()):
        said = _fuzz(target, inputs, dice, told)
    if not told.is_file():  # the process died of an input, which libFuzzer has kept
        print(said[-4000:], file=sys.stderr)  # noqa: T201
        files = [*sorted(_KEPT.glob(f"{told.name}-*")), told]
        fault = Fault(target.name, "the process ended", files[0])
        return Outcome(target.name, 0, 1.0, 0.0, 0.0, 1), [fault]
    found = json.loads(told.read_bytes())
    faults = [fault for each in found["faults"] if (fault := _kept(target, each)) is not None]
    cost = (found["seconds"], found["slowest"], found["largest"])
    return Outcome(target.name, found["inputs"], *cost, len(faults)), faults


def _fuzz(target: Target, inputs: int, dice: int, told: Path) -> str:
    """Run the process that writes to `told` what came of it; return what else it says."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "fuzz.guided", target.name, str(inputs), str(told)]
    return subprocess.run(
        [*command, "--dice", str(dice)],
        env=_ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    ).stdout


def _kept(target: Target, fault: Mapping[str, str]) -> Fault | None:
    """Keep the input of a fault, unless it is none where nobody watches what code is reached.

    Watching makes everything slower, so an input that is only slow is tried again without.
    """
    data = bytes.fromhex(fault["input"])
    name = f"{_plain(target.name)}-{sha256(data).hexdigest()[:12]}"
    file = _KEPT / name
    file.write_bytes(data)
    if fault["where"] != "slow" or _again(target.name, file):
        return Fault(target.name, f"{fault['what']} ({fault['where']})", file)
    file.unlink()
    return None


def _again(name: str, file: Path) -> bool:
    """Whether an input is at fault in a process of its own, too."""
    command = [sys.executable, "-m", "fuzz.campaign", "--again", name, str(file)]
    try:
        done = subprocess.run(
            command, env=_ENVIRONMENT, timeout=_ALONE, check=False, capture_output=True
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


def main() -> None:
    """Fuzz what is asked for; the page is written only by a whole run."""
    parser = argparse.ArgumentParser(prog="fuzz.campaign", description="Fuzz every parser.")
    names = [one.name for one in TARGETS]
    parser.add_argument("--only", choices=names, action="append", help="fuzz this alone")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="how many in all")
    parser.add_argument("--dice", type=int, default=1, help="another number: other inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--go-on", action="store_true", help="keep what was done before a break")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="try one input")
    asked = parser.parse_args()
    if asked.again:
        name, file = asked.again
        found = tried(next(one for one in TARGETS if one.name == name), Path(file).read_bytes())
        print(found)  # noqa: T201
        sys.exit(bool(found.fault))
    os.nice(5)
    targets = [one for one in TARGETS if not asked.only or one.name in asked.only]
    counts = shares(targets, asked.inputs)
    outcomes: list[Outcome] = []
    faults: list[Fault] = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for outcome, found in pool.map(
            lambda one: run(one, counts[one.name], asked.dice, go_on=asked.go_on), targets
        ):
            print(table([outcome]).splitlines()[-1], flush=True)  # noqa: T201
            outcomes.append(outcome)
            faults += found
    print(f"\n{table(outcomes)}\n")  # noqa: T201
    for fault in faults:
        print(f"{fault.target}: {fault.what}\n  {fault.file}")  # noqa: T201
    if not asked.only and asked.inputs >= INPUTS:
        written(ROOT / "docs" / "fuzzing.md", outcomes)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
