"""`maru topics` …: what is typed, and what is printed."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from maru_cli.asking import Json, Limit, ask, change, done, show
from maru_cli.output import Room

app = typer.Typer(
    help="The subjects of posts: those that they are tagged with, and those discovered.",
    no_args_is_help=True,
)

Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")]


@app.command("list")
def topics_list(as_json: Json = False) -> None:
    """List the topics that posts are tagged with."""
    rows = ask(lambda client: client.call("GET", "/api/v1/topics"))
    columns = {"name": "Name", "description": "Description", "examples": "Examples"}
    show(rows, columns, "No topics.", as_json=as_json)


@app.command("set")
def topics_set(
    name: str,
    examples: Annotated[
        list[str] | None, typer.Argument(help="Phrases that speak of it; the others are forgotten.")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What it is, in a sentence; an empty one removes it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Define a topic by a description, example phrases or both, in any language.

    Of a topic that is there, what is not said stays.
    """
    said = {"examples": examples or None, "description": description}
    body = {name: value for name, value in said.items() if value is not None}
    defined = ask(lambda client: client.call("PUT", _path(name), json=body))
    done(defined, f"New posts are tagged with {name} from now on.", as_json=as_json)


@app.command("rename")
def topics_rename(name: str, to: str, as_json: Json = False) -> None:
    """Call a topic otherwise; what it learnt from corrected posts goes with it."""
    renamed = ask(lambda client: client.call("POST", f"{_path(name)}/name", json={"name": to}))
    done(renamed, f"New posts are tagged with {renamed['name']} from now on.", as_json=as_json)


@app.command("remove")
def topics_remove(name: str, as_json: Json = False) -> None:
    """Stop tagging a topic."""
    change("DELETE", _path(name), "Removed.", as_json=as_json)


@app.command("discovered")
def topics_discovered(
    first: Day = None,
    last: Day = None,
    product: Annotated[str | None, typer.Option(help="Of one product alone.")] = None,
    growth: Annotated[bool, typer.Option("--growth", help="The fastest growing first.")] = False,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="The dismissed ones.")] = False,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List what posts speak of without anybody having defined it: the last 30 days, or others."""
    asked = {
        "first": first,
        "last": last,
        "product": product,
        "sort": "growth" if growth else "volume",
        "dismissed": dismissed,
        "limit": min(limit, 100),
    }
    params = {name: value for name, value in asked.items() if value is not None}
    found = ask(lambda client: client.call("GET", _DISCOVERED, params=params))
    rows = [_row(topic) for topic in found["topics"]]
    empty = f"Nothing is spoken of by enough people from {found['first']} to {found['last']}."
    show(found if as_json else rows, _COLUMNS, empty, as_json=as_json, room=_ROOM)


@app.command("adopt")
def topics_adopt(
    topic_id: str,
    name: Annotated[
        str | None,
        typer.Option(help="What it shall be called; as it was discovered, if not said."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a discovered topic one that posts are tagged with."""
    path = f"{_DISCOVERED}/{quote(topic_id, safe='')}/adoption"
    adopted = ask(lambda client: client.call("POST", path, json={"name": name}))
    done(adopted, f"New posts are tagged with {adopted['name']} from now on.", as_json=as_json)


@app.command("dismiss")
def topics_dismiss(
    topic_id: str,
    undo: Annotated[bool, typer.Option("--undo", help="Let it into the list again.")] = False,
    as_json: Json = False,
) -> None:
    """Keep a discovered topic out of the list."""
    path = f"{_DISCOVERED}/{quote(topic_id, safe='')}/dismissal"
    said = "It is listed again." if undo else "It is not listed any more."
    change("DELETE" if undo else "PUT", path, said, as_json=as_json)


def _row(topic: dict[str, Any]) -> dict[str, Any]:  # JSON as it comes
    return {
        **topic,
        **topic["mood"],
        "share": f"{topic['share']:.1%}",
        "trend": "rising" if topic["rising"] else "",
        "languages": list(topic["languages"])[:4],
    }


_DISCOVERED = "/api/v1/discovered-topics"
_COLUMNS = {
    "name": "Name",
    "posts": "Posts",
    "before": "Before",
    "trend": "",
    "share": "Share",
    "negative": "Negative",
    "positive": "Positive",
    "languages": "Languages",
    "id": "ID",
}
_ROOM = Room("name", ("languages", "before", "share", "positive", "negative"))


def _path(name: str) -> str:
    return f"/api/v1/topics/{quote(name, safe='')}"
