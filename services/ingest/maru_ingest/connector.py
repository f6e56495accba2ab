"""What a connector is: settings, and pages of posts with a cursor to go on from.

A new platform is one new file in `connectors/` that defines `CONNECTOR`, a `ConnectorKind`;
`tests/architecture/test_plugins.py` runs over every one of them.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from maru_contracts.posts import Channel
from maru_ingest.formats.parsed import Row
from maru_kit.errors import MaruError, Unavailable
from maru_kit.outbound import Outbound

Cursor = Mapping[str, Any]  # JSON: what a connector needs to go on; {} is the beginning


class SourceBroken(MaruError):
    """The source answers, and what it says is of no use; the text says why, for people."""


class SourceBusy(Unavailable):
    """The source does not answer now, or asks to be left alone for `retry_after` seconds."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some posts, oldest first, and the cursor to save once the log has acknowledged them.

    `next_due` is how long the source asks to be left alone after its last page. `deleted` are the
    native ids of posts that it says are gone; one that is among the rows, too, is gone.
    """

    rows: Sequence[Row]
    cursor: Cursor
    next_due: timedelta | None = None
    deleted: Sequence[str] = ()


class SourceSettings(BaseModel):
    """What every kind's settings inherit; secrets are SecretStr fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Tools:
    """What connectors may use of the world.

    `files_root` is the folder below which files may be read, None when none may; `max_bytes`
    bounds what may be fetched at once (decoded).
    """

    outbound: Outbound
    files_root: Path | None = None
    max_bytes: int = 5 * 1024 * 1024

    def file(self, path: str) -> Path:
        """Return the real path of a file that may be read.

        Raises SourceBroken when it does not lie below `files_root`, links followed.
        """
        if self.files_root is None:
            raise SourceBroken("Files may not be read: MARU_INGEST_FILES_ROOT is not set.")
        home = self.files_root.resolve()
        real = (home / path).resolve()
        if not real.is_relative_to(home):
            raise SourceBroken("The file is outside the folder that files may be read from.")
        return real


class Connector(Protocol):
    """Follows one source."""

    def pages(self, cursor: Cursor) -> AsyncGenerator[Page, None]:
        """Yield what is new since `cursor`, page by page, and end.

        Raises SourceBusy or SourceBroken; whatever was yielded before stands. The same cursor
        gives the same posts again as long as the source still serves them.
        """


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """A platform: how to set a source up, and how to follow it.

    `open` is None for a kind whose posts are pushed to us. `interval` is how often a source is
    polled unless its settings say otherwise. `channel` is the medium unless the source says. The
    pages of a `stream` never end, so it takes no polling slot.
    """

    kind: str
    summary: str
    settings: type[SourceSettings]
    channel: Channel
    open: Callable[[SourceSettings, Tools], Connector] | None
    interval: Callable[[SourceSettings], timedelta] = lambda _: timedelta(minutes=15)
    stream: bool = False
