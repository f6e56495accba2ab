"""Pushes of feeds (WebSub, https://www.w3.org/TR/websub/): asks hubs, and takes what they send.

A subscription is written down before its hub is asked, since a hub may ask back before it answers;
what a hub confirms, denies or sends is told by the callback's path, which nobody can guess.
"""

import asyncio
import hashlib
import hmac
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode, urljoin

import structlog

from maru_ingest import domain
from maru_ingest.connector import Push
from maru_ingest.formats import documents, text
from maru_ingest.formats.parsed import Document, Unreadable
from maru_ingest.metrics import PUSHES, SUBSCRIPTIONS
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import sources, subscriptions
from maru_ingest.store.sources import Counts, Source
from maru_ingest.store.subscriptions import Subscription
from maru_kit.errors import Gone, NotFound, Unavailable
from maru_kit.outbound import AskedToWait, Fetched, Outbound, OutboundError
from maru_kit.vault import Vault

log = structlog.get_logger(__name__)

Mode = Literal["subscribe", "unsubscribe", "denied"]

METHODS = ("sha1", "sha256", "sha384", "sha512")
"""Hashes that hubs may sign with; also what the standard library calls them."""

_SECRET_BYTES = 32
_TOKEN_BYTES = 24
_AT_ONCE = 20
_MAX_HOPS = 3
_DEADLINE = 8.0  # for all hops, so that a service that stops can hear a hub out
_MAX_ANSWER = 64 * 1024
_MAX_TOLD = 200
_ANSWER_SECONDS = 5.0
_DENIED = timedelta(days=1)
_FAREWELLS = 5
_PASSED_ON = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class _NotTaken(Exception):
    """A hub did not take a request; `for_good` when asking it the same again makes no sense."""

    def __init__(self, reason: str, *, for_good: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.for_good = for_good
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Pushing:
    """The use cases around subscriptions.

    `public_url` is where hubs reach us; when it is empty nothing is subscribed to, and what was is
    left.
    """

    publisher: Publisher
    outbound: Outbound
    vault: Vault
    public_url: str = ""
    dice: random.Random = field(default_factory=random.Random)

    async def offered(self, source: Source, push: Push) -> None:
        """Take note of the hubs that a source offers: subscribe, change what is asked, or leave."""
        hubs = self._trusted(push) if self.public_url else []
        async with self.publisher.database.reading() as connection:
            found = await subscriptions.of_sources(connection, [source.id])
        known = found.get(source.id)
        stays = known is not None and hubs and self._is_same(known, push, hubs)
        if known is None and not hubs:
            return
        if known is not None and stays and {*known.hubs} == {*hubs} and known.url == push.url:
            return
        async with self.publisher.database.transaction() as connection:
            now = domain.utc_now()
            current = await sources.source_by_id(connection, source.id, self.vault)
            if current is None or current.state == "paused":
                return
            if current.generation != source.generation:  # people changed what it follows
                return
            if known is not None and stays:
                others = [hub for hub in hubs if hub != known.hubs[0]]
                await subscriptions.replace_offer(
                    connection, known, hubs=[known.hubs[0], *others], url=push.url
                )
                return
            await subscriptions.leave(connection, source.id, now=now)
            if hubs:
                await subscriptions.add(connection, self._new(source, push, hubs, now))

    async def answer(
        self, source_id: str, token: str, *, mode: str, topic: str, lease: str, reason: str
    ) -> None:
        """Take what a hub says of a subscription; it returns when that is what was asked for.

        Raises NotFound when it is not, which tells the hub so.
        """
        now = domain.utc_now()
        async with self.publisher.database.transaction() as connection:
            known = await subscriptions.by_token(connection, source_id, token)
            if known is None or known.topic != topic or mode not in _possible(known):
                raise NotFound("Nothing of the kind was asked for.")
            if mode == "unsubscribe":
                await subscriptions.forget(connection, token)
            elif mode == "denied":
                told = ": ".join(filter(None, ["The hub denies it", _plain(reason)]))
                await subscriptions.deny(connection, known, told, next_at=now + _DENIED)
                await sources.poll_soon(connection, source_id, now=now)
            else:
                granted = domain.lease(lease)
                await subscriptions.confirm(
                    connection,
                    known,
                    lease_until=now + granted,
                    next_at=now + domain.renewal(granted, dice=self.dice),
                )
        log.info("push.answered", source_id=source_id, mode=mode)

    async def receive(
        self, source_id: str, token: str, *, signature: str, content_type: str, body: bytes
    ) -> Counts:
        """Publish the posts that a hub sends, and count them.

        What is not signed as it should be counts for nothing, and the hub is not told so. What
        can't be read has the source polled. Raises Gone where nothing is wanted any more,
        Unavailable when it is to be sent again later.
        """
        async with self.publisher.database.reading() as connection:
            known = await subscriptions.by_token(connection, source_id, token)
            source = await sources.source_by_id(connection, source_id, self.vault)
        is_wanted = known is not None and known.state != "leaving"
        if not is_wanted or known is None or source is None or source.state == "paused":
            raise Gone("Nothing is to be sent here any more.")
        if not is_signed(body, signature, self._secret(known)):
            PUSHES.labels("forged").inc()
            log.warning("push.forged", source_id=source_id)
            return Counts()
        untrusted = frozenset(source.cursor.get("untrusted", ()))
        try:
            document = await asyncio.to_thread(
                documents.parse,
                body,
                url=known.url,
                content_type=content_type,
                untrusted=untrusted,
            )
        except Unreadable as error:
            PUSHES.labels("unreadable").inc()
            log.warning("push.unreadable", source_id=source_id, reason=str(error))
            await self._poll_soon(source_id)
            return Counts()
        counts = await self._published(source, document)
        async with self.publisher.database.transaction() as connection:
            await subscriptions.note_push(connection, token, now=domain.utc_now())
        PUSHES.labels("published").inc()
        return counts

    async def tend(self) -> None:
        """Ask every hub that is to be asked now: first, again, for the next lease, or to stop."""
        async with self.publisher.database.reading() as connection:
            found = await subscriptions.due(connection, now=domain.utc_now(), limit=_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for each in found:
                group.create_task(self._ask(each), name=f"hub of {each.source_id}")

    async def measure(self) -> None:
        """Set the metric of subscriptions."""
        async with self.publisher.database.reading() as connection:
            found = await subscriptions.states(connection)
        for state in ("pending", "active", "denied", "leaving"):
            SUBSCRIPTIONS.labels(state).set(found.get(state, 0))

    def _trusted(self, push: Push) -> list[str]:
        """Return the hubs that may be asked: a stranger names none of the own network."""
        try:
            is_own = self.outbound.is_own(push.url)
            return [hub for hub in push.hubs if is_own or not self.outbound.is_own(hub)]
        except OutboundError:
            return []

    def _is_same(self, known: Subscription, push: Push, hubs: Sequence[str]) -> bool:
        here = self._callback(known.source_id, known.token)
        return (known.topic, known.callback) == (push.topic, here) and known.hubs[0] in hubs

    def _new(self, source: Source, push: Push, hubs: Sequence[str], now: datetime) -> Subscription:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        return Subscription(
            token=token,
            source_id=source.id,
            callback=self._callback(source.id, token),
            hubs=hubs,
            topic=push.topic,
            url=push.url,
            secret=self.vault.seal(
                secrets.token_urlsafe(_SECRET_BYTES), subscriptions.secret_place(token)
            ),
            next_at=now,
        )

    def _secret(self, known: Subscription) -> str:
        return self.vault.open(known.secret, subscriptions.secret_place(known.token))

    def _callback(self, source_id: str, token: str) -> str:
        return f"{self.public_url.rstrip('/')}/hooks/{source_id}/websub/{token}"

    async def _published(self, source: Source, document: Document) -> Counts:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self.publisher.publish(
                    source.origin(), document.rows, deleted=document.deleted
                )
        except TimeoutError as error:
            raise Unavailable("The log does not acknowledge in time.") from error

    async def _poll_soon(self, source_id: str) -> None:
        async with self.publisher.database.transaction() as connection:
            await sources.poll_soon(connection, source_id, now=domain.utc_now())

    async def _ask(self, was: Subscription) -> None:
        asked = await self._claimed(was)
        if asked is None:
            return
        try:
            await self._send(asked)
        except _NotTaken as error:
            await self._note(asked, error)

    async def _claimed(self, was: Subscription) -> Subscription | None:
        """Write down that a hub is being asked; None when there is nothing to ask it.

        A lease that has ended has its source polled at its own pace again. Who is left and does not
        answer is forgotten after a while: its pushes are refused, and its lease ends.
        """
        now = domain.utc_now()
        failures = was.failures + 1
        lapsed = was.state == "active" and was.lease_until is not None and was.lease_until <= now
        asked = replace(
            was,
            state="pending" if lapsed else was.state,
            lease_until=None if lapsed else was.lease_until,
            failures=failures,
            next_at=now + domain.ask_again(failures, dice=self.dice),
        )
        asked = replace(asked, next_at=_before_the_end(asked, asked.next_at))
        async with self.publisher.database.transaction() as connection:
            if was.state == "leaving" and failures > _FAREWELLS:
                await subscriptions.forget(connection, was.token)
                return None
            if not await subscriptions.claim(connection, was, asked):
                return None
            if lapsed:
                await sources.poll_soon(connection, was.source_id, now=now)
        return asked

    async def _send(self, asked: Subscription) -> None:
        """Ask a hub. Raises _NotTaken with the reason when it does not take it."""
        mode: Mode = "unsubscribe" if asked.state == "leaving" else "subscribe"
        form = {"hub.mode": mode, "hub.topic": asked.topic, "hub.callback": asked.callback}
        if mode == "subscribe":
            form["hub.secret"] = self._secret(asked)
            form["hub.lease_seconds"] = str(int(domain.ASKED_LEASE.total_seconds()))
        hub, ends = asked.hub, time.monotonic() + _DEADLINE
        try:
            for _ in range(_MAX_HOPS):
                left = max(round(ends - time.monotonic(), 1), 0.1)
                answer = await self._posted(hub, urlencode(form).encode(), left)
                if answer.status not in _PASSED_ON:
                    _check(answer)
                    return
                hub = self._passed_on(hub, answer)
        except AskedToWait as error:
            raise _NotTaken(f"{error}.", wait=error.retry_after) from error
        except OutboundError as error:
            raise _NotTaken(f"{error}.") from error
        raise _NotTaken("The hub names another one again and again.")

    async def _posted(self, hub: str, form: bytes, seconds: float) -> Fetched:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.outbound.post(
            hub, form, headers=kind, max_bytes=_MAX_ANSWER, deadline=seconds
        )

    def _passed_on(self, hub: str, answer: Fetched) -> str:
        """Return the hub that this one names instead of itself, which may be no own one."""
        try:
            following = urljoin(hub, answer.headers.get("location", ""))
        except ValueError as error:
            raise _NotTaken("The hub names another one by what is no address.") from error
        if self.outbound.is_own(following) and not self.outbound.is_own(hub):
            raise _NotTaken("The hub names one of the own network.", for_good=True)
        return following

    async def _note(self, asked: Subscription, error: _NotTaken) -> None:
        """Write down why a hub did not take it, and when the next one is asked."""
        if asked.state == "leaving":
            if error.for_good:
                async with self.publisher.database.transaction() as connection:
                    await subscriptions.forget(connection, asked.token)
            return
        reason = str(error).replace(asked.token, "…").replace(self._secret(asked), "…")
        now = domain.utc_now()
        is_last = asked.failures % len(asked.hubs) == 0
        ends = error.for_good and is_last and asked.state != "active"
        wait = max(timedelta(seconds=error.wait), _DENIED if ends else timedelta())
        async with self.publisher.database.transaction() as connection:
            await subscriptions.note_refusal(
                connection,
                asked,
                reason,
                state="denied" if ends else asked.state,
                next_at=_before_the_end(asked, max(asked.next_at, now + wait)),
            )
        log.warning("push.not_taken", source_id=asked.source_id, reason=reason)


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` (X-Hub-Signature: `method=hex`) is that of the body under the secret."""
    method, _, given = signature.strip().partition("=")
    name = method.lower()
    if name not in METHODS or not given.isascii():
        return False
    wanted = hmac.new(secret.encode(), body, getattr(hashlib, name)).hexdigest()
    return hmac.compare_digest(wanted, given.lower())


def _possible(known: Subscription) -> Sequence[str]:
    """What a hub may say of a subscription, as it stands."""
    return ("unsubscribe",) if known.state == "leaving" else ("subscribe", "denied")


def _before_the_end(asked: Subscription, moment: datetime) -> datetime:
    """Return the moment, or the end of the lease, whose passing must be noticed."""
    if asked.state == "active" and asked.lease_until is not None:
        return min(moment, asked.lease_until)
    return moment


def _check(answer: Fetched) -> None:
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    told = _plain(answer.body.decode("utf-8", "replace"))
    is_busy = status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    raise _NotTaken(
        f"The hub answers {status}{f': {told}' if told else '.'}",
        for_good=not is_busy,
        wait=answer.retry_after or 0.0,
    )


def _plain(told: str) -> str:
    """Return what a stranger says as one short line."""
    return text.clean_line(told, _MAX_TOLD)
