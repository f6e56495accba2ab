"""Posts that have another's words, and the prints by which such posts are found."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.posts import Post
from maru_ideas.domain.tally import Place, Spread
from maru_ideas.domain.wordings import MONTHS_KEPT, WINDOW, Wording
from maru_ideas.tables import copies, horizons, posts, prints
from maru_kit.database import Database

Value = TypeVar("Value")
_AT_ONCE = 5_000
"""Values in one statement: both databases take 32,766 and no more."""


@dataclass(frozen=True)
class Copy:
    """That a post has the words of another, and which post carries the voice."""

    post: UUID
    words_of: UUID
    original: UUID


async def found(
    connection: AsyncConnection, shelf: int, keys: Collection[int]
) -> dict[int, dict[UUID, int]]:
    """The posts of a product that these prints lead to, and when each was written."""
    leading: defaultdict[int, dict[UUID, int]] = defaultdict(dict)
    for some in _some(sorted(keys)):
        query = select(prints.c.print, prints.c.post_id, prints.c.at).where(
            prints.c.shelf == shelf, prints.c.print.in_(some)
        )
        for key, post, at in await connection.execute(query):
            leading[key][post] = at
    return leading


async def month(connection: AsyncConnection, shelf: int) -> int:
    """When the newest text of a product was written; 0 if there is none."""
    query = select(horizons.c.month).where(horizons.c.shelf == shelf)
    return (await connection.execute(query)).scalar() or 0


async def remember(
    connection: AsyncConnection,
    database: Database,
    shelf: int,
    keys: Mapping[Wording, Collection[int]],
    *,
    newest: int,
) -> None:
    """Let posts be found by prints; those too old by `newest`, if any, are forgotten."""
    rows = [
        {"shelf": shelf, "print": key, "post_id": wording.post, "at": wording.at}
        for wording, its in keys.items()
        for key in sorted(its)
    ]
    if rows:
        await connection.execute(database.insert(prints).on_conflict_do_nothing(), rows)
    if newest and newest > await month(connection, shelf):
        new = database.insert(horizons).values(shelf=shelf, month=newest)
        await connection.execute(
            new.on_conflict_do_update(index_elements=[horizons.c.shelf], set_={"month": newest})
        )
        last = (newest - MONTHS_KEPT) * WINDOW
        await connection.execute(delete(prints).where(prints.c.shelf == shelf, prints.c.at < last))


async def forget(connection: AsyncConnection, wording: Wording) -> None:
    """Let a post no longer be found."""
    if keys := wording.prints():
        await connection.execute(
            delete(prints).where(
                prints.c.shelf == wording.shelf,
                prints.c.print.in_(keys),
                prints.c.post_id == wording.post,
            )
        )


async def wordings(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Wording]:
    """The words of posts, as they are compared."""
    told = {}
    for some in _some(sorted(ids)):
        rows = await connection.execute(
            select(posts.c.id, posts.c.body).where(posts.c.id.in_(some))
        )
        for post, body in rows:
            told[post] = Wording.of(Post.model_validate(orjson.loads(body)["post"]))
    return told


async def of(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Copy]:
    """Which of the posts have another's words."""
    return await _copies(connection, (copies.c.post_id.in_(some) for some in _some(sorted(ids))))


async def carried_by(connection: AsyncConnection, original: UUID) -> dict[UUID, Copy]:
    """All posts whose voice this one carries."""
    return await _copies(connection, [copies.c.original == original])


async def add(connection: AsyncConnection, new: Iterable[tuple[Copy, bool]]) -> None:
    """Note that posts have another's words, and whether they are reposts."""
    rows = [
        {
            "post_id": copy.post,
            "words_of": copy.words_of,
            "original": copy.original,
            "is_repost": is_repost,
        }
        for copy, is_repost in new
    ]
    await connection.execute(insert(copies), rows)


async def remove(connection: AsyncConnection, post: UUID) -> None:
    """Note that a post has words of its own, or is gone."""
    await connection.execute(delete(copies).where(copies.c.post_id == post))


async def hand_over(connection: AsyncConnection, ids: Collection[UUID], original: UUID) -> None:
    """Let another post carry the voice of copies."""
    for some in _some(sorted(ids)):
        change = update(copies).where(copies.c.post_id.in_(some)).values(original=original)
        await connection.execute(change)


async def rewrite(connection: AsyncConnection, post: UUID, words_of: UUID) -> None:
    """Note that a copy has the words of another post than before."""
    change = update(copies).where(copies.c.post_id == post).values(words_of=words_of)
    await connection.execute(change)


async def spread(connection: AsyncConnection, ids: Collection[UUID]) -> Spread:
    """Where copies were heard, and how often."""
    counts: defaultdict[Place, int] = defaultdict(int)
    for some in _some(sorted(ids)):
        query = (
            select(posts.c.channel, posts.c.source_id, copies.c.is_repost, func.count())
            .join(posts, posts.c.id == copies.c.post_id)
            .where(copies.c.post_id.in_(some))
            .group_by(posts.c.channel, posts.c.source_id, copies.c.is_repost)
        )
        for channel, source, is_repost, times in await connection.execute(query):
            counts[Place(channel, source, is_repost)] += times
    return counts


async def _copies(
    connection: AsyncConnection, wanted: Iterable[ColumnElement[bool]]
) -> dict[UUID, Copy]:
    columns = (copies.c.post_id, copies.c.words_of, copies.c.original)
    return {
        row.post_id: Copy(row.post_id, row.words_of, row.original)
        for condition in wanted
        for row in await connection.execute(select(*columns).where(condition))
    }


def _some(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
