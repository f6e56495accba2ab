"""Addresses of the web as requests need them: in ASCII, with a host, without credentials."""

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from maru_kit.outbound.errors import Blocked, Unreachable

WEB = {"http": 80, "https": 443}
SOCKETS = {"ws": 80, "wss": 443}

KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What stands for itself in an address, and what is escaped already."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where an address leads: `authority` is the value of the Host header."""

    scheme: str
    host: str
    port: int
    authority: str

    @property
    def server(self) -> str:
        """The host, with its port where that is none of the web's own."""
        return self.host if self.port in WEB.values() else f"{self.host}:{self.port}"


def uri(address: str) -> str:
    """Write an address in ASCII (RFC 3987 section 3.1): people link to `/공지` as it reads."""
    if address.isascii():
        return address
    try:
        split = urlsplit(address)
        host = split.netloc.encode("idna").decode()
        rest = [quote(part, safe=KEPT) for part in (split.path, split.query, split.fragment)]
    except ValueError as error:
        raise Blocked("The address cannot be written as one of the web") from error
    return urlunsplit((split.scheme, host, *rest))


def target(url: str) -> str:
    """Return what a host is asked for: the path and the query of an address in ASCII."""
    split = urlsplit(url)
    return (split.path or "/") + (f"?{split.query}" if split.query else "")


def joined(url: str, target: str) -> str:
    """Follow a Location header (read as Latin-1, so that each character is one byte)."""
    try:
        return urljoin(url, quote(target.encode("latin-1"), safe=KEPT))
    except ValueError as error:
        raise Unreachable(f"{host(url)} redirects to what is no address") from error


def parts(url: str, schemes: dict[str, int] = WEB) -> Parts:
    """Take an address apart. Raises Blocked for one that is not to be asked."""
    try:
        split = urlsplit(url)
        default = schemes[split.scheme]
    except (ValueError, KeyError) as error:
        allowed = " and ".join(f"{scheme}://" for scheme in schemes)
        raise Blocked(f"Only {allowed} addresses are asked") from error
    try:
        port = default if split.port is None else split.port
    except ValueError as error:
        raise Blocked("The address's port is none: ports are numbers up to 65535") from error
    if not split.hostname:
        raise Blocked("The address names no host")
    if split.username is not None:
        raise Blocked("The address holds a user name; give credentials in the settings instead")
    return Parts(split.scheme, split.hostname, port, split.netloc)


def origin(url: str) -> tuple[str, str, int]:
    """Return what a secret may be shared within: scheme, host and port."""
    found = parts(url)
    return found.scheme, found.host, found.port


def host(url: str) -> str:
    """Return the host's name for a sentence."""
    return urlsplit(url).hostname or "The address"
