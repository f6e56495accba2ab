"""`maru import`: what is typed, and what is printed."""

from pathlib import Path
from typing import Annotated

import typer

from maru_cli.asking import Json
from maru_contracts.posts import Channel

app = typer.Typer()


@app.command(name="import")
def import_(
    file: Annotated[
        str,
        typer.Argument(help="NDJSON, CSV, XLSX, mail, subtitles, transcript or feed; - for stdin"),
    ],
    source: Annotated[str, typer.Option(help="Its name. Default: the file's name.")] = "",
    channel: Annotated[Channel, typer.Option(help="The medium its posts came through.")] = (
        Channel.OTHER
    ),
    product: Annotated[str, typer.Option(help="The product its posts speak of.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until the posts are ideas.")] = False,
    as_json: Json = False,
) -> None:
    """Import a file of posts. Bad rows go to FILE.rejects.ndjson, and the exit status is 1."""
    from maru_cli import importing

    name = source or ("stdin" if file == "-" else Path(file).name)
    status = importing.run(
        file, source=name, channel=channel, product=product, wait=wait, as_json=as_json
    )
    raise typer.Exit(status)
