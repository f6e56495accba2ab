"""Runs an application on a port until it is told to stop, and lets what is in hand finish."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket

import uvicorn
from fastapi import FastAPI

DRAIN_SECONDS = 5
"""How long open requests and streams may go on after SIGTERM."""


class _Server(uvicorn.Server):
    """Tells the application at once when it is asked to stop; a second signal ends it at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        draining: asyncio.Event | None,
        on_ready: Callable[[], None] | None,
    ) -> None:
        super().__init__(config)
        self._draining = draining
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals without raising them again afterwards.

        uvicorn would: SIGTERM then ends the process before the services have drained.
        """
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._draining is not None:
            self._draining.set()


async def serve(
    app: FastAPI, *, host: str, port: int, on_ready: Callable[[], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; open connections then get `DRAIN_SECONDS` to finish.

    `on_ready` is called once the port is open. If the application has an event
    `app.state.draining`, it is set when the signal comes. Raises SystemExit, with a code other than
    0, when the port is taken or the start fails; the log says why.
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
    server = _Server(config, getattr(app.state, "draining", None), on_ready)
    await server.serve()
    if not server.started:
        raise SystemExit(1)
