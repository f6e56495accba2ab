"""Subtitles and transcripts: a post is what one person says in one go."""

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_ingest.formats import documents, transcripts
from maru_ingest.formats.detect import detect
from maru_ingest.formats.parsed import ParsedPost

SRT = """1
00:00:01,000 --> 00:00:03,000
<i>The new phone</i>

2
00:00:03,100 --> 00:00:05,000
gets hot after ten minutes.

3
00:00:09,000 --> 00:00:11,000
- Does yours, too?
- It does.

4
00:00:12,000 --> 00:00:13,000
[LAUGHTER]
"""
VTT = """WEBVTT - Call 17

NOTE recorded on Monday

STYLE
::cue { color: red }

intro
00:01.000 --> 00:03.000 align:start
<v 고객>앱이 자꾸 꺼져요.

00:03.500 --> 00:06.000
<v 고객>다크 모드도 없고요.

00:06.500 --> 00:08.000
<v.agent 상담사>죄송합니다 &amp; 확인해 보겠습니다.
"""


def read(text: str | bytes, name: str = "") -> Sequence[ParsedPost]:
    data = text.encode() if isinstance(text, str) else text
    rows = list(documents.read(io.BytesIO(data), name=name))
    assert all(isinstance(row, ParsedPost) for row in rows)
    return [row for row in rows if isinstance(row, ParsedPost)]


def said(text: str | bytes, name: str = "") -> list[tuple[str, str]]:
    return [(post.author_name, post.text) for post in read(text, name)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_pieces_of_subtitles_are_joined_until_somebody_else_speaks(
    encoding: str, ends: str
) -> None:
    assert said(SRT.replace("\n", ends).encode(encoding)) == [
        ("", "The new phone gets hot after ten minutes."),
        ("", "Does yours, too?"),
        ("", "It does."),
    ]


def test_who_speaks_is_read_from_webvtt() -> None:
    assert said(VTT) == [
        ("고객", "앱이 자꾸 꺼져요. 다크 모드도 없고요."),
        ("상담사", "죄송합니다 & 확인해 보겠습니다."),
    ]


def test_an_old_korean_file_is_read() -> None:
    korean = "1\n00:00:01,000 --> 00:00:02,000\n배터리가 너무 빨리 닳아요\n"

    assert said(korean.encode("cp949"), "a.srt") == [("", "배터리가 너무 빨리 닳아요")]


def test_a_silence_ends_what_is_said_and_captions_that_roll_are_said_once() -> None:
    rolling = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nthe battery\n\n"
        "00:02.000 --> 00:04.000\nthe battery\nis weak\n\n00:09.000 --> 00:10.000\nand the screen\n"
    )

    assert said(rolling) == [("", "the battery is weak"), ("", "and the screen")]


def test_speakers_of_one_call_are_not_those_of_the_next() -> None:
    one = read("Customer: It is broken.\n\nAgent: Sorry.\n", "1.txt")
    two = read("Customer: It is slow.\n\nAgent: Sorry.\n", "2.txt")

    assert [post.author_name for post in one] == ["Customer", "Agent"]
    assert not {post.author for post in one} & {post.author for post in two}
    assert [
        post.author for post in read("Customer: a b\nAgent: c d\nCustomer: e f\n", "3.txt")
    ] == [
        "Customer@" + two_or(one=0),
        "Agent@" + two_or(one=0),
        "Customer@" + two_or(one=0),
    ]


def two_or(*, one: int) -> str:
    """The mark of the third call above."""
    return read("Customer: a b\nAgent: c d\nCustomer: e f\n", "3.txt")[one].author.split("@")[1]


def test_a_plain_transcript_is_split_into_paragraphs() -> None:
    text = (
        "고객: 앱이 꺼져요.\n다시 켜도 그래요.\n\n상담사: 네.\n\n[음악]\n\n요금은 언제 나가나요?\n"
    )

    assert said(text, "call.txt") == [
        ("고객", "앱이 꺼져요. 다시 켜도 그래요."),
        ("상담사", "네."),
        ("", "요금은 언제 나가나요?"),
    ]


def test_a_long_speech_ends_with_a_sentence() -> None:
    cues = "".join(
        f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\n"
        f"Sentence number {n} is here.\n\n"
        for n in range(100)
    )

    texts = [post.text for post in read(cues)]

    assert " ".join(texts) == " ".join(f"Sentence number {n} is here." for n in range(100))
    assert all(400 < len(text) < 500 for text in texts[:-1])


def test_the_same_file_gives_the_same_posts_and_no_two_alike() -> None:
    text = "Customer: no\n\nAgent: why\n\nCustomer: no\n"
    first, again = read(text, "c.txt"), read(text, "c.txt")

    assert first == again
    assert len({post.native_id for post in first}) == 3


def test_what_is_no_transcript_is_something_else() -> None:
    assert detect(b"1\n2\n3\n", name="numbers.csv") == "csv"
    assert detect(b"1\n00:00:01,000 --> 00:00:02,000\nx\n") == "subtitles"
    assert detect(b"plain words. and more", name="notes.txt") == "transcript"


@given(st.text(max_size=400))
def test_no_text_breaks_the_reader_and_none_is_said_twice(text: str) -> None:
    rows = text.splitlines()
    for read_rows in (transcripts.subtitles, transcripts.plain):
        posts = list(read_rows(["00:01.000 --> 00:02.000", *rows], mark="m"))
        assert all(post.text for post in posts)
        assert len({post.native_id for post in posts}) == len(posts)
