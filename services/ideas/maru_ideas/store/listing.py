"""What the API reads of ideas: stored JSON, one indexed statement a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    RowMapping,
    Select,
    bindparam,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ideas.domain.search import wanted
from maru_ideas.tables import copies, evidence, ideas, posts, shelves

Sort = Literal["score", "newest", "voices", "last_seen"]
_COLUMNS: dict[Sort, str] = {
    "score": "score",
    "newest": "first_seen",
    "voices": "voices",
    "last_seen": "last_seen",
}


@dataclass(frozen=True)
class IdeaFilter:
    """Which ideas are asked for; None means any. `public` asks for the public face alone."""

    public: bool = False
    status: str | None = None
    product: str | None = None
    topic: str | None = None
    language: str | None = None
    channel: str | None = None
    q: str | None = None


async def page(
    connection: AsyncConnection,
    workspace: str,
    asked: IdeaFilter,
    sort: Sort,
    *,
    after: tuple[float, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Up to `limit` ideas with `id`, `wire`, `rank` (what they are sorted by) and `total`."""
    last, idea = after or (None, None)
    values = {"workspace": workspace, "last": last, "idea": idea, "limit": limit}
    query = _page(asked, sort, first=after is None)
    rows: Sequence[RowMapping] = (await connection.execute(query, values)).mappings().all()
    return rows


@lru_cache(maxsize=256)
def _page(asked: IdeaFilter, sort: Sort, *, first: bool) -> Select[Any]:
    """The statement, kept: to build it anew takes longer than to run it."""
    face = "public_" if asked.public else ""
    rank = ideas.c[face + _COLUMNS[sort]]
    query: Select[Any] = select(
        ideas.c.id,
        ideas.c[f"{face}wire"].label("wire"),
        rank.label("rank"),
        _total(asked).label("total"),
    ).where(*_conditions(asked))
    if not first:
        last, idea = bindparam("last", type_=rank.type), bindparam("idea", type_=ideas.c.id.type)
        query = query.where(rank <= last, or_(rank < last, ideas.c.id < idea))
    return query.order_by(rank.desc(), ideas.c.id.desc()).limit(bindparam("limit", type_=Integer()))


async def find(
    connection: AsyncConnection, workspace: str, idea: UUID, *, public: bool
) -> str | None:
    """One idea as JSON."""
    wire = ideas.c.public_wire if public else ideas.c.wire
    query = select(wire).where(ideas.c.workspace == workspace, ideas.c.id == idea)
    if public:
        query = query.where(ideas.c.is_public)
    return (await connection.execute(query)).scalar()


async def copies_page(
    connection: AsyncConnection,
    workspace: str,
    idea: UUID,
    *,
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Up to `limit` copies and reposts of an idea's posts, the newest first, with `original`."""
    query = (
        select(copies.c.post_id, posts.c.created_at, posts.c.body, copies.c.original)
        .join(evidence, evidence.c.post_id == copies.c.original)
        .join(posts, posts.c.id == copies.c.post_id)
        .where(evidence.c.idea_id == idea, posts.c.workspace == workspace)
    )
    if after is not None:
        last, post = after
        moment = posts.c.created_at
        query = query.where(moment <= last, or_(moment < last, copies.c.post_id < post))
    query = query.order_by(posts.c.created_at.desc(), copies.c.post_id.desc()).limit(limit)
    rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
    return rows


async def evidence_page(
    connection: AsyncConnection,
    workspace: str,
    idea: UUID,
    *,
    public: bool,
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Up to `limit` posts behind an idea, the newest first, with `similarity` and `body`."""
    query = (
        select(evidence.c.post_id, evidence.c.created_at, evidence.c.similarity, posts.c.body)
        .join(posts, posts.c.id == evidence.c.post_id)
        .where(evidence.c.idea_id == idea, posts.c.workspace == workspace)
    )
    if public:
        query = query.where(evidence.c.is_public)
    if after is not None:
        last, post = after
        moment = evidence.c.created_at
        query = query.where(moment <= last, or_(moment < last, evidence.c.post_id < post))
    query = query.order_by(evidence.c.created_at.desc(), evidence.c.post_id.desc()).limit(limit)
    return (await connection.execute(query)).mappings().all()


def _conditions(asked: IdeaFilter) -> list[ColumnElement[bool]]:
    conditions = [ideas.c.workspace == bindparam("workspace"), ideas.c.voices > 0]
    if asked.public:
        conditions.append(ideas.c.is_public)
    if asked.status is not None:
        conditions.append(ideas.c.status == asked.status)
    if asked.product is not None:
        conditions.append(ideas.c.product == asked.product)
    labels = ideas.c.public_labels if asked.public else ideas.c.labels
    for kind, value in (("c", asked.channel), ("l", asked.language), ("t", asked.topic)):
        if value is not None:
            conditions.append(labels.contains(f"|{kind}:{value}|", autoescape=True))
    words = wanted(asked.q or "")
    return conditions + [ideas.c.search.contains(word, autoescape=True) for word in words]


def _total(asked: IdeaFilter) -> Any:  # a scalar subquery of either table
    counted = {"status", "topic", "language", "channel", "q"}
    if any(getattr(asked, name) is not None for name in counted):
        query = select(func.count()).select_from(ideas)
        return query.where(*_conditions(asked)).scalar_subquery()
    number = shelves.c.public_ideas if asked.public else shelves.c.ideas
    query = select(func.coalesce(func.sum(number), 0)).where(
        shelves.c.workspace == bindparam("workspace")
    )
    if asked.product is not None:
        query = query.where(shelves.c.product == asked.product)
    return query.scalar_subquery()
