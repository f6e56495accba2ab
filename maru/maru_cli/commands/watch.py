"""`maru watch` …: what is typed, and what is printed."""

from typing import Annotated
from urllib.parse import quote

import typer

from maru_cli.asking import Json, ask, change, done, show

app = typer.Typer(help="The products that posts are searched for.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The product's name.")]
Alias = Annotated[
    list[str] | None, typer.Option("--alias", help="Another name, in any language; repeatable.")
]
Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")]


@app.command("list")
def watch_list(as_json: Json = False) -> None:
    """List the watched products."""
    rows = ask(lambda client: client.call("GET", "/api/v1/watch"))
    columns = {"name": "Name", "kind": "Whose", "aliases": "Also called"}
    show(rows, columns, "Nothing is watched: add a product with `maru watch add`.", as_json=as_json)


@app.command("add")
def watch_add(
    kind: Annotated[str, typer.Argument(help="own or competitor")],
    name: Name,
    alias: Alias = None,
    as_json: Json = False,
) -> None:
    """Watch a product from now on, or define it anew."""
    body = {"kind": kind, "aliases": alias or []}
    added = ask(lambda client: client.call("PUT", _path(name), json=body))
    done(added, f"{name} is found in new posts from now on.", as_json=as_json)


@app.command("remove")
def watch_remove(name: Name, as_json: Json = False) -> None:
    """Stop watching a product; what was counted stays."""
    change("DELETE", _path(name), "Removed.", as_json=as_json)


@app.command("share")
def watch_share(
    first: Day = None,
    last: Day = None,
    as_json: Json = False,
) -> None:
    """Show the share of voice of each product: the last 30 days, or from day to day (UTC)."""
    period = {"first": first, "last": last}
    params = {name: day for name, day in period.items() if day is not None}
    voice = ask(lambda client: client.call("GET", "/api/v1/share-of-voice", params=params))
    rows = voice["products"]
    if not as_json:
        rows = [{**row, **row["mood"], "share": f"{row['share']:.1%}"} for row in rows]
    empty = f"No watched product was mentioned from {voice['first']} to {voice['last']}."
    show(voice if as_json else rows, _VOICE_COLUMNS, empty, as_json=as_json)


def _path(name: str) -> str:
    return f"/api/v1/watch/{quote(name, safe='')}"


_VOICE_COLUMNS = {
    "name": "Name",
    "kind": "Whose",
    "posts": "Posts",
    "share": "Share",
    "negative": "Negative",
    "neutral": "Neutral",
    "positive": "Positive",
}
