"""`maru parse`: what is typed, and what is printed."""

from typing import Annotated

import typer

from maru_cli.asking import Json

app = typer.Typer()


@app.command()
def parse(
    file: Annotated[str, typer.Argument(help="A file of any format that Maru reads; - for stdin")],
    url: Annotated[str, typer.Option(help="Where it came from: relative links hang on it.")] = "",
    as_json: Json = False,
) -> None:
    """Show the posts of a file without importing them: one JSON object a post, or as text.

    Bad rows go to standard error with line and reason, and the exit status is 1.
    """
    from maru_cli import parsing

    raise typer.Exit(parsing.run(file, url=url, as_json=as_json))
