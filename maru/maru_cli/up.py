"""`maru up` and `maru serve`: run everything in one process, or one service alone."""

import asyncio
import importlib
import socket
import time

from maru_cli import STARTED, sample_workspace
from maru_cli.composition import Composition, compose, running
from maru_cli.home import admin_key, locked
from maru_cli.output import out
from maru_kit.errors import ConfigError
from maru_kit.http import serve
from maru_kit.loop import run

SERVICES = ("ingest", "sentiment", "ideas", "gateway")


def up(*, with_sample: bool) -> None:
    """Run all services until SIGINT or SIGTERM, then let them finish what is in hand.

    Raises ConfigError when the port is taken or a Maru runs in the same folder.
    """
    composition = compose(work=True)
    _demand_port(composition.common.host, composition.port)
    with locked(composition.common.home):
        run(_up(composition, with_sample=with_sample))


async def _up(composition: Composition, *, with_sample: bool) -> None:
    host, port = composition.common.host, composition.port
    async with running(composition.services), asyncio.TaskGroup() as tasks:
        greeting: list[asyncio.Task[None]] = []

        def greet() -> None:
            greeting.append(tasks.create_task(_greet(composition, with_sample=with_sample)))

        await serve(composition.gateway, host=host, port=port, on_ready=greet)
        for task in greeting:
            task.cancel()
    out.print("Maru has stopped. The next start goes on from here.")


async def _greet(composition: Composition, *, with_sample: bool) -> None:
    home = composition.common.home
    key = await admin_key(home, composition.gateway.state.house.keys)
    address = f"http://{composition.common.host}:{composition.port}"
    out.print(
        f"\n  [bold]Maru[/] is ready after {time.monotonic() - STARTED:.1f} s. Data: {home}\n\n"
        f"  Board      {address}/#key={key}\n"
        f"  API        {address}/docs\n"
        f"  Admin key  {key}\n\n"
        "  Stop with Ctrl-C.\n"
    )
    if with_sample:
        await sample_workspace.load(composition, key)


def _demand_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Port {port} is taken ({error.strerror}): choose another one with MARU_PORT"
            ) from error


def serve_one(service: str) -> None:
    """Run one service alone, as in production."""
    app = importlib.import_module(f"maru_{service}.app")
    settings = importlib.import_module(f"maru_{service}.settings").Settings()
    run(serve(app.create_app(settings), host=settings.common.host, port=settings.port))
