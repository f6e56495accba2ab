"""Mails and mbox files: what a person newly wrote, and nothing else."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maru_contracts.posts import Channel
from maru_ingest.formats import documents, mail
from maru_ingest.formats.detect import detect
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import BadRow, ParsedPost, Row, Unreadable


def a_mail(body: str = "Please add a dark mode.", **headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = headers.pop("From", "김철수 <Chulsoo@Example.com>")
    message["To"] = "help@maru.example"
    message["Subject"] = headers.pop("Subject", "다크 모드")
    message["Date"] = "Mon, 23 Nov 2026 09:30:00 +0900"
    message["Message-ID"] = headers.pop("Message_ID", "<1@example.com>")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message


def an_mbox(*messages: bytes) -> bytes:
    parts = []
    for message in messages:
        lines = [b">" + it if it.startswith(b"From ") else it for it in message.splitlines()]
        parts.append(
            b"From kim@example.com Mon Nov 23 09:30:00 2026\n" + b"\n".join(lines) + b"\n\n"
        )
    return b"".join(parts)


def read(data: bytes, name: str = "") -> Sequence[Row]:
    return list(documents.read(io.BytesIO(data), name=name))


def one(data: bytes) -> ParsedPost:
    (post,) = read(data)
    assert isinstance(post, ParsedPost)
    return post


def test_a_mail_is_a_post() -> None:
    post = one(a_mail(In_Reply_To="<0@example.com>", References="<z@x> <0@example.com>").as_bytes())

    assert post.text == "Please add a dark mode."
    assert post.title == "다크 모드"
    assert (post.author, post.author_name) == ("chulsoo@example.com", "김철수")
    assert post.created_at == datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
    assert (post.native_id, post.in_reply_to) == ("1@example.com", "0@example.com")
    assert post.channel == Channel.MAIL


def test_an_mbox_holds_many_and_a_line_that_begins_with_from_ends_none() -> None:
    first = a_mail("From Monday on nothing works.\n\nFrom here it is slow.").as_bytes()
    second = a_mail("둘째", Message_ID="<2@example.com>").as_bytes()

    posts = read(an_mbox(first, second))

    assert [getattr(post, "native_id", None) for post in posts] == [
        "1@example.com",
        "2@example.com",
    ]
    assert isinstance(posts[0], ParsedPost)
    assert posts[0].text.endswith("From here it is slow.")


@pytest.mark.parametrize(
    "quoting",
    [
        "On Mon, 23 Nov 2026 at 09:00, Support <h@maru.kr>\nwrote:\n> Hello\n> -- \n> Support",
        "2026년 11월 23일 (월) 오전 9:00, 고객센터 <h@maru.kr>님이 작성:\n\n> 무엇을 도울까요?",
        "-----Original Message-----\nFrom: Support\nSent: Monday\nHow can we help?",
        "----- 원본 메시지 -----\n보낸 사람: 고객센터\n무엇을 도와 드릴까요?",
        "From: Support <help@maru.example>\nSent: Monday, November 23\nTo: Kim\nHow can we help?",
        "보낸 사람: 고객센터\n보낸 날짜: 2026년 11월 23일\n무엇을 도와 드릴까요?",
        "Le lun. 23 nov. 2026 à 09:00, Support <help@maru.example> a écrit :\n> Bonjour",
        "-- \nKim Chulsoo\nDirector of things",
        "Sent from my iPhone",
    ],
)
def test_what_others_wrote_and_signatures_are_left_out(quoting: str) -> None:
    post = one(a_mail(f"The export is broken.\n\n{quoting}\n").as_bytes())

    assert post.text == "The export is broken."


def test_answers_between_the_lines_of_a_quoted_mail_stay() -> None:
    body = "On Monday, Support wrote:\n> Which version?\n4.2\n> Which phone?\nA Galaxy S25"

    assert one(a_mail(body).as_bytes()).text == "4.2\nA Galaxy S25"


def test_a_mail_that_only_quotes_says_what_it_quotes() -> None:
    assert one(a_mail("> The export is broken.").as_bytes()).text == "> The export is broken."


def test_of_a_mail_in_both_forms_the_plain_one_is_read_and_html_where_there_is_no_other() -> None:
    both = a_mail("plain words")
    both.add_alternative("<p>marked <b>words</b></p>", subtype="html")
    both.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    assert one(both.as_bytes()).text == "plain words"

    marked = MIMEMultipart()
    marked["From"], marked["Message-ID"], marked["To"] = "k@x.kr", "<3@x.kr>", "h@x.kr"
    marked["Received"] = "from a by b"
    marked.attach(MIMEText("<p>marked <b>words</b></p><script>x()</script>", "html"))
    assert one(marked.as_bytes()).text == "marked words"


@pytest.mark.parametrize("charset", ["euc-kr", "cp949", "utf-8", "utf-16", "no-such-charset"])
def test_korean_mails_of_any_charset_are_read(charset: str) -> None:
    real = "utf-8" if charset == "no-such-charset" else charset
    head = (
        "From: a@b.kr\r\nMessage-ID: <5@b.kr>\r\nReceived: from x\r\n"
        f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    body = base64.encodebytes("내보내기가 안 됩니다. 고쳐 주세요.".encode(real))

    assert one(head.encode() + body).text == "내보내기가 안 됩니다. 고쳐 주세요."


def test_answers_of_machines_are_no_posts() -> None:
    absent = a_mail("I am away until Monday.", Auto_Submitted="auto-replied", Message_ID="<9@x>")
    bounced = a_mail("Undelivered")
    bounced.replace_header("Content-Type", "multipart/report; boundary=x")
    asked = a_mail("Add widgets", Auto_Submitted="no", Message_ID="<4@x>")

    posts = read(an_mbox(absent.as_bytes(), bounced.as_bytes(), asked.as_bytes()))

    assert [getattr(post, "text", None) for post in posts] == ["Add widgets"]


def test_a_mail_without_words_is_told_of() -> None:
    (bad,) = read(a_mail("", Subject="").as_bytes())

    assert isinstance(bad, BadRow)
    assert "no text" in bad.reason


def test_what_only_looks_like_a_mail_is_something_else() -> None:
    assert detect(b"from: a,text: b\n1,2\n", name="x.csv") == "csv"
    assert detect(b"text\nFrom: me\n") == "csv"


def test_a_name_tells_a_mail_whose_first_lines_could_be_anything() -> None:
    written = b"From: kim@x.example\nTo: help@x.example\nSubject: Dark mode\n\nPlease!\n"

    assert detect(written, name="Saved.EML") == "mail"
    with pytest.raises(Unreadable):
        detect(b"just words", name="saved.eml")


def test_parts_within_parts_are_said_to_be_too_deep() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000)
    )

    (bad,) = read(b"From: a@x.example\nMessage-ID: <d@x>\n" + deep)

    assert isinstance(bad, BadRow)
    assert bad.reason == "its parts are nested too deep"


def test_a_giant_attachment_is_not_held_in_memory() -> None:
    huge = b"A" * 76 + b"\n"
    lines = (it for it in [*a_mail().as_bytes().splitlines(keepends=True), *[huge] * 200_000])

    (post,) = mail.parse(lines_of(lines))

    assert isinstance(post, ParsedPost)
    assert post.text.startswith("Please add a dark mode.")
    assert post.truncated


def lines_of(rows: Iterable[bytes]) -> Iterator[Line]:
    return (Line(number, 0, 0, data) for number, data in enumerate(rows, 1))


@given(st.binary(max_size=300), st.text(max_size=300))
def test_no_bytes_break_the_reader(junk: bytes, text: str) -> None:
    start = b"From: a@b.kr\nReceived: x\nMessage-ID: <1@b>\n"
    written = start + text.encode("utf-8", "replace")
    for data in (start + junk, start + b"\n" + junk, an_mbox(written)):
        for row in mail.parse(lines_of(data.splitlines(keepends=True))):
            assert isinstance(row, ParsedPost | BadRow)
