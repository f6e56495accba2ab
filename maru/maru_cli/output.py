"""What commands print: tables for people, JSON for programs."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from maru_kit.errors import MaruError

out = Console(highlight=False, soft_wrap=True)
_WIDTH_OF_FILES = 160
"""Columns of a table that goes to a file or another program, where no terminal says how many."""
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    print(orjson.dumps(value, default=str).decode())


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str) -> None:
    """Print rows under headings (`columns`: field to heading), or say why there are none."""
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        table.add_column(heading, no_wrap=heading == "ID", overflow="fold")  # people copy ids
    for row in rows:
        table.add_row(*(Text(shown(row.get(field))) for field in columns))
    narrow = out.is_terminal or "COLUMNS" in os.environ
    Console(highlight=False, width=None if narrow else _WIDTH_OF_FILES).print(table)


def shown(value: object) -> str:
    """Write a value for people."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    text = str(value)
    return "".join(character for character in text if character.isprintable())


def sentences(error: BaseException) -> list[str]:
    """Say what an error says, or each error of a group; what is not Maru's own is named too."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in sentences(inner)]
    if isinstance(error, MaruError):
        return [str(error)]
    return [f"{type(error).__name__}: {error}" if str(error) else type(error).__name__]
