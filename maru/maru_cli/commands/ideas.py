"""`maru ideas` …: what is typed, and what is printed."""

from typing import Annotated, Any

import typer

from maru_cli.asking import ROWS, Json, Limit, ask, show
from maru_cli.output import Room, minute, out, print_json, print_table

app = typer.Typer(help="The ideas that customers ask for.", no_args_is_help=True)

_NONE = "No ideas yet: import posts with `maru import FILE --wait`."


@app.command("list")
def ideas_list(
    limit: Limit = ROWS,
    status: str | None = None,
    topic: str | None = None,
    language: str | None = None,
    channel: str | None = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Words to look for.")] = None,
    sort: Annotated[str, typer.Option(help="score, newest, voices or last_seen")] = "score",
    as_json: Json = False,
) -> None:
    """List ideas, the highest score first."""
    asked = {
        "status": status,
        "topic": topic,
        "language": language,
        "channel": channel,
        "q": query,
        "sort": sort,
    }
    params = {name: value for name, value in asked.items() if value is not None}
    rows = ask(lambda client: client.items("/api/v1/ideas", most=limit, **params))
    show(
        rows,
        {
            "score": "Score",
            "voices": "Voices",
            "evidence_count": "Posts",
            "status": "Status",
            "languages": "Languages",
            "title": "Title",
            "id": "ID",
        },
        "No idea fits that." if params.keys() - {"sort"} else _NONE,
        as_json=as_json,
        room=Room("title", ("languages", "evidence_count", "status", "voices")),
    )


@app.command("show")
def ideas_show(idea_id: str, limit: Limit = ROWS, as_json: Json = False) -> None:
    """Show an idea, its score's terms and the posts behind it."""

    async def both(client: Any) -> tuple[Any, Any]:
        idea = await client.call("GET", f"/api/v1/ideas/{idea_id}")
        return idea, await client.items(f"/api/v1/ideas/{idea_id}/evidence", most=limit)

    idea, evidence = ask(both)
    if as_json:
        print_json({**idea, "evidence": evidence})
        return
    out.print(f"{idea['title']}\n{idea['summary']}\n", markup=False)
    terms = ", ".join(f"{name} {value:.1f}" for name, value in idea["terms"].items())
    out.print(f"Score {idea['score']:.1f} = {terms}", markup=False)
    spread = f"{idea.get('copies', 0)} copies, {idea.get('reposts', 0)} reposts"
    counts = f"{idea['voices']} voices, {idea['evidence_count']} posts, {spread}"
    out.print(f"{counts}, {idea['status']}\n")
    print_table(
        [{**it, "created_at": minute(it["created_at"])} for it in evidence],
        {"created_at": "When", "language": "Language", "sentiment": "Mood", "text": "Text"},
        "No posts.",
        Room("text", ("language",)),
    )
