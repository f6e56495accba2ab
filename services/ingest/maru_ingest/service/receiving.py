"""Webhooks that come in: signed, taken once, answered when the log has the posts."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from maru_ingest.connector import ConnectorKind, Forged, Hook
from maru_ingest.domain import Origin
from maru_ingest.formats import ndjson
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import (
    MAX_ORIGINAL,
    BadRow,
    Document,
    ParsedPost,
    Row,
    Unreadable,
)
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import history, sources
from maru_ingest.store.sources import Counts, Source
from maru_kit.errors import BadRequest, NotFound, Unauthorized, Unavailable
from maru_kit.vault import Vault

_PAUSED_SECONDS = 300.0
_MAX_DELIVERY_ID = 300
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message, and whether a platform sent it in its own way.

    `answer` is the text that answers a message which asks and brings nothing.
    """

    counts: Counts
    by_platform: bool
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes webhooks for sources whose posts are pushed to us, and for those that are polled too.

    The same message again changes nothing.
    """

    publisher: Publisher
    vault: Vault
    kinds: Mapping[str, ConnectorKind]

    async def greet(self, source_id: str, asked: Mapping[str, str]) -> str:
        """Return the answer to a platform that asks whether it may send to a source.

        Raises NotFound, Unauthorized when it does not know what it should.
        """
        source = await self._source(source_id)
        hook = self._hook(source)
        if hook is None:
            raise NotFound("Nobody asks at this address.")
        try:
            return hook.greet(
                self.kinds[source.kind].settings.model_validate(source.settings), asked
            )
        except Forged as error:
            raise Unauthorized(str(error)) from error

    async def receive(self, source_id: str, headers: dict[str, str], body: bytes) -> Taken:
        """Publish the posts of one signed message and count them.

        It is signed as the source's platform does, or as Standard Webhooks says. Raises NotFound,
        Unauthorized when the signature (or the time, 5 minutes either way) does not fit,
        BadRequest for a body that is no JSON object or array, Unavailable when it is to be sent
        again later.
        """
        source = await self._source(source_id)
        hook = self._hook(source)
        if hook is not None:
            if answer := self._answer(hook, source, headers, body):
                return Taken(Counts(), by_platform=True, answer=answer)
            document = await asyncio.to_thread(self._pushed, hook, source, headers, body)
            delivery = hashlib.sha256(body).hexdigest()
            return Taken(
                await self._take(source, source.origin(), document, delivery), by_platform=True
            )
        delivery = _verified(source, headers, body)
        _refuse_paused(source)
        rows = [
            _row(number, value, delivery) for number, value in enumerate(_values(body), start=1)
        ]
        origin = source.origin(pushed=True)
        return Taken(await self._take(source, origin, Document(rows), delivery), by_platform=False)

    async def _take(
        self, source: Source, origin: Origin, document: Document, delivery: str
    ) -> Counts:
        _refuse_paused(source)
        async with self.publisher.database.reading() as connection:
            if await history.is_delivered(connection, source.id, delivery):
                return Counts(duplicates=len(document.rows))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self.publisher.publish(
                    origin, document.rows, deleted=document.deleted, delivery=delivery
                )
        except TimeoutError as error:
            raise Unavailable("The log does not acknowledge in time.") from error

    def _answer(self, hook: Hook, source: Source, headers: dict[str, str], body: bytes) -> str:
        """Return the answer to a platform's message that asks something, else nothing."""
        if hook.reply is None:
            return ""
        settings = self.kinds[source.kind].settings.model_validate(source.settings)
        try:
            return hook.reply(settings, headers, body)
        except Forged as error:
            raise Unauthorized(str(error)) from error
        except Unreadable:
            return ""  # it is kept when it is read

    def _pushed(self, hook: Hook, source: Source, headers: dict[str, str], body: bytes) -> Document:
        """Return what a platform's message says; one that says nothing is kept as a bad row."""
        settings = self.kinds[source.kind].settings.model_validate(source.settings)
        try:
            return hook.read(settings, headers, body)
        except Forged as error:
            raise Unauthorized(str(error)) from error
        except Unreadable as error:
            return Document([BadRow(1, str(error), body[:MAX_ORIGINAL])])

    def _hook(self, source: Source) -> Hook | None:
        kind = self.kinds.get(source.kind)
        return None if kind is None else kind.hook

    async def _source(self, source_id: str) -> Source:
        """Return the source of that id, if anything may be sent to it. Raises NotFound."""
        async with self.publisher.database.reading() as connection:
            source = await sources.source_by_id(connection, source_id, self.vault)
        if source is None or (source.secret is None and self._hook(source) is None):
            raise NotFound("There is no webhook at this address.")
        return source


def _refuse_paused(source: Source) -> None:
    if source.state == "paused":
        raise Unavailable("This source is paused.", retry_after=_PAUSED_SECONDS)


def _verified(source: Source, headers: dict[str, str], body: bytes) -> str:
    """Return the message's id once its signature is known to be good."""
    try:
        Webhook(source.secret or "").verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        # The library splits and decodes headers as they come: odd ones are ValueErrors.
        reason = str(error) if isinstance(error, WebhookVerificationError) else "Unreadable headers"
        raise Unauthorized(f"The webhook's signature is not good: {reason}.") from error
    return headers["webhook-id"][:_MAX_DELIVERY_ID]


def _values(body: bytes) -> list[Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise BadRequest("The body is neither a JSON object nor an array of objects.")


def _row(number: int, value: object, delivery: str) -> Row:
    """Return a post; one without an id goes by the message's id and its place in the message."""
    row = ndjson.row(Line(number, 0, 0, orjson.dumps(value)))
    if isinstance(row, ParsedPost) and not row.native_id:
        row.native_id = f"{delivery}/{number}"
    return row
