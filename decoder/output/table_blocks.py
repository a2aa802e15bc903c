"""Rows of a table that were collected, as blocks of columns.

What the rows of one message have in common is collected once, with the number of rows, and spread over them when a
block is handed on; a writer that can do that itself takes it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any

from decoder.output.table_schema import COMMON, ITEM

if TYPE_CHECKING:
    from decoder.message import Message
    from decoder.output.table_bodies import Found, Place
    from decoder.output.table_columns import Table
    from decoder.output.table_rows import Cells, ColumnReader, Odd, Row

__all__ = ["Block", "FlatBlocks", "Origin", "RowBlocks", "Write"]

Origin = tuple["Message", list[str]]
"""The message that rows are from, and the list of its notes."""


@dataclass(frozen=True)
class Block:
    """Columns of one length: `own` of the rows, and `shared` ones with one cell for as many rows as `counts` says."""

    rows: int
    own: dict[str, Sequence[Any]]
    shared: dict[str, Sequence[Any]]
    counts: list[int]

    def column(self, name: str) -> Sequence[Any]:
        """The cells of all rows."""
        if name in self.own:
            return self.own[name]
        return self.spread(self.shared[name])

    def spread(self, cells: Sequence[Any]) -> list[Any]:
        """Each of `cells` as often as there are rows that share it."""
        return list(chain.from_iterable(map(repeat, cells, self.counts)))


Write = Callable[["Table", Block], None]


class FlatBlocks:
    """Collects the rows of a table that stand alone, and passes them to `write` in blocks."""

    def __init__(self, table: Table, write: Write) -> None:
        self.table = table
        self._write = write
        self._rows: list[Row] = []

    def add(self, cells: Row) -> None:
        """Collects a row."""
        self._rows.append(cells)

    def flush(self) -> None:
        """Passes on the rows that were collected."""
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        names = [column.name for column in self.table.columns]
        self._write(self.table, Block(len(rows), dict(zip(names, zip(*rows, strict=True), strict=True)), {}, []))


class RowBlocks:
    """Collects the messages that become rows of a table; reads them and passes them to `write` in blocks.

    :param read: reads the cells of rows
    :param write: None if the rows are wanted only for the notes that they deserve
    """

    def __init__(self, table: Table, read: ColumnReader, write: Write | None) -> None:
        self.table = table
        self._read_cells = read
        self._write = write
        self._has_items = ITEM in table.columns
        self._has_sides = any(column.name == "side" for column in table.columns)
        self._begin_batch()
        self._begin_block()

    def _begin_batch(self) -> None:
        """Forgets the messages that were collected, which are many times as large as their cells."""
        # Of each parent, which is a message with the rows in one list of it:
        self._heads: list[Row] = []
        self._counts: list[int] = []
        self._starts: list[int] = []
        self._origins: list[Origin] = []
        self._items: list[Any] = []
        # Of each place: its parents, and the messages around the rows of each.
        self._parents: dict[Place, tuple[list[int], list[tuple[Any, ...]]]] = {}
        self._lent: list[tuple[int, int, str]] = []

    def _begin_block(self) -> None:
        self._own: list[list[Any]] = [[] for _ in self.table.cells]
        self._numbers: list[int] = []
        self._shared: list[list[Any]] = [[] for _ in range(len(self.table.context) + self._has_sides)]
        self._block_heads: list[Row] = []
        self._block_counts: list[int] = []
        self._rows = 0

    def add(
        self, head: Row, found: Found, origin: Origin, lent: Sequence[tuple[int, str]] = (), start: int = 0
    ) -> None:
        """Collects the rows of a message.

        :param head: cells of the common columns
        :param lent: cells of the context that the request told, by their places
        :param start: place of the first row in its list
        """
        place, around, items = found
        known = self._parents.get(place)
        if known is None:
            known = self._parents[place] = [], []
        parent = len(self._heads)
        known[0].append(parent)
        known[1].append(around)
        self._heads.append(head)
        self._counts.append(len(items))
        self._starts.append(start)
        self._origins.append(origin)
        self._items += items
        for column, value in lent:
            self._lent.append((parent, column, value))

    def read(self) -> int:
        """Reads what was collected; completes the notes of messages with odd values.  Returns the rows that wait."""
        if not self._heads:
            return self._rows
        odd: Odd = set()
        columns = self._read_cells(self._items, odd) if self._items else ()
        odd_parents = self._parents_of(odd)
        context = self._context(odd_parents)
        for parent in odd_parents:
            message, notes = self._origins[parent]
            notes[:] = message.notes
        if self._write is not None:
            for column, cells in zip(self._own, columns, strict=False):
                column += cells
            for column, cells in zip(self._shared, context, strict=True):
                column += cells
            if self._has_items:
                ends = map(int.__add__, self._starts, self._counts)
                self._numbers += chain.from_iterable(map(range, self._starts, ends))
            self._block_heads += self._heads
            self._block_counts += self._counts
            self._rows += len(self._items)
        self._begin_batch()
        return self._rows

    def flush(self) -> None:
        """Passes on the rows that were read."""
        if self._rows and self._write is not None:
            own: dict[str, Cells] = {}
            for column, cells in zip(self.table.cells, self._own, strict=True):
                if column.name in own:  # two fields that are one column: the first that is there
                    cells = [b if a is None else a for a, b in zip(own[column.name], cells, strict=True)]
                own[column.name] = cells
            if self._has_items:
                own[ITEM.name] = self._numbers
            names = [column.name for column in (*COMMON, *self.table.context)] + ["side"] * self._has_sides
            shared = dict(zip(names, (*zip(*self._block_heads, strict=True), *self._shared), strict=True))
            block = Block(self._rows, own, shared, self._block_counts)
            _derive(self.table, block)
            self._write(self.table, block)
        self._begin_block()

    def _parents_of(self, odd: Odd) -> Odd:
        """Returns the parents of the rows at the places `odd`."""
        if not odd:
            return set()
        ends = accumulate(self._counts)
        parents, end, parent = set(), next(ends), 0
        for place in sorted(odd):
            while place >= end:
                end, parent = next(ends), parent + 1
            parents.add(parent)
        return parents

    def _context(self, odd: Odd) -> list[Cells]:
        """Returns the columns of what is around the rows, a cell for each parent."""
        if len(self._parents) == 1:  # of the usual table all rows stand in one list of one protocol
            ((place, (_, around)),) = self._parents.items()
            empty = [None] * len(around)
            found = place.context(list(zip(*around, strict=True)), odd)
            columns: list[Any] = [empty if cells is None else cells for cells in found]
        else:
            columns = [[None] * len(self._heads) for _ in self.table.context]
            for place, (parents, around) in self._parents.items():
                odd_here: Odd = set()
                for column, cells in zip(columns, place.context(list(zip(*around, strict=True)), odd_here), strict=True):
                    if cells is not None:
                        for parent, cell in zip(parents, cells, strict=True):
                            column[parent] = cell
                odd.update(parents[at] for at in odd_here)
        if self._lent:
            columns = list(map(list, columns))
        for parent, number, value in self._lent:
            columns[number][parent] = value
        if self._has_sides:
            sides: list[str | None] = [None] * len(self._heads)
            for place, (parents, _) in self._parents.items():
                for parent in parents:
                    sides[parent] = place.side
            columns.append(sides)
        return columns


def _derive(table: Table, block: Block) -> None:
    """Adds the columns that are worked out from others."""
    for derived in table.derived:
        if all(name in block.shared for name in derived.inputs):
            columns = [block.shared[name] for name in derived.inputs]
            block.shared[derived.column.name] = list(map(derived.function, *columns))
        else:
            columns = [block.column(name) for name in derived.inputs]
            block.own[derived.column.name] = list(map(derived.function, *columns))
