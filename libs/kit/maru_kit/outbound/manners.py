"""How a host is treated: how many ask it at once, how often, and when it is left alone.

How many and how often is kept for each host, the rest for each server on it. All of it is in memory
and bounded: those that were noted longest ago are forgotten.
"""

import asyncio
import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar
from weakref import WeakValueDictionary

from maru_kit.outbound import limits
from maru_kit.outbound.errors import AskedToWait, Unreachable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_PER_HOST = 2
_REMEMBERED = 10_000
_FIRST_REST = 30.0
_MOST_DOUBLINGS = 7
_TOO_MANY = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks whom. Limits hold for one credential at one server; without one it is everybody.

    A server is a host, with its port where that is none of the web's own: what another program of
    the same machine suffers from says nothing of this one.
    """

    server: str
    credential: bytes | None = None

    @classmethod
    def of(cls, server: str, headers: Mapping[str, str]) -> "Asker":
        """Name the asker by a hash of the Authorization header, so that no secret is kept."""
        secrets = [value for name, value in headers.items() if name.lower() == "authorization"]
        return cls(server, hashlib.blake2b("".join(secrets).encode(), digest_size=16).digest())


@dataclass(slots=True)
class Visit:
    """One request while it is out; `failed` is set by an answer that is the host's failure."""

    asker: Asker
    failed: bool = False


@dataclass(slots=True)
class _Health:
    """Failures in a row, and until when the server rests; `trying` while one request finds out."""

    failures: int = 0
    rests: int = 0
    rest_until: float = 0.0
    trying: bool = False


@dataclass
class Manners:
    """What is known of hosts. `patience` is how many failures in a row are borne."""

    patience: int = 5
    clock: Callable[[], float] = time.monotonic
    dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._asked_at: OrderedDict[str, float] = OrderedDict()
        self._silent_until: OrderedDict[Asker, float] = OrderedDict()
        self._health: OrderedDict[str, _Health] = OrderedDict()

    def check(self, asker: Asker) -> None:
        """Raise AskedToWait while the host wants no request, or is left alone."""
        now = self.clock()
        server = asker.server
        silences = (self._silent_until.get(who, 0.0) for who in (asker, Asker(server)))
        left = max(silences) - now
        if left > 0:
            raise AskedToWait(
                f"{server} asked not to be asked again for {left:.0f} s", retry_after=left
            )
        health = self._health.get(server)
        if health is not None and health.failures >= self.patience:
            rest = max(health.rest_until - now, 1.0 if health.trying else 0.0)
            if rest > 0:
                raise AskedToWait(
                    f"{server} failed {health.failures} times in a row"
                    f" and is left alone for {rest:.0f} s",
                    retry_after=rest,
                )

    @asynccontextmanager
    async def turn(self, host: str, delay: float) -> AsyncIterator[None]:
        """Wait for one of the few places at a host, and until `delay` after its last request.

        The delay is stretched by up to a half, so that many askers do not fall into step.
        """
        places = self._turns.setdefault(host, asyncio.Semaphore(_PER_HOST))
        async with places:
            await self._pause(host, delay * self.dice.uniform(1.0, 1.5))
            yield

    @contextmanager
    def visit(self, asker: Asker, deadline: asyncio.Timeout) -> Iterator[Visit]:
        """Ask a host: AskedToWait if it is not to be asked now, and its failures are counted.

        What the caller gave up, or blocked, says nothing of the host; its `deadline` does.
        """
        self.check(asker)
        health = self._health.get(asker.server)
        if health is not None and health.failures >= self.patience:
            health.trying = True
        visit = Visit(asker)
        try:
            yield visit
        except BaseException as error:
            if deadline.expired() or isinstance(error, Unreachable):
                self._failed(asker.server)
            elif (health := self._health.get(asker.server)) is not None:
                health.trying = False
            raise
        if visit.failed:
            self._failed(asker.server)
        else:
            self._health.pop(asker.server, None)

    def heard(self, visit: Visit, status: int, headers: Mapping[str, str]) -> float | None:
        """Note what an answer says of the host; return how long it wants no further request.

        An exhausted allowance, a 429 and a 403 that asks to wait (GitHub's, of its secondary
        limits) concern the credential, a 503 everybody.
        """
        now = datetime.now(UTC)
        visit.failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        asked = limits.retry_after(headers, now)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._keep_silent(Asker(visit.asker.server), asked)
        elif status in _TOO_MANY:
            self._keep_silent(visit.asker, asked)
        left = limits.allowance(headers, now)
        if left is not None and left.exhausted and left.reset > 0:
            reset = min(left.reset, limits.MAX_WAIT)
            self._keep_silent(visit.asker, reset)
            asked = max(asked or 0.0, reset)
        return asked

    async def _pause(self, host: str, delay: float) -> None:
        """Wait until the last request is `delay` ago, which another one may put off meanwhile."""
        while True:
            early = self._asked_at.get(host, -delay) + delay - self.clock()
            if early <= 0:
                break
            await asyncio.sleep(early)
        _note(self._asked_at, host, self.clock())

    def _keep_silent(self, asker: Asker, seconds: float | None) -> None:
        if seconds:
            until = self.clock() + seconds
            _note(self._silent_until, asker, max(until, self._silent_until.get(asker, 0.0)))

    def _failed(self, server: str) -> None:
        health = self._health.get(server, _Health())
        health.failures += 1
        if health.failures == self.patience or health.trying:
            rest = _FIRST_REST * 2 ** min(health.rests, _MOST_DOUBLINGS)
            health.rest_until = self.clock() + self.dice.uniform(0.5, 1.0) * rest
            health.rests += 1
        health.trying = False
        _note(self._health, server, health)


def _note(notes: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    notes[key] = value
    notes.move_to_end(key)
    while len(notes) > _REMEMBERED:
        notes.popitem(last=False)
