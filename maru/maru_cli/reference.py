"""Writes the pages of docs/ that the code itself knows best: `make docs`."""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import typer
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel

from maru_cli import shown_settings
from maru_cli.main import app as command_line
from maru_contracts.json_schemas import EXAMPLES
from maru_contracts.topics import TOPICS, dead_letters
from maru_ingest.connector import ConnectorKind
from maru_ingest.connectors import kinds
from maru_kit.plugins import load

_DOCS = Path(__file__).parents[2] / "docs"
_MADE = "<!-- Made by `make docs`; change the code, not this page. -->\n\n"
_METRICS = (
    "maru_kit.metrics",
    "maru_ingest.metrics",
    "maru_sentiment.metrics",
    "maru_ideas.metrics",
    "maru_gateway.metrics",
)
_LONGEST = 120
_READ = """\
`maru parse FILE` shows, and `maru import FILE` and sources of the kinds feed and file take, what
these platforms' public APIs answer, saved as JSON in any encoding: one object, a list of objects,
or a page of results. Whose answer it is shows in its fields; nothing has to be said. A file whose
lines are objects stays JSON Lines, where a line without words of its own may be an event of a
platform's stream; a JSON Feed stays a feed, and so do answers in XML (Naver's, Apple's).

- **Posts** come with their own id, address, author (handle and name), time and time of the last
  change, language, pictures and films with their descriptions, counts, and the ids of what they
  answer or pass on. HTML, Markdown and each platform's own mark-up become text: mentions as
  `@name`, a link as its label, or as its whole address where the label is only a part of it.
- **Ids** are names in the world wherever the platform has one, so that a post that two sources
  bring is one post. An answer to a post names it by the same id.
- **Passing on** (repost, reblog, forward) is a post of who does it, with the words of the original
  and its id as `reshared_from`. A quote keeps its own words, and the id of what it quotes.
- **Channels** are told where they can be. What not everybody may read (a private account or
  repository, a direct message, a hidden comment) has the channel `other`, which is never quoted on
  the public board.
- **Deleted** posts, and events that delete, end the post that came under the same id; see
  [edits and deletions](edits-and-deletions.md). A Mastodon server's own event names a post by that
  server's number, which ends nothing.
- **A company's own answer** below a review is no post.
- **Stars** are kept as a `rating`: a `value` of at most `best`, 4 of 5. Rows of one's own name it
  `rating`, `stars` or 별점 (`4`, `4.5`, `4/5`, `★★★★☆`), of five unless `best_rating` says more.
- **Errors** of an API, and objects that hold no posts (an account, a playlist, a list of ids), are
  refused as a whole, with the platform's own reason or the name of what it is. One object that
  can't be read among others is a bad row with its number and reason, and the others go on.

A new platform is one file in `maru_ingest/formats/platforms/`."""


_CONNECTORS = """\
A kind of source is one file in `maru_ingest/connectors/`. `maru sources kinds` lists them with
their settings, `maru sources test KIND` shows the first posts of a source without adding it
(`POST /api/v1/connectors/{kind}/test`), `maru sources add` follows it. On the
board all of that is a form, which its settings make ([how](sources.md)).

- `backfill`: older posts of any range of time can be fetched;
- `live`: posts come within seconds, by a stream or a push;
- `replies`: answers to posts come too, each with its parent;
- `media`: pictures, sound and film come with their descriptions;
- `metrics`: likes, shares, replies and views are counted;
- `publish`: Maru can answer there.

All of them keep one suite of tests (`tests/ingest/test_conformance.py`): nothing is lost between
two polls or when a poll is cut off, nothing comes twice, an edit is the next revision, whoever asks
for silence gets it, credentials that are refused are not tried again for an hour, a secret is in no
answer and no log line."""


def settings_page() -> str:
    """List every setting with its default and meaning."""
    rows = [
        f"| `{row['env']}` | {_code(row['default'])} | {row['description']} |"
        for row in shown_settings.rows()
    ]
    return (
        "# Settings\n\n" + _MADE + "Every setting is an environment variable; every default works "
        "on a laptop. `maru settings` shows the values in force, with secrets hidden. Lists are "
        "written as JSON.\n\n| variable | default | meaning |\n| --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )


def metrics_page() -> str:
    """List every metric with its kind, labels and meaning."""
    lines = ["# Metrics\n", _MADE.rstrip(), "", "Every service answers `/metrics`."]
    for module in _METRICS:
        lines += [f"\n## {module.removesuffix('.metrics')}\n", *_metric_rows(module)]
    return "\n".join(lines) + "\n"


def _metric_rows(module: str) -> Iterator[str]:
    yield "| metric | kind | labels | meaning |"
    yield "| --- | --- | --- | --- |"
    for metric in metrics_of(module):
        labels = ", ".join(metric._labelnames)  # noqa: SLF001 - it has no public name
        yield (
            f"| `{metric_name(metric)}` | {metric._type} | {labels} "  # noqa: SLF001
            f"| {metric._documentation} |"  # noqa: SLF001
        )


def metrics_of(module: str) -> list[MetricWrapperBase]:
    """Return the metrics that a module defines."""
    values = vars(importlib.import_module(module)).values()
    return [value for value in values if isinstance(value, (Counter, Gauge, Histogram))]


def metric_name(metric: MetricWrapperBase) -> str:
    """Return a metric's name as Prometheus shows it."""
    name: str = metric._name  # noqa: SLF001 - it has no public name
    return f"{name}_total" if isinstance(metric, Counter) else name


def messages_page() -> str:
    """Show the map of the topics, with an example of each message."""
    lines = [
        "# Messages\n",
        _MADE.rstrip(),
        "",
        (
            "What the services say to each other. The models stand in `libs/contracts`, their "
            "JSON Schemas in `libs/contracts/maru_contracts/schemas/`. An optional field may be "
            "added; anything else is a new topic beside the old one. What a group cannot read "
            f"goes to `{dead_letters('<topic>', '<group>')}`.\n"
        ),
        "| topic | message | written by | read by | partitions | kept |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for topic in TOPICS:
        kept = f"{topic.retention.days} days" if topic.retention else "the newest of each key"
        lines.append(
            f"| `{topic.name}` | {topic.message.__name__} | {topic.producer} "
            f"| {', '.join(topic.consumers)} | {topic.partitions} | {kept} |"
        )
    for topic in TOPICS:
        example = min((EXAMPLES / topic.name).iterdir(), key=lambda path: path.stat().st_size)
        shown = json.dumps(_shortened(json.loads(example.read_text("utf-8"))), indent=2)
        doc = (topic.message.__doc__ or "").strip().splitlines()[0]
        lines += [f"\n## {topic.name}\n", doc, "", "```json", shown, "```"]
    return "\n".join(lines) + "\n"


def _shortened(value: object) -> object:
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[:20] + " …"
    return value


def commands_page() -> str:
    """Show every command of `maru` with its options."""
    root = typer.main.get_command(command_line)
    lines = ["# The command line\n", _MADE.rstrip(), ""]
    for path, command in sorted(_commands("maru", root)):
        lines += [f"## {path}\n", (command.help or "").strip(), ""]
        for parameter in command.params:
            names = " ".join(parameter.opts) if parameter.opts else parameter.name
            if names != "--help":
                meaning = getattr(parameter, "help", None) or ""
                lines.append(f"- `{names}`{': ' + meaning if meaning else ''}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:  # Typer's own click
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield path, command
    for name, child in inner.items():
        yield from _commands(f"{path} {name}", child)


def connectors_page() -> str:
    """List the kinds of sources, with what each can do; each has a page of its own."""
    lines = [
        "# Connectors\n",
        _MADE.rstrip(),
        "",
        _CONNECTORS,
        "",
        "| kind | | can |",
        "| --- | --- | --- |",
    ]
    for kind in kinds().values():
        able = ", ".join(sorted(kind.capabilities))
        lines.append(f"| [{kind.kind}](connectors/{kind.kind}.md) | {kind.summary} | {able} |")
    return "\n".join(lines) + "\n"


def connector_page(kind: ConnectorKind) -> str:
    """Show one kind of source: what it follows, what can be set, what it can do."""
    doc = importlib.import_module(f"maru_ingest.connectors.{kind.kind}").__doc__ or ""
    able = ", ".join(sorted(kind.capabilities)) or "only what is new"
    lines = [f"# {kind.title}\n", _MADE.rstrip(), "", doc.strip(), ""]
    lines += [f"Kind `{kind.kind}`, channel `{kind.channel}` unless a source says otherwise.", ""]
    lines += [f"It can: {able}.", "", "| setting | default | meaning |", "| --- | --- | --- |"]
    lines += list(_setting_rows(kind.settings))
    return "\n".join(lines) + "\n"


def _setting_rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{json.dumps(_plain(field.default))}`"
        yield f"| `{name}` | {default} | {field.description or ''} |"


def _plain(default: object) -> object:
    return list(default) if isinstance(default, tuple | frozenset) else default


def platforms_page() -> str:
    """Show every platform whose API's answers are read."""
    lines = ["# Answers of platforms' APIs\n", _MADE.rstrip(), "", _READ, ""]
    for module in load("maru_ingest.formats.platforms"):
        lines += [f"## {module.PLATFORM.title}\n", (module.__doc__ or "").strip(), ""]
    return "\n".join(lines).rstrip() + "\n"


def _code(value: str) -> str:
    return f"`{value}`" if value else "–"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "messages.md": messages_page,
    "cli.md": commands_page,
    "connectors.md": connectors_page,
    "platforms.md": platforms_page,
}


PAGES |= {f"connectors/{kind.kind}.md": partial(connector_page, kind) for kind in kinds().values()}


def main() -> None:
    """Write all pages."""
    (_DOCS / "connectors").mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (_DOCS / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
