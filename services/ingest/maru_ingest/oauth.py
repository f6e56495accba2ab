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
import base64
import hashlib
import json
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from maru_ingest.connector import (
    CredentialsRefused,
    SourceBroken,
    SourceBusy,
    Tools,
    check_status,
    translated,
)
from maru_ingest.formats import payloads, text, untyped
from maru_ingest.formats.parsed import Unreadable
from maru_kit.outbound import Fetched

T = TypeVar("T")

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTED = timedelta(hours=1)
_EARLY = timedelta(minutes=1)
_EARLY_PART = 0.9
_MAX_LIFE = 10 * 365 * 86_400
_MAX_BODY = 256 * 1024
_MAX_TOLD = 200
_WRITTEN = re.compile(r"[!-~]{1,16000}")
_LATER = {"temporarily_unavailable", "server_error", "slow_down"}
"""Errors that pass (RFC 6749 section 4.1.2.1, RFC 8628 section 3.5)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """By what a token is asked for: what is posted, as a form, to the address of tokens.

    `name` is the same for whoever asks by the same secrets, and tells nothing of them. `signed`
    makes what is posted anew each time. The last `refresh_token` takes the place of the one here.
    """

    name: str
    token_url: str
    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    signed: Callable[[datetime], Mapping[str, str]] | None = field(repr=False, default=None)

    def asked(self, now: datetime, refresh_token: str = "") -> bytes:
        """Return the form to post."""
        renewed = {"refresh_token": refresh_token} if refresh_token else {}
        is_refreshing = "refresh_token" in self.form
        signed = self.signed(now) if self.signed is not None else {}
        return urlencode({**self.form, **(renewed if is_refreshing else {}), **signed}).encode()


@dataclass(frozen=True, slots=True)
class Token:
    """What was granted. `renew_at` is None where nobody says when it ends.

    `ends_at` is when the refresh token itself ends, where that is said.
    """

    access_token: str = field(repr=False)
    renew_at: datetime | None = None
    refresh_token: str = field(repr=False, default="")
    ends_at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether there is no need to renew it yet."""
        return self.renew_at is None or now < self.renew_at

    def written(self) -> str:
        """Return it as it is kept, which is a secret."""
        return json.dumps(
            {
                "access_token": self.access_token,
                "refresh_token": self.refresh_token,
                "renew_at": self.renew_at and self.renew_at.isoformat(),
                "ends_at": self.ends_at and self.ends_at.isoformat(),
            }
        )

    @classmethod
    def of(cls, written: str) -> "Token":
        """Return the one that was written."""
        kept = json.loads(written)
        moments = {
            name: datetime.fromisoformat(kept[name]) if kept[name] else None
            for name in ("renew_at", "ends_at")
        }
        return cls(
            kept["access_token"], moments["renew_at"], kept["refresh_token"], moments["ends_at"]
        )


def client_credentials(
    token_url: str,
    client_id: str,
    client_secret: SecretStr,
    *,
    scopes: Iterable[str] = (),
    in_header: bool = True,
) -> Grant:
    """Ask as the app itself (RFC 6749 section 4.4).

    `in_header` is HTTP Basic; else the app's secret stands in the form (section 2.3.1).
    """
    form = {"grant_type": "client_credentials", **_scope(scopes)}
    return _as_client(token_url, form, client_id, client_secret, in_header=in_header)


def refreshing(
    token_url: str,
    client_id: str,
    client_secret: SecretStr | None,
    refresh_token: SecretStr,
    *,
    scopes: Iterable[str] = (),
    in_header: bool = True,
) -> Grant:
    """Ask by the refresh token that somebody gave (RFC 6749 section 6).

    One that the server puts in its place is kept; this one is then of no use to anybody else.
    """
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token.get_secret_value(),
        **_scope(scopes),
    }
    return _as_client(token_url, form, client_id, client_secret, in_header=in_header)


def service_account(key: SecretStr, scopes: Iterable[str], *, token_url: str = "") -> Grant:
    """Ask by a signed assertion (RFC 7523), as Google's service accounts do.

    `key` is the JSON file of the account's key; it names the address of tokens unless that is
    given. Raises ValueError, without a word of the key, when it is none.
    https://developers.google.com/identity/protocols/oauth2/service-account
    """
    account = _account(key.get_secret_value())
    address = token_url or account["token_uri"]
    private = _private_key(account["private_key"])
    scope = " ".join(scopes)
    header = {"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]}

    def signed(now: datetime) -> Mapping[str, str]:
        claims = {
            "iss": account["client_email"],
            "scope": scope,
            "aud": address,
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTED).timestamp()),
        }
        words = f"{_part(header)}.{_part(claims)}"
        signature = private.sign(words.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"assertion": f"{words}.{_base64(signature)}"}

    name = _name(address, account["client_email"], account["private_key"], scope)
    return Grant(name, address, {"grant_type": _JWT_BEARER}, signed=signed)


def granted(value: object, now: datetime, *, former: str = "") -> Token:
    """Return the token of an answer (RFC 6749 section 5.1).

    `former` is the refresh token that stays in use unless the answer holds another. Raises
    CredentialsRefused for an error, which some send with status 200, and SourceBroken for no token.
    """
    _refuse(value)
    access = untyped.string(value, "access_token")
    kind = untyped.string(value, "token_type") or "bearer"
    if not _WRITTEN.fullmatch(access) or kind.lower() != "bearer":
        raise SourceBroken("it answers with what is no token.")
    lasts = untyped.count(value, "expires_in")
    refresh = untyped.string(value, "refresh_token")
    ends = untyped.count(value, "refresh_token_expires_in") or untyped.count(
        value, "refresh_expires_in"
    )
    return Token(
        access,
        None if lasts is None else now + _until_renewal(lasts),
        refresh if _WRITTEN.fullmatch(refresh) else former,
        now + timedelta(seconds=min(ends, _MAX_LIFE)) if ends else None,
    )


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
            return granted(_value(fetched), now, former=refresh)
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
        raise


def _value(fetched: Fetched) -> object:
    """Return what a server says of a token, an error of RFC 6749 section 5.2 like any other."""
    try:
        value = payloads.loads(fetched.body)
    except Unreadable as error:
        check_status(fetched)
        raise SourceBroken(f"it answers with what can't be read: {error}.") from error
    if fetched.status == HTTPStatus.BAD_REQUEST:
        _refuse(value)
    check_status(fetched)
    return value


def _refuse(value: object) -> None:
    """Raise what the error of an answer means; return where there is none."""
    error = untyped.string(value, "error")
    if not error:
        return
    told = payloads.error_in(value) or error
    if error in _LATER:
        raise SourceBusy(f"No token is granted now: {told}")
    raise CredentialsRefused(text.clean_line(told, _MAX_TOLD))


def _until_renewal(seconds: int) -> timedelta:
    """How long a token is used: up to a minute before its end, of a short one nine tenths."""
    life = timedelta(seconds=min(seconds, _MAX_LIFE))
    return max(life - _EARLY, life * _EARLY_PART)


def _as_client(
    token_url: str,
    form: Mapping[str, str],
    client_id: str,
    client_secret: SecretStr | None,
    *,
    in_header: bool,
) -> Grant:
    secret = client_secret.get_secret_value() if client_secret else ""
    name = _name(token_url, client_id, secret, *(f"{key}={form[key]}" for key in sorted(form)))
    if in_header and secret:
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        basic = base64.b64encode(pair.encode()).decode()
        return Grant(name, token_url, form, {"Authorization": f"Basic {basic}"})
    named = {"client_id": client_id, **({"client_secret": secret} if secret else {})}
    return Grant(name, token_url, {**form, **named})


def _scope(scopes: Iterable[str]) -> dict[str, str]:
    scope = " ".join(scopes)
    return {"scope": scope} if scope else {}


def _name(*secrets: str) -> str:
    return hashlib.sha256(json.dumps(["maru grant", *secrets]).encode()).hexdigest()


def _account(key: str) -> dict[str, str]:
    try:
        value = json.loads(key)
    except (ValueError, RecursionError):
        raise ValueError("must be the JSON file of a service account's key") from None
    names = ("client_email", "private_key", "private_key_id", "token_uri")
    found = {name: untyped.string(value, name) for name in names}
    missing = [name for name, held in found.items() if not held]
    if missing:
        raise ValueError(f"the key of the service account lacks {', '.join(missing)}")
    return found


def _private_key(written: str) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(written.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the private key of the service account can't be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key of the service account is none of RSA")  # noqa: TRY004
    return key


def _part(value: Mapping[str, object]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
