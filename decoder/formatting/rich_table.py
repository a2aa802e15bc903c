"""Renders tables for a terminal, with rich."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from decoder.formatting.table import Table, notes_of

__all__ = ["rich_table", "terminal_text"]

_WIDE = 120
"""Columns of a terminal from which on the columns marked `wide` are shown."""
_LEAST_TEXT = 55
"""Columns that the text in the last column wants: in fewer a sentence takes more lines than it has columns."""
_GAP = 2
"""Blanks between two columns where rows are stacked."""
_INDENT = "    "
_MEASURE = Console(file=io.StringIO())

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
            stacked = bool(table.rows) and _is_crowded(table, width)
            for note in table.notes if stacked else notes_of(table, _shown(table, width)):
                console.print(Text(note))
            if stacked:
                for line in _stacked(table, width):
                    console.print(line, soft_wrap=True)
                console.print()
            elif table.rows:
                console.print(rich_table(table, width))
    return captured.get()


def _shown(table: Table, width: int) -> list[int]:
    """Returns the places of the columns that a terminal of `width` columns shows."""
    return [i for i, column in enumerate(table.columns) if width >= _WIDE or not column.wide]


def _widest(table: Table, place: int) -> int:
    return max(cell_len(text) for text in (table.columns[place].name, *(row[place] for row in table.rows)))


def _is_crowded(table: Table, width: int) -> bool:
    """Returns True if the text in the last column would have to stand in a narrow strip."""
    *others, last = _shown(table, width)
    if table.columns[last].number or _widest(table, last) < _LEAST_TEXT:
        return False
    room = width - sum(_widest(table, place) + _GAP for place in others)
    return room < _LEAST_TEXT


def _stacked(table: Table, width: int) -> Iterator[Text]:
    """Yields lines: of each row the other columns, then its text, on lines of its own if there is no room beside them.

    The heading of the text is left out.  Columns that only a wide terminal shows stand before the text.
    """
    *others, last = _shown(table, width)
    hidden = [place for place in range(len(table.columns)) if place not in (*others, last)]
    widths = [_widest(table, place) for place in others]
    gap = " " * (_GAP if sum(widths) + _GAP * len(widths) <= width else 1)

    def line(cells: Sequence[str]) -> str:
        padded = [
            " " * (wide - cell_len(cell)) + cell
            if table.columns[place].number
            else cell + " " * (wide - cell_len(cell))
            for cell, wide, place in zip(cells, widths, others, strict=True)
        ]
        return gap.join(padded).rstrip()

    def fitted(words: str, style: str) -> Text:
        text = Text(words, style=style)
        text.truncate(width, overflow="ellipsis")
        return text

    yield fitted(line([table.columns[place].name for place in others]), "bold")
    for row in table.rows:
        style = _COLORS.get(row[0], "")
        words = line([row[place] for place in others])
        text = "  ".join(row[place] for place in (*hidden, last) if row[place] not in ("", "-"))
        if cell_len(words) + len(gap) + cell_len(text) <= width:
            yield fitted(f"{words}{gap}{text}".rstrip(), style)
            continue
        yield fitted(words, style)
        for part in Text(text).wrap(_MEASURE, max(1, width - len(_INDENT))):
            yield fitted(f"{_INDENT}{part.plain.rstrip()}", style)


def rich_table(table: Table, width: int, *, compact: bool = False) -> RichTable:
    """Returns the rows of `table` for a terminal of `width` columns.

    `compact`: a row takes exactly one line, what is too long ends with an ellipsis, and there are no rules.
    """
    if compact:
        shown = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    else:
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.show_header = any(column.name for column in table.columns)
    places = _shown(table, width)
    room = width
    for i in places:
        column = table.columns[i]
        last = i == places[-1]
        widest = _widest(table, i)
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
