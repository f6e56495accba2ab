"""A server that grants tokens as OAuth 2.0 says (RFC 6749, RFC 7523), for platforms to build on."""

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CLIENT = "an-app"
SECRET = "s3cret-of-an-app"
REFRESH = "refresh-of-somebody"


@dataclass
class Authorization:
    """Grants tokens for `lives` seconds, and knows which of them are good.

    A server that `rotates` takes each refresh token once. `error` (status, body) is what it answers
    everything with, `slow` after how many seconds it answers. `forms` are what it was sent.
    """

    lives: int | None = 3_600
    rotates: bool = False
    refresh_lives: int | None = None
    in_header: bool = True
    slow: float = 0.0
    error: tuple[int, Any] | None = None
    forms: list[dict[str, str]] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    refresh: str = REFRESH

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        number = len(self.forms)
        if self.error is not None:
            status, body = self.error
            return web.json_response(body, status=status)
        if not form["grant_type"].startswith("urn:") and not self._knows(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refresh:
                told = {"error": "invalid_grant", "error_description": "The token was used."}
                return web.json_response(told, status=400)
            if self.rotates:
                self.refresh = f"refresh-{number}"
        granted = f"access-{number}"
        self.good.add(granted)
        await asyncio.sleep(self.slow)
        answer = {
            "access_token": granted,
            "token_type": "bearer",
            **({} if self.lives is None else {"expires_in": self.lives}),
            **({"refresh_token": self.refresh} if self.rotates else {}),
            **({"refresh_token_expires_in": self.refresh_lives} if self.refresh_lives else {}),
        }
        return web.json_response(answer)

    def accepts(self, request: web.Request) -> bool:
        """Whether a request comes with a token that is good."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and token in self.good

    def revoke(self) -> None:
        """Take back all tokens that were granted."""
        self.good.clear()

    def _knows(self, request: web.Request, form: dict[str, str]) -> bool:
        if not self.in_header:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {basic}"
