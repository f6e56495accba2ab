"""Sources: add, show, pause, resume, remove."""

import base64
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy.exc import IntegrityError

from maru_contracts.posts import Channel
from maru_ingest import domain
from maru_ingest.connector import Capability, ConnectorKind
from maru_ingest.store import backfills, contacts, grants, sources, subscriptions
from maru_ingest.store.backfills import Backfill
from maru_ingest.store.sources import Day, Source
from maru_ingest.store.subscriptions import Subscription
from maru_kit.database import Database
from maru_kit.errors import Conflict, NotFound, Unprocessable
from maru_kit.vault import Vault

_SECRET_BYTES = 32
_HIDDEN = "**********"
_DAYS_SHOWN = 7
_SEALED_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class NewSource:
    """What somebody asks for when a source is added; `channel` None means the kind's own."""

    workspace: str
    product: str
    name: str
    kind: str
    channel: Channel | None
    settings: Mapping[str, Any]
    daily_requests: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to change of a source; what is not there stays as it is.

    Settings that are not named stay, and so does a secret that is given as it is shown.
    """

    name: str | None = None
    product: str | None = None
    channel: Channel | None = None
    settings: Mapping[str, Any] | None = None
    daily_requests: int | None = None
    no_limit: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How some sources stand beside what is stored of each.

    Their last days and looks back, and what hubs were asked to push.
    """

    days: Mapping[str, Sequence[Day]]
    backfills: Mapping[str, Backfill]
    subscriptions: Mapping[str, Subscription]


@dataclass(frozen=True, slots=True)
class Sources:
    """The use cases around sources; each is one transaction."""

    database: Database
    kinds: Mapping[str, ConnectorKind]
    vault: Vault

    async def seal(self) -> int:
        """Seal what is stored in the clear or under an older key; return how many rows.

        Can be cut off and begun again. Raises ConfigError when a key is missing.
        """
        count = 0
        while True:
            async with self.database.transaction() as connection:
                done = await sources.seal_again(connection, self.vault, limit=_SEALED_TOGETHER)
                done += await subscriptions.seal_again(
                    connection, self.vault, limit=_SEALED_TOGETHER
                )
                done += await grants.seal_again(connection, self.vault, limit=_SEALED_TOGETHER)
                done += await contacts.seal_again(connection, self.vault, limit=_SEALED_TOGETHER)
            if not done:
                return count
            count += done

    async def add(self, wanted: NewSource) -> Source:
        """Store a new source, which is due at once.

        Raises Unprocessable for an unknown kind or settings that do not fit, Conflict when the
        name is taken.
        """
        source = self._new(wanted)
        try:
            async with self.database.transaction() as connection:
                await sources.add_source(connection, source, self.vault)
        except IntegrityError as error:
            kind = domain.with_article(wanted.kind)
            raise Conflict(f"There is {kind} source called {wanted.name!r}.") from error
        return source

    async def find(self, workspace: str, source_id: str) -> Source:
        """Return a workspace's source. Raises NotFound."""
        async with self.database.reading() as connection:
            source = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
        return _found(source, source_id)

    async def page(
        self, workspace: str, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Source]:
        """Return a workspace's sources, oldest first."""
        async with self.database.reading() as connection:
            return await sources.sources_of(
                connection, workspace, self.vault, after=after, limit=limit
            )

    async def standing(self, ids: Collection[str]) -> Standing:
        """Return what else is known of these sources, of the last seven days."""
        since = domain.day_of(domain.utc_now()) - _DAYS_SHOWN + 1
        async with self.database.reading() as connection:
            return Standing(
                await sources.days(connection, ids, since=since),
                await backfills.of_sources(connection, ids),
                await subscriptions.of_sources(connection, ids),
            )

    async def change(self, workspace: str, source_id: str, wanted: Wanted) -> Source:
        """Change a source, which is then due at once unless it is paused.

        When it is to follow something else it begins anew there. Raises NotFound, Unprocessable
        for settings that do not fit, Conflict when the name is taken.
        """
        try:
            async with self.database.transaction() as connection:
                found = await sources.source_by_id(
                    connection, source_id, self.vault, workspace=workspace
                )
                was = _found(found, source_id)
                changed = self._changed(was, wanted)
                due = domain.utc_now() if was.next_poll_at is not None else None
                await sources.change_source(connection, changed, self.vault, next_poll_at=due)
                if changed.cursor != was.cursor:
                    await subscriptions.leave(connection, source_id, now=domain.utc_now())
                return _found(
                    await sources.source_by_id(connection, source_id, self.vault), source_id
                )
        except IntegrityError as error:
            raise Conflict(f"There is another source called {wanted.name!r}.") from error

    async def reset(self, workspace: str, source_id: str) -> Source:
        """Have a source begin anew; what it brings again is known. Raises NotFound."""
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
            was = _found(found, source_id)
            due = domain.utc_now() if was.next_poll_at is not None else None
            await sources.change_source(
                connection, replace(was, cursor={}), self.vault, next_poll_at=due
            )
            return _found(await sources.source_by_id(connection, source_id, self.vault), source_id)

    async def look_back(
        self, workspace: str, source_id: str, since: datetime, until: datetime
    ) -> Source:
        """Fetch what was written from `since` (inclusive) to `until` (exclusive), beside the polls.

        A look back that is under way is replaced. Raises NotFound, Unprocessable for a kind that
        can't or a range that is empty.
        """
        now = domain.utc_now()
        if since >= min(until, now):
            raise Unprocessable(
                "The range of time is empty: `since` must lie before `until` and now."
            )
        wanted = Backfill(source_id, since, min(until, now), asked_at=now, next_at=now)
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
            source = _found(found, source_id)
            kind = self.kinds.get(source.kind)
            if kind is None or Capability.BACKFILL not in kind.capabilities:
                raise Unprocessable(f"A {source.kind} source shows no older posts than it does.")
            await backfills.begin(connection, wanted)
        return source

    async def stop_looking_back(self, workspace: str, source_id: str) -> None:
        """Give a look back up; what it brought stays. Raises NotFound."""
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
            if not await backfills.cancel(connection, _found(found, source_id).id):
                raise NotFound("This source has not looked back.")

    async def remove(self, workspace: str, source_id: str) -> None:
        """Forget a source; what it brought stays. Raises NotFound."""
        async with self.database.transaction() as connection:
            found = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
            source = _found(found, source_id)
            await sources.remove_source(connection, source.id)
            if source.grant_name is not None:
                await grants.forget_of(connection, source.grant_name)
            await subscriptions.leave(connection, source_id, now=domain.utc_now())

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
            found = await sources.source_by_id(
                connection, source_id, self.vault, workspace=workspace
            )
            kind = self.kinds.get(_found(found, source_id).kind)
            polled = kind is not None and kind.open is not None
            await sources.set_state(
                connection, source_id, state, next_poll_at=due if polled else None
            )
            if state == "paused":
                await subscriptions.leave(connection, source_id, now=domain.utc_now())
            return _found(await sources.source_by_id(connection, source_id, self.vault), source_id)

    def _changed(self, was: Source, wanted: Wanted) -> Source:
        kind = known_kind(self.kinds, was.kind)
        settings, credentials = was.settings, was.credentials()
        if wanted.settings is not None:
            given = {k: v for k, v in wanted.settings.items() if v != _HIDDEN}
            settings = checked_settings(kind, {**was.settings, **given})
            if settings != was.settings:  # whose end nobody knows as yet
                credentials = domain.Credentials()
        quota = was.daily_requests if wanted.daily_requests is None else wanted.daily_requests
        return replace(
            was,
            name=wanted.name or was.name,
            product=was.product if wanted.product is None else wanted.product,
            channel=wanted.channel or was.channel,
            settings=settings,
            daily_requests=None if wanted.no_limit else quota,
            credentials_expire_at=credentials.expire_at,
            credentials_checked_at=credentials.checked_at,
            cursor=was.cursor if _follows_the_same(kind, was.settings, settings) else {},
        )

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
            daily_requests=wanted.daily_requests,
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

    Raises Unprocessable, which says for each setting what is wrong with it; `errors` of the answer
    has a field and a message of each, like those of a request that does not fit.
    """
    try:
        model = kind.settings.model_validate(settings)
    except ValidationError as error:
        errors = [
            {"field": ".".join(("settings", *map(str, one["loc"]))), "message": one["msg"]}
            for one in error.errors(include_url=False)
        ]
        wrong = "; ".join(
            f"{fault['field'].removeprefix('settings.')}: {fault['message']}" for fault in errors
        )
        raise Unprocessable(
            f"The settings of {domain.with_article(kind.kind)} source do not fit: {wrong}",
            extra={"errors": errors},
        ) from error
    return _revealed(model)


def _follows_the_same(kind: ConnectorKind, was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether settings differ in nothing but secrets and how often to look."""
    secret = kind.settings.model_validate(now)
    ignored = {"interval_seconds"} | {
        name for name in kind.settings.model_fields if isinstance(getattr(secret, name), SecretStr)
    }
    return all(was.get(name) == now.get(name) for name in {*was, *now} - ignored)


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
