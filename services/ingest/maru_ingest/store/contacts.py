"""SQL of contacts: how people who wrote by a form can be answered. Addresses are sealed."""

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.tables import contacts, micros, sources
from maru_kit.vault import Vault

KEPT = timedelta(days=180)


async def keep(
    connection: AsyncConnection,
    vault: Vault,
    post_id: str,
    source_id: str,
    email: str,
    *,
    now: datetime,
) -> None:
    """Keep who wrote a post, nobody if `email` is empty; forget what was kept long enough."""
    old = (contacts.c.post_id == post_id) | (contacts.c.at < micros(now - KEPT))
    await connection.execute(delete(contacts).where(old))
    if email:
        sealed = vault.seal(email, _place(post_id))
        await connection.execute(
            insert(contacts).values(
                post_id=post_id, source_id=source_id, email=sealed, at=micros(now)
            )
        )


async def contact_of(
    connection: AsyncConnection, vault: Vault, post_id: str, *, workspace: str
) -> str | None:
    """The address that came with a post of a workspace's source."""
    query = (
        select(contacts.c.email)
        .join(sources, sources.c.id == contacts.c.source_id)
        .where(contacts.c.post_id == post_id, sources.c.workspace == workspace)
    )
    sealed = await connection.scalar(query)
    return None if sealed is None else vault.open(sealed, _place(post_id))


async def forget(connection: AsyncConnection, post_id: str, *, workspace: str) -> bool:
    """Forget the address that came with a post; False when there is none."""
    own = select(sources.c.id).where(sources.c.workspace == workspace)
    done = await connection.execute(
        delete(contacts).where(contacts.c.post_id == post_id, contacts.c.source_id.in_(own))
    )
    return done.rowcount == 1


async def seal_again(connection: AsyncConnection, vault: Vault, *, limit: int) -> int:
    """Seal addresses that are under an older key; return how many. Raises ConfigError."""
    query = (
        select(contacts.c.post_id, contacts.c.email)
        .where(contacts.c.email.not_like(f"{vault.mark}%"))
        .limit(limit)
    )
    rows = (await connection.execute(query)).all() if vault.mark else []
    for row in rows:
        place = _place(row.post_id)
        again = vault.seal(vault.open(row.email, place), place)
        await connection.execute(
            update(contacts).where(contacts.c.post_id == row.post_id).values(email=again)
        )
    return len(rows)


def _place(post_id: str) -> str:
    return f"contacts/{post_id}/email"
