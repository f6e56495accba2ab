"""Forms that anybody fills in: shown with a ticket, taken once, and kept free of machines."""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast
from uuid import UUID, uuid4

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from maru_ingest import domain
from maru_ingest.connector import ConnectorKind
from maru_ingest.connectors.form import FormSettings
from maru_ingest.form_page import MAX_TEXT
from maru_ingest.formats import text
from maru_ingest.formats.parsed import ParsedPost
from maru_ingest.metrics import FORMS
from maru_ingest.service.publishing import Publisher
from maru_ingest.store import contacts, sources
from maru_ingest.store.sources import Source
from maru_kit.errors import NotFound, Unavailable
from maru_kit.vault import Vault

_MAX_EMAIL = 254
_EMAIL = re.compile(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;]+\.[^\s@.<>\"(),:;]+")
_LEAST_SECONDS = 2.0
"""A person reads and writes for longer; who is quicker is asked to press the button again."""
_MOST_SECONDS = 24 * 3600.0
_PER_MINUTE = 8
_ANSWER_SECONDS = 5.0
_PAUSED_SECONDS = 300.0
_PSEUDONYM = 24


class Fault(StrEnum):
    """What is wrong with what was sent, for people."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NO_EMAIL = "no_email"
    NOT_AGREED = "not_agreed"
    TOO_QUICK = "too_quick"
    STALE = "stale"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Form:
    """A source that is a form, with its settings."""

    source: Source
    settings: FormSettings


@dataclass(frozen=True, slots=True)
class Sent:
    """What somebody has sent. `trap` is what people do not see and leave empty."""

    text: str = ""
    email: str = ""
    agreed: bool = False
    ticket: str = ""
    trap: str = ""


@dataclass
class Forms:
    """The use cases around forms. `least` is how many seconds it takes a person to write."""

    publisher: Publisher
    vault: Vault
    kinds: Mapping[str, ConnectorKind]
    least: float = _LEAST_SECONDS
    per_minute: int = _PER_MINUTE
    clock: Callable[[], float] = time.time
    _limiter: SlidingWindowCounterRateLimiter = field(
        default_factory=lambda: SlidingWindowCounterRateLimiter(MemoryStorage())
    )

    async def find(self, source_id: str) -> Form:
        """Return the form of that id. Raises NotFound, and Unavailable while it is paused."""
        async with self.publisher.database.reading() as connection:
            source = await sources.source_by_id(connection, source_id, self.vault)
        kind = self.kinds.get(source.kind) if source else None
        if source is None or kind is None or not kind.is_form:
            raise NotFound("There is no form at this address.")
        if source.state == "paused":
            raise Unavailable("This form is closed at the moment.", retry_after=_PAUSED_SECONDS)
        settings = kind.settings.model_validate(source.settings)
        return Form(source, cast("FormSettings", settings))

    def ticket(self, form: Form) -> str:
        """Return what a form is sent with: it names one post, and says when it was given out."""
        return _signed(form.source, f"{self.clock():.3f}~{uuid4()}")

    async def send(self, form: Form, sent: Sent, *, address: str) -> Mapping[str, Fault]:
        """Publish what somebody wrote, and return what is wrong with it, by field, if anything.

        The field of what concerns the whole is empty. What a machine sent is dropped, and nothing
        is said of that.
        """
        faults = self._faults(form, sent) or await self._too_many(form, address)
        if not faults and sent.trap:
            FORMS.labels("trapped").inc()
            return {}
        if not faults:
            faults = await self._publish(form, sent)
        FORMS.labels("refused" if faults else "published").inc()
        return faults

    async def contact(self, workspace: str, post_id: str) -> str:
        """Return the address that came with a post. Raises NotFound."""
        async with self.publisher.database.reading() as connection:
            email = await contacts.contact_of(connection, self.vault, post_id, workspace=workspace)
        if email is None:
            raise NotFound("No address came with this post, or it was forgotten.")
        return email

    async def forget(self, workspace: str, post_id: str) -> None:
        """Forget the address that came with a post; the post stays. Raises NotFound."""
        async with self.publisher.database.transaction() as connection:
            if not await contacts.forget(connection, post_id, workspace=workspace):
                raise NotFound("No address came with this post, or it was forgotten.")

    async def _too_many(self, form: Form, address: str) -> Mapping[str, Fault]:
        """Count what would be published: who mends faults is not kept waiting."""
        limit = RateLimitItemPerMinute(self.per_minute)
        is_let = await self._limiter.hit(limit, form.source.id, address)
        return {} if is_let else {"": Fault.TOO_MANY}

    def _faults(self, form: Form, sent: Sent) -> Mapping[str, Fault]:
        issued, _ = _opened(form.source, sent.ticket)
        age = self.clock() - issued
        wrong = {
            "text": _wrong_text(sent.text),
            "email": _wrong_email(sent.email) if form.settings.asks_email else None,
            "consent": Fault.NOT_AGREED if form.settings.consent and not sent.agreed else None,
            "": Fault.STALE if age > _MOST_SECONDS else None,
        }
        faults = {name: fault for name, fault in wrong.items() if fault is not None}
        if not faults and age < self.least:
            return {"": Fault.TOO_QUICK}  # who has a fault to mend is slower the next time
        return faults

    async def _publish(self, form: Form, sent: Sent) -> Mapping[str, Fault]:
        _, name = _opened(form.source, sent.ticket)
        origin, now = form.source.origin(pushed=True), domain.utc_now()
        email = sent.email.strip() if form.settings.asks_email else ""
        post = ParsedPost(native_id=name, text=text.clean(sent.text), created_at=now)
        post.author = _pseudonym(form.source, email) if email else ""
        post_id = domain.name_post(origin, post).id
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                # First, so that no post comes whose writer can't be answered.
                async with self.publisher.database.transaction() as connection:
                    await contacts.keep(
                        connection, self.vault, post_id, form.source.id, email, now=now
                    )
                await self.publisher.publish(origin, [post])
        except (TimeoutError, Unavailable):
            return {"": Fault.UNAVAILABLE}
        return {}


def _wrong_text(written: str) -> Fault | None:
    if not any(one.isprintable() and not one.isspace() for one in written):
        return Fault.EMPTY
    return Fault.TOO_LONG if len(written) > MAX_TEXT else None


def _wrong_email(written: str) -> Fault | None:
    email = written.strip()
    fits = not email or (len(email) <= _MAX_EMAIL and _EMAIL.fullmatch(email))
    return None if fits else Fault.NO_EMAIL


def _pseudonym(source: Source, email: str) -> str:
    """Return by what a writer is known: one person is one voice of a form, and nobody's address."""
    said = f"author {source.id} {email.lower()}".encode()
    return hmac.new(_key(source), said, hashlib.sha256).hexdigest()[:_PSEUDONYM]


def _key(source: Source) -> bytes:
    return (source.secret or source.id).encode()


def _signed(source: Source, said: str) -> str:
    mark = hmac.new(_key(source), f"form {source.id} {said}".encode(), hashlib.sha256).hexdigest()
    return f"{said}~{mark}"


def _opened(source: Source, ticket: str) -> tuple[float, str]:
    """Return when a ticket was given out and the name in it; 0 for one that we did not give out."""
    said = ticket.rpartition("~")[0]
    if not hmac.compare_digest(_signed(source, said).encode(), ticket.encode()):
        return 0.0, ""
    issued, _, name = said.partition("~")
    return float(issued), str(UUID(name))
