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
    from decoder.output.table_bodies import Place
    from decoder.output.table_columns import Table
    from decoder.output.table_rows import Cells, ColumnReader, Odd, Row

__all__ = ["MAX_ROWS", "Block", "FlatBlocks", "Origin", "RowBlocks", "Write"]

MAX_ROWS = 65_536
"""Rows of a table that wait at most, and that are read at once of one body: 20 MB."""

Origin = tuple["Message", list[str]]
"""The message that rows are from, and the list of its notes."""
_Parent = tuple["Place", "Row", Any, Sequence[Any], Origin, Sequence[tuple[int, str]], int]
"""Rows of a message that share what is around them: the arguments of `RowBlocks.add`."""


@dataclass(frozen=True)
class Block:
    """Columns of one length: `own` of the rows, and `shared` ones, of which `places` says each row's cell."""

    rows: int
    own: dict[str, Sequence[Any]]
    shared: dict[str, Sequence[Any]]
    places: list[int]

    def column(self, name: str) -> Sequence[Any]:
        """The cells of all rows."""
        if name in self.own:
            return self.own[name]
        return list(map(self.shared[name].__getitem__, self.places))


Write = Callable[["Table", Block], None]


class FlatBlocks:
    """Collects the rows of a table that stand alone, and passes them to `write` in blocks."""

    def __init__(self, table: Table, write: Write, shared: Sequence[str] = ()) -> None:
        """`shared`: names of columns whose cells most rows have in common."""
        self.table = table
        self._write = write
        self._shared_names = shared
        self._names = [column.name for column in table.columns if column.name not in shared]
        self._rows: list[Row] = []
        self._places: list[int] = []
        self._shared: dict[Row, int] = {}

    def add(self, cells: Row, shared: Row = ()) -> None:
        """Collects a row."""
        self._rows.append(cells)
        if shared:
            self._places.append(self._shared.setdefault(shared, len(self._shared)))

    def flush(self) -> None:
        """Passes on the rows that were collected."""
        if not self._rows:
            return
        own: dict[str, Cells] = dict(zip(self._names, zip(*self._rows, strict=True), strict=True))
        shared: dict[str, Cells] = dict(zip(self._shared_names, zip(*self._shared, strict=True), strict=True))
        block = Block(len(self._rows), own, shared, self._places)
        self._rows, self._places, self._shared = [], [], {}
        self._write(self.table, block)


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
        self._parents: list[_Parent] = []

    def _begin_block(self) -> None:
        self._own: list[list[Any]] = [[] for _ in self.table.cells]
        self._numbers: list[int] = []
        self._shared: list[list[Any]] = [[] for _ in range(len(self.table.context) + self._has_sides)]
        self._heads: list[Row] = []
        self._counts: list[int] = []
        self._rows = 0

    def add(
        self,
        place: Place,
        head: Row,
        around: Any,
        items: Sequence[Any],
        origin: Origin,
        lent: Sequence[tuple[int, str]] = (),
        start: int = 0,
    ) -> None:
        """Collects the rows of a message.

        :param head: cells of the common columns
        :param around: with `items` as `Place.find` yields it
        :param lent: cells of the context that the request told, by their places
        :param start: place of the first row in its list
        """
        self._parents.append((place, head, around, items, origin, lent, start))

    def read(self) -> None:
        """Reads what was collected; completes the notes of messages with odd values."""
        if not self._parents:
            return
        places, heads, around, lists, origins, lent, starts = zip(*self._parents, strict=True)
        counts = list(map(len, lists))
        items = list(chain.from_iterable(lists))
        odd: Odd = set()
        columns = self._read_cells(items, odd) if items else ()
        odd_parents = _parents_of(odd, counts)
        context = self._context(places, around, lent, odd_parents)
        for parent in odd_parents:
            message, notes = origins[parent]
            notes[:] = message.notes
        if self._write is not None:
            for column, cells in zip(self._own, columns, strict=False):
                column += cells
            for column, cells in zip(self._shared, context, strict=True):
                column += cells
            if self._has_items:
                ends = map(int.__add__, starts, counts)
                self._numbers += chain.from_iterable(map(range, starts, ends))
            self._heads += heads
            self._counts += counts
            self._rows += len(items)
        self._begin_batch()
        if self._rows >= MAX_ROWS:
            self.flush()

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
            shared = dict(zip(names, (*zip(*self._heads, strict=True), *self._shared), strict=True))
            places = list(chain.from_iterable(map(repeat, range(len(self._counts)), self._counts)))
            block = Block(self._rows, own, shared, places)
            _derive(self.table, block)
            self._write(self.table, block)
        self._begin_block()

    def _context(
        self, places: Sequence[Place], around: Sequence[Any], lent: Sequence[Sequence[tuple[int, str]]], odd: Odd
    ) -> list[list[Any]]:
        """Returns the columns of what is around the rows, a cell for each parent."""
        columns: list[list[Any]] = [[None] * len(places) for _ in self.table.context]
        sides: list[str | None] = [None] * len(places)
        for place in dict.fromkeys(places):
            parents = [parent for parent, other in enumerate(places) if other is place]
            odd_here: Odd = set()
            for column, cells in zip(
                columns, place.context([around[parent] for parent in parents], odd_here), strict=True
            ):
                if cells is not None:
                    for parent, cell in zip(parents, cells, strict=True):
                        column[parent] = cell
            odd.update(parents[at] for at in odd_here)
            for parent in parents:
                sides[parent] = place.side
        for parent, values in enumerate(lent):
            for number, value in values:
                columns[number][parent] = value
        return [*columns, sides] if self._has_sides else columns


def _parents_of(odd: Odd, counts: Sequence[int]) -> Odd:
    """Returns the parents, with so many rows each, of the rows at the places `odd`."""
    if not odd:
        return set()
    ends = accumulate(counts)
    parents, end, parent = set(), next(ends), 0
    for place in sorted(odd):
        while place >= end:
            end, parent = next(ends), parent + 1
        parents.add(parent)
    return parents


def _derive(table: Table, block: Block) -> None:
    """Adds the columns that are worked out from others."""
    for derived in table.derived:
        if all(name in block.shared for name in derived.inputs):
            columns = [block.shared[name] for name in derived.inputs]
            block.shared[derived.column.name] = list(map(derived.function, *columns))
        else:
            columns = [block.column(name) for name in derived.inputs]
            block.own[derived.column.name] = list(map(derived.function, *columns))
