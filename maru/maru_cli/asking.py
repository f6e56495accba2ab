"""What the commands share: they ask the gateway, and show what it answers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from maru_cli.output import Room, out, print_json, print_table

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many to list.")]
ROWS = 50


def ask(question: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:  # JSON as it comes
    """Put a question to the gateway, and return its answer."""
    from maru_cli.client import connected

    async def ask() -> Any:
        async with connected() as client:
            return await question(client)

    return asyncio.run(ask())


def change(method: str, path: str, said: str, *, as_json: bool) -> None:
    """Have the gateway change something, and say that it is done."""
    answer = ask(lambda client: client.call(method, path))
    done(answer or {"done": True}, said, as_json=as_json)


def done(answer: Any, text: str, *, as_json: bool) -> None:
    """Say that something is done: a sentence for people, the answer for programs."""
    if as_json:
        print_json(answer)
    else:
        out.print(text, markup=False)


def show(
    rows: Any,
    columns: dict[str, str],
    empty: str,
    *,
    as_json: bool,
    room: Room | None = None,
) -> None:
    """List rows: a table for people, JSON for programs."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, empty, room)


def log_as(service: str, level: str | None = None) -> None:
    """Send log lines to standard error in this name, as the settings say."""
    from maru_kit.logs import configure
    from maru_kit.settings import Common

    common = Common()
    configure(service, level=level or common.log_level, format=common.log_format)
