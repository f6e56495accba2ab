import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from maru_contracts.posts import Post
from maru_ingest.formats.parsed import BadRow, Unreadable
from maru_ingest.importer import Progress, Summary, import_file
from maru_ingest.service.publishing import BATCH
from maru_ingest.store.sources import Counts
from maru_kit.bus import Bus
from maru_kit.database import Database

Read = Callable[[], Awaitable[list[Post]]]
Import = Callable[..., Awaitable[Summary]]

_CUT_OFF = """
import asyncio, sys
from pathlib import Path
from maru_ingest.importer import import_file
from maru_kit.bus import open_bus
from maru_kit.database import open_database

async def main(home, path):
    async with open_database(f"sqlite:///{home}", "ingest") as database:
        async with open_bus(f"sqlite:///{home}/log.db") as bus:
            await import_file(bus, database, Path(path), workspace="w", source_name="rows")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def run_import(log: Bus, ingest_database: Database) -> Import:
    async def run(source: object, **changes: object) -> Summary:
        values: dict[str, object] = {"workspace": "w", "source_name": "rows", **changes}
        return await import_file(log, ingest_database, source, **values)  # type: ignore[arg-type]

    return run


def write_rows(path: Path, count: int, *, first: int = 0) -> Path:
    with path.open("a", encoding="utf-8") as file:
        for number in range(first, first + count):
            row = {"id": f"r-{number}", "text": f"다크 모드 {number}", "author": f"a{number % 7}"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


async def test_the_same_file_twice_adds_nothing(
    tmp_path: Path, run_import: Import, collected: Read
) -> None:
    path = write_rows(tmp_path / "rows.ndjson", 2_500)

    first, again = await run_import(path), await run_import(path)
    elsewhere = await run_import(path, source_name="another name")

    assert first.counts == Counts(published=2_500)
    assert (again.counts, again.resumed_at) == (Counts(), path.stat().st_size)
    assert elsewhere.counts == Counts(duplicates=2_500)
    assert len(await collected()) == 2_500


async def test_a_file_that_grew_goes_on_and_one_that_changed_begins_anew(
    tmp_path: Path, run_import: Import
) -> None:
    path = write_rows(tmp_path / "rows.ndjson", 10)
    await run_import(path)

    grown = await run_import(write_rows(path, 5, first=10))
    path.write_text(path.read_text("utf-8").replace("모드 3", "모드 셋"), "utf-8")
    changed = await run_import(path)

    assert (grown.counts, grown.resumed_at > 0) == (Counts(published=5), True)
    assert (changed.counts, changed.resumed_at) == (Counts(published=1, duplicates=14), 0)


async def test_bad_rows_are_reported_with_their_lines_and_the_rest_goes_on(
    tmp_path: Path, run_import: Import
) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'{"text":"a"}\n{\n{"text":"\xff"}\n[]\n{"text":"b"}')
    bad: list[BadRow] = []

    summary = await run_import(path, on_reject=bad.append)

    assert summary.counts == Counts(published=2, rejected=3)
    assert [row.line for row in bad] == [2, 3, 4]


async def test_rows_and_answers_delete_what_was_imported(
    tmp_path: Path, run_import: Import, collected: Read
) -> None:
    write_rows(tmp_path / "rows.ndjson", 3)
    ends = tmp_path / "ends.ndjson"
    ends.write_text('{"id":"r-1","deleted":true}\n{"id":"r-9","deleted":true}\n', "utf-8")
    answer = tmp_path / "answer.json"
    story = {"id": 8863, "type": "story", "by": "a", "time": 1_700_000_000, "title": "Dark mode"}

    await run_import(tmp_path / "rows.ndjson")
    rows = await run_import(ends)
    for said in (story, {"id": 8863, "type": "story", "deleted": True}):
        answer.write_text(json.dumps(said, indent=1), "utf-8")
        last = await run_import(answer)

    assert (rows.counts, last.counts) == (Counts(deleted=1), Counts(deleted=1))
    ended = [post.native_id for post in await collected() if post.deleted]
    assert ended == ["r-1", "hn/8863"]


async def test_equal_rows_without_ids_are_two_voices_and_stay_two(
    tmp_path: Path, run_import: Import
) -> None:
    path = tmp_path / "survey.csv"
    path.write_text("answer,content\n1,dark mode\n2,dark mode\n3,offline\n", "utf-8")

    first, again = await run_import(path), await run_import(path)

    assert first.counts == Counts(published=3)
    assert again.counts == Counts(duplicates=3)


@pytest.mark.parametrize("name", ["blog.atom", "community.rss", "reviews.ndjson"])
async def test_every_format_comes_from_a_file_or_a_stream(
    name: str, run_import: Import, collected: Read
) -> None:
    path = Path(__file__).parents[2] / "maru" / "maru_cli" / "sample" / name

    summary = await run_import(path)
    streamed = await run_import(io.BytesIO(path.read_bytes()))

    assert summary.counts.published == len(await collected()) > 10
    assert summary.counts.rejected == 0
    assert streamed.counts.published == 0


@pytest.mark.parametrize("name", ["survey.xlsx", "inbox.mbox", "call.vtt", "call.txt"])
async def test_what_is_read_from_its_beginning_comes_once(
    name: str, tmp_path: Path, run_import: Import, collected: Read
) -> None:
    path = tmp_path / name
    written = {
        "inbox.mbox": b"From k@x.kr Mon Nov 23 09:30:00 2026\nFrom: k@x.kr\nTo: h@x.kr\n\n"
        b"Add maps\n\n"
        b"From l@x.kr Mon Nov 23 09:31:00 2026\nFrom: l@x.kr\nTo: h@x.kr\n\nAdd maps\n",
        "call.vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>Add maps\n\n"
        b"00:02.000 --> 00:03.000\n<v B>Add maps\n",
        "call.txt": b"A: Add maps\nB: Add maps\n",
    }
    if name == "survey.xlsx":
        workbook = Workbook()
        for row in (["text", "author"], ["Add maps", "A"], ["Add maps", "B"]):
            workbook.active.append(row)  # type: ignore[union-attr]
        workbook.save(path)
    else:
        path.write_bytes(written[name])

    first, again = await run_import(path), await run_import(path)

    assert first.counts == Counts(published=2)
    assert again.counts == Counts(duplicates=2)
    if path.suffix != ".txt":  # a stream has no name to tell plain words by
        streamed = await run_import(io.BytesIO(path.read_bytes()))
        assert streamed.counts == Counts(duplicates=2)
    assert [post.text for post in await collected()] == ["Add maps", "Add maps"]


async def test_progress_is_reported(tmp_path: Path, run_import: Import) -> None:
    path = write_rows(tmp_path / "rows.ndjson", 2 * BATCH + 100)
    reported: list[Progress] = []

    await run_import(path, on_progress=reported.append)

    assert [progress.counts.published for progress in reported] == [
        BATCH,
        2 * BATCH,
        2 * BATCH + 100,
    ]
    assert reported[-1].done == reported[-1].total == path.stat().st_size


async def test_what_is_no_format_of_ours_is_refused(tmp_path: Path, run_import: Import) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><html><body>no</body></html>")

    with pytest.raises(Unreadable, match="HTML page"):
        await run_import(path)


@pytest.mark.parametrize("at", [1, 3])
async def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(
    tmp_path: Path, run_import: Import, collected: Read, at: int
) -> None:
    path = write_rows(tmp_path / "rows.ndjson", 5 * BATCH)
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CUT_OFF, str(tmp_path), str(path)],
        env={**os.environ, "MARU_CRASH_AT": f"after_produce_before_cursor:{at}"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    before = len(await collected())

    summary = await run_import(path)

    arrived = await collected()
    assert before == at * BATCH
    assert summary.counts.published == (6 - at) * BATCH
    assert len({post.id for post in arrived}) == 5 * BATCH
    assert {post.revision for post in arrived} == {0}
    assert [post.native_id for post in arrived[before:]] == [
        f"r-{number}" for number in range((at - 1) * BATCH, 5 * BATCH)
    ]


async def test_a_saved_answer_of_a_platform_is_imported_once(
    shared: Path, run_import: Import, collected: Read
) -> None:
    folder = shared / "fixtures/python-youtube/testdata/apidata/comment_threads"
    page = folder / "comment_threads_by_video_paged_1.json"

    summary = await run_import(page)
    again = await run_import(page)

    assert (summary.format, summary.counts) == ("answer", Counts(published=5))
    assert again.counts == Counts(duplicates=5)
    posts = await collected()
    assert {post.channel for post in posts} == {"video"}
    assert all(post.in_reply_to for post in posts)
