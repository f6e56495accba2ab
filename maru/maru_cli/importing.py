"""`maru import`: a file onto the log, with a progress bar, and through to ideas if wanted."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import orjson
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from maru_cli.composition import compose, running
from maru_cli.home import WORKSPACE, is_running, locked
from maru_cli.output import err, out, print_json
from maru_contracts.posts import Channel
from maru_contracts.topics import POSTS_COLLECTED, POSTS_TAGGED, TOPICS, Topic
from maru_ingest.formats.parsed import BadRow, Unreadable
from maru_ingest.importer import Progress as Step
from maru_ingest.importer import Summary, import_file
from maru_ingest.service.publishing import DEAD
from maru_kit import loop
from maru_kit.bus import Bus, open_bus
from maru_kit.database import open_database
from maru_kit.errors import ConfigError, MaruError
from maru_kit.migrate import migrate
from maru_kit.settings import Common

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 5.0
"""How often `--wait` looks whether somebody still processes the posts."""
_PATIENCE_SECONDS = 30.0
"""How long nobody may be there: a restart takes less."""
_STAGES: tuple[tuple[Topic[Any], str, str], ...] = (
    (POSTS_COLLECTED, "sentiment", "tagged"),
    (POSTS_TAGGED, "ideas", "matched to ideas"),
)


@dataclass
class Rejects:
    """The file beside the imported one that takes bad rows; it is made with the first of them."""

    path: Path
    count: int = 0
    _file: IO[bytes] | None = None

    def add(self, row: BadRow) -> None:
        """Keep a row with its line number and reason."""
        if self._file is None:
            self._file = self.path.open("wb")
        self.count += 1
        self._file.write(
            orjson.dumps(
                {
                    "line": row.line,
                    "reason": row.reason,
                    "row": row.original.decode("utf-8", "replace"),
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
        )

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


def run(
    file: str, *, source: str, channel: Channel, product: str, wait: bool, as_json: bool
) -> int:
    """Import a file and return the exit status: 1 when rows were rejected."""
    rejects = Rejects(_rejects_path(file))
    try:
        summary = loop.run(_run(file, rejects, source, channel, product, wait=wait, quiet=as_json))
    except Unreadable as error:
        raise MaruError(f"{file}: {error}") from error
    except OSError as error:
        raise MaruError(f"{file} can't be read: {error.strerror}") from error
    finally:
        rejects.close()
    _tell(summary, rejects, as_json=as_json)
    return 1 if rejects.count else 0


def _rejects_path(file: str) -> Path:
    return Path("stdin.rejects.ndjson" if file == "-" else f"{file}.rejects.ndjson")


async def _run(
    file: str,
    rejects: Rejects,
    source: str,
    channel: Channel,
    product: str,
    *,
    wait: bool,
    quiet: bool,
) -> Summary:
    common = Common()
    stream: Path | BinaryIO = sys.stdin.buffer if file == "-" else Path(file)
    await migrate(common.database_url, "ingest", "maru_ingest")
    async with (
        open_bus(common.bus_url) as bus,
        open_database(common.database_url, "ingest") as database,
    ):
        await bus.create([*TOPICS, DEAD])
        async with _workers(common, bus, wanted=wait) as ours:
            with _bar(quiet=quiet) as bar:
                task = bar.add_task("Importing", total=None, posts=0, rejected=0, rate=0)
                summary = await import_file(
                    bus,
                    database,
                    stream,
                    workspace=WORKSPACE,
                    source_name=source,
                    product=product,
                    channel=channel,
                    on_progress=lambda step: _advance(bar, task, step, rejects),
                    on_reject=rejects.add,
                )
                if wait:
                    await _drained(common, bus, bar, ours=ours)
    return summary


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Progress]:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[posts]:,} posts"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TextColumn("{task.fields[rejected]:,} rejected"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    ) as bar:
        yield bar


def _advance(bar: Progress, task: Any, step: Step, rejects: Rejects) -> None:
    posts = step.counts.published + step.counts.duplicates
    bar.update(
        task,
        completed=step.done,
        total=step.total,
        posts=posts,
        rejected=rejects.count,
        rate=posts / max(step.seconds, 1e-3),
    )


@asynccontextmanager
async def _workers(common: Common, bus: Bus, *, wanted: bool) -> AsyncIterator[bool]:
    """See that somebody processes the posts, and say whether it is us, as on a quiet laptop."""
    if not wanted or (_is_embedded(common) and is_running(common.home)):
        yield False
        return
    if not _is_embedded(common):
        for topic, group, _ in _STAGES:
            if not await bus.members(topic.name, group):
                raise _nobody(common, topic, group)
        yield False
        return
    services = compose(work=True).services
    with locked(common.home):
        async with running({name: services[name] for name in ("sentiment", "ideas")}):
            yield True


def _is_embedded(common: Common) -> bool:
    return common.bus_url.startswith("sqlite")


def _nobody(common: Common, topic: Topic[Any], group: str) -> ConfigError:
    start = (
        f"No Maru runs in {common.home} any more: start it with `maru up`"
        if _is_embedded(common)
        else f"No {group} service reads {topic.name}: start it with `maru serve {group}`"
    )
    return ConfigError(
        f"{start}. Posts that are on the log go on from there; --wait would wait for ever"
    )


async def _drained(common: Common, bus: Bus, bar: Progress, *, ours: bool) -> None:
    """Wait until everything that is on the log by now has come through.

    Raises ConfigError when those who should process it are gone for longer than a restart takes.
    """
    for topic, group, done in _STAGES:
        ends = await bus.ends(topic.name)
        task = bar.add_task(done.capitalize(), total=None, posts=0, rejected=0, rate=0)
        start = left = await _behind(bus, topic.name, group, ends)
        seen = looked = time.monotonic()
        while left:
            left = await _behind(bus, topic.name, group, ends)
            passed = start - left
            bar.update(task, total=start, completed=passed, posts=passed)
            now = time.monotonic()
            if not ours and now - looked >= _LOOK_SECONDS:
                looked = now
                if await _somebody(common, bus, topic, group):
                    seen = now
                elif now - seen >= _PATIENCE_SECONDS:
                    raise _nobody(common, topic, group)
            await asyncio.sleep(_POLL_SECONDS)


async def _somebody(common: Common, bus: Bus, topic: Topic[Any], group: str) -> bool:
    if _is_embedded(common):
        return is_running(common.home)
    return await bus.members(topic.name, group) > 0


async def _behind(bus: Bus, topic: str, group: str, ends: dict[int, int]) -> int:
    committed = await bus.committed(topic, group)
    return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())


def _tell(summary: Summary, rejects: Rejects, *, as_json: bool) -> None:
    counts = summary.counts
    if as_json:
        print_json(
            {
                "source_id": summary.source_id,
                "format": summary.format,
                "published": counts.published,
                "duplicates": counts.duplicates,
                "deleted": counts.deleted,
                "rejected": rejects.count,
                "rejects_file": str(rejects.path) if rejects.count else None,
                "bytes": summary.bytes,
                "seconds": round(summary.seconds, 3),
                "resumed_after_lines": summary.resumed_after,
            }
        )
        return
    if summary.resumed_after:
        out.print(f"The first {summary.resumed_after:,} lines were imported before.")
    out.print(
        f"{counts.published:,} posts imported, {counts.duplicates:,} known already, "
        f"{rejects.count:,} rejected, in {summary.seconds:.1f} s"
    )
    if counts.deleted:
        out.print(f"{counts.deleted:,} posts that were known are deleted.")
    if rejects.count:
        out.print(f"The rejected rows, with line and reason: {rejects.path}")
