"""`maru doctor`: what is typed, and what is printed."""

import typer

from maru_cli.asking import Json

app = typer.Typer()


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check that everything works, and say what to do where it does not."""
    from maru_cli import doctor as checks

    raise typer.Exit(checks.run(as_json=as_json))
