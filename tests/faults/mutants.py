"""Known bugs, one line each, that the fault tests must notice: a test that can't fail is no test.

    PYTHONPATH=tests python -m faults.mutants [NAME...]

Each is put into a copy of the sources, and the tests named with it are run on that copy. Ends
with status 1 when a mutant survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CRASHES = ("tests/faults/test_kills.py", "named_place and embedded")
_TWICE = ("tests/faults/test_duplicates.py", "embedded")


@dataclass(frozen=True)
class Mutant:
    """One bug: in `file`, `old` becomes `new`; the tests (file, -k expression) must turn red."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, str]

    def source(self, root: Path = ROOT) -> str:
        """The file as it is."""
        return (root / self.file).read_text("utf-8")


MUTANTS = (
    Mutant(
        "auto-commit on",
        "libs/kit/maru_kit/kafka/clients.py",
        "request_timeout_ms=REBALANCE_MS + REQUEST_MS,\n        enable_auto_commit=False,",
        "request_timeout_ms=REBALANCE_MS + REQUEST_MS,\n        enable_auto_commit=True,",
        ("tests/kit/test_kafka.py", ""),
    ),
    Mutant(
        "commit before effect",
        "libs/kit/maru_kit/stream/consumer.py",
        "        for span in await self._fetch():\n",
        "        for span in await self._fetch():\n"
        "            await self._subscription.commit({span.partition: span.next})\n",
        _CRASHES,
    ),
    Mutant(
        "offset outside the transaction",
        "services/ideas/maru_ideas/service/intake.py",
        """            async with self._database.transaction() as connection:
                await self._positions.advance(
                    connection, batch.topic, batch.partition, start=batch.start, next=batch.next
                )
""",
        """            await self._positions.skip(
                batch.topic, batch.partition, batch.start, batch.next
            )
            async with self._database.transaction() as connection:
""",
        _CRASHES,
    ),
    Mutant(
        "cursor saved before acknowledgement",
        "services/ingest/maru_ingest/service/publishing.py",
        "        await self._append(origin, decisions, now)\n        news",
        """        async with self.database.transaction() as connection:
            if announcement is not None:
                await history.acknowledge(connection, announcement)
            await sources.save_progress(
                connection, origin.source_id, Counts(), now=now, cursor=cursor
            )
        crash_point("after_cursor")
        await self._append(origin, decisions, now)
        news""",
        _CRASHES,
    ),
    Mutant(
        "count before dedupe",
        "services/ideas/maru_ideas/store/ideas.py",
        "return {(row.idea_id, row.scope, row.voice) for row in added}",
        'return {(row["idea_id"], row["scope"], row["voice"]) for row in rows}',
        _TWICE,
    ),
    Mutant(
        "unique constraint dropped",
        "services/ingest/maru_ingest/migrations/versions/0001_sources_and_seen_posts.py",
        '        sa.UniqueConstraint("id", name="uq_seen_id"),\n',
        "",
        _TWICE,
    ),
)


def survives(mutant: Mutant) -> bool:
    """Whether the tests stay green with this bug in the code."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("libs", "services"):
            skipped = shutil.ignore_patterns("node_modules", "__pycache__", "web")
            shutil.copytree(ROOT / part, copy / part, ignore=skipped)
        text = mutant.source(copy).replace(mutant.old, mutant.new)
        (copy / mutant.file).write_text(text, "utf-8")
        parents = {path.parent for path in copy.glob("*/*/maru_*/__init__.py")}
        path = os.pathsep.join(str(parent.parent) for parent in parents)
        file, expression = mutant.tests
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
        done = subprocess.run(
            [*command, "-k", expression],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{mutant.name}: the tests did not run (status {done.returncode})")
    return done.returncode == 0


def main() -> None:
    """Run all mutants, or those named."""
    alive = 0
    for mutant in MUTANTS:
        if sys.argv[1:] and mutant.name not in sys.argv[1:]:
            continue
        begun = time.monotonic()
        survived = survives(mutant)
        alive += survived
        verdict = "SURVIVED" if survived else "killed"
        print(f"{mutant.name:40} {verdict:9} {time.monotonic() - begun:5.0f} s", flush=True)  # noqa: T201
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
