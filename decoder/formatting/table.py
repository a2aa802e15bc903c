"""Renders tables for people: aligned columns in plain text, or rich's tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["Column", "Table", "plain_text", "rich_table", "terminal_text"]

_WIDE = 120
"""Columns of a terminal from which on the columns marked `wide` are shown."""

_COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Column:
    """Describes a column: its heading, whether it holds numbers, whether only a wide terminal shows it.

    A cell of a `fold` column that is too long for the terminal is continued on the next line; the last column always
    is.
    """

    name: str
    number: bool = False
    wide: bool = False
    fold: bool = False


@dataclass
class Table:
    """Holds a title, lines of text below it (`notes`), and rows under columns; each may be empty.

    A row whose first cell is a severity (``error``, ``warning``, ``note``) is coloured accordingly.
    """

    title: str
    columns: Sequence[Column] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: Sequence[str] = ()


def plain_text(tables: Iterable[Table], indent: str = "  ") -> str:
    """Returns the tables as text, a line for each row, rows indented, an empty line between tables.

    No row is cut: the last column is as long as its text.
    """
    return "\n".join(_plain_table(table, indent) for table in tables)


def _plain_table(table: Table, indent: str) -> str:
    lines = [table.title] if table.title else []
    lines += table.notes
    head = [column.name for column in table.columns]
    rows = [head, *table.rows] if any(head) and table.rows else table.rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))] if rows else []
    for row in rows:
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "".join(f"{line}\n" for line in lines)


def terminal_text(tables: Iterable[Table], width: int, *, color: bool) -> str:
    """Returns the tables as rich draws them on a terminal of `width` columns."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        color_system="standard" if color else None,
        highlight=False,
    )
    with console.capture() as captured:
        for table in tables:
            if table.title:
                console.print(Text(table.title, style="bold"))
            for note in table.notes:
                console.print(Text(note))
            if table.rows:
                console.print(rich_table(table, width))
    return captured.get()


def rich_table(table: Table, width: int, *, compact: bool = False) -> RichTable:
    """Returns the rows of `table` for a terminal of `width` columns.

    `compact`: a row takes exactly one line, what is too long ends with an ellipsis, and there are no rules.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    if compact:
        shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    else:
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.show_header = any(column.name for column in table.columns)
    places = [i for i, column in enumerate(table.columns) if width >= _WIDE or not column.wide]
    room = width
    for i in places:
        column = table.columns[i]
        last = i == places[-1]
        widest = max(cell_len(text) for text in (column.name, *(row[i] for row in table.rows)))
        shown.add_column(
            Text(column.name),
            justify="right" if column.number else "left",
            no_wrap=compact or not (column.fold or last),
            overflow="fold" if column.fold and not compact else "ellipsis",
            # rich would take from each column in proportion; of a compact table only the last one is cut.
            width=max(1, min(widest, room)) if compact else None,
        )
        room -= widest + 2
    for row in table.rows:
        shown.add_row(*(Text(row[i]) for i in places), style=_COLORS.get(row[0]))
    return shown
