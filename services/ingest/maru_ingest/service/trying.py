"""Shows the first posts of a source that is not followed yet; nothing of them is stored."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from maru_ingest import domain
from maru_ingest.connector import Connector, ConnectorKind, SourceBroken, SourceBusy, Tools
from maru_ingest.formats.parsed import BadRow, ParsedPost
from maru_ingest.service.sources import checked_settings, known_kind
from maru_kit.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class Tried:
    """What a source shows at once: its newest posts, newest first, and rows that are none.

    `posts` is how many posts its first pages held in all. `is_waiting` says that a stream was
    still being listened to when time was up.
    """

    newest: Sequence[ParsedPost]
    rejected: Sequence[BadRow]
    posts: int
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Trying:
    """Opens connectors without a source. `seconds` is the longest that one try may take."""

    kinds: Mapping[str, ConnectorKind]
    tools: Tools
    seconds: float = 15.0

    async def try_out(self, name: str, settings: Mapping[str, Any], *, most: int) -> Tried:
        """Return at most `most` posts, and as many bad rows, of what a source would bring first.

        Raises Unprocessable for an unknown kind, settings that do not fit, a kind whose posts are
        pushed, and a source that does not answer in time or as it should, with its reason.
        """
        kind = known_kind(self.kinds, name)
        model = kind.settings.model_validate(checked_settings(kind, settings))
        if kind.open is None:
            named = domain.with_article(name)
            raise Unprocessable(f"The posts of {named} source are sent to Maru: add it, then send.")
        try:
            found = await self._look(kind.open(model, self._tools()), most)
        except (SourceBroken, SourceBusy) as error:
            raise Unprocessable(str(error)) from error
        if not found.is_waiting or kind.stream:
            return found
        if not found.posts and not found.rejected:
            raise Unprocessable(f"The source did not answer within {self.seconds:g} s.")
        return replace(found, is_waiting=False)  # slow, and what it showed stands

    def _tools(self) -> Tools:
        """Let one fetch end before the whole try does: then a stream's says, too, that it hangs."""
        return replace(self.tools, deadline=min(self.tools.deadline, 0.8 * self.seconds))

    async def _look(self, connector: Connector, most: int) -> Tried:
        found: list[ParsedPost] = []
        bad: list[BadRow] = []
        is_waiting = False
        try:
            async with asyncio.timeout(self.seconds), aclosing(connector.pages({})) as pages:
                async for page in pages:
                    for row in page.rows:
                        checked = domain.as_row(row) if isinstance(row, ParsedPost) else row
                        if isinstance(checked, BadRow):
                            bad.append(checked)
                        elif isinstance(checked, ParsedPost):
                            found.append(checked)
                    if len(found) + len(bad) >= most:
                        break
        except TimeoutError:
            is_waiting = True
        return Tried(found[: -most - 1 : -1], bad[:most], len(found), is_waiting)
