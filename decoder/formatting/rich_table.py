"""Renders tables for a terminal, with rich."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from decoder.formatting.table import Table

__all__ = ["terminal_text"]

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
            if not table.rows:
                continue
            shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
            shown.show_header = any(column.name for column in table.columns)
            places = [i for i, column in enumerate(table.columns) if width >= _WIDE or not column.wide]
            for i in places:
                column = table.columns[i]
                shown.add_column(
                    Text(column.name),
                    justify="right" if column.number else "left",
                    no_wrap=not column.fold and i != len(table.columns) - 1,
                    overflow="fold" if column.fold else "ellipsis",
                )
            for row in table.rows:
                shown.add_row(*(Text(row[i]) for i in places), style=_COLORS.get(row[0]))
            console.print(shown)
    return captured.get()
