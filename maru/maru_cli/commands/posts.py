"""`maru posts`: what is typed, and what is printed."""

from typing import Annotated

import typer

from maru_cli.asking import ROWS, Json, Limit, ask, show

app = typer.Typer()


@app.command()
def posts(
    limit: Limit = ROWS,
    language: str | None = None,
    sentiment: str | None = None,
    intent: str | None = None,
    spam: Annotated[
        bool | None, typer.Option("--spam/--no-spam", help="Spam alone, or all but spam.")
    ] = None,
    query: Annotated[str | None, typer.Option("--query", "-q")] = None,
    as_json: Json = False,
) -> None:
    """List the newest posts with their tags."""
    asked = {"language": language, "sentiment": sentiment, "intent": intent, "q": query}
    params = {name: value for name, value in asked.items() if value is not None}
    if spam is not None:
        params["spam"] = str(spam).lower()
    rows = ask(lambda client: client.items("/api/v1/posts", most=limit, **params))
    if not as_json:
        rows = [{**row["post"], "language": row["language"]} for row in rows]
    show(rows, _POST_COLUMNS, "No post fits that." if params else "No posts yet.", as_json=as_json)


_POST_COLUMNS = {
    "created_at": "When",
    "channel": "Channel",
    "language": "Language",
    "text": "Text",
    "id": "ID",
}
