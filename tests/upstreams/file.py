"""A file that grows: JSON Lines in a folder of their own."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from upstreams.upstream import Upstream, Written


class FileUpstream(Upstream):
    """Somebody's program that appends a row for each post, and another one for each change."""

    misbehaves = frozenset()
    edits = True

    def settings(self) -> dict[str, Any]:
        return {"path": "posts.ndjson", "interval_seconds": 0.1}

    def routes(self) -> Iterable[web.RouteDef]:
        return []

    def name(self, number: int) -> str:
        return f"row-{number}"

    def write(self, text: str, *, at: datetime | None = None, parent: str = "") -> Written:
        return self._appended(super().write(text, at=at, parent=parent))

    def edit(self, written: Written, text: str) -> None:
        super().edit(written, text)
        self._appended(written)

    def _appended(self, written: Written) -> Written:
        row = {
            "id": written.native_id,
            "text": written.text,
            "created_at": written.at.isoformat(),
            "in_reply_to": written.parent,
        }
        with (self.folder / "posts.ndjson").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return written

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        with tempfile.TemporaryDirectory() as folder:
            self.folder = Path(folder)
            (self.folder / "posts.ndjson").touch()
            yield self


UPSTREAM = FileUpstream
