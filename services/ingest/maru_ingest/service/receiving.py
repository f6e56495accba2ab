"""Webhooks that come in: signed, taken once, answered when the log has the posts."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from maru_ingest.formats import ndjson
from maru_ingest.formats.lines import Line
from maru_ingest.formats.parsed import ParsedPost, Row
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import history, sources
from maru_ingest.store.sources import Counts, Source
from maru_kit.errors import BadRequest, NotFound, Unauthorized, Unavailable
from maru_kit.vault import Vault

_PAUSED_SECONDS = 300.0
_MAX_DELIVERY_ID = 300
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes webhooks for sources whose posts are pushed to us."""

    publisher: Publisher
    vault: Vault

    async def receive(self, source_id: str, headers: dict[str, str], body: bytes) -> Counts:
        """Publish the posts of one signed message (Standard Webhooks) and count them.

        The same message again changes nothing. Raises NotFound, Unauthorized when the signature
        or the time (5 minutes either way) does not fit, BadRequest for a body that is no JSON
        object or array, Unavailable when it is to be sent again later.
        """
        source = await self._source(source_id)
        delivery = _verified(source, headers, body)
        if source.state == "paused":
            raise Unavailable("This source is paused.", retry_after=_PAUSED_SECONDS)
        rows = [
            _row(number, value, delivery) for number, value in enumerate(_values(body), start=1)
        ]
        async with self.publisher.database.reading() as connection:
            if await history.is_delivered(connection, source.id, delivery):
                return Counts(duplicates=len(rows))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self.publisher.publish(
                    source.origin(pushed=True), rows, delivery=delivery
                )
        except TimeoutError as error:
            raise Unavailable("The log does not acknowledge in time.") from error

    async def _source(self, source_id: str) -> Source:
        async with self.publisher.database.reading() as connection:
            source = await sources.source_by_id(connection, source_id, self.vault)
        if source is None or source.secret is None:
            raise NotFound("There is no webhook at this address.")
        return source


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
