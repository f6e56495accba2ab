"""Keeps the tokens of OAuth between polls, and lets one at a time renew each."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

from maru_ingest import domain
from maru_ingest.store import grants
from maru_ingest.store.sources import Source
from maru_kit.database import Database
from maru_kit.errors import Unavailable
from maru_kit.vault import Vault

_HELD = timedelta(minutes=1)
"""After this others may renew what a process that died was about to; asking takes no longer."""
_PATIENCE = 60.0
_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Granting:
    """What `connector.Grants` promises, in the database; `source` is whose tokens these are.

    None for a trial. What the database did not take is held here until it does, since a refresh
    token that is lost can't be had again.
    """

    database: Database
    vault: Vault
    source: Source | None = None
    untaken: dict[str, str] = field(default_factory=dict, repr=False)

    def of(self, source: Source) -> "Granting":
        """Return what keeps the tokens of one source."""
        return replace(self, source=source)

    async def kept(self, name: str) -> str:
        """Return the token under that name, empty for none; it is the source's from now on."""
        if name in self.untaken:
            await self.keep(name, self.untaken[name])
        async with self.database.reading() as connection:
            token = await grants.kept(connection, name, self.vault)
        if token and self.source is not None and self.source.grant_name != name:
            async with self.database.transaction() as connection:
                await grants.belong(connection, name, self.source.id)
        return token

    async def keep(self, name: str, token: str) -> None:
        """Keep a token in place of the former one. Raises Unavailable, and then keeps it here."""
        self.untaken[name] = token
        async with self.database.transaction() as connection:
            if self.source is not None:
                await grants.belong(connection, name, self.source.id)
            await grants.keep(connection, name, token, self.vault, now=domain.utc_now())
        self.untaken.pop(name, None)

    @asynccontextmanager
    async def renewing(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else renews this token, and keep others from it while the block runs.

        Raises Unavailable after a minute.
        """
        holder, ends = uuid4().hex, time.monotonic() + _PATIENCE
        while not await self._hold(name, holder):
            if time.monotonic() >= ends:
                raise Unavailable("Somebody else has renewed this source's token for a minute.")
            await asyncio.sleep(_AGAIN * random.uniform(0.5, 1.0))
        try:
            yield
        finally:
            with suppress(Unavailable):  # then it is free after a minute
                async with self.database.transaction() as connection:
                    await grants.let_go(connection, name, holder)

    async def _hold(self, name: str, holder: str) -> bool:
        now = domain.utc_now()
        async with self.database.transaction() as connection:
            return await grants.hold(connection, name, holder, now=now, until=now + _HELD)
