"""Ideas, the posts behind them, and the people who spoke."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import TypeAdapter
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_contracts.ideas import Idea
from maru_ideas.domain.ideas import Backed
from maru_ideas.domain.matching import Sum
from maru_ideas.domain.search import squeezed
from maru_ideas.domain.times import micros
from maru_ideas.tables import evidence, ideas, shapes, shelves, voices
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
