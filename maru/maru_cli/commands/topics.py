"""`maru topics` …: what is typed, and what is printed."""

from urllib.parse import quote

import typer

from maru_cli.asking import Json, ask, change, done, show

app = typer.Typer(help="The subjects that posts are tagged with.", no_args_is_help=True)


@app.command("list")
def topics_list(as_json: Json = False) -> None:
    """List the topics that posts are tagged with."""
    rows = ask(lambda client: client.call("GET", "/api/v1/topics"))
    show(rows, {"name": "Name", "examples": "Examples"}, "No topics.", as_json=as_json)


@app.command("set")
def topics_set(name: str, examples: list[str], as_json: Json = False) -> None:
    """Define a topic by example phrases, in any language."""
    body = {"examples": examples}
    defined = ask(lambda client: client.call("PUT", _path(name), json=body))
    done(defined, f"New posts are tagged with {name} from now on.", as_json=as_json)


@app.command("remove")
def topics_remove(name: str, as_json: Json = False) -> None:
    """Stop tagging a topic."""
    change("DELETE", _path(name), "Removed.", as_json=as_json)


def _path(name: str) -> str:
    return f"/api/v1/topics/{quote(name, safe='')}"
