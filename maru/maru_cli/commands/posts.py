"""`maru posts` …: what is typed, and what is printed."""

from typing import Annotated, Any

import typer

from maru_cli.asking import ROWS, Json, Limit, ask, change, done, show
from maru_cli.output import Room, minute
from maru_kit.errors import ConfigError

app = typer.Typer(help="Posts with their tags; without a command, the newest ones.")


@app.callback(invoke_without_command=True)
def posts(
    context: typer.Context,
    limit: Limit = ROWS,
    language: str | None = None,
    sentiment: str | None = None,
    intent: str | None = None,
    spam: Annotated[
        bool | None, typer.Option("--spam/--no-spam", help="Spam alone, or all but spam.")
    ] = None,
    query: Annotated[str | None, typer.Option("--query", "-q")] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="Only those whose tags a person corrected.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the newest posts with their tags."""
    if context.invoked_subcommand:
        return
    asked = {"language": language, "sentiment": sentiment, "intent": intent, "q": query}
    params: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if spam is not None:
        params["spam"] = str(spam).lower()
    if corrected:
        params["corrected"] = True
    rows = ask(lambda client: client.items("/api/v1/posts", most=limit, **params))
    if not as_json:
        rows = [_row(row) for row in rows]
    empty = "No post fits that." if params else "No posts yet."
    show(rows, _POST_COLUMNS, empty, as_json=as_json, room=_ROOM)


@app.command("correct")
def posts_correct(
    post: str,
    mood: Annotated[
        str | None, typer.Option("--mood", help="negative, neutral or positive")
    ] = None,
    intent: Annotated[
        str | None, typer.Option("--intent", help="suggestion, problem, question, praise or other")
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="What it is about; repeatable.")
    ] = None,
    no_topic: Annotated[
        bool, typer.Option("--no-topic", help="It is about none of the topics.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a post's tags are, or that they are right; the rest is left to the models."""
    if topic and no_topic:
        raise ConfigError("Say --topic or --no-topic, not both")
    said = {"mood": mood, "intent": intent, "topics": [] if no_topic else topic}
    body = {name: value for name, value in said.items() if value is not None}
    if not body:
        raise ConfigError("Say what the post's tags are: --mood, --intent, --topic or --no-topic")
    found = ask(lambda client: client.call("PUT", _path(post), json=body))
    done(found, "Corrected.", as_json=as_json)


@app.command("uncorrect")
def posts_uncorrect(post: str, as_json: Json = False) -> None:
    """Give a post the models' own tags again."""
    change("DELETE", _path(post), "The models' own tags are back.", as_json=as_json)


def _row(row: dict[str, Any]) -> dict[str, Any]:  # JSON as it comes
    post = row["post"]
    return {**post, "language": row["language"], "created_at": minute(post["created_at"])}


def _path(post: str) -> str:
    return f"/api/v1/posts/{post}/correction"


_POST_COLUMNS = {
    "created_at": "When",
    "channel": "Channel",
    "language": "Language",
    "text": "Text",
    "id": "ID",
}
_ROOM = Room("text", ("language", "channel", "created_at"))
