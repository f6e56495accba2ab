"""All SQL of the gateway. Every function runs within its caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_gateway.domain import Key, from_micros, to_micros
from maru_gateway.tables import keys

_COLUMNS = (
    keys.c.id,
    keys.c.workspace,
    keys.c.role,
    keys.c.name,
    keys.c.prefix,
    keys.c.created_at,
    keys.c.used_at,
)


async def add_key(connection: AsyncConnection, key: Key, digest: bytes) -> None:
    """Keep a new key."""
    await connection.execute(
        insert(keys).values(
            id=key.id,
            workspace=key.workspace,
            role=key.role,
            name=key.name,
            prefix=key.prefix,
            digest=digest,
            created_at=to_micros(key.created_at),
        )
    )


async def key_by_digest(connection: AsyncConnection, digest: bytes) -> Key | None:
    """Find the valid key with this digest."""
    query = select(*_COLUMNS).where(keys.c.digest == digest, keys.c.revoked_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _key(row)


async def keys_of(
    connection: AsyncConnection,
    workspace: str,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Key]:
    """List a workspace's valid keys, the oldest first, from behind `after` on."""
    query = (
        select(*_COLUMNS)
        .where(keys.c.workspace == workspace, keys.c.revoked_at.is_(None))
        .order_by(keys.c.created_at, keys.c.id)
        .limit(limit)
    )
    if after is not None:
        created, last = to_micros(after[0]), after[1]
        query = query.where(
            (keys.c.created_at > created) | ((keys.c.created_at == created) & (keys.c.id > last))
        )
    return [_key(row) for row in await connection.execute(query)]


async def revoke_key(
    connection: AsyncConnection, workspace: str, key_id: UUID, at: datetime
) -> bool:
    """End a key; False when the workspace has no such valid key."""
    done = await connection.execute(
        update(keys)
        .where(keys.c.id == key_id, keys.c.workspace == workspace, keys.c.revoked_at.is_(None))
        .values(revoked_at=to_micros(at))
    )
    return done.rowcount == 1


async def note_use(connection: AsyncConnection, used: Mapping[UUID, datetime]) -> None:
    """Keep when keys were last used."""
    await connection.execute(
        update(keys).where(keys.c.id == bindparam("key")).values(used_at=bindparam("at")),
        [{"key": key_id, "at": to_micros(at)} for key_id, at in used.items()],
    )


def _key(row: Row[*tuple[Any, ...]]) -> Key:
    return Key(
        id=row.id,
        workspace=row.workspace,
        role=row.role,
        name=row.name,
        prefix=row.prefix,
        created_at=from_micros(row.created_at),
        used_at=None if row.used_at is None else from_micros(row.used_at),
    )
