"""`maru dead` …: what is typed, and what is printed."""

import asyncio
from typing import Annotated

import typer

from maru_cli.asking import Json, done, show

app = typer.Typer(help="Messages that could not be processed.", no_args_is_help=True)


@app.command("list")
def dead_list(as_json: Json = False) -> None:
    """List the dead letters that wait: where each came from, and why."""
    from maru_cli import log

    columns = {
        "topic": "Topic",
        "group": "Group",
        "id": "ID",
        "dead_at": "Since",
        "reason": "Reason",
        "error": "Error",
    }
    show(asyncio.run(log.dead()), columns, "No dead letters.", as_json=as_json)


@app.command("replay")
def dead_replay(
    topic: Annotated[str | None, typer.Option(help="Only those of this topic.")] = None,
    group: Annotated[str | None, typer.Option(help="Only those of this group.")] = None,
    id: Annotated[list[int] | None, typer.Option(help="Only these.")] = None,
    as_json: Json = False,
) -> None:
    """Put dead letters back on their topic, once what was wrong is mended."""
    from maru_cli import log

    count = asyncio.run(log.replay_dead(topic, group, id))
    done({"replayed": count}, f"{count} messages are on their way again.", as_json=as_json)
