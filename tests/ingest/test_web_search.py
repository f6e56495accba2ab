"""Following results that have no cursor of their own, whatever comes and goes between two looks."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from maru_ingest import web_search
from maru_ingest.connector import Cursor
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.web_search import Results

_PAGE = 20


@dataclass
class Engine:
    """Shows what is written, newest first."""

    written: list[int] = field(default_factory=list)
    services: Sequence[str] = ("blog",)

    def write(self, many: int) -> None:
        begun = self.written[-1] + 1 if self.written else 0
        self.written += range(begun, begun + many)

    async def results(self, _: str, at: int) -> Results:
        shown = self.written[::-1][(at - 1) * _PAGE : at * _PAGE]
        is_last = at * _PAGE >= len(self.written)
        return Results([ParsedPost(str(it), str(it)) for it in shown], 0 if is_last else at + 1)


async def look(engine: Engine, cursor: Cursor, pages: int) -> tuple[list[int], Cursor]:
    """Look, and be cut off after some pages."""
    brought: list[int] = []
    async with aclosing(web_search.new(engine, cursor)) as following:
        async for page in following:
            brought += [int(row.text) for row in page.rows if isinstance(row, ParsedPost)]
            cursor, pages = page.cursor, pages - 1
            if not pages:
                break
    return brought, cursor


@settings(deadline=None)
@given(
    first=st.integers(0, 50),
    steps=st.lists(
        st.tuples(st.integers(0, 90), st.integers(1, 6), st.booleans()), min_size=1, max_size=8
    ),
)
def test_what_is_written_after_the_first_look_comes_once_in_order_and_nothing_older(
    first: int, steps: list[tuple[int, int, bool]]
) -> None:
    async def follow() -> tuple[list[int], list[int]]:
        engine = Engine()
        engine.write(first)
        shown, cursor = await look(engine, {}, pages=1)
        brought: list[int] = []
        for many, pages, is_one_gone in steps:
            if is_one_gone and shown:
                engine.written = [it for it in engine.written if it != shown[-1]]
            engine.write(many)
            found, cursor = await look(engine, cursor, pages)
            brought += found
        rest, _ = await look(engine, cursor, pages=100)
        return brought + rest, [it for it in engine.written if it >= first]

    brought, wanted = asyncio.run(follow())

    assert brought == wanted
    assert set(Counter(brought).values()) <= {1}
