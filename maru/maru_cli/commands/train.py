"""`maru train`: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated

import typer

from maru_cli.output import print_json

app = typer.Typer()


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
