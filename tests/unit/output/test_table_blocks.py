"""Rows that are collected become blocks of columns; what rows share is kept once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from decoder.output.table_blocks import MAX_ROWS, Block, FlatBlocks, RowBlocks
from decoder.output.table_columns import Column, Table
from decoder.output.table_schema import COMMON, ITEM

TABLE = Table("t", "a test", (Column("a", "int64", ""), Column("host", "enum", ""), Column("b", "int64", "")))


class Written(list[Block]):
    def __call__(self, table: Table, block: Block) -> None:
        self.append(block)

    def rows(self, *names: str) -> list[tuple[Any, ...]]:
        return [row for block in self for row in zip(*map(block.column, names), strict=True)]


def test_a_shared_cell_is_kept_once_and_read_in_every_row() -> None:
    block = Block(4, {"a": [1, 2, 3, 4]}, {"b": ["x", "y"]}, [0, 0, 1, 0])
    assert block.column("a") == [1, 2, 3, 4]
    assert block.column("b") == ["x", "x", "y", "x"]


def test_rows_that_stand_alone() -> None:
    written = Written()
    blocks = FlatBlocks(TABLE, written)
    blocks.flush()
    assert written == []
    blocks.add((1, "gw", 2))
    blocks.add((3, "gw", 4))
    blocks.flush()
    blocks.add((5, "gw", 6))
    blocks.flush()
    assert [block.rows for block in written] == [2, 1]
    assert written.rows("a", "host", "b") == [(1, "gw", 2), (3, "gw", 4), (5, "gw", 6)]


def test_rows_that_stand_alone_share_equal_cells() -> None:
    written = Written()
    blocks = FlatBlocks(TABLE, written, ("host",))
    for place, host in enumerate(("x", "y", "x")):
        if not blocks.add_again((place, -place), host):
            blocks.add((place, -place), (host,), host)
    blocks.flush()
    (block,) = written
    assert block.shared["host"] == ("x", "y")
    assert written.rows("a", "host", "b") == [(0, "x", 0), (1, "y", -1), (2, "x", -2)]


class Place:
    """A place in a body whose context is the thing around the rows."""

    body, part, step, side, readers = "T", "s2c", None, None, ()

    def context(self, around: list[Any], columns: Any, odd: set[int]) -> list[list[Any]]:
        odd.update(place for place, each in enumerate(around) if each == "odd")
        return [list(around)]


class Message:
    notes = ("odd-value",)


ROWS: Any = Table("r", "", (), context=(Column("around", "string", ""),), cells=(Column("n", "int64", ""),))
WITH_ITEMS: Any = Table("r", "", (ITEM,), context=ROWS.context, cells=ROWS.cells)
PLACE: Any = Place()
HEAD = tuple(column.name for column in COMMON)


def read(batch: Any, odd: set[int]) -> list[Sequence[Any]]:
    items = batch.messages
    odd.update(place for place, item in enumerate(items) if item < 0)
    return [items]


def added(blocks: RowBlocks, around: str, items: list[int], **more: Any) -> list[str]:
    notes: list[str] = []
    origin: Any = (Message(), notes)
    blocks.add(PLACE, HEAD, around, items, origin, None, **more)
    return notes


def test_rows_of_messages_have_what_is_around_them() -> None:
    written = Written()
    blocks = RowBlocks(WITH_ITEMS, read, written)
    added(blocks, "first", [10, 11])
    added(blocks, "empty", [])
    added(blocks, "last", [20], start=5)
    blocks.read()
    blocks.flush()
    assert written.rows("n", "around", ITEM.name) == [(10, "first", 0), (11, "first", 1), (20, "last", 5)]
    assert written.rows(COMMON[0].name) == [(COMMON[0].name,)] * 3


def test_a_cell_that_the_request_has_stands_in_for_that_of_the_response() -> None:
    written = Written()
    blocks = RowBlocks(ROWS, read, written)
    added(blocks, "own", [1], lent=[(0, "lent")])
    added(blocks, "own", [2])
    blocks.read()
    blocks.flush()
    assert written.rows("n", "around") == [(1, "lent"), (2, "own")]


def test_messages_with_odd_values_have_their_notes_completed() -> None:
    blocks = RowBlocks(ROWS, read, None)
    fine = added(blocks, "a", [1, 2])
    in_a_row = added(blocks, "b", [3, -4])
    beside_the_rows = added(blocks, "odd", [5])
    blocks.read()
    assert (fine, in_a_row, beside_the_rows) == ([], ["odd-value"], ["odd-value"])


def test_many_rows_are_passed_on_by_themselves() -> None:
    written = Written()
    blocks = RowBlocks(ROWS, read, written)
    added(blocks, "a", [0] * MAX_ROWS)
    blocks.read()
    assert [block.rows for block in written] == [MAX_ROWS]
