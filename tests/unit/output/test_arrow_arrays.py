"""Arrow arrays from buffers: equal to those that pyarrow makes of the same values, without pandas."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import pytest

from decoder.output.arrow_arrays import arrow_array, arrow_type
from decoder.output.table_cells import CoreCells
from decoder.output.table_columns import ColumnType
from tests.support.command import PLAIN, environment

pa = pytest.importorskip("pyarrow")

CELLS: list[tuple[ColumnType, list[Any]]] = [
    ("string", ["a", "", None, "港\0"]),
    ("string", ["a"]),
    ("json", ["{}", None]),
    ("enum", ["BUY", None, "SELL", "BUY"]),
    ("enum", ["BUY", "BUY"]),
    ("enum", [None]),
    ("int32", [1, None, -(2**31)]),
    ("int64", [2**63 - 1, -(2**63)]),
    ("uint32", [2**32 - 1, None]),
    ("uint64", [2**64 - 1, 0]),
    ("double", [0.1, None, float("inf"), -0.0]),
    ("bool", [True, None, False, *[True] * 9]),
    ("time", [1_790_000_000_123_456_789, None, -1]),
    ("sha1", [bytes(range(20)), None]),
    ("int64s", [[1, 2], (), None, (3,)]),
    ("strings", [["a", "港"], [], None]),
]


@pytest.mark.parametrize(("column_type", "cells"), [*CELLS, *((kind, []) for kind in dict(CELLS))])
def test_cells_of_every_type(column_type: ColumnType, cells: list[Any]) -> None:
    made = arrow_array(cells, column_type)
    made.validate(full=True)
    if column_type == "enum":
        assert made.equals(pa.array(cells, pa.string()).dictionary_encode())
    else:
        assert made.equals(pa.array(cells, arrow_type(column_type)))
    assert made.type == arrow_type(column_type)
    assert made.null_count == sum(cell is None for cell in cells)


@pytest.mark.parametrize(
    "cells",
    [
        CoreCells("int32", 3, b"\x05", struct.pack("3i", 1, 0, 2)),
        CoreCells("double", 2, None, struct.pack("2d", 0.1, 2.0)),
        CoreCells("time", 1, None, struct.pack("q", 5)),
        CoreCells("bool", 10, b"\xfe\x03", b"\x02\x02"),
        CoreCells("string", 3, None, struct.pack("4i", 0, 1, 1, 4), "a港".encode()),
        CoreCells("enum", 3, b"\x05", struct.pack("3i", 1, 0, 0), None, [b"BUY", b"SELL"]),
        CoreCells("enum", 3, b"\x05", struct.pack("4i", 0, 1, 1, 2), b"aa"),
        CoreCells("json", 2, None, None),
        CoreCells("enum", 2, b"\x00", struct.pack("2i", 0, 0), None, []),
    ],
    ids=lambda cells: f"{cells.type}{cells.rows}",
)
def test_cells_of_the_core(cells: CoreCells) -> None:
    made = arrow_array(cells, cells.type)
    made.validate(full=True)
    assert made.type == arrow_type(cells.type)
    assert made.equals(pa.array(cells.plain(), pa.string()).dictionary_encode() if cells.names == [b"BUY"] else made)
    assert made.to_pylist() == pa.array(cells.plain(), arrow_type(cells.type)).to_pylist()


def test_a_time_beyond_64_bits_is_null() -> None:
    """The clock of a damaged capture."""
    assert arrow_array([1 << 68, 5, -(1 << 64)], "time").cast("int64").to_pylist() == [None, 5, None]


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert arrow_array(["a\ud800"], "string").to_pylist() == ["a?"]


def test_an_export_does_not_import_pandas(tmp_path: Any) -> None:
    code = (
        "import sys; from decoder.cli.main import cli\n"
        f"cli(['export', {str(PLAIN)!r}, '-o', {str(tmp_path / 'out')!r}], standalone_mode=False)\n"
        "print('pandas' in sys.modules, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.split() == ["False", "True"]
