"""Making, checking and revoking keys."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from maru_gateway import store
from maru_gateway.domain import Key, digest, is_well_formed, new_secret, shown
from maru_kit.database import Database
from maru_kit.errors import NotFound, Unavailable
from maru_kit.http import Role

_TRUSTED_SECONDS = 1.0
"""How long a key that was valid is taken to be: a revoked key ends within this time."""
_REMEMBERED = 10_000


class Keys:
    """The keys of all workspaces."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[Key, float]] = {}
        self._used: dict[UUID, datetime] = {}

    async def create(self, *, workspace: str, role: Role, name: str) -> tuple[Key, str]:
        """Make a key; the second value is the key itself, which is told this once."""
        secret = new_secret()
        key = Key(
            id=uuid4(),
            workspace=workspace,
            role=role,
            name=name,
            prefix=shown(secret),
            created_at=datetime.now(UTC),
        )
        async with self._database.transaction() as connection:
            await store.add_key(connection, key, digest(secret))
        return key, secret

    async def find(self, secret: str) -> Key | None:
        """Return the valid key that a caller has presented, or None."""
        if not is_well_formed(secret):
            return None
        mark = digest(secret)
        known, until = self._known.get(mark, (None, 0.0))
        if known is None or time.monotonic() > until:
            async with self._database.reading() as connection:
                known = await store.key_by_digest(connection, mark)
            self._remember(mark, known)
        if known is not None:
            self._used[known.id] = datetime.now(UTC)
        return known

    def has_met(self, secret: str) -> bool:
        """Whether this process has lately taken the key for valid; asks nobody."""
        return digest(secret) in self._known

    def _remember(self, mark: bytes, key: Key | None) -> None:
        if key is None:
            self._known.pop(mark, None)
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[mark] = (key, time.monotonic() + _TRUSTED_SECONDS)

    async def page(
        self, workspace: str, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Key]:
        """List a workspace's valid keys, the oldest first, from behind `after` on."""
        async with self._database.reading() as connection:
            return await store.keys_of(connection, workspace, after=after, limit=limit)

    async def revoke(self, workspace: str, key_id: UUID) -> None:
        """End a key for good; raises NotFound when the workspace has no such key."""
        async with self._database.transaction() as connection:
            if not await store.revoke_key(connection, workspace, key_id, datetime.now(UTC)):
                raise NotFound("This workspace has no such key")
        self._known.clear()

    async def save_uses(self) -> None:
        """Keep when keys were last used; what can't be kept now is kept with the next call."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._database.transaction() as connection:
                await store.note_use(connection, used)
        except Unavailable:
            self._used = {**used, **self._used}
