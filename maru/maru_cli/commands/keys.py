"""`maru keys` …: what is typed, and what is printed."""

from typing import Annotated

import typer

from maru_cli.asking import Json, ask, change, done, show

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command("create")
def keys_create(
    name: str,
    role: Annotated[str, typer.Option(help="reader, contributor, owner or admin")] = "reader",
    as_json: Json = False,
) -> None:
    """Make an API key and show it, this once."""
    body = {"name": name, "role": role}
    made = ask(lambda client: client.call("POST", "/api/v1/keys", json=body))
    done(made, f"{made['key']}", as_json=as_json)


@app.command("list")
def keys_list(as_json: Json = False) -> None:
    """List the API keys."""
    rows = ask(lambda client: client.items("/api/v1/keys", most=10_000))
    columns = {"id": "ID", "name": "Name", "role": "Role", "prefix": "Begins", "used_at": "Used"}
    show(rows, columns, "No keys.", as_json=as_json)


@app.command("revoke")
def keys_revoke(key_id: str, as_json: Json = False) -> None:
    """End an API key for good."""
    change("DELETE", f"/api/v1/keys/{key_id}", "Revoked.", as_json=as_json)
