"""The long form: real posts, many kills, one verdict.

    PYTHONPATH=tests python -m faults.campaign --mode production --kills 20 --data FILE...

Imports JSON Lines of posts (fields `id` and `text`) while services are killed at random, and
prints one JSON object. `ideas_hash` is over ids, titles and counts of all ideas: equal for every
run over the same data, in both modes, with kills and without.
"""

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from faults.oracle import Verdict
from faults.reading import Shown, Snapshot
from faults.world import SERVICES, World, make_world, verdict

_PRODUCT = "campaign"
_DRAIN = 900.0


def truth_of(files: Sequence[Path], posts: int | None) -> dict[str, tuple[str, str]]:
    """Native id to author and text of every row that has words; each has a name of its own."""
    truth: dict[str, tuple[str, str]] = {}
    for file in files:
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            text = str(json.loads(line)["text"])
            if text.strip():
                truth[f"{file.stem}-{number}"] = (f"author-{number % 997}", text)
    return dict(list(truth.items())[:posts])


def write(file: Path, truth: dict[str, tuple[str, str]]) -> None:
    """Write the truth as an import file, with the same dates every time."""
    rows = (
        {"id": name, "author": author, "text": text, "created_at": "2026-10-01T09:00:00Z"}
        for name, (author, text) in truth.items()
    )
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def kill_at_random(world: World, kills: int, expected: int, seed: int) -> list[float]:
    """Kill one service after the other while posts arrive; return the seconds to recovery.

    A recovery is the time from a service's restart to the next post that arrives in ideas; it is
    not measured for the gateway, which no post goes through.
    """
    rng = random.Random(seed)
    plan = [SERVICES[number % len(SERVICES)] for number in range(kills)]
    rng.shuffle(plan)
    recoveries = []
    for service in plan:
        time.sleep(rng.uniform(0.3, 2.0))
        world.stack.kill(service)
        world.stack.start(service)
        arrived = world.count(_PRODUCT)
        if service != "gateway" and arrived < expected:
            recoveries.append(world.resumes(_PRODUCT, within=60, arrived=arrived))
    return recoveries


def run(
    world: World, truth: dict[str, tuple[str, str]], kills: int, seed: int
) -> dict[str, object]:
    """Import, kill, drain, judge."""
    file = world.home / "campaign.ndjson"
    write(file, truth)
    world.up()
    begun = time.monotonic()
    importing = world.start_import(file, _PRODUCT)
    recoveries = kill_at_random(world, kills, len(truth), seed)
    if importing.wait(_DRAIN):
        world.import_file(file, _PRODUCT)
    world.up()
    world.drain(_PRODUCT, len(truth), seconds=_DRAIN)
    seconds = time.monotonic() - begun
    found = world.snapshot(_PRODUCT)
    return {
        "mode": world.mode,
        "posts": len(truth),
        "kills": world.stack.kills,
        "seconds": round(seconds, 1),
        "recovery_median": round(statistics.median(recoveries), 2) if recoveries else None,
        "recovery_max": round(max(recoveries), 2) if recoveries else None,
        **_faults(verdict(found, _cleaned(truth, found))),
        "ideas": len(found.ideas),
        "evidence": sum(it.counted.evidence_count for it in found.ideas),
        "ideas_hash": ideas_hash(found.ideas),
    }


def ideas_hash(ideas: Iterable[Shown]) -> str:
    """A hash over ids, titles and counts."""
    rows = sorted(
        f"{it.counted.id} {it.title} {it.counted.evidence_count} {it.counted.voices}"
        for it in ideas
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _cleaned(truth: dict[str, tuple[str, str]], found: Snapshot) -> dict[str, tuple[str, str]]:
    """The truth with the texts as ingest cleans them: what it keeps is tested elsewhere."""
    texts = {post.native_id: post.text for post in found.posts}
    return {name: (author, texts.get(name, text)) for name, (author, text) in truth.items()}


def _faults(result: Verdict) -> dict[str, int]:
    return {kind: len(examples) for kind, examples in vars(result).items()}


def main() -> None:
    """Run one campaign, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["embedded", "production"], default="embedded")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--posts", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        make_world(asked.mode, Path(folder) / "world") as world,
    ):
        truth = truth_of(asked.data, asked.posts)
        print(json.dumps(run(world, truth, asked.kills, asked.seed)))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
