"""Posts that are gone: that they are, and that nothing of them is left."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.posts import Post
from maru_ideas.domain.times import micros
from maru_ideas.tables import deletions, posts
from maru_kit.database import Database


async def known(connection: AsyncConnection, ids: Collection[UUID]) -> set[UUID]:
    """Which of these posts are gone."""
    query = select(deletions.c.post_id).where(deletions.c.post_id.in_(ids))
    return set(await connection.scalars(query))


async def remember(connection: AsyncConnection, database: Database, gone: Sequence[Post]) -> None:
    """Note that posts are gone; one that is gone already stays so."""
    rows = [
        {"post_id": post.id, "workspace": post.workspace, "at": micros(post.collected_at)}
        for post in gone
    ]
    await connection.execute(database.insert(deletions).on_conflict_do_nothing(), rows)


async def forget(connection: AsyncConnection, ids: Collection[UUID]) -> None:
    """Delete posts as they were stored."""
    await connection.execute(delete(posts).where(posts.c.id.in_(ids)))
