"""Tables for people: aligned columns in plain text, or rich's on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "Table", "plain_text", "print_rich"]

_WIDE = 120
_COLORS = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Column:
    """A column: its heading, whether it holds numbers, and whether only a wide terminal shows it."""

    name: str
    number: bool = False
    wide: bool = False


@dataclass
class Table:
    """A table; a row whose first cell is a severity is coloured accordingly."""

    title: str
    columns: Sequence[Column]
    rows: list[Sequence[str]] = field(default_factory=list)


def plain_text(tables: Iterable[Table]) -> str:
    """The tables as text, a line per row; the last column is as long as it is."""
    return "\n".join(map(_plain_table, tables))


def _plain_table(table: Table) -> str:
    head = [column.name for column in table.columns]
    lines = [head, *table.rows] if any(head) else table.rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    text = f"{table.title}\n"
    for line in lines:
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, table.columns, strict=True)
        ]
        text += f"  {'  '.join(cells).rstrip()}\n"
    return text


def print_rich(tables: Iterable[Table], console: Console) -> None:
    """The tables on a terminal, as wide as that is."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    for table in tables:
        shown = RichTable(
            title=Text(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
        )
        shown.show_header = any(column.name for column in table.columns)
        places = [i for i, column in enumerate(table.columns) if console.width >= _WIDE or not column.wide]
        for i in places:
            column = table.columns[i]
            last = i == len(table.columns) - 1
            shown.add_column(Text(column.name), justify="right" if column.number else "left", no_wrap=not last)
        for row in table.rows:
            shown.add_row(*(Text(row[i]) for i in places), style=_COLORS.get(row[0]))
        console.print(shown)
