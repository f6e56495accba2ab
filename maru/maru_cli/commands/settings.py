"""`maru settings`: what is typed, and what is printed."""

import typer

from maru_cli.asking import Json, show

app = typer.Typer()


@app.command()
def settings(as_json: Json = False) -> None:
    """Show all settings: value, variable and meaning. Secrets are hidden."""
    from maru_cli import shown_settings

    columns = {"env": "Variable", "value": "Value", "source": "From", "description": "Meaning"}
    show(shown_settings.rows(), columns, "", as_json=as_json)
