"""Rows of a table that were collected, as blocks of columns.

What the rows of one message have in common is collected once, with the number of rows, and spread over them when a
block is handed on; a writer that can do that itself takes it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from decoder import schema
from decoder.output.table_cells import CoreCells, plain_cells
from decoder.output.table_rows import Batch
from decoder.output.table_schema import COMMON, ITEM

if TYPE_CHECKING:
    from decoder.message import Message
    from decoder.output.table_bodies import Place
    from decoder.output.table_columns import Table
    from decoder.output.table_core import CoreSheets
    from decoder.output.table_rows import Cells, ColumnReader, Odd, Row

__all__ = ["MAX_ROWS", "Block", "FlatBlocks", "Origin", "RowBlocks", "Write"]

MAX_ROWS = 65_536
"""Rows of a table that wait at most, and that are read at once of one body: 20 MB."""

Origin = tuple["Message", list[str]]
"""The message that rows are from, and the list of its notes."""
_Parent = tuple["Place", "Row", Any, Sequence[Any], Origin, "bytes | None", Sequence[tuple[int, str]], int]
"""Rows of a message that share what is around them: the arguments of `RowBlocks.add`."""


@dataclass(frozen=True)
class Block:
    """Columns of one length: `own` of the rows, and `shared` ones, of which `places` says each row's cell."""

    rows: int
    own: Mapping[str, Sequence[Any] | CoreCells]
    shared: Mapping[str, Sequence[Any] | CoreCells]
    places: Sequence[int] | CoreCells

    def column(self, name: str) -> Sequence[Any]:
        """The cells of all rows."""
        if name in self.own:
            return plain_cells(self.own[name])
        return list(map(plain_cells(self.shared[name]).__getitem__, plain_cells(self.places)))


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
        self._shared: list[Row] = []
        self._known: dict[Any, int] = {}

    def add(self, cells: Row, shared: Row = (), key: Any = None) -> None:
        """Collects a row; rows with an equal `key` have the same `shared` cells, see `add_again`."""
        self._rows.append(cells)
        if shared:
            self._places.append(len(self._shared))
            self._known[key] = len(self._shared)
            self._shared.append(shared)

    def add_again(self, cells: Row, key: Any) -> bool:
        """Collects a row whose shared cells are those of an earlier one with this key; False if there is none."""
        place = self._known.get(key)
        if place is None:
            return False
        self._rows.append(cells)
        self._places.append(place)
        return True

    def flush(self) -> None:
        """Passes on the rows that were collected."""
        if not self._rows:
            return
        own: dict[str, Cells] = dict(zip(self._names, zip(*self._rows, strict=True), strict=True))
        shared: dict[str, Cells] = dict(zip(self._shared_names, zip(*self._shared, strict=True), strict=True))
        block = Block(len(self._rows), own, shared, self._places)
        self._rows, self._places, self._shared, self._known = [], [], [], {}
        self._write(self.table, block)


class RowBlocks:
    """Collects the messages that become rows of a table; reads them and passes them to `write` in blocks.

    :param read: reads the cells of rows
    :param write: None if the rows are wanted only for the notes that they deserve
    :param core: the rows that the compiled core collects, if it does
    """

    def __init__(self, table: Table, read: ColumnReader, write: Write | None, core: CoreSheets | None = None) -> None:
        self.table = table
        self.wanted = write is not None
        self._read_cells = read
        self._write = write
        self._core = core
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
        self._turns: list[int] = []  # of parents that Python reads: their places among all
        self._core_heads: list[Row] = []
        self._core_turns: list[int] = []
        self._core_lent: list[tuple[int, int, str]] = []

    def add_collected(self, head: Row, lent: Sequence[tuple[int, str]] = ()) -> None:
        """Takes note of rows of a message that the core has collected; the arguments are those of `add`."""
        parent = len(self._core_heads)
        self._core_turns.append(parent + len(self._turns))
        self._core_heads.append(head)
        for column, value in lent:
            self._core_lent.append((parent, column, value))

    def add(
        self,
        place: Place,
        head: Row,
        around: Any,
        items: Sequence[Any],
        origin: Origin,
        data: bytes | None,
        lent: Sequence[tuple[int, str]] = (),
        start: int = 0,
    ) -> None:
        """Collects the rows of a message.

        :param head: cells of the common columns
        :param around: with `items` as `Place.find` yields it
        :param data: the whole body as protobuf writes it, or None to read its messages one by one
        :param lent: cells of the context that the request told, by their places
        :param start: place of the first row in its list
        """
        self._turns.append(len(self._core_turns) + len(self._turns))
        self._parents.append((place, head, around, items, origin, data, lent, start))

    def read(self) -> None:
        """Reads what was collected; completes the notes of messages with odd values."""
        if self._parents:
            self._read_parents()
        if self._rows + (self._core.rows if self._core_heads and self._core is not None else 0) >= MAX_ROWS:
            self.flush()

    def _read_parents(self) -> None:
        places, heads, around, lists, origins, data, lent, starts = zip(*self._parents, strict=True)
        counts = list(map(len, lists))
        odd: Odd = set()
        groups = [
            _Group(place, [parent for parent, other in enumerate(places) if other is place])
            for place in dict.fromkeys(places)
        ]
        parsed: dict[str, tuple[list[bytes], Any]] = {}
        for group in groups:
            group.read(self._read_cells, around, lists, counts, _columns(group, data, parsed), odd)
        for parent in odd:
            message, notes = origins[parent]
            notes[:] = message.notes
        if self._write is not None:
            self._keep(groups, counts)
            for parent, values in enumerate(lent):
                for column, value in values:
                    self._shared[column][len(self._counts) + parent] = value
            if self._has_items:
                ends = map(int.__add__, starts, counts)
                self._numbers += chain.from_iterable(map(range, starts, ends))
            self._heads += heads
            self._counts += counts
            self._rows += sum(counts)
        self._begin_batch()

    def _keep(self, groups: list[_Group], counts: list[int]) -> None:
        """Keeps the columns of all groups, the rows in the order of their parents."""
        contexts = [group.context for group in groups]
        if self._has_sides:
            for group in groups:
                group.context.append([group.place.side] * len(group.parents))
        if len(groups) == 1:
            columns, contexts_in_order = groups[0].columns, contexts[0]
        else:
            parents = list(chain.from_iterable(group.parents for group in groups))
            places = [0] * len(parents)
            for place, parent in enumerate(parents):
                places[parent] = place
            ends = list(accumulate([counts[parent] for parent in parents], initial=0))
            rows = list(chain.from_iterable([range(ends[place], ends[place + 1]) for place in places]))
            columns = _joined([group.columns for group in groups if group.columns], rows)
            contexts_in_order = _joined(contexts, places)
        for kept, cells in zip(self._own, columns, strict=False):
            kept += cells
        for kept, cells in zip(self._shared, contexts_in_order, strict=True):
            kept += cells

    def flush(self) -> None:
        """Passes on the rows that were read."""
        collected = None if self._core is None or not self._core_heads else self._core_block(self._core)
        if self._write is not None:
            if not self._rows:
                block = collected
            elif collected is None or not collected.rows:
                block = self._block()
            else:
                block = self._merged(self._block(), collected)
            if block is not None and block.rows:
                self._write(self.table, block)
        self._begin_block()

    def _block(self) -> Block:
        """Returns the rows that Python has read."""
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
        _derive(self.table, own, shared, block)
        return block

    def _core_block(self, core: CoreSheets) -> Block:
        """Returns the rows that the core has collected."""
        taken = core.take()
        shared: dict[str, Sequence[Any] | CoreCells] = {**taken.shared}
        heads = zip(*self._core_heads, strict=True)
        shared.update(zip([column.name for column in COMMON], heads, strict=True))
        lent = {self.table.context[column].name for _, column, _ in self._core_lent}
        filled = {name: list(plain_cells(shared[name])) for name in lent}
        for parent, column, value in self._core_lent:
            filled[self.table.context[column].name][parent] = value
        return Block(taken.rows, taken.own, {**shared, **filled}, taken.places)

    def _merged(self, read: Block, collected: Block) -> Block:
        """Returns the rows of both, in the order of their messages."""
        counts = [0] * len(self._core_turns)
        for place in plain_cells(collected.places):
            counts[place] += 1
        ends = list(accumulate([*self._counts, *counts], initial=0))
        ranges = map(range, ends, ends[1:])
        turns = sorted(zip([*self._turns, *self._core_turns], ranges, strict=True), key=itemgetter(0))
        rows = list(chain.from_iterable(rows for _, rows in turns))
        names = [column.name for column in self.table.columns]
        columns = _joined([[block.column(name) for name in names] for block in (read, collected)], rows)
        return Block(len(rows), dict(zip(names, columns, strict=True)), {}, [])


class _Group:
    """Parents in one place, and what was read of them."""

    def __init__(self, place: Place, parents: list[int]) -> None:
        self.place = place
        self.parents = parents
        self.columns: list[Cells] = []
        """The cells of rows; no column if there are no rows."""
        self.context: list[Cells] = []

    def read(
        self,
        read: ColumnReader,
        around: Sequence[Any],
        lists: Sequence[Sequence[Any]],
        counts: Sequence[int],
        columns: Any,
        odd: Odd,
    ) -> None:
        """Reads rows and context; `columns` is the c2s or s2c of the columnar type, or None; adds to `odd` parents."""
        parents = self.parents
        mine = [counts[parent] for parent in parents]
        odd_here: Odd = set()
        if any(mine):
            items = None if columns is None or self.place.step is None else getattr(columns, self.place.step)
            batch = Batch(sum(mine), lambda: list(chain.from_iterable([lists[parent] for parent in parents])), items)
            odd_rows: Odd = set()
            self.columns = read(batch, odd_rows)
            odd_here = _parents_of(odd_rows, mine)
        if len(self.place.readers) > 1:
            columns = None
        self.context = self.place.context([around[parent] for parent in parents], columns, odd_here)
        odd.update(parents[place] for place in odd_here)


def _columns(group: _Group, data: Sequence[bytes | None], parsed: dict[str, tuple[list[bytes], Any]]) -> Any:
    """Returns what the columnar type of a group makes of its bodies, their c2s or s2c; None if one of them is odd."""
    place = group.place
    bodies = [body for parent in group.parents if (body := data[parent]) is not None]
    if len(bodies) < len(group.parents):
        return None
    known = parsed.get(place.body)
    if known is None or known[0] != bodies:  # (usually both sides of the same books)
        cls = schema.columnar_class(place.body)
        known = parsed[place.body] = bodies, cls.FromString(b"".join(bodies))
    return getattr(known[1], place.part)


def _joined(groups: list[list[Cells]], places: list[int]) -> list[Cells]:
    """Joins columns end to end and returns their cells at `places`."""
    if len(places) < 2:
        return [[*chain.from_iterable(columns)] for columns in zip(*groups, strict=True)]
    get = itemgetter(*places)
    return [get(list(chain.from_iterable(columns))) for columns in zip(*groups, strict=True)]


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


def _derive(table: Table, own: dict[str, Cells], shared: dict[str, Cells], block: Block) -> None:
    """Adds the columns that are worked out from others to those of a block."""
    for derived in table.derived:
        if all(name in shared for name in derived.inputs):
            columns = [shared[name] for name in derived.inputs]
            shared[derived.column.name] = list(map(derived.function, *columns))
        else:
            columns = [block.column(name) for name in derived.inputs]
            own[derived.column.name] = list(map(derived.function, *columns))
