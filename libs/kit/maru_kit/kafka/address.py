"""Where a Kafka cluster is, and how it wants to be spoken to, all in one URL.

`kafka://host:port,host:port` is plain; `kafka+ssl://` is TLS, verified against the machine's
authorities. `user:password@` before the hosts is SASL. Parameters bear kafka-python's names.
"""

import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from maru_kit.errors import ConfigError

SCHEMES = ("kafka", "kafka+ssl")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
_KNOWN = ("sasl_mechanism", *_FILES)


def servers(url: str) -> str:
    """Return the hosts alone, as they may be shown."""
    return _split(url).netloc.rpartition("@")[2]


@lru_cache(8)
def connection(url: str) -> Mapping[str, Any]:
    """Return what every aiokafka client must be told to reach the cluster.

    Raises ConfigError, which names neither user nor password, when the URL cannot be meant.
    """
    parts = _split(url)
    wishes = _wishes(parts.query)
    is_secure = parts.scheme == "kafka+ssl"
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if "@" in password or (user and not colon):
        raise _wrong("give user:password, each percent-encoded where it holds : / @ ? # or %")
    if not user and "sasl_mechanism" in wishes:
        raise _wrong("sasl_mechanism needs a user and a password")
    found: dict[str, Any] = {
        "bootstrap_servers": servers(url),
        "security_protocol": ("SASL_" if user else "") + ("SSL" if is_secure else "PLAINTEXT"),
    }
    if user:
        found |= {
            "sasl_mechanism": _mechanism(wishes),
            "sasl_plain_username": unquote(user),
            "sasl_plain_password": unquote(password),
        }
    if is_secure:
        found["ssl_context"] = _context(wishes)
    elif any(name in wishes for name in _FILES):
        raise _wrong("certificates need TLS: begin it with kafka+ssl://")
    return found


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.path not in ("", "/") or parts.fragment:
        raise _wrong("it must be kafka://host:port or kafka+ssl://user:password@host:port")
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if not all(host.strip() for host in hosts):
        raise _wrong("it names no host")
    return parts


def _wishes(query: str) -> dict[str, str]:
    wishes = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(wishes.keys() - set(_KNOWN))
    if unknown:
        raise _wrong(f"there is no parameter {unknown[0]}, only {', '.join(_KNOWN)}")
    return wishes


def _mechanism(wishes: Mapping[str, str]) -> str:
    mechanism = wishes.get("sasl_mechanism", MECHANISMS[0]).upper()
    if mechanism not in MECHANISMS:
        raise _wrong(f"sasl_mechanism is one of {', '.join(MECHANISMS)}")
    return mechanism


def _context(wishes: Mapping[str, str]) -> ssl.SSLContext:
    for name in _FILES:
        if name in wishes and not Path(wishes[name]).is_file():
            raise _wrong(f"{name} names no file: {wishes[name]}")
    if ("ssl_certfile" in wishes) is not ("ssl_keyfile" in wishes):
        raise _wrong("ssl_certfile and ssl_keyfile go together")
    try:
        context = ssl.create_default_context(cafile=wishes.get("ssl_cafile"))
        if "ssl_certfile" in wishes:
            context.load_cert_chain(wishes["ssl_certfile"], wishes["ssl_keyfile"])
    except (ssl.SSLError, OSError) as error:
        raise _wrong(f"a certificate or key cannot be read: {error}") from error
    return context


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"MARU_BUS_URL cannot be used: {what}")
