"""`maru eval` …: what is typed, and what is printed."""

from pathlib import Path

import typer

from maru_cli.output import print_json

app = typer.Typer(help="Measure the models on labelled files.", no_args_is_help=True)


@app.command("sentiment")
def eval_sentiment(file: Path) -> None:
    """Measure moods on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("sentiment", file))


@app.command("intent")
def eval_intent(file: Path) -> None:
    """Measure suggestions on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("intent", file))


@app.command("language")
def eval_language(file: Path) -> None:
    """Measure languages on a TSV file with the columns text and label (`ko`, `en`, … or `und`)."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("language", file))


@app.command("clusters")
def eval_clusters(file: Path) -> None:
    """Measure the matching of posts to ideas on a TSV file: text and gold cluster."""
    from maru_cli import clusters

    print_json(clusters.run(file))
