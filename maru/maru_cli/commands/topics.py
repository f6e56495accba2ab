"""`maru topics` …: what is typed, and what is printed."""

import typer

from maru_cli.asking import Json, ask, change, show

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
    done = ask(lambda client: client.call("PUT", f"/api/v1/topics/{name}", json=body))
    done(done, f"New posts are tagged with {name} from now on.", as_json=as_json)


@app.command("remove")
def topics_remove(name: str, as_json: Json = False) -> None:
    """Stop tagging a topic."""
    change("DELETE", f"/api/v1/topics/{name}", "Removed.", as_json=as_json)
