"""Server-Sent Events: lines to events, by the rules of the standard.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from dataclasses import dataclass

from maru_kit.outbound.errors import TooLarge

MAX_EVENT = 1024 * 1024
"""The most characters of data that one event may have."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its kind, its data, and where to go on after it.

    `id` is the last one that the stream has given, for the header Last-Event-ID; `retry` the
    milliseconds after which it wants us to come back, None as long as it has not said.
    """

    event: str
    data: str
    id: str
    retry: int | None


class Reader:
    """Reads one stream. Lines come without their ends, as `Lines` gives them."""

    def __init__(self, last_event_id: str = "") -> None:
        self._id = last_event_id
        self._retry: int | None = None
        self._kind = ""
        self._data: list[str] = []
        self._size = 0
        self._first = True

    def read(self, line: bytes) -> Event | None:
        """Take the next line; return the event that it completes. Raises TooLarge."""
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._complete()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._take(name, value.removeprefix(" "))
        return None

    def _take(self, name: str, value: str) -> None:
        if name == "data":
            self._size += len(value) + 1
            if self._size > MAX_EVENT:
                raise TooLarge(f"An event is larger than {MAX_EVENT:,} characters")
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = int(value[:15])

    def _complete(self) -> Event | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._size = "", [], 0
        return Event(kind, "\n".join(data), self._id, self._retry) if data else None
