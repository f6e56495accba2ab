"""Runs an application on a port until it is told to stop, and lets what is in hand finish."""

import uvicorn
from starlette.types import ASGIApp

DRAIN_SECONDS = 5
"""How long open requests and streams may go on after SIGTERM."""


async def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; open connections then get `DRAIN_SECONDS` to finish.

    Raises SystemExit (1) when the port is taken or the start fails; uvicorn has logged why.
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
    server = uvicorn.Server(config)
    await server.serve()
    if not server.started:
        raise SystemExit(1)
