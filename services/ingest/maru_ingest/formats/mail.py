"""E-mail (RFC 5322): one message, or the many of an mbox file (RFC 4155), as posts.

A message is what its author newly wrote: quoted mails, signatures and attachments are left out, and
so are answers of machines (RFC 3834) and reports of mail servers, which no person wrote.
"""

import email
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import cast

from maru_contracts.posts import MAX_TEXT, Channel
from maru_ingest.formats import dates, encodings, text
from maru_ingest.formats.fields import bounded_id
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import MAX_ORIGINAL, BadRow, ParsedPost, Row

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of a message that are read; what is beyond is of attachments, nearly always."""

_FROM = re.compile(rb"From \S.*\d\d:\d\d.*\d{4}\s*$")
_MAX_FROM = 1_000
_FIELD = re.compile(rb"[!-9;-~]{1,76}:")
_TELLING = re.compile(
    rb"^(?:from|received|return-path|message-id|delivered-to|mime-version|dkim-signature):",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_PARTS = 200
_MAX_ROW = 400
_MAX_HEADER = 20_000
_MAX_BODY = 20 * MAX_TEXT
_MAX_WRITTEN = 4 * MAX_TEXT
_ID = re.compile(r"<[^<>\s]+>")
_QUOTED = re.compile(r"\s*>")
_ATTRIBUTION = re.compile(
    r"\s*(?:on\b.{4,300}\bwrote|.{4,300}님이 (?:작성|씀)|.{0,300}\d{4}년 .{4,300}(?:작성|씀)|"
    r"(?:le|am|el)\b.{4,300}(?:a écrit|schrieb.{0,80}|escribió))\s*:?\s*",
    re.IGNORECASE,
)
_ATTRIBUTION_BEGINS = re.compile(r"\s*(?:on\b|.{0,300}\d{4}년)", re.IGNORECASE)
_DIVIDER = re.compile(
    r"\s*-{2,}\s*(?:original message|forwarded message|원본 메시지|전달된 메시지|원문)\s*-{2,}\s*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s*\*?(?:from|보낸 ?사람|보낸이|발신)\*?\s*:", re.IGNORECASE)
_HEADING_GOES_ON = re.compile(
    r"\s*\*?(?:sent|date|to|subject|보낸 ?날짜|날짜|받는 ?사람|받는이|제목|수신)\*?\s*:",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"-- ?|sent from my \w.{0,40}|나의 \w.{0,20}에서 보냄", re.IGNORECASE)


def is_mail(head: bytes, *, named: bool = False) -> bool:
    """Tell by its first bytes whether a file is a message or an mbox.

    `named` is set where its name says so: then the sender is enough, and other fields may follow.
    """
    first, _, rest = head.partition(b"\n")
    if _is_from(first):
        return bool(_FIELD.match(rest))
    heading = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    if not _FIELD.match(heading):
        return False
    return len(set(map(bytes.lower, _TELLING.findall(heading)))) > (0 if named else 1)


def _is_from(line: bytes) -> bool:
    """Whether a line begins a message of an mbox; a longer one would take the pattern long."""
    return len(line) <= _MAX_FROM and _FROM.match(line) is not None


def parse(lines: Iterable[Line]) -> Iterator[Row]:
    """Yield what people wrote in the messages of an mbox, or in the only one there is."""
    gathered: list[Line] = []
    size = 0
    is_mbox = is_after_blank = False
    for line in lines:
        is_start = is_after_blank or not gathered
        if is_start and _is_from(line.data) and (is_mbox or not gathered):
            yield from _rows(gathered)
            is_mbox, gathered, size = True, [line], 0
        else:
            if size > MAX_MESSAGE:
                gathered.pop()
            gathered.append(line)
            size += len(line.data)
        is_after_blank = not line.data.strip()
    yield from _rows(gathered)


def post_from(message: bytes, *, line: int = 0, offset: int = 0) -> ParsedPost | None:
    """Return what the author of a message wrote, None for a message that no person wrote.

    Raises ValueError with the reason when it cannot be read or says nothing.
    """
    try:
        parsed = email.message_from_bytes(message)
    except RecursionError as error:
        raise ValueError("its parts are nested too deep") from error
    except (MessageError, LookupError) as error:
        raise ValueError(f"no message: {error}") from error
    if _is_automatic(parsed):
        return None
    body, cut = text.cut(written(_body(parsed)))
    title = text.clean_line(_header(parsed, "subject"))
    if not body and not title:
        raise ValueError("the message has no text")
    name, address = _sender(parsed)
    return ParsedPost(
        native_id=bounded_id(_message_id(parsed, "message-id")),
        text=body,
        title=title,
        author=text.clean_line(address),
        author_name=text.clean_line(name),
        channel=Channel.MAIL,
        created_at=_date(parsed),
        in_reply_to=bounded_id(_parent(parsed)),
        truncated=cut,
        line=line,
        offset=offset,
    )


def written(body: str) -> str:
    """Return the part of a plain mail's text that its author newly wrote."""
    kept: list[str] = []
    rows = body[:_MAX_WRITTEN].split("\n")
    number = 0
    while number < len(rows):
        row, following = rows[number], "".join(rows[number + 1 : number + 2])
        if _SIGNATURE.fullmatch(row) or _DIVIDER.fullmatch(row):
            break
        if _HEADING.match(row) and _HEADING_GOES_ON.match(following):
            break
        introduction = _introduction(row, following)
        number += introduction or 1
        if introduction and not any(_is_said(it) for it in rows[number:]):
            break
        if not introduction and not _QUOTED.match(row):
            kept.append(row)
    said = text.clean("\n".join(kept))
    return said or text.clean(body)


def _is_said(row: str) -> bool:
    return bool(row.strip()) and not _QUOTED.match(row)


def _introduction(row: str, following: str) -> int:
    """How many lines "On Monday Kim wrote:" takes here: mail programs break it into two."""
    if max(len(row), len(following)) > _MAX_ROW:
        return 0
    if _ATTRIBUTION.fullmatch(row):
        return 1
    begins = following.strip() and _ATTRIBUTION_BEGINS.match(row)
    return 2 if begins and _ATTRIBUTION.fullmatch(f"{row} {following}") else 0


def _rows(gathered: Sequence[Line]) -> Iterator[Row]:
    begin = 1 if gathered and _is_from(gathered[0].data) else 0
    message = b"".join(line.data for line in gathered[begin:])
    if not message.strip():
        return
    first = gathered[0]
    try:
        post = post_from(message, line=first.number, offset=first.start)
    except ValueError as error:
        yield BadRow(first.number, str(error), message[:MAX_ORIGINAL])
    else:
        if post is not None:
            yield post


def _is_automatic(message: "Message[str, str]") -> bool:
    said = str(message.get("auto-submitted", "no")).partition(";")[0].strip().lower()
    return said not in ("", "no") or message.get_content_type() == "multipart/report"


def _body(message: "Message[str, str]") -> str:
    """Return the text of the first part that has some, plain rather than HTML."""
    markup = ""
    for number, part in enumerate(message.walk()):
        if number >= _MAX_PARTS:
            break
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and (plain := _decoded(part)).strip():
            return text.clean(plain)
        if kind == "text/html" and not markup:
            markup = text.from_html(_decoded(part))
    return markup


def _decoded(part: "Message[str, str]") -> str:
    payload = cast("bytes | None", part.get_payload(decode=True)) or b""
    return encodings.decode(payload[:_MAX_BODY], part.get_content_charset() or "")


def _header(message: "Message[str, str]", name: str) -> str:
    """Return a header as people read it (RFC 2047)."""
    raw = str(message.get(name, ""))[:_MAX_HEADER]
    try:
        pieces = decode_header(raw)
    except (HeaderParseError, ValueError):
        return raw
    return "".join(
        piece if isinstance(piece, str) else encodings.decode(piece, charset or "")
        for piece, charset in pieces
    )


def _sender(message: "Message[str, str]") -> tuple[str, str]:
    try:
        found = getaddresses([_header(message, "from").replace("\n", " ")])
    except RecursionError:  # it reads a comment within a comment by calling itself
        return "", ""
    return next(((name, address.lower()) for name, address in found if address), ("", ""))


def _message_id(message: "Message[str, str]", name: str) -> str:
    found = _ID.findall(str(message.get(name, ""))[:_MAX_HEADER])
    return found[-1].strip("<>") if found else ""


def _parent(message: "Message[str, str]") -> str:
    return _message_id(message, "in-reply-to") or _message_id(message, "references")


def _date(message: "Message[str, str]") -> datetime | None:
    try:
        return dates.parse(str(message["date"]))
    except dates.UnreadableDate:
        return None
