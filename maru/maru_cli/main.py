"""The command `maru`. What takes long to import is imported by the command that needs it."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from maru_cli.output import err, out, print_json, print_table, sentences
from maru_contracts.posts import Channel
from maru_kit.errors import ConfigError, MaruError

app = typer.Typer(
    help="Maru listens to what customers say and turns it into ideas.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
sources_app = typer.Typer(help="The sources that Maru follows.", no_args_is_help=True)
ideas_app = typer.Typer(help="The ideas that customers ask for.", no_args_is_help=True)
topics_app = typer.Typer(help="The subjects that posts are tagged with.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
dead_app = typer.Typer(help="Messages that could not be processed.", no_args_is_help=True)
eval_app = typer.Typer(help="Measure the models on labelled files.", no_args_is_help=True)
for name, group in (
    ("sources", sources_app),
    ("ideas", ideas_app),
    ("topics", topics_app),
    ("keys", keys_app),
    ("dead", dead_app),
    ("eval", eval_app),
):
    app.add_typer(group, name=name)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many to list.")]
ROWS = 50


@app.command()
def up(
    sample: Annotated[
        bool, typer.Option("--sample", help="Add a sample workspace of invented posts.")
    ] = False,
) -> None:
    """Run all of Maru in this process, on MARU_PORT, until Ctrl-C."""
    from maru_cli import up as running

    running.up(with_sample=sample)


@app.command()
def serve(
    service: Annotated[str, typer.Argument(help="ingest, sentiment, ideas or gateway")],
) -> None:
    """Run one service alone, as in production."""
    from maru_cli import up as running

    if service not in running.SERVICES:
        raise ConfigError(f"There is no service {service}: choose {', '.join(running.SERVICES)}")
    _log_as(service)
    running.serve_one(service)


@app.command(name="import")
def import_(
    file: Annotated[str, typer.Argument(help="NDJSON, CSV, JSON Feed, RSS or Atom; - for stdin")],
    source: Annotated[str, typer.Option(help="Its name. Default: the file's name.")] = "",
    channel: Annotated[Channel, typer.Option(help="The medium its posts came through.")] = (
        Channel.OTHER
    ),
    product: Annotated[str, typer.Option(help="The product its posts speak of.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until the posts are ideas.")] = False,
    as_json: Json = False,
) -> None:
    """Import a file of posts. Bad rows go to FILE.rejects.ndjson, and the exit status is 1."""
    from maru_cli import importing

    name = source or ("stdin" if file == "-" else Path(file).name)
    status = importing.run(
        file, source=name, channel=channel, product=product, wait=wait, as_json=as_json
    )
    raise typer.Exit(status)


@sources_app.command("list")
def sources_list(as_json: Json = False) -> None:
    """List the sources, with their health."""
    rows = _ask(lambda client: client.items("/api/v1/sources", most=10_000))
    _show(
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


@sources_app.command("add")
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
    added = _ask(lambda client: client.call("POST", "/api/v1/sources", json=body))
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


@sources_app.command("pause")
def sources_pause(source_id: str, as_json: Json = False) -> None:
    """Leave a source alone until it is resumed."""
    _change("POST", f"/api/v1/sources/{source_id}/pause", "Paused.", as_json=as_json)


@sources_app.command("resume")
def sources_resume(source_id: str, as_json: Json = False) -> None:
    """Follow a paused source again, or try a broken one at once."""
    _change("POST", f"/api/v1/sources/{source_id}/resume", "Resumed.", as_json=as_json)


@sources_app.command("remove")
def sources_remove(source_id: str, as_json: Json = False) -> None:
    """Stop following a source; its posts stay."""
    _change("DELETE", f"/api/v1/sources/{source_id}", "Removed.", as_json=as_json)


@ideas_app.command("list")
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
    rows = _ask(lambda client: client.items("/api/v1/ideas", most=limit, **params))
    _show(
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
        "No ideas yet: import posts with `maru import FILE --wait`.",
        as_json=as_json,
    )


@ideas_app.command("show")
def ideas_show(idea_id: str, limit: Limit = ROWS, as_json: Json = False) -> None:
    """Show an idea, its score's terms and the posts behind it."""

    async def both(client: Any) -> tuple[Any, Any]:
        idea = await client.call("GET", f"/api/v1/ideas/{idea_id}")
        return idea, await client.items(f"/api/v1/ideas/{idea_id}/evidence", most=limit)

    idea, evidence = _ask(both)
    if as_json:
        print_json({**idea, "evidence": evidence})
        return
    out.print(f"{idea['title']}\n{idea['summary']}\n", markup=False)
    terms = ", ".join(f"{name} {value:.1f}" for name, value in idea["terms"].items())
    out.print(f"Score {idea['score']:.1f} = {terms}", markup=False)
    out.print(f"{idea['voices']} voices, {idea['evidence_count']} posts, {idea['status']}\n")
    print_table(
        evidence,
        {"created_at": "When", "language": "Language", "sentiment": "Mood", "text": "Text"},
        "No posts.",
    )


@app.command()
def posts(
    limit: Limit = ROWS,
    language: str | None = None,
    sentiment: str | None = None,
    intent: str | None = None,
    query: Annotated[str | None, typer.Option("--query", "-q")] = None,
    as_json: Json = False,
) -> None:
    """List the newest posts with their tags."""
    asked = {"language": language, "sentiment": sentiment, "intent": intent, "q": query}
    params = {name: value for name, value in asked.items() if value is not None}
    rows = _ask(lambda client: client.items("/api/v1/posts", most=limit, **params))
    _show(rows, _POST_COLUMNS, "No posts yet.", as_json=as_json)


_POST_COLUMNS = {
    "created_at": "When",
    "channel": "Channel",
    "language": "Language",
    "text": "Text",
    "id": "ID",
}


@topics_app.command("list")
def topics_list(as_json: Json = False) -> None:
    """List the topics that posts are tagged with."""
    rows = _ask(lambda client: client.call("GET", "/api/v1/topics"))
    _show(rows, {"name": "Name", "examples": "Examples"}, "No topics.", as_json=as_json)


@topics_app.command("set")
def topics_set(name: str, examples: list[str], as_json: Json = False) -> None:
    """Define a topic by example phrases, in any language."""
    body = {"examples": examples}
    done = _ask(lambda client: client.call("PUT", f"/api/v1/topics/{name}", json=body))
    _done(done, f"New posts are tagged with {name} from now on.", as_json=as_json)


@topics_app.command("remove")
def topics_remove(name: str, as_json: Json = False) -> None:
    """Stop tagging a topic."""
    _change("DELETE", f"/api/v1/topics/{name}", "Removed.", as_json=as_json)


@keys_app.command("create")
def keys_create(
    name: str,
    role: Annotated[str, typer.Option(help="reader, contributor, owner or admin")] = "reader",
    as_json: Json = False,
) -> None:
    """Make an API key and show it, this once."""
    body = {"name": name, "role": role}
    made = _ask(lambda client: client.call("POST", "/api/v1/keys", json=body))
    _done(made, f"{made['key']}", as_json=as_json)


@keys_app.command("list")
def keys_list(as_json: Json = False) -> None:
    """List the API keys."""
    rows = _ask(lambda client: client.items("/api/v1/keys", most=10_000))
    columns = {"id": "ID", "name": "Name", "role": "Role", "prefix": "Begins", "used_at": "Used"}
    _show(rows, columns, "No keys.", as_json=as_json)


@keys_app.command("revoke")
def keys_revoke(key_id: str, as_json: Json = False) -> None:
    """End an API key for good."""
    _change("DELETE", f"/api/v1/keys/{key_id}", "Revoked.", as_json=as_json)


@dead_app.command("list")
def dead_list(as_json: Json = False) -> None:
    """List the dead letters that wait: where each came from, and why."""
    from maru_cli import log

    columns = {
        "topic": "Topic",
        "group": "Group",
        "id": "ID",
        "dead_at": "Since",
        "reason": "Reason",
        "error": "Error",
    }
    _show(asyncio.run(log.dead()), columns, "No dead letters.", as_json=as_json)


@dead_app.command("replay")
def dead_replay(
    topic: Annotated[str | None, typer.Option(help="Only those of this topic.")] = None,
    group: Annotated[str | None, typer.Option(help="Only those of this group.")] = None,
    id: Annotated[list[int] | None, typer.Option(help="Only these.")] = None,
    as_json: Json = False,
) -> None:
    """Put dead letters back on their topic, once what was wrong is mended."""
    from maru_cli import log

    count = asyncio.run(log.replay_dead(topic, group, id))
    _done({"replayed": count}, f"{count} messages are on their way again.", as_json=as_json)


@app.command()
def replay(
    topic: Annotated[str, typer.Option(help="The topic, such as posts.collected.v1.")],
    since: Annotated[
        str, typer.Option("--from", help="`beginning`, an offset, or a time (ISO 8601).")
    ],
    as_json: Json = False,
) -> None:
    """Run a topic's history again; what was processed before is known and not counted twice."""
    from maru_cli import log

    count = asyncio.run(log.replay(topic, _moment(since)))
    _done({"replayed": count}, f"{count} messages are on their way again.", as_json=as_json)


def _moment(value: str) -> datetime | int | Literal["beginning"]:
    if value == "beginning":
        return "beginning"
    if value.isdigit():
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ConfigError(
            f"--from takes `beginning`, an offset or a time such as 2026-11-01, not {value!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that everything works, and say what to do where it does not."""
    from maru_cli import doctor as checks

    raise typer.Exit(checks.run(as_json=as_json))


@app.command()
def settings(as_json: Json = False) -> None:
    """Show all settings: value, variable and meaning. Secrets are hidden."""
    from maru_cli import shown_settings

    columns = {"env": "Variable", "value": "Value", "source": "From", "description": "Meaning"}
    _show(shown_settings.rows(), columns, "", as_json=as_json)


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="The folder of labelled data.")] = Path(
        "../shared/data"
    ),
    to: Annotated[Path, typer.Option(help="Where the weights go.")] = Path(
        "services/sentiment/maru_sentiment/weights"
    ),
    seed: int = 0,
) -> None:
    """Train the heads again (about ten minutes; needs the development dependencies)."""
    from maru_sentiment.training import train as train_heads

    print_json(train_heads(data, to, seed=seed))


@eval_app.command("sentiment")
def eval_sentiment(file: Path) -> None:
    """Measure moods on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("sentiment", file))


@eval_app.command("intent")
def eval_intent(file: Path) -> None:
    """Measure suggestions on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("intent", file))


@eval_app.command("clusters")
def eval_clusters(file: Path) -> None:
    """Measure the matching of posts to ideas on a TSV file: text and gold cluster."""
    from maru_cli import clusters

    print_json(clusters.run(file))


def _ask(question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:  # JSON as it comes
    from maru_cli.client import connected

    async def ask() -> Any:
        async with connected() as client:
            return await question(client)

    return asyncio.run(ask())


def _change(method: str, path: str, done: str, *, as_json: bool) -> None:
    answer = _ask(lambda client: client.call(method, path))
    _done(answer or {"done": True}, done, as_json=as_json)


def _done(answer: Any, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        out.print(text, markup=False)


def _show(rows: Any, columns: dict[str, str], empty: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, empty)


def _log_as(service: str, level: str | None = None) -> None:
    from maru_kit.logs import configure
    from maru_kit.settings import Common

    common = Common()
    configure(service, level=level or common.log_level, format=common.log_format)


def main() -> None:
    """Run a command; an error is one sentence on standard error and a status that is not 0."""
    quiet = sys.argv[1:2] not in (["up"], ["train"])
    try:
        _log_as("maru", "error" if quiet else None)
        app()
    except* MaruError as errors:
        if os.environ.get("MARU_DEBUG"):
            raise
        for text in sentences(errors):
            err.print(f"maru: {text}", markup=False)
        sys.exit(1)
    except* ValidationError:
        from maru_cli import shown_settings

        refused = shown_settings.refused()
        if not refused or os.environ.get("MARU_DEBUG"):
            raise
        for text in refused:
            err.print(f"maru: {text}", markup=False)
        sys.exit(1)
