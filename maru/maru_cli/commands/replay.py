"""`maru replay`: what is typed, and what is printed."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from maru_cli.asking import Json, done
from maru_kit.errors import ConfigError

app = typer.Typer()


@app.command()
def replay(
    topic: Annotated[str, typer.Option(help="The topic, such as posts.collected.v1.")],
    since: Annotated[
        str, typer.Option("--from", help="`beginning`, an offset, or a time (ISO 8601).")
    ],
    as_json: Json = False,
) -> None:
    """Run a topic's history again; what was processed before is known and not counted twice."""
    from maru_cli import log

    count = asyncio.run(log.replay(topic, _moment(since), quiet=as_json))
    done({"replayed": count}, f"{count} messages are on their way again.", as_json=as_json)


def _moment(value: str) -> datetime | int | Literal["beginning"]:
    if value == "beginning":
        return "beginning"
    if value.isdigit():
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ConfigError(
            f"--from takes `beginning`, an offset or a time such as 2026-11-01, not {value!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
