"""Tables as Parquet, through pyarrow, which is an extra: ``pip install 'scapy-opend[parquet]'``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import RawIOBase
from typing import TYPE_CHECKING, Any

from decoder.errors import OpenDError
from decoder.output.table_cells import CoreCells

if TYPE_CHECKING:
    from decoder.output.table_blocks import Block
    from decoder.output.table_columns import Column, ColumnType, Table

__all__ = ["ArrowBatches", "ParquetTable", "import_pyarrow"]

_GROUP_ROWS = 65_536
"""Rows of a row group: enough for its columns to compress well, and a query skips what it does not need."""
_GROUP_BYTES = 8 * 1024 * 1024
"""Bytes in memory of a row group at most, for rows may hold texts of any length."""
_LEVEL = 1
"""Of zstd: higher ones take twice the time and more for a tenth of the size."""


def import_pyarrow() -> Any:
    """Returns pyarrow.  Raises OpenDError with the command that installs it."""
    try:
        import pyarrow
    except ImportError:
        raise OpenDError(
            "Parquet needs pyarrow: pip install 'scapy-opend[parquet]' (csv and jsonl do without)"
        ) from None
    return pyarrow


class ArrowBatches:
    """Makes record batches of blocks."""

    def __init__(self, table: Table) -> None:
        self._pa = import_pyarrow()
        types = _types(self._pa)
        self._table = table
        self.schema = self._pa.schema([(column.name, types[column.type]) for column in table.columns])
        self._text = self._pa.string()

    def batch(self, block: Block) -> Any:
        """Returns `block` as a ``pyarrow.RecordBatch``."""
        pa = self._pa
        indices = self._array(block.places, "int32", pa.int32()) if block.shared else None
        arrays = []
        for column, field in zip(self._table.columns, self.schema, strict=True):
            cells = block.own.get(column.name)
            if cells is not None:
                arrays.append(self._array(cells, column.type, field.type))
            else:
                arrays.append(self._array(block.shared[column.name], column.type, field.type).take(indices))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, cells: Sequence[Any] | CoreCells, column_type: ColumnType, arrow_type: Any) -> Any:
        if isinstance(cells, CoreCells):
            return self._core_array(cells, arrow_type)
        if column_type == "enum":
            return self._pa.array(cells, self._text).dictionary_encode()
        return self._pa.array(cells, arrow_type)

    def _core_array(self, cells: CoreCells, arrow_type: Any) -> Any:
        pa = self._pa
        if cells.cells is None:
            return pa.nulls(cells.rows, arrow_type)
        given = (cells.valid, cells.cells) if cells.text is None else (cells.valid, cells.cells, cells.text)
        buffers = [None if data is None else pa.py_buffer(data) for data in given]
        if cells.names is not None:
            codes = pa.Array.from_buffers(pa.int32(), cells.rows, buffers)
            return pa.DictionaryArray.from_arrays(codes, [name.decode() for name in cells.names])
        if cells.type == "enum":
            return pa.Array.from_buffers(self._text, cells.rows, buffers).dictionary_encode()
        return pa.Array.from_buffers(arrow_type, cells.rows, buffers)


def _types(pa: Any) -> dict[ColumnType, Any]:
    return {
        "string": pa.string(),
        "enum": pa.dictionary(pa.int32(), pa.string()),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "uint32": pa.uint32(),
        "uint64": pa.uint64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ns", "UTC"),
        "sha1": pa.binary(20),
        "json": pa.string(),
        "int64s": pa.list_(pa.int64()),
        "strings": pa.list_(pa.string()),
    }


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
