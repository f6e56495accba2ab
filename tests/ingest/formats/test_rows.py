import csv as standard_csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import MAX_TEXT, Channel
from maru_ingest.formats import csv, documents, lines, ndjson
from maru_ingest.formats.parsed import BadRow, Deletion, ParsedPost, Row


def from_ndjson(data: bytes) -> list[Row]:
    return list(ndjson.parse(lines.read(io.BytesIO(data))))


def from_csv(data: bytes) -> list[Row]:
    dialect = csv.dialect(data[: 64 * 1024])
    read = lines.read(io.BytesIO(data))
    next(read)
    return [row for row, _ in csv.parse(read, dialect)]


def one(data: bytes) -> ParsedPost:
    (row,) = from_ndjson(data)
    assert isinstance(row, ParsedPost), row
    return row


def test_common_names_find_their_fields() -> None:
    post = one(
        json.dumps(
            {
                "review_id": 17,
                "Body": "다크 모드 추가해 주세요",
                "subject": "제안",
                "permalink": "https://example.com/1",
                "userName": "haneul",
                "display-name": "하늘",
                "timestamp": 1700000000,
                "language": "ko",
                "medium": "Review",
                "likeCount": "1,204",
                "metrics": {"views": 5},
                "unknown": {"a": 1},
            }
        ).encode()
    )

    assert (post.native_id, post.text, post.title) == ("17", "다크 모드 추가해 주세요", "제안")
    assert (post.author, post.author_name, post.lang) == ("haneul", "하늘", "ko")
    assert post.url == "https://example.com/1"
    assert post.channel is Channel.REVIEW
    assert post.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert post.metrics == {"likes": 1204, "views": 5}


def test_an_author_may_be_an_object() -> None:
    post = one(b'{"text":"x","user":{"username":"a","name":"A","followers_count":7}}')

    assert (post.author, post.author_name, post.followers) == ("a", "A", 7)


@pytest.mark.parametrize("yes", ["true", '"TRUE"', "1", '" yes "'])
def test_a_row_that_is_deleted_ends_its_post_whatever_it_says(yes: str) -> None:
    wordless, worded = from_ndjson(
        f'{{"id":"a","deleted":{yes}}}\n{{"review_id":7,"isDeleted":{yes},"text":"x"}}'.encode()
    )
    (row,) = from_csv(f"id,text,deleted\nb,x,{json.loads(yes)}\n".encode())

    assert wordless == Deletion(("a",), line=1)
    assert worded == Deletion(("7",), line=2, offset=worded.offset)
    assert row == Deletion(("b",), line=2, offset=row.offset)


@pytest.mark.parametrize("no", ["false", "0", '""', "null", '"no"'])
def test_a_row_that_is_not_deleted_is_a_post(no: str) -> None:
    assert one(f'{{"id":"a","text":"x","deleted":{no}}}'.encode()).text == "x"


def test_a_deletion_must_name_its_post() -> None:
    (row,) = from_ndjson(b'{"deleted":true,"text":"x"}')

    assert isinstance(row, BadRow)
    assert row.reason.startswith("a deletion without an id")


def test_a_platforms_own_object_goes_by_the_platforms_name() -> None:
    (row,) = from_ndjson(b'{"id":8863,"type":"story","deleted":true,"time":1}')

    assert isinstance(row, Deletion)
    assert row.native_ids == ("hn/8863",)


def test_the_likeliest_of_several_fields_wins() -> None:
    assert one(b'{"description":"product","text":"mine"}').text == "mine"
    assert one(b'{"text":"","body":"filled"}').text == "filled"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"id":1}', "no text: of its fields (id) none is called text"),
        (b'{"a\\ud800\\u0000b":1}', r"no text: of its fields (a\ud800b) none is called text"),
        (b'{"id":1,"text":""}', "no text"),
        (b'{"text":"  \\u0000 "}', "no text"),
        (b'{"text":{"a":1}}', "the text is not a string"),
        (b'{"text":"\xff"}', "not UTF-8 at byte 10"),
        (b'{"text":"x","date":"soon"}', "the date 'soon' can't be read"),
        (b'{"text":"x","date":true}', "the date is neither"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text":"' + b"x" * 10_000_000 + b'"}', "a line of more than 4 MB"),
    ],
)
def test_a_bad_line_gives_its_number_and_reason_and_the_rest_goes_on(
    line: bytes, reason: str
) -> None:
    first, bad, last = from_ndjson(b'{"text":"a"}\n' + line + b'\n\n{"text":"b"}')

    assert isinstance(bad, BadRow)
    assert bad.line == 2
    assert bad.reason.startswith(reason) or (reason == "not JSON" and "JSON" in bad.reason)
    assert len(bad.original) <= 64 * 1024
    assert isinstance(first, ParsedPost)
    assert isinstance(last, ParsedPost)
    assert last.line == 4


def test_a_list_of_rows_is_read_as_lines_of_them_are() -> None:
    rows = [
        {"id": "1", "text": "dark mode", "date": "2026-11-23"},
        7,
        {"id": "2", "text": "lone \ud800"},
        {"id": "3"},
    ]
    as_list = json.dumps(rows).encode()
    as_lines = "".join(json.dumps(each) + "\n" for each in rows).encode()

    posts, lined = (
        list(documents.read(io.BytesIO(as_list), name="rows.json")),
        from_ndjson(as_lines),
    )

    told = [
        (type(each), each.line, getattr(each, "reason", getattr(each, "text", "")))
        for each in posts
    ]
    assert told == [
        (type(each), each.line, getattr(each, "reason", getattr(each, "text", "")))
        for each in lined
    ]
    assert [each.text for each in posts if isinstance(each, ParsedPost)] == ["dark mode", "lone"]


def test_a_list_of_rows_may_delete() -> None:
    found = documents.parse(b'[{"id":"1","text":"x"},{"id":"2","deleted":true}]')

    assert [getattr(row, "text", None) for row in found.rows] == ["x"]
    assert found.deleted == ("2",)


def test_lone_surrogates_and_nul_are_mended_not_refused() -> None:
    assert one(b'{"text":"a\\ud800b\\u0000c"}').text == "abc"


def test_a_very_long_text_is_cut() -> None:
    post = one(json.dumps({"text": "가" * (MAX_TEXT + 5)}, ensure_ascii=False).encode())

    assert post.truncated
    assert len(post.text) == MAX_TEXT


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_files_in_unicode_of_any_width_are_read(encoding: str) -> None:
    data = '{"text":"이름이 뭐예요?"}\n{"text":"b"}\n'.encode(encoding)
    stream = lines.in_utf8(io.BytesIO(data), data)

    texts = [row.text for row in ndjson.parse(lines.read(stream)) if isinstance(row, ParsedPost)]

    assert texts == ["이름이 뭐예요?", "b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_csv_as_people_export_it(delimiter: str, encoding: str) -> None:
    written = io.StringIO()
    writer = standard_csv.writer(written, delimiter=delimiter)
    writer.writerow(["번호", "내용", "작성자", "날짜"])
    writer.writerow(["1", '여러 줄,\n"따옴표"; 그리고\t탭', "haneul", "2026-11-23"])
    writer.writerow(["2", "둘째 글입니다", "bada", "2026.11.24 10:00"])

    first, second = from_csv(written.getvalue().encode(encoding))

    assert isinstance(first, ParsedPost)
    assert isinstance(second, ParsedPost)
    assert first.text == '여러 줄,\n"따옴표"; 그리고 탭'
    assert (first.line, second.line) == (2, 4)
    assert second.author == "bada"


def test_csv_in_utf_16_is_read() -> None:
    data = "번호,내용\n1,다크 모드\n2,둘째 글입니다\n".encode("utf-16")

    rows = list(documents.read(io.BytesIO(data)))

    assert [row.text for row in rows if isinstance(row, ParsedPost)] == [
        "다크 모드",
        "둘째 글입니다",
    ]


def test_a_bad_csv_row_does_not_take_its_neighbours_along() -> None:
    head = "id,text\n1,하나 둘 셋 넷\n2,two,too,many\n3,\n\n4,".encode()
    rows = from_csv(head + b'\xff\n5,"open\n6,six\n')

    reasons = {row.line: row.reason for row in rows if isinstance(row, BadRow)}
    assert reasons == {
        3: "4 values for 2 columns",
        4: "no text",
        6: "not UTF-8 at byte 3",
        7: "a quote that is never closed",
    }
    assert [row.native_id for row in rows if isinstance(row, ParsedPost)] == ["1", "6"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16"])
def test_csv_of_excel_for_mac_is_read(encoding: str) -> None:
    data = "번호,내용\r1,다크 모드\r2,둘째 글입니다\r".encode(encoding)

    rows = list(documents.read(io.BytesIO(data)))

    assert [(row.text, row.line) for row in rows if isinstance(row, ParsedPost)] == [
        ("다크 모드", 2),
        ("둘째 글입니다", 3),
    ]


def test_a_quote_that_is_never_closed_costs_its_own_line_alone() -> None:
    rows = from_csv(b'id,text\n1,one\n2,"open\n3,"two\n\nlines"\n4,four\n5,"open, too')
    kinds = [(row.line, getattr(row, "text", None)) for row in rows]

    # The second row's quote is closed by the third's, as far as anybody can tell.
    assert kinds[0] == (2, "one")
    assert kinds[-2:] == [(7, "four"), (8, None)]

    first, *others = from_csv(b'text,author\n"open,me\n' + b"row,you\n" * 500)
    assert isinstance(first, BadRow)
    assert (first.line, first.reason) == (2, "a quote that is never closed")
    assert first.original == b'"open,me\n'
    assert [row.line for row in others if isinstance(row, ParsedPost)] == list(range(3, 503))


def test_a_row_that_is_being_written_is_left_for_the_next_time() -> None:
    read = lines.read(io.BytesIO(b'1,one\n2,"first half\n'))
    rows = list(csv.parse(read, csv.Dialect("utf-8", ",", ("id", "text")), grows=True))

    assert [(row.line, line.end) for row, line in rows] == [(1, 6)]


@given(st.lists(st.sampled_from(['a",",b', '"a', "b,c", '"""', "", 'x,"y"', '"', "a"])))
def test_each_line_is_read_and_no_open_quote_takes_others_along(written: list[str]) -> None:
    data = "".join(f"{line}\n" for line in [*written, '"open', *["last,one"] * 3]).encode()

    *_, before, first, second = from_csv(b"id,text\n" + data)

    texts = [row.text for row in (before, first, second) if isinstance(row, ParsedPost)]
    assert texts == ["one"] * len(texts)
    assert second.line == len(written) + 5


def test_many_open_quotes_take_no_longer_than_few() -> None:
    rows = from_csv(b"id,text\n" + b'a",",b\n' * 20_000)

    assert [row.line for row in rows] == list(range(2, 20_002))
    assert all(isinstance(row, BadRow) for row in rows)


def test_a_quote_that_is_never_closed_costs_a_bounded_piece() -> None:
    rows = from_csv(b'id,text\n1,"open\n' + (b"2," + b"x" * 10_000 + b"\n") * 600)

    assert isinstance(rows[0], BadRow)
    assert rows[0].line == 2
    assert sum(isinstance(row, ParsedPost) for row in rows) > 100


_NAMES = st.sampled_from(
    ["id", "text", "title", "url", "author", "date", "lang", "channel", "likes", "metrics",
     "media", "body", "updated_at", "html", "in_reply_to", "", "x"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=8,
)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_rows_or_reasons(chunks: list[bytes]) -> None:
    data = b"\n".join(chunks)

    assert len(from_ndjson(data)) <= data.count(b"\n") + 1


@given(st.dictionaries(_NAMES, _JSON, max_size=8))
def test_any_json_object_is_a_post_or_a_reason(row: dict[str, object]) -> None:
    (parsed,) = from_ndjson(json.dumps(row).encode())

    assert isinstance(parsed, BadRow) or parsed.text or parsed.title


@given(st.binary(max_size=300))
def test_any_bytes_are_csv_rows_or_reasons(data: bytes) -> None:
    assert len(from_csv(b"id,text,date\n" + data)) <= data.count(b"\n") + data.count(b"\r") + 1
