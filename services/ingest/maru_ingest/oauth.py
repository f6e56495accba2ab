"""Tokens of OAuth 2.0: how they are asked for, that they are kept, and renewed before they end.

A connector makes a `Grant` of its settings and asks through a `Session`:

    grant = oauth.client_credentials(ADDRESS, settings.client_id, settings.client_secret)
    session = oauth.Session(grant, tools, "Reddit")
    fetched = await session.get(url)

Tokens outlive the session, sealed in the database under the name of their grant. Sources with the
same grant share them, and so does a trial with the source that it becomes, since of a refresh token
that changes with each use (RFC 6749 section 6) only the last one is worth anything.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from maru_ingest.connector import (
    CredentialsRefused,
    SourceBroken,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads
from maru_ingest.formats.parsed import Unreadable
from maru_ingest.tokens import (
    Grant,
    Token,
    client_credentials,
    granted,
    named,
    refreshing,
    refuse,
    service_account,
)
from maru_kit.outbound import Fetched

__all__ = [
    "Grant",
    "Session",
    "Token",
    "client_credentials",
    "granted",
    "named",
    "refreshing",
    "service_account",
]

T = TypeVar("T")

_MAX_BODY = 256 * 1024


@dataclass(slots=True)
class Session:
    """Asks with a grant's token. `title` is what people call the platform.

    A token that is refused is renewed once; what is refused then is CredentialsRefused. `headers`
    come with every request, that for a token, too.
    """

    grant: Grant
    tools: Tools
    title: str
    headers: Mapping[str, str] = field(default_factory=dict)
    _token: Token | None = field(default=None, repr=False)

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Fetched:
        """Ask, and return an answer that is good; raises as `Tools.get` does."""
        fetched = await self.ask("GET", url, headers=headers)
        check_status(fetched)
        return fetched

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Fetched:
        """Ask, and return the answer whatever its status but 401, which is CredentialsRefused.

        For connectors whose platforms say more of an error than its status. Counts each request,
        those for tokens, too.
        """
        token = await self.token()
        fetched = await self._ask(method, url, headers, body, token)
        if fetched.status == HTTPStatus.UNAUTHORIZED:
            token = await self.token(but=token)
            fetched = await self._ask(method, url, headers, body, token)
        if fetched.status == HTTPStatus.UNAUTHORIZED:
            check_status(fetched)
        return fetched

    async def token(self, *, but: str = "") -> str:
        """Return an access token that is good for a while, and another than `but`.

        Raises CredentialsRefused when none is granted, SourceBusy when none is now.
        """
        if self._token is None:
            self._token = await self._kept()
        if not _is_good(self._token, but):
            self._token = await self._renewed(but)
        assert self._token is not None  # noqa: S101 - `_renewed` returns one
        if self.tools.credentials is not None and self.grant.is_refreshing:
            self.tools.credentials.end(self._token.ends_at, now=datetime.now(UTC))
        return self._token.access_token

    async def _kept(self) -> Token | None:
        if self.tools.grants is None:
            return self._token
        written = await self.tools.grants.kept(self.grant.name)
        return Token.of(written) if written else None

    async def _renewed(self, but: str) -> Token:
        """Renew the token, unless somebody else has while we waited for our turn."""
        if self.tools.grants is None:
            return await self._asked(self._token)
        async with self.tools.grants.renewing(self.grant.name):
            kept = await self._kept()
            if kept is not None and _is_good(kept, but):
                return kept
            # Whoever has asked must keep what comes: the former refresh token is worth nothing.
            return await _to_the_end(self._asked_and_kept(kept))

    async def _asked_and_kept(self, former: Token | None) -> Token:
        assert self.tools.grants is not None  # noqa: S101 - asked before
        token = await self._asked(former)
        await self.tools.grants.keep(self.grant.name, token.written())
        return token

    async def _asked(self, former: Token | None) -> Token:
        if self.tools.budget is not None:
            self.tools.budget.spend()
        refresh = former.refresh_token if former else ""
        now = datetime.now(UTC)
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        with translated():
            fetched = await self.tools.outbound.post(
                self.grant.token_url,
                self.grant.asked(now, refresh),
                headers={**self.headers, **self.grant.headers, **form},
                max_bytes=_MAX_BODY,
                deadline=self.tools.deadline,
            )
        try:
            return granted(_value(fetched), now, former=former)
        except CredentialsRefused as error:
            raise CredentialsRefused(f"{self.title} grants no token: {error}") from error
        except SourceBroken as error:
            raise SourceBroken(f"{self.title} grants no token: {error}") from error

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: bytes,
        token: str,
    ) -> Fetched:
        if self.tools.budget is not None:
            self.tools.budget.spend()
        with translated():
            return await self.tools.outbound.request(
                method,
                url,
                headers={
                    **self.headers,
                    **(headers or {}),
                    "Authorization": f"Bearer {token}",
                },
                body=body,
                max_bytes=self.tools.max_bytes,
                deadline=self.tools.deadline,
            )


def _is_good(token: Token | None, but: str) -> bool:
    return token is not None and token.access_token != but and token.is_fresh(datetime.now(UTC))


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do some work to its end, and be cancelled only then; its own deadline bounds it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, though nobody is told any more
        raise


def _value(fetched: Fetched) -> object:
    """Return what a server says of a token, an error of RFC 6749 section 5.2 like any other."""
    try:
        value = payloads.loads(fetched.body)
    except Unreadable as error:
        check_status(fetched)
        raise SourceBroken(f"it answers with what can't be read: {error}.") from error
    if fetched.status == HTTPStatus.BAD_REQUEST:
        refuse(value)
    check_status(fetched)
    return value
