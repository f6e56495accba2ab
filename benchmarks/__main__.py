"""Runs the benchmarks and writes docs/benchmarks.md."""

import argparse
import importlib
import signal
import sys

from benchmarks.material import ROOT

sys.path.insert(0, str(ROOT / "tests"))

NAMES = ("feeds", "importing", "collecting", "tagging", "matching", "copying", "gateway", "latency")


def main() -> None:
    """Measure what is asked for; the page is written only by a whole, unhurried run."""
    from benchmarks.figures import Figure, table
    from benchmarks.page import written
    from benchmarks.stage import Stage
    from maru_kit.loop import run

    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure Maru.")
    parser.add_argument("--only", choices=NAMES, action="append", help="measure this alone")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, less to do")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # everything started is then stopped
    found: list[Figure] = []
    with Stage() as stage:
        for name in asked.only or NAMES:
            print(f"{name} …", file=sys.stderr, flush=True)
            module = importlib.import_module(f"benchmarks.{name}")
            figures = run(module.figures(stage, quick=asked.quick))
            print(table(figures), file=sys.stderr, flush=True)
            found += figures
    print(table(found))
    if not asked.only and not asked.quick:
        written(found)


if __name__ == "__main__":
    main()
