"""Tables as Parquet, through pyarrow, which is an extra: ``pip install 'scapy-opend[parquet]'``."""

from __future__ import annotations

from collections.abc import Callable
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from decoder.output.arrow_arrays import arrow_array, arrow_type, import_pyarrow

if TYPE_CHECKING:
    from decoder.output.table_blocks import Block
    from decoder.output.table_columns import Column, Table

__all__ = ["ArrowBatches", "ParquetTable"]

_GROUP_ROWS = 65_536
"""Rows of a row group: enough for its columns to compress well, and a query skips what it does not need."""
_GROUP_BYTES = 8 * 1024 * 1024
"""Bytes in memory of a row group at most, for rows may hold texts of any length."""
_LEVEL = 1
"""Of zstd: higher ones take twice the time and more for a tenth of the size."""


class ArrowBatches:
    """Makes record batches of blocks."""

    def __init__(self, table: Table) -> None:
        self._pa = import_pyarrow()
        self._table = table
        self.schema = self._pa.schema([(column.name, arrow_type(column.type)) for column in table.columns])

    def batch(self, block: Block) -> Any:
        """Returns `block` as a ``pyarrow.RecordBatch``."""
        places = arrow_array(block.places, "int32") if block.shared else None
        arrays = []
        for column in self._table.columns:
            cells = block.own.get(column.name)
            if cells is not None:
                arrays.append(arrow_array(cells, column.type))
            else:
                arrays.append(arrow_array(block.shared[column.name], column.type).take(places))
        return self._pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _repeats(table: Table, column: Column) -> bool:
    """Returns True for a column whose cells are stored once and referred to: names, texts, and all of order books.

    Other numbers hardly repeat: as they are they take a tenth less, in two thirds of the time.
    """
    return column.type in ("enum", "string") or table.name == "order_book"


class _Sink(RawIOBase):
    """A function that takes bytes, as a file that pyarrow can write."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(data)
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


class ParquetTable:
    """Writes blocks to a Parquet file, a row group when enough of them have come."""

    def __init__(self, table: Table, write: Callable[[bytes], object]) -> None:
        self._pa = import_pyarrow()
        self._batches = ArrowBatches(table)
        from pyarrow import parquet

        self._writer = parquet.ParquetWriter(
            self._pa.PythonFile(_Sink(write), mode="w"),
            self._batches.schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=[column.name for column in table.columns if _repeats(table, column)],
        )
        self._waiting: list[Any] = []
        self._rows = self._size = 0

    def write(self, block: Block) -> None:
        """Adds the rows of a block."""
        self.write_batch(self._batches.batch(block))

    def write_batch(self, batch: Any) -> None:
        """Adds the rows of a batch of `ArrowBatches`."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._size += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._size >= _GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Writes what is left and the end of the file."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if self._waiting:
            group = self._pa.Table.from_batches(self._waiting, self._batches.schema).unify_dictionaries()
            self._writer.write_table(group, row_group_size=group.num_rows)
            self._waiting = []
            self._rows = self._size = 0
