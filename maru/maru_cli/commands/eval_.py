"""`maru eval` …: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated

import typer

from maru_cli.labelled_data import DataFolder, labelled_data
from maru_cli.output import print_json

app = typer.Typer(help="Measure the models on labelled files.", no_args_is_help=True)


@app.command("sentiment")
def eval_sentiment(file: Path) -> None:
    """Measure moods on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("sentiment", file))


@app.command("mistakes")
def eval_mistakes(file: Path) -> None:
    """Show the 50 posts of a TSV file (text, label) whose mood was missed most surely."""
    from maru_sentiment.evaluation import mistakes

    print_json(mistakes(file))


@app.command("intent")
def eval_intent(file: Path) -> None:
    """Measure suggestions on a TSV file with the columns text and label."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("intent", file))


@app.command("problem")
def eval_problem(file: Path) -> None:
    """Measure reports of problems on a TSV file: text, and label `problem` or `other`."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("problem", file))


@app.command("question")
def eval_question(file: Path) -> None:
    """Measure questions on a TSV file: text, and label `question` or `other`."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("question", file))


@app.command("praise")
def eval_praise(file: Path) -> None:
    """Measure praise on a TSV file: text, and label `praise` or `other`."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("praise", file))


@app.command("spam")
def eval_spam(file: Path) -> None:
    """Measure spam on a TSV file: text, and label `spam` or `other`."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("spam", file))


@app.command("toxicity")
def eval_toxicity(file: Path) -> None:
    """Measure toxic posts on a TSV file: text, and label `toxic` or `other`."""
    from maru_sentiment.evaluation import evaluate

    print_json(evaluate("toxicity", file))


@app.command("aspects")
def eval_aspects(file: Path) -> None:
    """Measure aspects on a TSV file with the columns text and aspects (`term: mood; …`)."""
    from maru_sentiment.evaluation import evaluate_aspects

    print_json(evaluate_aspects(file))


@app.command("topics")
def eval_topics(
    file: Path,
    examples: Annotated[Path, typer.Option(help="A TSV file of examples: text and label.")],
) -> None:
    """Measure topics on a TSV file with the columns text and label, learnt from examples."""
    from maru_sentiment.evaluation import evaluate_topics

    print_json(evaluate_topics(file, examples))


@app.command("learnt-topics")
def eval_learnt_topics(
    file: Path,
    corrections: Annotated[Path, typer.Option(help="Corrected posts: text and label.")],
    topics: Annotated[Path, typer.Option(help="A TSV file: label, and text that describes it.")],
    draw: Annotated[
        int | None, typer.Option(help="Draw that many corrections, half of them of the topics.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 1,
) -> None:
    """Measure what topics learn from corrections: on texts and labels, before and after.

    The files have the columns text and label (names joined by |), or are JSON Lines of text and
    topic.
    """
    from maru_sentiment.topics_evaluation import evaluate_learnt_topics

    print_json(evaluate_learnt_topics(file, corrections, topics, draw=draw, seed=seed))


@app.command("pii")
def eval_pii(file: Path) -> None:
    """Measure what is found of personal data: a TSV file with a column text that has marks."""
    from maru_sentiment.evaluation import evaluate_pii

    print_json(evaluate_pii(file))


@app.command("left-out")
def eval_left_out(
    source: str,
    data: DataFolder = None,
    rows: Annotated[
        int | None, typer.Option(help="Learn from that many rows; all, if not said.")
    ] = None,
) -> None:
    """Train without one source and measure moods on it (ten minutes; `kote`, `vader-gt` …)."""
    from maru_sentiment.evaluation import scores
    from maru_sentiment.training import predict_left_out

    print_json(scores(*predict_left_out(data or labelled_data(), source, limit=rows)))


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


@app.command("discovery")
def eval_discovery(
    file: Path,
    shuffle: Annotated[
        int | None, typer.Option(help="Take the posts in the random order of this number.")
    ] = None,
) -> None:
    """Measure which topics are discovered in a stream of posts: a TSV file of text and topic."""
    from maru_cli import clusters

    print_json(clusters.discovery(file, shuffle))


@app.command("duplicates")
def eval_duplicates(file: Path) -> None:
    """Measure which pairs are taken for the same: a TSV file of a, b and duplicate (1 or 0)."""
    from maru_cli import clusters

    print_json(clusters.duplicates(file))
