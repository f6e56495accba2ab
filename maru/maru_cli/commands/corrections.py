"""`maru corrections` …: what is typed, and what is printed."""

from typing import Annotated
from urllib.parse import quote

import typer

from maru_cli.asking import Json, ask, change, done, show

app = typer.Typer(help="Terms whose mood the workspace knows better.", no_args_is_help=True)


@app.command("list")
def corrections_list(as_json: Json = False) -> None:
    """List the corrections."""
    rows = ask(lambda client: client.call("GET", "/api/v1/corrections"))
    columns = {"term": "Term", "mood": "Mood", "aliases": "Also written"}
    show(rows, columns, "No corrections.", as_json=as_json)


@app.command("add")
def corrections_add(
    term: str,
    mood: Annotated[str, typer.Argument(help="negative, neutral or positive")],
    alias: Annotated[
        list[str] | None, typer.Option("--alias", help="Another spelling; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a term means, whatever the sentiment model takes it for."""
    body = {"mood": mood, "aliases": alias or []}
    added = ask(lambda client: client.call("PUT", _path(term), json=body))
    done(added, f"{term} is {mood} in new posts from now on.", as_json=as_json)


@app.command("remove")
def corrections_remove(term: str, as_json: Json = False) -> None:
    """Let the sentiment model judge a term again."""
    change("DELETE", _path(term), "Removed.", as_json=as_json)


def _path(term: str) -> str:
    return f"/api/v1/corrections/{quote(term, safe='')}"
