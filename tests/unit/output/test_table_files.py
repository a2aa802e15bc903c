"""A table as CSV and as JSON Lines: the same rows in both."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from decoder.output.table_blocks import Block
from decoder.output.table_columns import Column, ColumnType, Table
from decoder.output.table_files import CsvTable, JsonLinesTable, table_writer

CELLS: list[tuple[ColumnType, Any, str, Any]] = [
    ("string", 'a "b", c', 'a "b", c', 'a "b", c'),
    ("int64", -(2**63), "-9223372036854775808", -(2**63)),
    ("double", 0.1, "0.1", 0.1),
    ("bool", True, "true", True),
    ("time", 1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:20.123456789Z"),
    ("sha1", bytes(range(20)), bytes(range(20)).hex(), bytes(range(20)).hex()),
    ("int64s", (1, 2), "1;2", [1, 2]),
    ("strings", ["x", "y"], "x;y", ["x", "y"]),
]
"""Type, cell, in CSV, in JSON Lines."""
TABLE = Table("t", "a test", tuple(Column(kind, kind, "") for kind, *_ in CELLS))
BLOCK = Block(2, {kind: [cell, None] for kind, cell, *_ in CELLS}, {}, [])


def written(format: str, *blocks: Block) -> str:
    out = io.BytesIO()
    writer = table_writer(format, TABLE, out.write)
    for block in blocks:
        writer.write(block)
    writer.close()
    return out.getvalue().decode()


def test_csv_has_a_head_and_empty_cells_where_nothing_is() -> None:
    head, full, empty = csv.reader(io.StringIO(written("csv", BLOCK)))
    assert head == [kind for kind, *_ in CELLS]
    assert full == [text for _, _, text, _ in CELLS]
    assert empty == [""] * len(CELLS)


def test_json_lines_have_every_key_and_null_where_nothing_is() -> None:
    full, empty = map(json.loads, written("jsonl", BLOCK).splitlines())
    assert list(full.items()) == [(kind, value) for kind, _, _, value in CELLS]
    assert list(empty.items()) == [(kind, None) for kind, *_ in CELLS]


def test_shared_cells_stand_in_each_of_their_rows() -> None:
    table = Table("t", "", (Column("a", "int64", ""), Column("b", "string", "")))
    out: list[bytes] = []
    CsvTable(table, out.append).write(Block(3, {"a": [1, 2, 3]}, {"b": ["x", "y"]}, [0, 1, 0]))
    assert b"".join(out).decode().split() == ["a,b", "1,x", "2,y", "3,x"]


@pytest.mark.parametrize(("format", "lines"), [("csv", 1), ("jsonl", 0)])
def test_a_table_without_rows(format: str, lines: int) -> None:
    assert len(written(format).splitlines()) == lines


def test_doubles_beyond_numbers_are_words_in_json() -> None:
    out: list[bytes] = []
    table = Table("t", "", (Column("d", "double", ""),))
    JsonLinesTable(table, out.append).write(Block(2, {"d": [float("nan"), float("-inf")]}, {}, []))
    assert [json.loads(line)["d"] for line in b"".join(out).splitlines()] == ["NaN", "-Infinity"]
