"""Writes messages and gaps as CSV, for spreadsheets and data frames; `decoder.output.columns` has the columns.

What is not there is an empty cell; several values are joined by ``;``; an object is JSON.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from decoder.body.scalars import is_number
from decoder.formatting.escape import escape, json_safe
from decoder.output.columns import Columns

if TYPE_CHECKING:
    from decoder.message import Gap, Message

__all__ = ["CsvOutput", "cell", "guarded", "write_rows"]

_FORMULA = tuple("=+-@＝＋－＠")  # characters that begin a formula in a spreadsheet


class CsvOutput:
    """Renders messages and gaps as CSV: a line feed after each row, cells quoted where needed (RFC 4180).

    The first rows are headed by the names of the columns.
    """

    def __init__(self, columns: Columns | None = None) -> None:
        self._columns = columns or Columns()
        self._headed = False

    def render(self, records: Iterable[Message | Gap]) -> str:
        """Returns the rows of `records`."""
        head, self._headed = [] if self._headed else [self._columns.names], True
        rows = (map(cell, row) for row in self._columns.rows(records))
        return _written(itertools.chain(head, rows))


def write_rows(rows: Iterable[Iterable[Any]]) -> str:
    """Returns rows of plain values as CSV."""
    return _written([cell(value) for value in row] for row in rows)


def _written(rows: Iterable[Iterable[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def cell(value: Any) -> str:
    """Returns a plain value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(map(cell, value))
    if isinstance(value, dict):
        return json_safe(orjson.dumps(value)).decode()
    return repr(value) if isinstance(value, float) else str(value)


def guarded(text: str) -> str:
    """Returns `text` for a cell: escaped, behind an apostrophe where a spreadsheet would take it for a formula."""
    safe = escape(text)
    if safe.startswith(_FORMULA) and not is_number(safe):
        return f"'{safe}"
    return safe
