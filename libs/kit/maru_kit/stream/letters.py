"""Dead letters: what a group could not process, as it came, with the reason."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from traceback import extract_tb

from maru_contracts.topics import dead_letters
from maru_kit.bus import Outgoing, Record
from maru_kit.errors import Rejected
from maru_kit.stream.messages import Unreadable

HEADERS = frozenset({"reason", "error", "topic", "partition", "offset", "at"})
"""What a dead letter's headers have beside the original's own."""


@dataclass(frozen=True)
class DeadTopic:
    """The topic of the dead letters of `group` from `topic`.

    It holds text as the posts do, and no longer than they.
    """

    topic: str
    group: str
    partitions: int = 1
    retention: timedelta | None = timedelta(days=7)
    compacted: bool = False

    @property
    def name(self) -> str:
        """Its name in the log."""
        return dead_letters(self.topic, self.group)


def letter(record: Record, error: Exception) -> Outgoing:
    """The dead letter for a record that ended with `error`."""
    headers = {
        "reason": reason(error),
        "error": detail(error),
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "at": record.timestamp.isoformat(),
    }
    added = tuple((name, text.encode()) for name, text in headers.items())
    return Outgoing(record.key, record.value, original_headers(record) + added)


def original_headers(record: Record) -> tuple[tuple[str, bytes], ...]:
    """The headers that a record had before it became a dead letter."""
    return tuple((name, value) for name, value in record.headers if name not in HEADERS)


def reason(error: Exception) -> str:
    """One of schema, unreadable, rejected, failed."""
    if isinstance(error, Unreadable):
        return error.reason
    return "rejected" if isinstance(error, Rejected) else "failed"


def detail(error: Exception) -> str:
    """What happened and where. Only our own errors are quoted: others may quote the message."""
    if isinstance(error, Unreadable | Rejected):
        return str(error)
    frames = extract_tb(error.__traceback__)[-3:]
    places = [f"{'/'.join(PurePath(f.filename).parts[-2:])}:{f.lineno} {f.name}" for f in frames]
    return f"{type(error).__qualname__} at {' > '.join(places)}"
