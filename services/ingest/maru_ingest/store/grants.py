"""SQL of grants: the tokens of OAuth that are kept between polls, and who renews one."""

from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from maru_ingest.tables import grants, micros, sources
from maru_kit.vault import Vault

_ABANDONED = timedelta(days=1)
"""How long a token is kept that belongs to no source as yet: that of a trial, for its source."""


async def kept(connection: AsyncConnection, name: str, vault: Vault) -> str:
    """The token that is kept under that name; empty when there is none."""
    stored = await connection.scalar(select(grants.c.token).where(grants.c.name == name))
    return vault.open(stored, _place(name)) if stored else ""


async def keep(
    connection: AsyncConnection, name: str, token: str, vault: Vault, *, now: datetime
) -> None:
    """Keep a token in place of the former one. Those that nobody came back for are forgotten."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"token": vault.seal(token, _place(name)), "kept_at": micros(now)}
    new = make(grants).values(name=name, **values)
    await connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=values))
    await _forget(connection, grants.c.kept_at < micros(now - _ABANDONED))


async def belong(connection: AsyncConnection, name: str, source_id: str) -> None:
    """Note which grant a source uses."""
    await connection.execute(
        update(sources).where(sources.c.id == source_id).values(grant_name=name)
    )


async def hold(
    connection: AsyncConnection, name: str, holder: str, *, now: datetime, until: datetime
) -> bool:
    """Let one holder renew a token until then; False while another does."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = make(grants).values(
        name=name, token="", kept_at=micros(now), holder=holder, held_until=micros(until)
    )
    held = await connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "held_until": micros(until)},
            where=or_(grants.c.held_until.is_(None), grants.c.held_until < micros(now)),
        ).returning(grants.c.name)
    )
    return held.first() is not None


async def let_go(connection: AsyncConnection, name: str, holder: str) -> None:
    """Let others renew a token."""
    await connection.execute(
        update(grants)
        .where(grants.c.name == name, grants.c.holder == holder)
        .values(holder=None, held_until=None)
    )


async def forget_of(connection: AsyncConnection, name: str) -> None:
    """Forget a token unless a source still uses it."""
    await _forget(connection, grants.c.name == name)


async def seal_again(connection: AsyncConnection, vault: Vault, *, limit: int) -> int:
    """Seal tokens that are in the clear or under an older key; return how many."""
    query = (
        select(grants.c.name, grants.c.token)
        .where(and_(grants.c.token.not_like(f"{vault.mark}%"), grants.c.token != ""))
        .limit(limit)
    )
    rows = (await connection.execute(query)).all() if vault.mark else []
    for row in rows:
        place = _place(row.name)
        await connection.execute(
            update(grants)
            .where(grants.c.name == row.name, grants.c.token == row.token)
            .values(token=vault.seal(vault.open(row.token, place), place))
        )
    return len(rows)


async def _forget(connection: AsyncConnection, which: object) -> None:
    used = select(sources.c.grant_name).where(sources.c.grant_name.is_not(None))
    await connection.execute(delete(grants).where(which, grants.c.name.not_in(used)))  # type: ignore[arg-type]


def _place(name: str) -> str:
    return f"grants/{name}/token"
