"""Tables as Parquet, read back with pyarrow."""

from __future__ import annotations

import io
from typing import Any, get_args

import pytest

from decoder.output.parquet import ArrowBatches, ParquetTable
from decoder.output.table_blocks import Block
from decoder.output.table_columns import Column, ColumnType, Table

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

VALUES: dict[ColumnType, Any] = {
    "string": "é\x00",
    "enum": "BUY",
    "int32": -(2**31),
    "int64": -(2**63),
    "uint32": 2**32 - 1,
    "uint64": 2**64 - 1,
    "double": 0.1,
    "bool": True,
    "time": 1_700_000_000_123_456_789,
    "sha1": bytes(range(20)),
    "json": '{"a":1}',
    "int64s": [1, -2],
    "strings": ["a", "b"],
}
TABLE = Table("t", "a test", tuple(Column(kind, kind, "") for kind in VALUES))


def block(rows: int) -> Block:
    return Block(rows, {kind: [value] * (rows - 1) + [None] for kind, value in VALUES.items()}, {}, [])


def written(*blocks: Block) -> Any:
    out = io.BytesIO()
    table = ParquetTable(TABLE, out.write)
    for each in blocks:
        table.write(each)
    table.close()
    return parquet.ParquetFile(io.BytesIO(out.getvalue()))


def test_every_type_of_column_comes_back_and_null_stays_null() -> None:
    assert set(VALUES) == set(get_args(ColumnType))
    found = written(block(2)).read()
    for kind, value in VALUES.items():
        column = found.column(kind)
        plain = column.cast("int64").to_pylist() if kind == "time" else column.to_pylist()
        assert plain == [value, None], kind
    assert found.schema.field("time").type == pyarrow.timestamp("ns", "UTC")


def test_a_table_without_rows_has_its_columns() -> None:
    file = written()
    assert file.metadata.num_rows == 0
    assert file.schema_arrow.names == list(VALUES)


def test_rows_are_collected_into_groups() -> None:
    file = written(*[block(1_000)] * 70)
    assert file.metadata.num_rows == 70_000
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [66_000, 4_000]


def test_a_group_of_long_texts_is_not_held() -> None:
    table = Table("t", "a test", (Column("text", "string", ""),))
    out = io.BytesIO()
    writer = ParquetTable(table, out.write)
    for _ in range(20):
        writer.write(Block(1, {"text": ["x" * (1 << 20)]}, {}, []))
    writer.close()
    assert parquet.ParquetFile(io.BytesIO(out.getvalue())).num_row_groups >= 2


def test_shared_cells_are_spread_over_their_rows() -> None:
    table = Table("t", "a test", (Column("host", "enum", ""), Column("price", "double", "")))
    batch = ArrowBatches(table).batch(Block(3, {"price": [1.0, 2.0, 3.0]}, {"host": ["a", None]}, [0, 0, 1]))
    assert batch.to_pylist() == [
        {"host": "a", "price": 1.0},
        {"host": "a", "price": 2.0},
        {"host": None, "price": 3.0},
    ]
