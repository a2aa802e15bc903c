"""Tables as CSV and as JSON Lines, which need no library, and the formats by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from decoder.body.scalars import plain_double
from decoder.formatting.escape import json_safe
from decoder.formatting.times import rfc3339
from decoder.output.csv import write_rows

if TYPE_CHECKING:
    from decoder.output.table_blocks import Block
    from decoder.output.table_columns import ColumnType
    from decoder.output.table_schema import Table

__all__ = ["FORMATS", "TableWriter", "table_writer"]

FORMATS = ("parquet", "csv", "jsonl")


class TableWriter(Protocol):
    """Writes one table."""

    def write(self, block: Block) -> None:
        """Adds the rows of a block."""

    def close(self) -> None:
        """Writes the end."""


def table_writer(format: str, table: Table, write: Callable[[bytes], object]) -> TableWriter:
    """Returns what writes `table`, as bytes for `write`.  Raises OpenDError for Parquet without pyarrow."""
    if format == "parquet":
        from decoder.output.parquet import ParquetTable

        return ParquetTable(table, write)
    return (CsvTable if format == "csv" else JsonLinesTable)(table, write)


class CsvTable:
    """Writes blocks as CSV, with a head; missing is an empty cell, several values are joined by ``;``."""

    def __init__(self, table: Table, write: Callable[[bytes], object]) -> None:
        self._table = table
        self._write = write
        write(write_rows([[column.name for column in table.columns]]).encode())

    def write(self, block: Block) -> None:
        """Adds the rows of a block."""
        self._write(write_rows(_plain_rows(self._table, block)).encode())

    def close(self) -> None:
        """Nothing is left to write."""


class JsonLinesTable:
    """Writes blocks as JSON Lines: an object for each row, with every column, null where nothing is."""

    def __init__(self, table: Table, write: Callable[[bytes], object]) -> None:
        self._table = table
        self._names = [column.name for column in table.columns]
        self._write = write

    def write(self, block: Block) -> None:
        """Adds the rows of a block."""
        names = self._names
        lines = [
            orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
            for row in _plain_rows(self._table, block)
        ]
        self._write(json_safe(b"".join(lines)))

    def close(self) -> None:
        """Nothing is left to write."""


def _plain_rows(table: Table, block: Block) -> zip[tuple[Any, ...]]:
    """The rows as plain values: times as RFC 3339, digests in hex, doubles beyond numbers as in JSON Lines."""
    columns = []
    for column in table.columns:
        cells: Sequence[Any] = block.column(column.name)
        plain = _PLAIN.get(column.type)
        columns.append(cells if plain is None else [None if cell is None else plain(cell) for cell in cells])
    return zip(*columns, strict=True)


_PLAIN: dict[ColumnType, Callable[[Any], Any]] = {
    "time": rfc3339,
    "sha1": bytes.hex,
    "double": plain_double,
    "int64s": list,
}
