"""Columns as the compiled core keeps them, as Python values."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from decoder.output.table_cells import CoreCells, plain_cells


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (CoreCells("int32", 3, None, struct.pack("3i", -1, 0, 2**31 - 1)), [-1, 0, 2**31 - 1]),
        (CoreCells("uint32", 2, None, struct.pack("2I", 0, 2**32 - 1)), [0, 2**32 - 1]),
        (CoreCells("int64", 1, None, struct.pack("q", -(2**63))), [-(2**63)]),
        (CoreCells("uint64", 1, None, struct.pack("Q", 2**64 - 1)), [2**64 - 1]),
        (CoreCells("time", 1, None, struct.pack("q", 5)), [5]),
        (CoreCells("double", 2, None, struct.pack("2d", 0.1, -0.0)), [0.1, -0.0]),
        (CoreCells("double", 3, b"\x05", struct.pack("3d", 1.0, 0.0, 2.0)), [1.0, None, 2.0]),
        (CoreCells("bool", 10, None, b"\x01\x02"), [True, *[False] * 8, True]),
        (CoreCells("bool", 3, b"\x03", b"\x02"), [False, True, None]),
        (CoreCells("string", 3, None, struct.pack("4i", 0, 1, 1, 4), "a港".encode()), ["a", "", "港"]),
        (CoreCells("enum", 3, b"\x05", struct.pack("3i", 1, 0, 0), None, [b"BUY", b"SELL"]), ["SELL", None, "BUY"]),
        (CoreCells("enum", 1, b"\x00", struct.pack("i", 0), None, []), [None]),
        (CoreCells("json", 2, None, None), [None, None]),
        (CoreCells("int32", 0, None, b""), []),
        (CoreCells("string", 0, None, struct.pack("i", 0), b""), []),
    ],
    ids=lambda value: value.type if isinstance(value, CoreCells) else "",
)
def test_cells_as_values(cells: CoreCells, wanted: list[Any]) -> None:
    assert cells.plain() == plain_cells(cells) == wanted


def test_values_stay_as_they_are() -> None:
    assert plain_cells((1, None)) == (1, None)
