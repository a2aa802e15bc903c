"""Holds columns as the compiled core collects them: in the buffers of Arrow, which `parquet` takes as they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decoder.output.table_columns import ColumnType

__all__ = ["CoreCells", "plain_cells"]

_FORMATS: dict[ColumnType, str] = {
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "time": "q",
    "double": "d",
}
"""Format of a number in memory, by the type of its column."""


@dataclass(frozen=True)
class CoreCells:
    """The cells of a column."""

    type: ColumnType
    rows: int
    valid: bytes | None
    """A bit for each cell, the lowest of a byte first: 0 where the cell is null. None if no cell is null."""
    cells: bytes | None
    """Numbers one after the other, bits, ends of texts after a first 0, or places in `names`; None: all are null."""
    text: bytes | None = None
    """Texts one after the other, in UTF-8."""
    names: list[bytes] | None = None
    """Texts that the cells refer to, each once."""

    def plain(self) -> list[Any]:
        """Returns the cells as Python values."""
        if self.cells is None:
            return [None] * self.rows
        cells = self._all()
        if self.valid is None:
            return cells
        return [cell if there else None for cell, there in zip(cells, _bits(self.valid, self.rows), strict=True)]

    def _all(self) -> list[Any]:
        assert self.cells is not None
        if self.text is not None:
            text = self.text
            return [text[start:end].decode() for start, end in pairwise(memoryview(self.cells).cast("i"))]
        if self.names is not None:
            names = [name.decode() for name in self.names] or [""]
            return [names[code] for code in memoryview(self.cells).cast("i")]
        if self.type == "bool":
            return _bits(self.cells, self.rows)
        return memoryview(self.cells).cast(_FORMATS[self.type]).tolist()  # type: ignore[call-overload, no-any-return]


def _bits(data: bytes, count: int) -> list[bool]:
    bits = f"{int.from_bytes(data, 'little'):b}".rjust(8 * len(data), "0")[::-1]
    return [bit == "1" for bit in bits[:count]]


def plain_cells(cells: Sequence[Any] | CoreCells) -> Sequence[Any]:
    """Returns cells as Python values, whoever collected them."""
    return cells.plain() if isinstance(cells, CoreCells) else cells
