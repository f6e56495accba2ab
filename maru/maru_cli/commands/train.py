"""`maru train …`: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from maru_cli.labelled_data import DataFolder, labelled_data
from maru_cli.output import out, print_json

app = typer.Typer(
    help="Train the models again (needs the development dependencies).", no_args_is_help=True
)


@app.command("heads")
def train_heads(
    data: DataFolder = None,
    to: Annotated[Path, typer.Option(help="Where the weights go.")] = Path(
        "services/sentiment/maru_sentiment/weights"
    ),
    seed: int = 0,
    only: Annotated[
        Literal["spam", "toxicity"] | None,
        typer.Option(help="Train that one anew upon the network in `--to`; others stay."),
    ] = None,
) -> None:
    """Train the network for mood, intent, emotions, spam and toxicity (about ten minutes)."""
    from maru_sentiment.training import train
    from maru_sentiment.training.alone import train_alone

    folder = data or labelled_data()
    if only:
        print_json(train_alone(folder, to, to, only, seed=seed))
    else:
        print_json(train(folder, to, seed=seed))


@app.command("encoder")
def train_encoder(
    data: DataFolder = None,
    to: Annotated[Path, typer.Option(help="Where the graphs go.")] = Path(
        "services/sentiment/maru_sentiment/weights"
    ),
) -> None:
    """Round what the encoder multiplies to bytes (some seconds)."""
    from maru_sentiment.dataset import training_examples
    from maru_sentiment.encoder_graph import write

    examples = training_examples(data or labelled_data())
    write([example.text for example in examples[:: max(1, len(examples) // 2_000)]], to)
    out.print(f"Written: {to}/encoder*.onnx")


@app.command("ideas")
def train_ideas(
    data: DataFolder = None,
    to: Annotated[Path, typer.Option(help="Where the space goes.")] = Path(
        "services/ideas/maru_ideas/space.npz"
    ),
    topics: Annotated[
        bool, typer.Option("--topics", help="Train what topics are discovered by anew, too.")
    ] = False,
) -> None:
    """Train the space in which posts are compared with ideas (about two minutes)."""
    from maru_ideas.domain.space import trained
    from maru_ideas.training import save, train
    from maru_sentiment.encoder import Encoder, quantise

    encoder = Encoder()
    kept = None if topics else trained()
    folder = data or labelled_data()
    save(train(folder, lambda texts: quantise(encoder.encode(texts)), kept), to)
    out.print(f"Written: {to}")
