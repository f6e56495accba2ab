"""What commands print: tables for people, JSON for programs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from maru_kit.errors import MaruError

out = Console(highlight=False, soft_wrap=True)
_WIDTH_OF_FILES = 160
"""Columns of a table that goes to a file or another program, where no terminal says how many."""
_WORDS = 24
"""Columns that a title needs to be read at a glance: half of what a table with ids leaves of 80."""
_BETWEEN = 2
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    print(orjson.dumps(value, default=str).decode())


@dataclass(frozen=True)
class Room:
    """Which column has the words, and which are left out first when there is no room for these."""

    words: str
    spare: Sequence[str]


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    empty: str,
    room: Room | None = None,
) -> None:
    """Print rows under headings (`columns`: field to heading), or say why there are none."""
    if not rows:
        out.print(empty)
        return
    narrow = out.is_terminal or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if narrow else _WIDTH_OF_FILES)
    cells = [{field: shown(row.get(field)) for field in columns} for row in rows]
    kept = fitting(cells, columns, room, console.width) if room else columns
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in kept.values():
        table.add_column(heading, no_wrap=heading == "ID", overflow="fold")  # people copy ids
    for row in cells:
        table.add_row(*(Text(row[field]) for field in kept))
    console.print(table)
    if missing := [heading for field, heading in columns.items() if field not in kept]:
        console.print(f"Wider terminals show more: {', '.join(missing)}.", style="dim")


def fitting(
    cells: Sequence[Mapping[str, str]], columns: Mapping[str, str], room: Room, width: int
) -> dict[str, str]:
    """Leave out columns until the words have `_WORDS` columns of the terminal, or all they need."""
    kept = dict(columns)
    widths = {
        field: max(cell_len(heading), *(cell_len(row[field]) for row in cells))
        for field, heading in columns.items()
    }
    wanted = min(_WORDS, widths[room.words])
    for field in room.spare:
        others = sum(widths[it] + _BETWEEN for it in kept if it != room.words)
        if width - others >= wanted:
            break
        del kept[field]
    return kept


def minute(moment: str) -> str:
    """Write a moment as a day and a time, in UTC: without seconds, to leave room."""
    return moment[:16].replace("T", " ")


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
