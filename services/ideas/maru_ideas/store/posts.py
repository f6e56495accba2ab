"""Posts as they were tagged: the newest revision of each."""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, Select, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.tags import TaggedPost
from maru_ideas.domain.arrivals import Version, models_of
from maru_ideas.domain.corrections import KeptPost
from maru_ideas.domain.ideas import is_spam
from maru_ideas.domain.search import squeezed, wanted
from maru_ideas.domain.times import micros
from maru_ideas.tables import posts

Row = dict[str, Any]  # a table's row as a parameter set: its values have many types


@dataclass(frozen=True)
class PostFilter:
    """Which posts are asked for; None means any."""

    source_id: str | None = None
    language: str | None = None
    sentiment: str | None = None
    intent: str | None = None
    topic: str | None = None
    spam: bool | None = None
    q: str | None = None
    corrected: bool | None = None


async def known(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Version]:
    """Which of the posts are stored, and as what."""
    query = select(posts.c.id, posts.c.revision, posts.c.models).where(posts.c.id.in_(ids))
    rows = await connection.execute(query)
    return {row.id: (row.revision, row.models) for row in rows}


async def stored(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, KeptPost]:
    """The posts as they were stored, locked until the transaction ends."""
    if not ids:
        return {}
    query = select(posts.c.id, posts.c.body, posts.c.embedding).where(posts.c.id.in_(ids))
    rows = await connection.execute(query.order_by(posts.c.id).with_for_update())
    return {row.id: kept(row.body, row.embedding) for row in rows}


async def corrections(connection: AsyncConnection, workspace: str) -> int:
    """How many posts of the workspace have tags that a person corrected."""
    query = select(func.count()).where(
        posts.c.workspace == workspace, posts.c.corrected_at.is_not(None)
    )
    return int((await connection.execute(query)).scalar_one())


async def add(connection: AsyncConnection, arrived: Sequence[TaggedPost]) -> None:
    """Store new posts; raises IntegrityError when one is there already."""
    if arrived:
        await connection.execute(insert(posts), [_row(tagged) for tagged in arrived])


async def replace(connection: AsyncConnection, arrived: Sequence[TaggedPost]) -> None:
    """Store newer revisions or newer tags of posts that are there."""
    if not arrived:
        return
    columns = [column.name for column in posts.columns if column.name != "id"]
    change = (
        update(posts)
        .where(posts.c.id == bindparam("post"))
        .values({name: bindparam(f"new_{name}") for name in columns})
    )
    rows = []
    for tagged in arrived:
        row = _row(tagged)
        rows.append({"post": row.pop("id"), **{f"new_{name}": row[name] for name in columns}})
    await connection.execute(change, rows)


async def find(connection: AsyncConnection, workspace: str, post: UUID) -> str | None:
    """One post as JSON."""
    query = select(posts.c.body).where(posts.c.workspace == workspace, posts.c.id == post)
    return (await connection.execute(query)).scalar()


async def newest(
    connection: AsyncConnection,
    workspace: str,
    asked: PostFilter,
    *,
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Up to `limit` posts with `id`, `created_at` and `body`, the newest first."""
    query: Select[Any] = select(posts.c.id, posts.c.created_at, posts.c.body)
    query = _filtered(query, asked).where(posts.c.workspace == workspace)
    if after is not None:
        last, post = after
        moment = posts.c.created_at
        query = query.where(moment <= last, or_(moment < last, posts.c.id < post))
    query = query.order_by(posts.c.created_at.desc(), posts.c.id.desc()).limit(limit)
    rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
    return rows


def _filtered(query: Select[Any], asked: PostFilter) -> Select[Any]:
    equal: Mapping[str, str | None] = {
        "source_id": asked.source_id,
        "language": asked.language,
        "sentiment": asked.sentiment,
        "intent": asked.intent,
    }
    for name, value in equal.items():
        if value is not None:
            query = query.where(posts.c[name] == value)
    if asked.spam is not None:
        query = query.where(posts.c.is_spam.is_(asked.spam))
    if asked.corrected is not None:
        there = posts.c.corrected_at.is_not(None)
        query = query.where(there if asked.corrected else ~there)
    if asked.topic is not None:
        query = query.where(posts.c.labels.contains(f"|{asked.topic}|", autoescape=True))
    for word in wanted(asked.q or ""):
        query = query.where(posts.c.search.contains(word, autoescape=True))
    return query


def _row(tagged: TaggedPost) -> Row:
    post = tagged.post
    topics = [topic.name for topic in tagged.topics]
    return {
        "id": post.id,
        "revision": post.revision,
        "workspace": post.workspace,
        "product": post.product,
        "source_id": post.source_id,
        "channel": post.channel.value,
        "language": tagged.language,
        "sentiment": tagged.sentiment.label,
        "intent": tagged.intent.label,
        "created_at": micros(post.created_at),
        "is_spam": is_spam(tagged),
        "models": models_of(tagged),
        "labels": f"|{'|'.join(topics)}|",
        "corrected_at": _corrected_at(tagged),
        "search": squeezed(f"{post.title} {post.text}"),
        "body": tagged.model_dump_json(exclude={"embedding"}),
        "embedding": b64decode(tagged.embedding),
    }


def _corrected_at(tagged: TaggedPost) -> int | None:
    if isinstance(tagged, KeptPost) and tagged.correction is not None:
        return micros(tagged.correction.at)
    return None


def kept(body: str, embedding: bytes) -> KeptPost:
    """A post from its row."""
    return KeptPost.model_validate(
        {**orjson.loads(body), "embedding": b64encode(embedding).decode("ascii")}
    )
