"""Renders tables for a terminal, with rich."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from decoder.formatting.table import Table

__all__ = ["rich_table", "terminal_text"]

_WIDE = 120
"""Columns of a terminal from which on the columns marked `wide` are shown."""


_COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def terminal_text(tables: Iterable[Table], width: int, *, color: bool) -> str:
    """Returns the tables as rich draws them on a terminal of `width` columns."""
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
