"""Makes Arrow arrays of Python values, by way of the buffers in which Arrow has them.

``pyarrow.array`` would import pandas where that is installed: half a second, and 40 MB of memory.
"""

from __future__ import annotations

from array import array
from functools import cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from decoder.errors import OpenDError
from decoder.output.table_cells import CoreCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decoder.output.table_columns import ColumnType

__all__ = ["arrow_array", "arrow_type", "import_pyarrow"]

_NUMBERS: dict[str, tuple[str, Any]] = {
    "int32": ("i", 0),
    "int64": ("q", 0),
    "uint32": ("I", 0),
    "uint64": ("Q", 0),
    "double": ("d", 0.0),
    "time": ("q", 0),
}
"""Of numbers the format in memory, and what stands where the cell is null."""
_DIGEST = 20  # bytes of a SHA-1
_TIMES = 1 << 63  # nanoseconds before and after 1970 that a time in 64 bits can say


def import_pyarrow() -> Any:
    """Returns pyarrow.  Raises OpenDError with the command that installs it."""
    try:
        import pyarrow
    except ImportError:
        raise OpenDError(
            "Parquet needs pyarrow: pip install 'scapy-opend[parquet]' (csv and jsonl do without)"
        ) from None
    return pyarrow


@cache
def arrow_type(column_type: ColumnType) -> Any:
    """Returns the Arrow type of a column."""
    pa = import_pyarrow()
    types: dict[ColumnType, Any] = {
        "string": pa.string(),
        "enum": pa.dictionary(pa.int32(), pa.string()),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "uint32": pa.uint32(),
        "uint64": pa.uint64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ns", "UTC"),
        "sha1": pa.binary(_DIGEST),
        "json": pa.string(),
        "int64s": pa.list_(pa.int64()),
        "strings": pa.list_(pa.string()),
    }
    return types[column_type]


def arrow_array(cells: Sequence[Any] | CoreCells, column_type: ColumnType) -> Any:
    """Returns the cells of a column of this type as an Arrow array."""
    if isinstance(cells, CoreCells):
        return _of_core(cells)
    if column_type == "time":
        cells = [cell if cell is None or -_TIMES <= cell < _TIMES else None for cell in cells]
    valid = _valid(cells)
    if column_type in _NUMBERS:
        format, empty = _NUMBERS[column_type]
        numbers = cells if valid is None else [empty if cell is None else cell for cell in cells]
        return _array(column_type, len(cells), valid, array(format, numbers))
    if column_type == "enum":
        return _dictionary(cells, valid)
    if column_type == "bool":
        return _bits(cells, valid)
    if column_type == "sha1":
        return _array("sha1", len(cells), valid, b"".join([cell or bytes(_DIGEST) for cell in cells]))
    if column_type in ("int64s", "strings"):
        return _lists(cells, valid, "int64" if column_type == "int64s" else "string")
    return _texts(cells, valid)


def _array(column_type: ColumnType, count: int, *buffers: Any, children: Sequence[Any] = ()) -> Any:
    """Returns an array of what its buffers hold, the first of which is that of `_valid`."""
    pa = import_pyarrow()
    given = [None if buffer is None else pa.py_buffer(buffer) for buffer in buffers]
    return pa.Array.from_buffers(arrow_type(column_type), count, given, children=list(children))


def _valid(cells: Sequence[Any]) -> Any:
    """Returns the buffer with a bit for each cell, 0 where it is null; None if none is."""
    return _bitmap(bytes([cell is not None for cell in cells])) if None in cells else None


def _bitmap(flags: bytes) -> Any:
    """Returns bytes, each 0 or 1, as bits."""
    pa = import_pyarrow()
    wide = pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(flags)])
    return wide.cast(pa.bool_()).buffers()[1]


def _bits(cells: Sequence[Any], valid: Any) -> Any:
    return _array("bool", len(cells), valid, _bitmap(bytes([bool(cell) for cell in cells])))


def _ends(lengths: Sequence[int]) -> array[int]:
    return array("i", accumulate(lengths, initial=0))


def _texts(cells: Sequence[Any], valid: Any) -> Any:
    texts = [b"" if cell is None else cell.encode("utf-8", "replace") for cell in cells]
    return _array("string", len(texts), valid, _ends(list(map(len, texts))), b"".join(texts))


def _lists(cells: Sequence[Any], valid: Any, item_type: ColumnType) -> Any:
    lists = cells if valid is None else [() if cell is None else cell for cell in cells]
    items = arrow_array(list(chain.from_iterable(lists)), item_type)
    column_type: ColumnType = "int64s" if item_type == "int64" else "strings"
    return _array(column_type, len(cells), valid, _ends(list(map(len, lists))), children=[items])


def _dictionary(cells: Sequence[Any], valid: Any) -> Any:
    """Returns texts as references to each that there is, in the order in which they come first."""
    names = {name: place for place, name in enumerate(dict.fromkeys(cells) if valid is None else _names(cells))}
    codes = array("i", [names.get(cell, 0) for cell in cells])
    pa = import_pyarrow()
    return pa.DictionaryArray.from_arrays(_array("int32", len(cells), valid, codes), _texts(list(names), None))


def _names(cells: Sequence[Any]) -> list[Any]:
    return [name for name in dict.fromkeys(cells) if name is not None]


def _of_core(cells: CoreCells) -> Any:
    pa = import_pyarrow()
    if cells.cells is None:
        return pa.nulls(cells.rows, arrow_type(cells.type))
    valid = None if cells.valid is None else pa.py_buffer(cells.valid)
    if cells.names is not None:
        codes = _array("int32", cells.rows, valid, cells.cells)
        return pa.DictionaryArray.from_arrays(codes, _texts([name.decode() for name in cells.names], None))
    if cells.text is None:
        return _array(cells.type, cells.rows, valid, cells.cells)
    texts = _array("string", cells.rows, valid, cells.cells, cells.text)
    return texts.dictionary_encode() if cells.type == "enum" else texts
