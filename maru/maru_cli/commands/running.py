"""`maru up` and `maru serve`: what is typed, and what is printed."""

from typing import Annotated

import typer

from maru_cli.asking import log_as
from maru_kit.errors import ConfigError

app = typer.Typer()


@app.command()
def up(
    sample: Annotated[
        bool, typer.Option("--sample", help="Add a sample workspace of invented posts.")
    ] = False,
) -> None:
    """Run all of Maru in this process, on MARU_PORT, until Ctrl-C."""
    from maru_cli import up as running

    running.up(with_sample=sample)


@app.command()
def serve(
    service: Annotated[str, typer.Argument(help="ingest, sentiment, ideas or gateway")],
) -> None:
    """Run one service alone, as in production."""
    from maru_cli import up as running

    if service not in running.SERVICES:
        raise ConfigError(f"There is no service {service}: choose {', '.join(running.SERVICES)}")
    log_as(service)
    running.serve_one(service)
