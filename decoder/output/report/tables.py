"""Writes the tables of the report: the first 500 rows as HTML, the rest compressed for the script to unpack."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import orjson

from decoder.formatting.escape import escape
from decoder.formatting.table import Column
from decoder.output.report.markup import MAX_TEXT, Markup, joined, tag

__all__ = ["Tables"]

_MAX_ROWS = 500
"""Rows that stand in the page."""
_MAX_SIZE = 200 * 1024
"""Bytes of these rows in a usual page: a text of 200 characters may take a kilobyte."""
_MAX_PACKED_ROWS = 10_000
"""Rows that are compressed into the page; the number of further ones is said."""
_MAX_PACKED = 60 * 1024
"""Bytes of compressed rows."""


class Tables:
    """Writes tables whose rows take at most `max_size` bytes each; further rows are compressed."""

    def __init__(self, max_size: int = _MAX_SIZE) -> None:
        self._max_size = max_size

    def table(
        self,
        name: str,
        columns: Sequence[Column],
        rows: Sequence[Sequence[object]],
        titles: Mapping[str, str] = MappingProxyType({}),
    ) -> Markup:
        """Returns a table; a cell is a text, or Markup, or a pair of what shows and what to sort by.

        :param name: an id of the page
        :param titles: explanations of columns, by their names
        """
        head = [
            tag(
                "th",
                column.name,
                class_="number" if column.number else None,
                title=titles.get(column.name),
                scope="col",
            )
            for column in columns
        ]
        body: list[Markup] = []
        size = 0
        for row in rows[:_MAX_ROWS]:
            body.append(tag("tr", *map(_cell, columns, row)))
            size += len(body[-1])
            if size > self._max_size:
                break
        whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="sortable", id=name)
        parts = [tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=name)]
        if len(rows) > len(body):
            parts += _rest(name, rows[len(body) :])
        return joined(parts)


def _cell(column: Column, value: object) -> Markup:
    order = None
    if isinstance(value, tuple):
        value, order = value
    return tag("td", value, class_="number" if column.number else None, data_sort=order)


def _rest(name: str, rows: Sequence[Sequence[object]]) -> Iterable[Markup]:
    """Returns the other rows as data, and a sentence on how many there are."""
    count = min(len(rows), _MAX_PACKED_ROWS)
    packed = b""
    while count:
        plain = [[_plain(cell) for cell in row] for row in rows[:count]]
        packed = b64encode(zlib.compress(orjson.dumps(plain), 9))
        if len(packed) <= _MAX_PACKED:
            break
        count //= 2
    lost = len(rows) - count
    said = f"{count:,} more rows are packed into this page; they need script."
    if lost:
        said += f" {lost:,} further rows are left out: `opendump stats --format json` lists them."
    yield tag("p", said, class_="packed", data_rest=name)
    yield tag("script", Markup(packed.decode()), type="application/octet-stream", id=f"{name}-rest")


def _plain(cell: object) -> str:
    """Returns a cell as plain text; a table with packed rows has no markup that matters in its cells."""
    if isinstance(cell, tuple):
        cell = cell[0]
    return "" if isinstance(cell, Markup) else escape(str(cell), MAX_TEXT)
