"""`maru corrections` …: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from maru_cli.asking import Json, ask, change, done, show
from maru_kit.errors import ConfigError, MaruError

app = typer.Typer(
    help="Terms whose mood the workspace knows better, and posts whose tags it corrected.",
    no_args_is_help=True,
)


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


@app.command("export")
def corrections_export(
    file: Path,
    kind: Annotated[
        str,
        typer.Option("--for", help="sentiment, intent, problem, question, praise or topics"),
    ] = "sentiment",
    as_json: Json = False,
) -> None:
    """Write the posts whose tags people corrected, as `maru eval KIND FILE` reads them.

    Topics are for `maru eval learnt-topics`.
    """
    if kind not in _EXPORTED:
        raise ConfigError(f"--for takes one of {', '.join(_EXPORTED)}, not {kind!r}")
    posts = ask(lambda client: client.items("/api/v1/posts", most=_MOST, corrected=True))
    labelled = [(_text(post["post"]), _label(post["correction"], kind)) for post in posts]
    rows = [f"{text}\t{label}\n" for text, label in labelled if label is not None]
    try:
        file.write_text("".join(["text\tlabel\n", *rows]), "utf-8")
    except OSError as error:
        raise MaruError(f"{file} can't be written: {error.strerror}") from error
    said = {"file": str(file), "posts": len(rows)}
    done(said, f"Posts in {file}: {len(rows)}.", as_json=as_json)


_EXPORTED = ("sentiment", "intent", "problem", "question", "praise", "topics")
_MOST = 10_000


def _label(correction: dict[str, Any], kind: str) -> str | None:
    if kind == "sentiment":
        mood: str | None = correction["mood"]
        return mood
    if kind == "topics":
        named: list[str] | None = correction["topics"]
        return None if named is None else "|".join(named)
    if correction["intent"] is None:
        return None
    wanted = "suggestion" if kind == "intent" else kind
    return wanted if correction["intent"] == wanted else "other"


def _text(post: dict[str, Any]) -> str:
    """Write title and text on one line, as a TSV file needs it."""
    title, text = post["title"], post["text"]
    return " ".join((text if text.startswith(title) else f"{title} {text}").split())


def _path(term: str) -> str:
    return f"/api/v1/corrections/{quote(term, safe='')}"
