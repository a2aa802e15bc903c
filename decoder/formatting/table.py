"""Describes tables for people, and renders them as aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Column",
    "Table",
    "plain_text",
]


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

    A note that begins with the name of a column and a colon is about that column, and goes where it goes.

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
