"""Workbooks of Excel, as surveys and call centres export them."""

import io
import time
import tracemalloc
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from maru_ingest.formats import documents, xlsx
from maru_ingest.formats.detect import detect
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost, Row, Unreadable

Table = Sequence[Sequence[object]]
WHEN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def a_workbook(*sheets: Table) -> bytes:
    workbook = Workbook(write_only=True)
    for rows in sheets:
        sheet = workbook.create_sheet()
        for row in rows:
            sheet.append(row)
    whole = io.BytesIO()
    workbook.save(whole)
    return whole.getvalue()


def read(data: bytes) -> list[Row]:
    return list(documents.read(io.BytesIO(data)))


def test_a_survey_is_read() -> None:
    rows = read(
        a_workbook(
            [
                [],
                ["번호", "작성일", "내용", "작성자", "좋아요"],
                [1, WHEN.replace(tzinfo=None), "다크 모드를 추가해 주세요", "kim", 3],
                [2, date(2026, 11, 24), "It crashes & burns <3", None, None],
                [None, None, None, None, None],
            ]
        )
    )

    first, second = rows
    assert isinstance(first, ParsedPost)
    assert isinstance(second, ParsedPost)
    assert (first.native_id, first.text, first.author) == ("1", "다크 모드를 추가해 주세요", "kim")
    assert first.created_at == WHEN
    assert (first.metrics, first.line) == ({"likes": 3}, 3)
    assert (second.text, second.author) == ("It crashes & burns <3", "")
    assert second.created_at == datetime(2026, 11, 24, tzinfo=UTC)


def test_every_sheet_that_has_texts_is_read_and_no_other() -> None:
    data = a_workbook(
        [["month", "sum"], ["May", 3]], [["text"], ["a post"]], [["id", "review"], [7, "another"]]
    )

    texts = [row.text for row in read(data) if isinstance(row, ParsedPost)]

    assert texts == ["a post", "another"]


def test_a_bad_row_is_told_of_and_the_rest_is_read() -> None:
    data = a_workbook(
        [
            ["id", "text", "date", "deleted"],
            [1, "a", "someday", ""],
            [2, "b", "", ""],
            [3, "", "", 1],
        ]
    )

    bad, good, gone = read(data)

    assert isinstance(bad, BadRow)
    assert (bad.line, "someday" in bad.reason) == (2, True)
    assert isinstance(good, ParsedPost)
    assert gone == Deletion(("3",), line=4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (a_workbook([["month"], ["May"]]), "without a sheet"),
        (a_workbook([["text", "id"]]), "without a sheet"),
        (a_workbook([["text"], ["a"]])[:-200], "no workbook that can be read"),
        (b"PK\x03\x04 and no more", "no workbook that can be read"),
    ],
)
def test_what_cannot_be_read_is_told_of(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(data)


def test_another_packed_file_is_no_workbook() -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as packed:
        packed.writestr("readme.txt", "hello")

    with pytest.raises(Unreadable, match="a packed file, and no workbook"):
        read(whole.getvalue())


def test_a_bomb_is_not_unpacked() -> None:
    whole = io.BytesIO()
    with (
        zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("xl/worksheets/sheet1.xml", "w") as sheet,
    ):
        for _ in range(600):
            sheet.write(bytes(1024 * 1024))

    tracemalloc.start()
    with pytest.raises(Unreadable, match="more than 512 MB when unpacked"):
        read(whole.getvalue())
    assert tracemalloc.get_traced_memory()[1] < 30 * 1024**2
    tracemalloc.stop()


def changed(written: bytes, instead: bytes) -> bytes:
    """A workbook of one text, in whose sheet something is written otherwise."""
    whole, other = io.BytesIO(a_workbook([["text"], ["here"]])), io.BytesIO()
    with (
        zipfile.ZipFile(whole) as packed,
        zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for part in packed.infolist():
            body = packed.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                assert written in body
                body = body.replace(written, instead)
            made.writestr(part.filename, body)
    return other.getvalue()


def test_a_title_may_stand_above_the_names_of_the_columns() -> None:
    rows = read(a_workbook([["Survey of May"], [], ["id", "내용"], [1, "a post"]]))

    assert [row.text for row in rows if isinstance(row, ParsedPost)] == ["a post"]


def test_a_row_far_away_is_reached_at_once() -> None:
    begun = time.process_time()

    (row,) = read(changed(b'<row r="2"', b'<row r="1048576"'))

    assert (row.line, time.process_time() - begun < 5) == (1_048_576, True)


def test_a_row_beyond_the_last_that_there_can_be_is_not_waited_for() -> None:
    with pytest.raises(Unreadable, match="without a sheet"):
        read(changed(b'<row r="2"', b'<row r="999999999"'))


@pytest.mark.parametrize(
    "instead", [b"x" * 50_000_000, b"here</t></is></c>" + b"<c/>" * 10_000_000 + b"<c><is><t>"]
)
def test_a_cell_or_a_row_of_many_megabytes_is_not_held_in_memory(instead: bytes) -> None:
    data = changed(b"here", instead)

    tracemalloc.start()
    with pytest.raises(Unreadable, match="a row of more than 2 MB"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 30 * 1024**2


def test_entities_that_multiply_are_not_expanded() -> None:
    doctype = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "' + "&a;" * 1000 + '">]>'
    whole = io.BytesIO(a_workbook([["text"], ["here"]]))
    evil = io.BytesIO()
    with zipfile.ZipFile(whole) as packed, zipfile.ZipFile(evil, "w") as changed:
        for part in packed.infolist():
            body = packed.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                body = doctype.encode() + body.replace(b"here", b"&b;" * 1000)
            changed.writestr(part.filename, body)

    try:
        rows = read(evil.getvalue())
    except Unreadable:
        return
    assert all(len(row.text) < 100 for row in rows if isinstance(row, ParsedPost))


def test_a_large_workbook_is_read_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "large.xlsx"
    path.write_bytes(a_workbook([["id", "text"], *([n, f"post {n}"] for n in range(5_000))]))

    tracemalloc.start()
    with path.open("rb") as stream:
        count = sum(1 for _ in documents.read(stream, name=path.name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 5_000
    assert peak < 12 * 1024**2


BROKEN = a_workbook([["id", "text"], [1, "a post"], [2, "another"]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_change_to_a_workbook_breaks_the_reader(changes: list[tuple[float, int]]) -> None:
    broken = bytearray(BROKEN)
    for place, value in changes:
        broken[4 + round(place * (len(broken) - 5))] = value
    assert detect(bytes(broken)) == "xlsx"
    with suppress(Unreadable):
        for row in xlsx.parse(io.BytesIO(bytes(broken))):
            assert isinstance(row, ParsedPost | BadRow | Deletion)
