"""Messages as rows of a table: ``--format csv``, for spreadsheets and data frames.

A column is a key of the JSON Lines contract or a path into the body (``body.c2s.code``).  What is not there is an
empty cell; several values, of a path through a list, are joined by ``;``; an object is JSON.  Gaps have no row.
"""

from __future__ import annotations

import csv
import io
import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from decoder.body.scalars import is_number
from decoder.errors import SchemaError
from decoder.formatting.escape import escape, json_safe
from decoder.message import Message
from decoder.schema.paths import did_you_mean, places, unknown_path

if TYPE_CHECKING:
    from decoder.message import Gap
    from decoder.vocabulary import EnumStyle

__all__ = ["COLUMNS", "CsvOutput", "cell", "guarded", "write_rows"]

COLUMNS = (
    "number",
    "time",
    "connection",
    "conn_id",
    "src",
    "dst",
    "direction",
    "kind",
    "proto_id",
    "proto",
    "format",
    "version",
    "serial_no",
    "body_len",
    "sha1",
    "encryption",
    "verdict",
    "reason",
    "request",
    "latency_ms",
    "ret_type",
)
"""The columns unless others are asked for: the keys of the contract that have one value."""

_OTHERS = ("frames", "lag_ms", "packet_id", "packet_id.connID", "packet_id.serialNo", "body", "raw", "notes")
_FORMULA = tuple("=+-@＝＋－＠")

Getter = Callable[[Message], Any]


class CsvOutput:
    """Renders messages as CSV: a line feed after each row, cells quoted where needed (RFC 4180).

    The first rows are headed by the names of the columns.

    :param columns: keys and body paths; none for `COLUMNS`
    :param enums: style of the enum values in bodies
    :param show_secrets: whether secret fields are shown
    :raises SchemaError: for a column that no message has
    """

    def __init__(self, columns: Sequence[str] = (), enums: EnumStyle = "sdk", *, show_secrets: bool = False) -> None:
        self.columns = tuple(columns) or COLUMNS
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._getters = [self._getter(column) for column in self.columns]
        self._headed = False

    def render(self, records: Iterable[Message | Gap]) -> str:
        """The rows of `records`."""
        head, self._headed = [] if self._headed else [self.columns], True
        getters = self._getters
        rows = ([cell(get(item)) for get in getters] for item in records if isinstance(item, Message))
        return _written(itertools.chain(head, rows))

    def _getter(self, column: str) -> Getter:
        first, *names = column.split(".")
        if column == "body":
            return self._body
        if column == "raw":
            return lambda message: message.content.raw(show_secrets=self._show_secrets)
        if first == "body":
            return self._path_getter(names)
        if first == "packet_id" and column in _OTHERS and names:
            return lambda message: (message.packet_id or {}).get(names[0])
        if column in COLUMNS or column in _OTHERS:
            return operator.attrgetter(column)
        hint = did_you_mean(column, (*COLUMNS, *_OTHERS)) or "; columns are keys of a record, or body.…"
        raise SchemaError(f"no column {escape(column, 80)}{hint}")

    def _path_getter(self, names: Sequence[str]) -> Getter:
        # Both spellings of a name are taken, the JSON mapping here has the original one.
        variants = {tuple(field.name for field in fields) for _, fields in places(names)}
        if not variants:
            raise SchemaError(escape(unknown_path(names)[1], 200))

        def get(message: Message) -> Any:
            body = self._body(message)
            values = [] if body is None else [value for path in variants for value in _values(body, path)]
            return values[0] if len(values) == 1 else values

        return get

    def _body(self, message: Message) -> dict[str, Any] | None:
        return message.content.to_dict(self._enums, redact=not self._show_secrets)


def _values(value: Any, path: Sequence[str]) -> Iterable[Any]:
    """What stands at the end of `path`, in every element of the lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif path[0] in value:
        yield from _values(value[path[0]], path[1:])


def write_rows(rows: Iterable[Iterable[Any]]) -> str:
    """Rows of plain values as CSV."""
    return _written([cell(value) for value in row] for row in rows)


def _written(rows: Iterable[Iterable[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def cell(value: Any) -> str:
    """A plain value as the text of a cell."""
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
    """`text` for a cell: escaped, and behind an apostrophe where a spreadsheet would take it for a formula."""
    safe = escape(text)
    if safe.startswith(_FORMULA) and not is_number(safe):
        return f"'{safe}"
    return safe
