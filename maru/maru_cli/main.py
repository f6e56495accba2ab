"""The command `maru`. What takes long to import is imported by the command that needs it."""

import os
import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from maru_cli.asking import log_as
from maru_cli.commands import (
    corrections,
    dead,
    doctor,
    eval_,
    ideas,
    import_,
    keys,
    models,
    parse,
    posts,
    replay,
    running,
    settings,
    sources,
    topics,
    train,
    watch,
)
from maru_cli.output import err, sentences
from maru_kit.errors import MaruError

app = typer.Typer(
    help="Maru listens to what customers say and turns it into ideas.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (running, import_, parse, replay, doctor, settings):
    app.add_typer(command.app)
for group in (
    sources, posts, ideas, topics, watch, corrections, models, keys, dead, eval_, train,
):  # fmt: skip
    app.add_typer(group.app, name=group.__name__.rpartition(".")[2].rstrip("_"))


def main() -> None:
    """Run a command; an error is one sentence on standard error and a status that is not 0."""
    quiet = sys.argv[1:2] not in (["up"], ["train"])
    try:
        log_as("maru", "error" if quiet else None)
        app()
    except* MaruError as errors:
        if os.environ.get("MARU_DEBUG"):
            raise
        for text in sentences(errors):
            err.print(f"maru: {text}", markup=False)
        sys.exit(1)
    except* (ValidationError, SettingsError):
        from maru_cli import shown_settings

        refused = shown_settings.refused()
        if not refused or os.environ.get("MARU_DEBUG"):
            raise
        for text in refused:
            err.print(f"maru: {text}", markup=False)
        sys.exit(1)
