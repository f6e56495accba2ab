"""Opens connections to outside addresses only, checked at the moment of connecting.

The name is resolved here, every address it has must be outside, and the connection goes to the
address that was checked: a name that changes its address between check and use gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpcore
from httpcore import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from maru_kit.outbound.addresses import is_outside
from maru_kit.outbound.errors import Blocked

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

PORTS = frozenset({80, 443})

_RESOLVING = ThreadPoolExecutor(16, thread_name_prefix="resolver")
"""Of their own: a resolver may take half a minute, and what is parsed would wait behind it."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look up all addresses of a host."""
    asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, asked)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Guard(AsyncNetworkBackend):
    """The network as outbound requests see it. `allow` names own hosts (`host` or `host:port`)."""

    def __init__(
        self,
        allow: Iterable[str],
        *,
        resolver: Resolve = resolve,
        network: AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow = frozenset(allow)
        self._resolve = resolver
        self._network = network or AnyIOBackend()

    def allows(self, host: str, port: int) -> bool:
        """Whether this host of the own network was expressly allowed."""
        return host in self._allow or f"{host}:{port}" in self._allow

    async def addresses(self, host: str, port: int, ports: Collection[int]) -> Sequence[str]:
        """Return the addresses of a host that may be connected to at one of `ports`.

        Raises Blocked, or httpcore.ConnectError when it has none.
        """
        if not self.allows(host, port) and port not in ports:
            named = " and ".join(map(str, sorted(ports)))
            raise Blocked(f"Port {port} of {host} is not asked: only {named} are")
        return await self._checked(host, port)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first address that answers. Raises Blocked before any packet leaves."""
        addresses = await self.addresses(host, port, PORTS)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(
            addresses[-1], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's interface
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - as above
    ) -> AsyncNetworkStream:
        """Refuse: a socket file is never outside."""
        raise Blocked(f"{path} is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)

    async def _checked(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        if not self.allows(host, port):
            for address in addresses:
                if not is_outside(address.partition("%")[0]):
                    raise Blocked(f"{host} leads to {address}, which is not on the public internet")
        return addresses
