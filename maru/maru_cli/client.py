"""How the commands ask the gateway: in this process, or at MARU_URL with MARU_API_KEY."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from maru_cli.composition import compose, running
from maru_cli.home import admin_key
from maru_kit.errors import ConfigError, MaruError

_TIMEOUT = 60.0


class Refused(MaruError):
    """The gateway did not do what was asked; the text is its problem's detail."""


class Client:
    """Calls of the API; raises Refused for every problem that comes back."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, method: str, path: str, **options: Any) -> Any:  # JSON as it comes
        """Send one request and return the answer's JSON; None when it has no body."""
        response = await self._answer(method, path, **options)
        return response.json() if response.content else None

    async def text(self, path: str) -> str:
        """Fetch what is not JSON, as text."""
        return (await self._answer("GET", path)).text

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Refused(f"{self._http.base_url} does not answer: {error}") from error
        if response.is_error:
            problem = _problem(response)
            raise Refused(f"{problem} ({response.status_code} from {method} {path})")
        return response

    async def items(self, path: str, *, most: int, **params: Any) -> list[Any]:
        """Collect the items of a list, page by page, up to `most`."""
        found: list[Any] = []
        cursor: str | None = None
        while len(found) < most:
            asked = {**params, "limit": min(100, most - len(found))}
            page = await self.call(
                "GET", path, params=asked | ({"cursor": cursor} if cursor else {})
            )
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        return found


async def gateway_answers(host: str, port: int) -> bool:
    """Whether a Maru gateway is what listens there."""
    try:
        async with httpx.AsyncClient(timeout=5) as http:
            answer = await http.get(f"http://{host}:{port}/healthz")
            return bool(answer.json() == {"status": "alive"})
    except (httpx.HTTPError, ValueError):
        return False


def _problem(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:300]


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    """Reach the gateway: over HTTP when MARU_URL is set, otherwise in this process."""
    url = os.environ.get("MARU_URL")
    if url:
        key = os.environ.get("MARU_API_KEY")
        if not key:
            raise ConfigError("MARU_URL is set: set MARU_API_KEY too, to a key of that Maru")
        async with _http(base_url=url, key=key) as http:
            yield Client(http)
        return
    composition = compose(work=False)
    async with running({**composition.services, "gateway": composition.gateway}):
        key = await admin_key(composition.common.home, composition.gateway.state.house.keys)
        transport = httpx.ASGITransport(composition.gateway)
        async with _http(base_url="http://maru", key=key, transport=transport) as http:
            yield Client(http)


def _http(
    *, base_url: str, key: str, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=base_url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=_TIMEOUT,
        transport=transport,
        trust_env=False,
    )
