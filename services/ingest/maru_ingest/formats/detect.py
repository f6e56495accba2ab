"""Tells the format of a document or file by its first bytes, its name and its declared type."""

import re
from typing import Literal

import orjson

from maru_ingest.formats import encodings, mail, payloads, transcripts, xlsx
from maru_ingest.formats.parsed import Unreadable

Format = Literal[
    "feed", "json_feed", "answer", "ndjson", "csv", "mail", "xlsx", "subtitles", "transcript"
]
WHOLE: tuple[Format, ...] = ("feed", "json_feed", "answer")
"""Formats whose files are read as a whole: feeds, and answers of platforms' APIs."""
RECORDS: tuple[Format, ...] = ("mail", "xlsx", "subtitles", "transcript")
"""Formats whose files are read piece by piece, and from the beginning whenever they changed."""
WHOLE_JSON: tuple[Format, ...] = ("json_feed", "answer")
HEAD = 64 * 1024
"""Bytes from the beginning that are enough to tell."""

_JSON_LINES = (".ndjson", ".jsonl")
_JSON = (".json",)
_MAIL = (".eml",)
_COLUMNS = (".csv", ".tsv")
_SUBTITLES = (".srt", ".vtt")
_TRANSCRIPT = (".txt",)
_FEED_ROOT = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|rdf|channel|entry)[\s/>]", re.IGNORECASE)
_JSON_FEED = re.compile(r'"version"\s*:\s*"https?://(?:www\.)?jsonfeed\.org')
_ITEMS = re.compile(r'"items"\s*:\s*\[')


def detect(head: bytes, *, name: str = "") -> Format:
    """Return the format; `head` are up to HEAD first bytes, `name` a file name or URL.

    Raises Unreadable when it is none of ours, and says what it looks like.
    """
    if xlsx.is_workbook(head):
        return "xlsx"
    if mail.is_mail(head, named=name.lower().endswith(_MAIL)):
        return "mail"
    encoding, length = encodings.marked(head)
    encoding = encoding or encodings.guess(head, whole=False)
    start = head[length:].decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if start.startswith("<"):
        return _markup(start)
    if "\x00" in start:
        raise Unreadable("a binary file, not text")
    return _text(start, name.lower(), cut=len(head) >= HEAD)


def _text(start: str, name: str, *, cut: bool) -> Format:
    if not start:
        raise Unreadable("empty")
    if transcripts.is_subtitles(start) or name.endswith(_SUBTITLES):
        return "subtitles"
    if name.endswith(_COLUMNS):
        return "csv"
    if start.startswith(("{", "[")) or name.endswith(_JSON_LINES):
        return _json(start, name, cut=cut)
    if name.endswith(_JSON):
        return "answer"  # a single value, which is then said
    return "transcript" if name.endswith(_TRANSCRIPT) else _rows(start)


def _markup(start: str) -> Format:
    if _FEED_ROOT.search(start):
        return "feed"
    kind = "an HTML page" if re.search(r"<(?:!doctype\s+)?html", start, re.IGNORECASE) else "XML"
    raise Unreadable(f"not a feed: {kind} without rss, rdf or feed at its root")


def _json(start: str, name: str, *, cut: bool) -> Format:
    """Tell rows from a whole; `cut` says that there is more than the start."""
    first, broken, rest = start.partition("\n")
    if name.endswith(_JSON_LINES) or (_is_object(first) and rest.strip()):
        return "ndjson"
    if _JSON_FEED.search(start):
        return "json_feed"
    if start.startswith("[") or _ITEMS.search(start):
        return "answer"
    if _is_object(first):
        return "answer" if payloads.is_answer(first) else "ndjson"
    if not broken:  # a line that is being written, or one too long to see its end
        return "answer" if cut and (not name or name.endswith(_JSON)) else "ndjson"
    return "ndjson" if _is_object(rest.partition("\n")[0]) else "answer"


def _rows(start: str) -> Format:
    first = start.partition("\n")[0]
    if any(delimiter in first for delimiter in ",;\t|") or first.strip().isidentifier():
        return "csv"
    if "{" in start:
        return "ndjson"
    raise Unreadable("neither a feed nor JSON Lines, CSV, mail or subtitles")


def _is_object(line: str) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return False
