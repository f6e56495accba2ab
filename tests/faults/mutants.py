"""Known bugs, one line each, that the fault tests must notice: a test that can't fail is no test.

    PYTHONPATH=tests python -m faults.mutants [NAME...]

Each is put into a copy of the sources, and the tests named with it are run on that copy, and once
on a copy without a bug, where they must pass. A mutant is killed by a test that fails, not by one
that can't begin. Ends with status 1 when a mutant survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from defusedxml import ElementTree

ROOT = Path(__file__).parents[2]
_CRASHES = ("tests/faults/test_kills.py", "named_place and embedded")
_DELETED = ("tests/faults/test_deletions.py", "embedded")
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
        "        await self._append(origin, news, now)\n        letters",
        """        async with self.database.transaction() as connection:
            if news.number is not None:
                await history.acknowledge(connection, news.number)
            await sources.save_progress(
                connection, origin.source_id, Counts(), now=now, cursor=cursor
            )
        crash_point("after_cursor")
        await self._append(origin, news, now)
        letters""",
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
        ("tests/ingest/test_publishing.py", "two_publishers_at_once"),
    ),
    Mutant(
        "deletion ignored",
        "services/ingest/maru_ingest/domain.py",
        "        return None if is_bound else Decision(named, _first(origin, named, now), was)",
        "        return Decision(named, _first(origin, named, now), was)",
        ("tests/ingest/test_publishing.py", "does_not_come_back"),
    ),
    Mutant(
        "tombstones passed over",
        "services/ideas/maru_ideas/service/intake.py",
        "ended = await self._deleting.end(connection, held, tagged)",
        "ended = 0",
        _DELETED,
    ),
    Mutant(
        "deleted posts let in again",
        "services/ideas/maru_ideas/store/deletions.py",
        "    return set(await connection.scalars(query))",
        "    return set(await connection.scalars(query.limit(0)))",
        ("tests/ideas/test_deletions.py", "comes_first"),
    ),
)


def killer(mutant: Mutant) -> str:
    """Name the test that fails with this bug in the code, and how; empty if none does."""
    return _run(mutant.name, mutant.tests, {mutant.file: (mutant.old, mutant.new)})


def demand_green(tests: tuple[str, str]) -> None:
    """Raise RuntimeError when the tests fail on sources without a bug."""
    if failed := _run("no bug", tests, {}):
        raise RuntimeError(f"The tests are red without any mutant: {failed}")


def _run(name: str, tests: tuple[str, str], changes: Mapping[str, tuple[str, str]]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        copy, report = Path(folder), Path(folder) / "report.xml"
        for part in ("libs", "services"):
            skipped = shutil.ignore_patterns("node_modules", "__pycache__", "web")
            shutil.copytree(ROOT / part, copy / part, ignore=skipped)
        for file, (old, new) in changes.items():
            text = (copy / file).read_text("utf-8")
            (copy / file).write_text(text.replace(old, new), "utf-8")
        parents = {path.parent for path in copy.glob("*/*/maru_*/__init__.py")}
        path = os.pathsep.join(str(parent.parent) for parent in parents)
        file, expression = tests
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
        done = subprocess.run(
            [*command, "-k", expression, f"--junitxml={report}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return ""
        failed = report.is_file() and ElementTree.parse(report).find(".//failure/..")
        if failed is None or failed is False:
            raise RuntimeError(f"{name}: the tests did not run:\n{done.stdout[-2000:]}")
        message = (failed.find("failure") or failed[0]).get("message", "")
        return f"{failed.get('name')}: {message.splitlines()[0][:100]}"


def main() -> None:
    """Run all mutants, or those named."""
    chosen = [it for it in MUTANTS if not sys.argv[1:] or it.name in sys.argv[1:]]
    for tests in dict.fromkeys(mutant.tests for mutant in chosen):
        demand_green(tests)
    alive = 0
    for mutant in chosen:
        begun = time.monotonic()
        by = killer(mutant)
        alive += not by
        told = f"killed by {by}" if by else "SURVIVED"
        print(f"{mutant.name:40} {time.monotonic() - begun:5.0f} s  {told}", flush=True)  # noqa: T201
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
