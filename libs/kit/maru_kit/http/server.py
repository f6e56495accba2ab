"""Runs an application on a port until it is told to stop, and lets what is in hand finish."""

import asyncio
from types import FrameType

import uvicorn
from fastapi import FastAPI

DRAIN_SECONDS = 5
"""How long open requests and streams may go on after SIGTERM."""


class _Server(uvicorn.Server):
    """Tells the application at once when it is asked to stop, so that streams can end."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event | None) -> None:
        super().__init__(config)
        self._draining = draining

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._draining is not None:
            self._draining.set()
        super().handle_exit(sig, frame)


async def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; open connections then get `DRAIN_SECONDS` to finish.

    If the application has an event `app.state.draining`, it is set when the signal comes. Raises
    SystemExit (1) when the port is taken or the start fails; the log says why.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=30,
    )
    server = _Server(config, getattr(app.state, "draining", None))
    await server.serve()
    if not server.started:
        raise SystemExit(1)
