"""One door to all formats: a whole document as posts, or a file of any kind row by row."""

import hashlib
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from maru_ingest.formats import (
    csv,
    encodings,
    feed,
    json_feed,
    lines,
    mail,
    ndjson,
    payloads,
    transcripts,
    xlsx,
)
from maru_ingest.formats.detect import HEAD, RECORDS, WHOLE_JSON, Format, detect
from maru_ingest.formats.parsed import Document, Row, Unreadable

MAX_DOCUMENT = 32 * 1024 * 1024
"""Bytes of a local feed file; what comes over the network is bounded much lower."""

_MARKED_BY = 1024
"""Bytes that tell one recording from another, and stay when more is said."""


def parse(
    body: bytes,
    *,
    url: str = "",
    content_type: str = "",
    untrusted: frozenset[str] = frozenset(),
    format: Format | None = None,
) -> Document:
    """Return the posts of an RSS, RDF, Atom or JSON feed or of a platform's answer, oldest first.

    Raises Unreadable with the reason.
    """
    if len(body) > MAX_DOCUMENT:
        raise Unreadable(f"a document of more than {MAX_DOCUMENT // 1024**2} MB")
    match format or detect(body, name=url):
        case "feed":
            return feed.parse(body, url=url, content_type=content_type, untrusted=untrusted)
        case "json_feed" | "answer":
            answer = _answer(body, url)
            if answer is None:
                return json_feed.parse(body, url=url, untrusted=untrusted)
            return payloads.oldest_first(answer)
        case other:
            raise Unreadable(f"not a feed: it looks like {other}")


def read(stream: BinaryIO, *, name: str = "", url: str = "") -> Iterator[Row]:
    """Yield what a file of any format holds, in the order in which it stands there.

    `stream` stands at the beginning, `name` is the file's, relative links hang on `url`. Files of
    rows may have any size. Raises Unreadable with the reason.
    """
    head = stream.read(HEAD)
    format = detect(head, name=name)  # noqa: A001 - the plain name of what it holds
    stream = lines.rejoined(head, stream)
    if format in RECORDS:
        yield from records(stream, format, head)
        return
    if format in ("ndjson", "csv"):
        read = lines.read(lines.in_utf8(stream, head))
        if format == "ndjson":
            yield from ndjson.parse(read)
            return
        next(read, None)
        yield from (row for row, _ in csv.parse(read, csv.dialect(head)))
        return
    body = stream.read(MAX_DOCUMENT + 1)
    whole = len(body) <= MAX_DOCUMENT
    if whole and format in WHOLE_JSON and (answer := _answer(body, url)) is not None:
        yield from answer.rows
        return
    yield from reversed(parse(body, url=url, format=format).rows)


def records(stream: BinaryIO, format: Format, head: bytes) -> Iterator[Row]:
    """Yield what a file of one of the RECORDS holds; `head` are its first bytes.

    `stream` stands at the beginning. Raises Unreadable with the reason.
    """
    if format == "xlsx":
        with TemporaryFile() as whole:  # a workbook is read from its end, a pipe cannot be
            _copy(stream, whole)
            yield from xlsx.parse(whole)
        return
    if format == "mail":
        yield from mail.parse(lines.read(stream))
        return
    rows = _decoded(lines.read(lines.in_utf8(stream, head)), head)
    mark = hashlib.blake2b(head[:_MARKED_BY], digest_size=4).hexdigest()
    read = transcripts.subtitles if format == "subtitles" else transcripts.plain
    yield from read(rows, mark=mark)


def _copy(stream: BinaryIO, whole: IO[bytes]) -> None:
    while piece := stream.read(HEAD):
        if whole.tell() > xlsx.MAX_UNPACKED:
            raise Unreadable(f"a workbook of more than {xlsx.MAX_UNPACKED // 1024**2} MB")
        whole.write(piece)


def _decoded(read: Iterable[lines.Line], head: bytes) -> Iterator[str]:
    marked, _ = encodings.marked(head)
    encoding = marked or encodings.guess(head, whole=False)
    encoding = "utf-8" if encoding.startswith(lines.WIDE) else encoding
    for line in read:
        yield line.data.decode(encoding, "replace").strip("\ufeff\r\n")


def _answer(body: bytes, url: str) -> Document | None:
    """Return the posts of a platform's answer, or of a list of rows, in its own order.

    None for a JSON Feed.
    """
    value = payloads.loads(body)
    if json_feed.is_feed(value):
        return None
    found = payloads.find(value, url=url)
    if found is None:
        found = ndjson.listed(value)
    if found is None and not json_feed.is_like_feed(value):
        raise payloads.unknown(value)
    return found
