"""What every format yields: a post in the words of no platform, its end, or a row that is none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from maru_contracts.posts import Channel
from maru_kit.errors import MaruError

MAX_ORIGINAL = 64 * 1024
"""Bytes of a bad row that are kept for the dead letters."""


class Unreadable(MaruError):
    """A whole document is not what it claims to be; the text says why."""


@dataclass(slots=True)
class Attachment:
    """A picture, sound or film that came with a post."""

    kind: str
    url: str
    alt: str = ""
    transcript: str = ""


@dataclass(slots=True, frozen=True)
class Rating:
    """What a review gives what it is about: `value` of at most `best`."""

    value: float
    best: float


@dataclass(slots=True)
class ParsedPost:
    """A post as its source states it: clean text, absolute links, times in UTC.

    `native_id` is empty where the source names none; `line` and `offset` say where a row began
    (0 in a feed). A feed's post may have no words at all. `edited_at` is the source's own time
    of the last edit. `is_row` says that a row of somebody's own gave the id, which may be a name
    within that source only.
    """

    native_id: str
    text: str
    title: str = ""
    url: str = ""
    author: str = ""
    author_name: str = ""
    followers: int | None = None
    lang: str = ""
    channel: Channel | None = None
    created_at: datetime | None = None
    edited_at: datetime | None = None
    in_reply_to: str = ""
    reshared_from: str = ""
    media: tuple[Attachment, ...] = ()
    metrics: dict[str, int] = field(default_factory=dict)
    rating: Rating | None = None
    truncated: bool = False
    is_row: bool = False
    line: int = 0
    offset: int = 0


@dataclass(slots=True, frozen=True)
class BadRow:
    """A row that can't become a post: its line (from 1), the reason and its first bytes."""

    line: int
    reason: str
    original: bytes = b""


@dataclass(slots=True, frozen=True)
class Deletion:
    """A row that says of posts, by their native ids, that they are gone."""

    native_ids: tuple[str, ...]
    line: int = 0
    offset: int = 0


@dataclass(slots=True, frozen=True)
class Article:
    """What a web page says. `url` is the address that it gives itself, empty where it gives none.

    `text` is empty where none was found, and for an article of which only payers see the whole.
    """

    text: str
    url: str = ""


Row = ParsedPost | BadRow | Deletion


@dataclass(slots=True, frozen=True)
class Document:
    """A feed or answer as a whole.

    Its rows, how long it asks to be left alone, ids it misuses, and native ids of posts that it
    says are gone. `hubs` tell subscribers of changes (WebSub), who name it by the address `topic`
    that it gives itself; both are often empty.
    """

    rows: Sequence[Row]
    ttl: timedelta | None = None
    untrusted_ids: frozenset[str] = frozenset()
    deleted: tuple[str, ...] = ()
    hubs: tuple[str, ...] = ()
    topic: str = ""
