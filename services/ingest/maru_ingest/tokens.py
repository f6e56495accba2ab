"""Grants and tokens of OAuth 2.0 as values: what is asked, and what an answer holds."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from maru_ingest.connector import CredentialsRefused, SourceBroken, SourceBusy
from maru_ingest.formats import payloads, text, untyped

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTED = timedelta(hours=1)
_EARLY = timedelta(minutes=1)
_EARLY_PART = 0.9
_MAX_LIFE = 10 * 365 * 86_400
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

    @property
    def is_refreshing(self) -> bool:
        """Whether it lasts as long as a refresh token does; others do not end by themselves."""
        return "refresh_token" in self.form

    def asked(self, now: datetime, refresh_token: str = "") -> bytes:
        """Return the form to post."""
        renewed = {"refresh_token": refresh_token} if refresh_token else {}
        signed = self.signed(now) if self.signed is not None else {}
        return urlencode(
            {**self.form, **(renewed if self.is_refreshing else {}), **signed}
        ).encode()


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

    name = named(address, account["client_email"], account["private_key"], scope)
    return Grant(name, address, {"grant_type": _JWT_BEARER}, signed=signed)


def granted(value: object, now: datetime, *, former: Token | None = None) -> Token:
    """Return the token of an answer (RFC 6749 section 5.1).

    The `former` one's refresh token stays in use unless the answer holds another. Raises
    CredentialsRefused for an error, which some send with status 200, and SourceBroken for no token.
    """
    refuse(value)
    access = untyped.string(value, "access_token")
    kind = untyped.string(value, "token_type") or "bearer"
    if not _WRITTEN.fullmatch(access) or kind.lower() != "bearer":
        raise SourceBroken("it answers with what is no token.")
    lasts = untyped.count(value, "expires_in")
    refresh = untyped.string(value, "refresh_token")
    is_new = _WRITTEN.fullmatch(refresh) is not None
    stays = former if former is not None and not is_new else None
    return Token(
        access,
        None if lasts is None else now + _until_renewal(lasts),
        refresh if is_new else (stays.refresh_token if stays else ""),
        _end_of_refresh(value, now) or (stays.ends_at if stays else None),
    )


def _end_of_refresh(value: object, now: datetime) -> datetime | None:
    """Return when the refresh token ends, which no standard has a name for."""
    names = ("refresh_token_expires_in", "refresh_expires_in")
    ends = next(filter(None, (untyped.count(value, name) for name in names)), None)
    return now + timedelta(seconds=min(ends, _MAX_LIFE)) if ends else None


def refuse(value: object) -> None:
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
    name = named(token_url, client_id, secret, *(f"{key}={form[key]}" for key in sorted(form)))
    if in_header and secret:
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        basic = base64.b64encode(pair.encode()).decode()
        return Grant(name, token_url, form, {"Authorization": f"Basic {basic}"})
    as_itself = {"client_id": client_id, **({"client_secret": secret} if secret else {})}
    return Grant(name, token_url, {**form, **as_itself})


def _scope(scopes: Iterable[str]) -> dict[str, str]:
    scope = " ".join(scopes)
    return {"scope": scope} if scope else {}


def named(*secrets: str) -> str:
    """Return the name under which a token is kept that is asked for by these secrets."""
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
