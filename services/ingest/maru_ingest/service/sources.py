"""Sources: add, show, pause, resume, remove."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.exc import IntegrityError

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.connector import ConnectorKind
from maru_ingest.store import sources
from maru_ingest.store.sources import Source
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound, Unprocessable

_SECRET_BYTES = 32
_HIDDEN = "**********"


@dataclass(frozen=True, slots=True)
class NewSource:
    """What somebody asks for when a source is added; `channel` None means the kind's own."""

    workspace: str
    product: str
    name: str
    kind: str
    channel: Channel | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """The use cases around sources; each is one transaction."""

    database: Database
    kinds: Mapping[str, ConnectorKind]

    async def add(self, wanted: NewSource) -> Source:
        """Store a new source, which is due at once.

        Raises Unprocessable for an unknown kind or settings that do not fit, Conflict when the
        name is taken.
        """
        source = self._new(wanted)
        try:
            async with self.database.transaction() as connection:
                await sources.add_source(connection, source)
        except IntegrityError as error:
            raise Conflict(f"There is a {wanted.kind} source called {wanted.name!r}.") from error
        return source

    async def find(self, workspace: str, source_id: str) -> Source:
        """Return a workspace's source. Raises NotFound."""
        async with self.database.reading() as connection:
            source = await sources.source_by_id(connection, source_id, workspace=workspace)
        return _found(source, source_id)

    async def page(
        self, workspace: str, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Source]:
        """Return a workspace's sources, oldest first."""
        async with self.database.reading() as connection:
            return await sources.sources_of(connection, workspace, after=after, limit=limit)

    async def remove(self, workspace: str, source_id: str) -> None:
        """Forget a source; what it brought stays. Raises NotFound."""
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(connection, source_id, workspace=workspace)
            await sources.remove_source(connection, _found(found, source_id).id)

    async def pause(self, workspace: str, source_id: str) -> Source:
        """Stop polling a source and taking its webhooks. Raises NotFound."""
        return await self._set_state(workspace, source_id, "paused", due=None)

    async def resume(self, workspace: str, source_id: str) -> Source:
        """Poll a source again, at once; also tries a broken one again. Raises NotFound."""
        return await self._set_state(workspace, source_id, "active", due=domain.utc_now())

    async def _set_state(
        self, workspace: str, source_id: str, state: domain.State, *, due: datetime | None
    ) -> Source:
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(connection, source_id, workspace=workspace)
            kind = self.kinds.get(_found(found, source_id).kind)
            polled = kind is not None and kind.open is not None
            await sources.set_state(
                connection, source_id, state, next_poll_at=due if polled else None
            )
            return _found(await sources.source_by_id(connection, source_id), source_id)

    def _new(self, wanted: NewSource) -> Source:
        kind = known_kind(self.kinds, wanted.kind)
        now = domain.utc_now()
        return Source(
            id=str(uuid4()),
            workspace=wanted.workspace,
            product=wanted.product,
            name=wanted.name,
            kind=wanted.kind,
            channel=wanted.channel or kind.channel,
            settings=checked_settings(kind, wanted.settings),
            secret=_signing_secret() if kind.open is None else None,
            created_at=now,
            next_poll_at=now if kind.open is not None else None,
        )


def shown_settings(kind: ConnectorKind | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they may be shown: secrets are stars."""
    if kind is None:
        return dict.fromkeys(settings, _HIDDEN)
    return kind.settings.model_validate(settings).model_dump(mode="json")


def known_kind(kinds: Mapping[str, ConnectorKind], name: str) -> ConnectorKind:
    """Return the kind of that name. Raises Unprocessable, which names those that there are."""
    kind = kinds.get(name)
    if kind is None:
        raise Unprocessable(
            f"There is no connector {name!r}; there are: {', '.join(sorted(kinds))}."
        )
    return kind


def checked_settings(kind: ConnectorKind, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are stored, with secrets in the clear and defaults filled in.

    Raises Unprocessable, which says for each setting what is wrong with it.
    """
    try:
        model = kind.settings.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise Unprocessable(f"The settings of a {kind.kind} source do not fit: {wrong}") from error
    return _revealed(model)


def _revealed(model: BaseModel) -> dict[str, Any]:
    """Return a model as JSON values with its secrets in the clear, for the database only."""
    plain = model.model_dump(mode="json")
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, SecretStr):
            plain[name] = value.get_secret_value()
    return plain


def _signing_secret() -> str:
    """Return a secret in the form of Standard Webhooks (https://www.standardwebhooks.com)."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _found(source: Source | None, source_id: str) -> Source:
    if source is None:
        raise NotFound(f"There is no source {source_id} in this workspace.")
    return source
