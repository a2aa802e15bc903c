"""Describes tables for people, and renders them as aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Column", "Table", "columns", "notes_of", "plain_text"]

_WIDTH = 120
"""Characters of a line of plain text, if leaving out columns that are marked `wide` makes it fit."""
_LAST = 8
"""Characters that count of the last column: a text there may run on, and is no reason to leave out another column."""


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


def columns(headings: str, fold: Collection[str] = ()) -> list[Column]:
    """Returns columns by a row of headings, written as in a Markdown table: ``"symbol | pushes: | asked by:*"``.

    A colon at the end of a heading makes a column of numbers, a star one that only a wide terminal shows.

    :param fold: names of columns whose cells may be continued on the next line
    """
    found = []
    for heading in headings.split("|"):
        name = heading.strip()
        wide, name = name.endswith("*"), name.removesuffix("*")
        number, name = name.endswith(":"), name.removesuffix(":")
        found.append(Column(name, number, wide, name in fold))
    return found


def plain_text(tables: Iterable[Table], indent: str = "  ") -> str:
    """Returns the tables as text, a line for each row, rows indented, an empty line between tables.

    No cell is cut: the last column is as long as its text.  If the others and the beginning of that text take more than
    120 characters, columns that are marked `wide` are left out, the last one first, until they fit.
    """
    return "\n".join(_plain_table(table, indent) for table in tables)


def _plain_table(table: Table, indent: str) -> str:
    head = [column.name for column in table.columns]
    rows = [head, *table.rows] if any(head) and table.rows else table.rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))] if rows else []
    shown = _fitting(table.columns, widths, _WIDTH - len(indent))
    lines = [table.title] if table.title else []
    lines += notes_of(table, shown)
    for row in rows:
        cells = [row[i].rjust(widths[i]) if table.columns[i].number else row[i].ljust(widths[i]) for i in shown]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "".join(f"{line}\n" for line in lines)


def notes_of(table: Table, shown: Sequence[int]) -> list[str]:
    """Returns the notes of a table of which the columns at the places `shown` are shown."""
    hidden = {column.name for place, column in enumerate(table.columns) if place not in shown}
    return [note for note in table.notes if not table.rows or note.partition(":")[0] not in hidden]


def _fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Returns the indices of the columns that are shown in `room` characters."""
    shown = list(range(len(widths)))
    taken = [*widths[:-1], *(min(width, _LAST) for width in widths[-1:])]
    for i in reversed(shown.copy()):
        needed = sum(taken[each] + 2 for each in shown) - 2
        if needed <= room:
            break
        if columns[i].wide:
            shown.remove(i)
    return shown
