"""Ideas, the posts behind them, and the people who spoke."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from pydantic import TypeAdapter
from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import Idea
from maru_contracts.posts import Author
from maru_ideas.domain.corrections import KeptPost
from maru_ideas.domain.ideas import Backed
from maru_ideas.domain.matching import Sum
from maru_ideas.domain.search import squeezed
from maru_ideas.domain.tally import Span
from maru_ideas.domain.times import micros, moment
from maru_ideas.store.posts import kept
from maru_ideas.tables import evidence, ideas, posts, shapes, shelves, voices
from maru_kit.database import Database

_STATE = TypeAdapter(Backed)
_SHAPE = np.dtype("<i2")

Shelf = tuple[str, str]
"""Workspace and product: whose ideas are compared with one another."""


@dataclass(frozen=True)
class Shown:
    """An idea with what readers see of it."""

    state: Backed
    whole: Idea
    public: Idea | None


@dataclass(frozen=True)
class Evidence:
    """That a post stands behind an idea, and how near it was. `at` is when it was written."""

    post_id: UUID
    idea_id: UUID
    similarity: float
    at: int
    is_public: bool


@dataclass(frozen=True)
class Shape:
    """Where an idea stands on its shelf, and what shaped it."""

    idea_id: UUID
    shelf: Shelf
    place: int
    shapers: int
    scripts: int
    sum: Sum


class IdeaStore:
    """Reads and writes within the caller's transaction; a few statements for a whole batch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def states(
        self, connection: AsyncConnection, ids: Collection[UUID]
    ) -> dict[UUID, Backed]:
        """Ideas to be changed, locked until the transaction ends."""
        if not ids:
            return {}
        query = select(ideas.c.state).where(ideas.c.id.in_(ids)).order_by(ideas.c.id)
        rows = await connection.execute(query.with_for_update())
        found = [_STATE.validate_json(row.state) for row in rows]
        return {state.id: state for state in found}

    async def save(self, connection: AsyncConnection, shown: Sequence[Shown]) -> None:
        """Write ideas, new or changed."""
        if not shown:
            return
        new = self._database.insert(ideas)
        changed = {c.name: new.excluded[c.name] for c in ideas.columns if c.name != "id"}
        upsert = new.on_conflict_do_update(index_elements=[ideas.c.id], set_=changed)
        await connection.execute(upsert, [_row(one) for one in shown])

    async def count(
        self, connection: AsyncConnection, shelf: Shelf, *, ideas: int, public_ideas: int
    ) -> None:
        """Add to the numbers of ideas that a product has."""
        workspace, product = shelf
        row = {"workspace": workspace, "product": product}
        new = self._database.insert(shelves).values(
            row | {"ideas": ideas, "public_ideas": public_ideas}
        )
        await connection.execute(
            new.on_conflict_do_update(
                index_elements=[shelves.c.workspace, shelves.c.product],
                set_={
                    "ideas": shelves.c.ideas + new.excluded.ideas,
                    "public_ideas": shelves.c.public_ideas + new.excluded.public_ideas,
                },
            )
        )

    async def shapes(self, connection: AsyncConnection, shelf: Shelf) -> list[Shape]:
        """All ideas of a product, in the order of their places."""
        workspace, product = shelf
        query = (
            select(shapes)
            .where(shapes.c.workspace == workspace, shapes.c.product == product)
            .order_by(shapes.c.place)
        )
        return [
            Shape(
                idea_id=row.idea_id,
                shelf=shelf,
                place=row.place,
                shapers=row.shapers,
                scripts=row.scripts,
                sum=np.frombuffer(row.sum, _SHAPE),
            )
            for row in await connection.execute(query)
        ]

    async def save_shapes(self, connection: AsyncConnection, changed: Sequence[Shape]) -> None:
        """Write the shapes of new or changed ideas."""
        if not changed:
            return
        new = self._database.insert(shapes)
        upsert = new.on_conflict_do_update(
            index_elements=[shapes.c.idea_id],
            set_={name: new.excluded[name] for name in ("shapers", "scripts", "sum")},
        )
        rows = [
            {
                "idea_id": shape.idea_id,
                "workspace": shape.shelf[0],
                "product": shape.shelf[1],
                "place": shape.place,
                "shapers": shape.shapers,
                "scripts": shape.scripts,
                "sum": shape.sum.astype(_SHAPE).tobytes(),
            }
            for shape in changed
        ]
        await connection.execute(upsert, rows)

    async def evidence_of(
        self, connection: AsyncConnection, post_ids: Collection[UUID]
    ) -> dict[UUID, Evidence]:
        """For each post that is evidence, of which idea."""
        if not post_ids:
            return {}
        query = select(evidence).where(evidence.c.post_id.in_(post_ids))
        return {
            row.post_id: Evidence(
                row.post_id, row.idea_id, row.similarity, row.created_at, row.is_public
            )
            for row in await connection.execute(query)
        }

    async def add_evidence(self, connection: AsyncConnection, added: Sequence[Evidence]) -> None:
        """Put posts behind ideas; raises IntegrityError when one is evidence already."""
        if not added:
            return
        rows = [
            {
                "post_id": one.post_id,
                "idea_id": one.idea_id,
                "similarity": one.similarity,
                "created_at": one.at,
                "is_public": one.is_public,
            }
            for one in added
        ]
        await connection.execute(insert(evidence), rows)

    async def remove_evidence(self, connection: AsyncConnection, post: UUID) -> None:
        """Take a post from behind its idea."""
        await connection.execute(delete(evidence).where(evidence.c.post_id == post))

    async def span(self, connection: AsyncConnection, idea: UUID, *, public: bool) -> Span | None:
        """When the first and the last post behind an idea were written; None if there is none."""
        moment_of = evidence.c.created_at
        query = select(func.min(moment_of), func.max(moment_of)).where(evidence.c.idea_id == idea)
        first, last = (await connection.execute(_of_face(query, public=public))).one()
        return Span(moment(first), moment(last)) if first is not None else None

    async def newest_evidence(
        self, connection: AsyncConnection, idea: UUID, limit: int, *, public: bool
    ) -> list[tuple[KeptPost, float]]:
        """Up to `limit` posts behind an idea with their similarity, the newest first."""
        query = (
            select(posts.c.body, posts.c.embedding, evidence.c.similarity)
            .join(posts, posts.c.id == evidence.c.post_id)
            .where(evidence.c.idea_id == idea)
            .order_by(evidence.c.created_at.desc(), evidence.c.post_id.desc())
            .limit(limit)
        )
        rows = await connection.execute(_of_face(query, public=public))
        return [(kept(row.body, row.embedding), row.similarity) for row in rows]

    async def speaks(
        self, connection: AsyncConnection, idea: UUID, author: Author, channel: str, *, public: bool
    ) -> bool:
        """Whether a post behind an idea is by this author in this channel."""
        handle = orjson.dumps(author.handle).decode()
        query = (
            select(evidence.c.post_id)
            .join(posts, posts.c.id == evidence.c.post_id)
            .where(
                evidence.c.idea_id == idea,
                posts.c.channel == channel,
                posts.c.body.contains(f'"author":{{"handle":{handle},', autoescape=True),
            )
            .limit(1)
        )
        return (await connection.execute(_of_face(query, public=public))).first() is not None

    async def remove_voice(
        self, connection: AsyncConnection, idea: UUID, scope: str, voice: str
    ) -> None:
        """Forget that somebody spoke for an idea."""
        gone = delete(voices).where(
            voices.c.idea_id == idea, voices.c.scope == scope, voices.c.voice == voice
        )
        await connection.execute(gone)

    async def places(self, connection: AsyncConnection, shelf: Shelf) -> int:
        """How many places are taken on a product's shelf."""
        workspace, product = shelf
        query = select(func.max(shapes.c.place)).where(
            shapes.c.workspace == workspace, shapes.c.product == product
        )
        last = (await connection.execute(query)).scalar()
        return 0 if last is None else int(last) + 1

    async def add_voices(
        self, connection: AsyncConnection, spoken: Iterable[tuple[UUID, str, str]]
    ) -> set[tuple[UUID, str, str]]:
        """Remember who spoke (idea, scope, voice); return those that had not spoken before."""
        rows = [
            {"idea_id": idea, "scope": scope, "voice": voice}
            for idea, scope, voice in dict.fromkeys(spoken)
        ]
        if not rows:
            return set()
        new = self._database.insert(voices).on_conflict_do_nothing()
        added = await connection.execute(
            new.returning(voices.c.idea_id, voices.c.scope, voices.c.voice), rows
        )
        return {(row.idea_id, row.scope, row.voice) for row in added}


def _of_face(query: Select[Any], *, public: bool) -> Select[Any]:
    return query.where(evidence.c.is_public) if public else query


def _row(shown: Shown) -> dict[str, Any]:  # a table's row: its values have many types
    state, whole, public = shown.state, shown.whole, shown.public
    return {
        "id": state.id,
        "workspace": state.workspace,
        "product": state.product,
        "version": state.version,
        "status": state.status,
        "state": _STATE.dump_json(state).decode(),
        "search": squeezed(f"{whole.title} {whole.summary}"),
        "is_public": public is not None,
        **_sorting(whole, ""),
        "wire": whole.model_dump_json(),
        **_sorting(public or whole, "public_"),
        "public_wire": public.model_dump_json() if public else "",
    }


def _sorting(idea: Idea, prefix: str) -> dict[str, Any]:
    labels = [
        *(f"c:{channel}" for channel in idea.channels),
        *(f"l:{language}" for language in idea.languages),
        *(f"t:{topic}" for topic in idea.topics),
    ]
    return {
        f"{prefix}score": idea.score,
        f"{prefix}voices": idea.voices,
        f"{prefix}first_seen": micros(idea.first_seen),
        f"{prefix}last_seen": micros(idea.last_seen),
        f"{prefix}labels": f"|{'|'.join(labels)}|",
    }
