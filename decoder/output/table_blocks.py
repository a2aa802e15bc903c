"""Rows of a table that were collected, as blocks of columns.

What the rows of one message have in common is collected once, with the number of rows, and spread over them when a
block is handed on; a writer that can do that itself takes it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from decoder.output.table_schema import COMMON, ITEM

if TYPE_CHECKING:
    from decoder.output.table_rows import Row
    from decoder.output.table_schema import Table

__all__ = ["Block", "Blocks", "Write"]

_CELLS = 200_000
"""Cells that wait at most before a block is handed on: 5 to 10 MB in all tables together."""
_BYTES = 4 * 1024 * 1024
"""Bytes of bodies of which rows wait at most, for texts may be of any length."""


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


class Blocks:
    """Collects the rows of one table and passes them to `write` in blocks."""

    def __init__(self, table: Table, write: Write) -> None:
        self.table = table
        self._write = write
        self._has_items = ITEM in table.columns
        side = ["side"] if any(column.name == "side" for column in table.columns) else []
        self._shared = [column.name for column in (*COMMON, *table.context)] + side
        self._own = [column.name for column in (table.cells or table.columns)]
        self._most = _CELLS // len(table.columns)
        self._parents: list[Row] = []
        self._counts: list[int] = []
        self._rows: list[Row] = []
        self._size = 0

    def add(self, shared: Row, rows: list[Row], size: int) -> None:
        """Collects rows of a message with what they share; `size`: bytes that they were read from."""
        self._parents.append(shared)
        self._counts.append(len(rows))
        self._rows += rows
        self._size += size

    def add_row(self, cells: Row, size: int = 0) -> None:
        """Collects a row of a table without shared columns."""
        self._rows.append(cells)
        self._size += size

    def flush_if_full(self) -> None:
        """Passes the rows on if they are many."""
        if len(self._rows) >= self._most or self._size >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Passes on the rows that were collected."""
        if not self._rows:
            return
        rows, parents, counts = self._rows, self._parents, self._counts
        self._rows, self._parents, self._counts, self._size = [], [], [], 0
        own: dict[str, Sequence[Any]] = {}
        for name, cells in zip(self._own, zip(*rows, strict=True), strict=True):
            if name in own:  # two fields that are one column: the first that is there
                cells = tuple([b if a is None else a for a, b in zip(own[name], cells, strict=True)])
            own[name] = cells
        shared: dict[str, Sequence[Any]] = dict(zip(self._shared, zip(*parents, strict=True), strict=False))
        if self._has_items:
            own[ITEM.name] = list(chain.from_iterable(map(range, counts)))
        block = Block(len(rows), own, shared, counts)
        for derived in self.table.derived:
            if all(name in shared for name in derived.inputs):
                shared[derived.column.name] = list(map(derived.function, *(shared[name] for name in derived.inputs)))
            else:
                inputs = [block.column(name) for name in derived.inputs]
                own[derived.column.name] = list(map(derived.function, *inputs))
        self._write(self.table, block)
