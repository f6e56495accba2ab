"""What fuzzing has found: the smallest input of each fault, so that it does not come back."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A fault of `target` that was mended: what was wrong, and the input that showed it."""

    target: str
    what: str
    data: bytes


FOUND: Sequence[Found] = (
    Found(
        "message of the log",
        "a time before the year 1 in UTC (`0001-01-01T00:00:00+14:00`) was no refusal but a crash",
        b'{"workspace": "w", "name": "n", "removed": true, "at": "0001-01-01T00:00:00+14:00"}',
    ),
    Found(
        "link",
        "a link with a lone surrogate in its query could not be compared",
        b"/a?\xf3=xy",
    ),
    Found(
        "encoding",
        "a declared encoding with a zero byte in its name ended the guess",
        b"a\x00b\n1",
    ),
    Found(
        "OPML",
        "an element of RDF within an outline was no refusal but a crash",
        b"<outline><rdf:RDF>",
    ),
    Found(
        "webhook of Meta's",
        "a message that is taken back, by an id with a lone surrogate, could not be published",
        b"""

{"object": "instagram", "entry": [{"id": "1", "messaging": [{"sender": {"id": "2"}, "message":
{"mid": "\\ud800", "is_deleted": true}}]}]}""",
    ),
    Found(
        "feeds of a page",
        "a page with `<![` and no name behind it ended the search for its feeds",
        b"<![]>",
    ),
    Found(
        "feeds of a page",
        "a page with `<![` and a name that is no keyword ended the search for its feeds",
        b"<![a [",
    ),
    Found(
        "headers of limits",
        "a Date header with a year of thirteen digits ended the poll of a Graph API",
        b"date: Wed, 25 Nov 2222222222026 08:00:00 GMT",
    ),
    Found(
        "link",
        "a base address with a space in it made links that no client follows",
        b"a\nhttps://a b/",
    ),
    Found(
        "feed, forgiven",
        "each declared entity was looked for in all of the document: 4 s for 300 KB",
        b"<rss>" + b"<!ENTITY a 'b'>" * 20_000 + b"</rss>",
    ),
    Found(
        "mail",
        "a long line that begins with `From` was looked through for its date again and again: 2 s "
        "for 16 KB, and detecting a file's format does that, too",
        b"From " + b"a" * 60_000,
    ),
    Found(
        "HTML to text",
        "letters that a control character kept apart were left uncomposed when it was gone",
        "<p>\u1100\x00\u1161".encode(),
    ),
    Found(
        "GitHub's discussions",
        "a place in a list with a lone surrogate could not be asked for",
        b"""

{"data": {"repository": {"discussions": {"pageInfo": {"hasNextPage": true, "endCursor":
"\\ud800"}}}}}""",
    ),
    Found(
        "mail",
        "a sender with a thousand comments within each other was no bad row but a crash",
        b"From: " + b"(" * 3_000 + b"\nSubject: a\n\nb\n",
    ),
)
