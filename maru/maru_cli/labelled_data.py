"""Where the labelled data stand, which models are trained on and measured with."""

import os
from pathlib import Path
from typing import Annotated

import typer

_BESIDE = Path(__file__).parents[3] / "shared"

DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="The folder of labelled data; if not said, the folder `data` of that which "
        "MARU_SHARED names, or else of `shared` beside the project.",
    ),
]


def labelled_data() -> Path:
    """Return the folder of labelled data: in `MARU_SHARED`, or in `shared` beside the project."""
    return Path(os.environ.get("MARU_SHARED") or _BESIDE) / "data"
