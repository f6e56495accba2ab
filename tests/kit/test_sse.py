"""Server-Sent Events as the standard's own examples and rules have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_kit.outbound import TooLarge, sse
from maru_kit.outbound.sse import Event, Reader


def events(text: str | bytes, last_event_id: str = "") -> list[Event]:
    reader = Reader(last_event_id)
    body = text if isinstance(text, bytes) else text.encode()
    read = [reader.read(line) for line in body.splitlines()]
    return [event for event in read if event is not None]


def data(text: str | bytes) -> list[str]:
    return [event.data for event in events(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        ("data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        ("data:test\n\ndata: test\n\n", ["test", "test"]),
        ("data:  two\n\n", [" two"]),
        (": nothing\n\n\n:\n\n", []),
        ("event: add\n\n", []),
        ("data: never ended", []),
        ("data: a:b: c\n\n", ["a:b: c"]),
        (" data: not ours\nDATA: nor this\nother: x\ndata: y\n\n", ["y"]),
        (b"\xef\xbb\xbfdata: marked\n\ndata: plain\n\n", ["marked", "plain"]),
        (b"data: \xff\xed\x95\x9c\n\n", ["\ufffd한"]),
        ("data: 한국어 \u2028 line\n\n", ["한국어 \u2028 line"]),
    ],
)
def test_data_is_read_as_the_standard_says(text: str | bytes, expected: list[str]) -> None:
    assert data(text) == expected


def test_kind_holds_for_one_event_and_id_until_the_next_one() -> None:
    text = "id: 7\nevent: update\ndata: a\n\ndata: b\n\nid\ndata: c\n\nid: 9\0\ndata: d\n\n"

    assert events(text) == [
        Event("update", "a", "7", None),
        Event("message", "b", "7", None),
        Event("message", "c", "", None),
        Event("message", "d", "", None),
    ]


def test_an_event_without_data_forgets_its_kind_and_keeps_its_id() -> None:
    assert events("event: x\nid: 3\n\ndata: y\n\n") == [Event("message", "y", "3", None)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5000", 5000), ("0", 0), ("-1", None), ("1.5", None), ("", None), ("٣", None), ("x", None)],
)
def test_only_digits_say_when_to_come_again(value: str, expected: int | None) -> None:
    assert events(f"retry: {value}\ndata: x\n\n")[0].retry == expected


def test_a_stream_that_was_left_goes_on_with_its_last_id() -> None:
    assert events("data: x\n\n", last_event_id="41")[0].id == "41"


def test_an_event_without_an_end_is_cut_off() -> None:
    with pytest.raises(TooLarge):
        events(b"data: x\n" * (sse.MAX_EVENT // 2 + 1))


TEXT = st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)
KINDS = TEXT.filter(lambda text: text not in ("", "message"))


@given(st.lists(st.tuples(KINDS, st.lists(TEXT, min_size=1, max_size=4)), max_size=5))
def test_what_is_written_by_the_rules_is_read_back(written: list[tuple[str, list[str]]]) -> None:
    text = "".join(
        f"event: {kind}\nid: {number}\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
        for number, (kind, lines) in enumerate(written)
    )
    reader = Reader()
    read = [reader.read(line) for line in text.encode().split(b"\n")]

    assert [event for event in read if event] == [
        Event(kind, "\n".join(lines), str(number), None)
        for number, (kind, lines) in enumerate(written)
    ]


@given(st.lists(st.binary(max_size=30)))
def test_no_line_is_an_error(lines: list[bytes]) -> None:
    reader = Reader()
    for line in lines:
        reader.read(line)
