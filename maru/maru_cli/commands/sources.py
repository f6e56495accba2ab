"""`maru sources` …: what is typed, and what is printed."""

from typing import Annotated, Any

import typer

from maru_cli.asking import Json, ask, change, show
from maru_cli.output import out, print_json
from maru_contracts.posts import Channel
from maru_kit.errors import ConfigError

app = typer.Typer(help="The sources that Maru follows.", no_args_is_help=True)


@app.command("list")
def sources_list(as_json: Json = False) -> None:
    """List the sources, with their health."""
    rows = ask(lambda client: client.items("/api/v1/sources", most=10_000))
    show(
        rows,
        {
            "id": "ID",
            "name": "Name",
            "kind": "Kind",
            "channel": "Channel",
            "state": "State",
            "posts": "Posts",
            "rejected": "Rejected",
            "reason": "Reason",
        },
        "No sources yet: add one with `maru sources add`.",
        as_json=as_json,
    )


@app.command("add")
def sources_add(
    kind: Annotated[str, typer.Argument(help="feed, file or webhook")],
    name: str,
    url: Annotated[str | None, typer.Option(help="A feed's address.")] = None,
    path: Annotated[str | None, typer.Option(help="A file's path.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="The medium.")] = None,
    product: str = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as name=value.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow a source from now on."""
    settings: dict[str, Any] = dict(_setting(pair) for pair in setting or [])
    settings |= {k: v for k, v in {"url": url, "path": path}.items() if v is not None}
    body = {
        "kind": kind,
        "name": name,
        "product": product,
        "channel": channel,
        "settings": settings,
    }
    added = ask(lambda client: client.call("POST", "/api/v1/sources", json=body))
    if as_json:
        print_json(added)
        return
    out.print(f"Following {added['name']} ({added['id']}).")
    if added.get("secret"):
        out.print(f"Signing secret, shown this once: {added['secret']}")


def _setting(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise ConfigError(f"--set takes name=value, not {pair!r}")
    return key, value


@app.command("pause")
def sources_pause(source_id: str, as_json: Json = False) -> None:
    """Leave a source alone until it is resumed."""
    change("POST", f"/api/v1/sources/{source_id}/pause", "Paused.", as_json=as_json)


@app.command("resume")
def sources_resume(source_id: str, as_json: Json = False) -> None:
    """Follow a paused source again, or try a broken one at once."""
    change("POST", f"/api/v1/sources/{source_id}/resume", "Resumed.", as_json=as_json)


@app.command("remove")
def sources_remove(source_id: str, as_json: Json = False) -> None:
    """Stop following a source; its posts stay."""
    change("DELETE", f"/api/v1/sources/{source_id}", "Removed.", as_json=as_json)
