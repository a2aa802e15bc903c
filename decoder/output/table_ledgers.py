"""Tables of what `stats` and `orders` say of a whole capture: their keys as columns, their records as rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from decoder.findings.order_rows import ORDER_KEYS
from decoder.output.table_columns import Column, ColumnType, Table
from decoder.output.table_rows import json_text
from decoder.output.table_times import rfc3339_ns
from decoder.statistics.statistics import TABLE_KEYS

if TYPE_CHECKING:
    from decoder.output.table_rows import Row

__all__ = ["LEDGERS", "ledger_row", "ledger_tables"]

_TYPES: dict[str, dict[str, ColumnType]] = {
    "orders": {
        "order_id": "uint64",
        "account": "uint64",
        **dict.fromkeys(("order_id_ex", "remark", "error"), "string"),
        **dict.fromkeys(("env", "market", "symbol", "name", "side", "type", "time_in_force", "session"), "enum"),
        **dict.fromkeys(("status", "outcome"), "enum"),
        **dict.fromkeys(("qty", "price", "filled_qty", "avg_price", "first_push_ms", "done_ms"), "double"),
        **dict.fromkeys(("placed", "states", "fills", "changes"), "json"),
        **dict.fromkeys(("first_seen", "last_seen"), "time"),
        "messages": "int64s",
        "notes": "strings",
    },
    "connections": {
        **dict.fromkeys(("client", "gateway", "client_id", "language", "no_message", "closed_by", "transport"), "enum"),
        "conn_id": "uint64",
        **dict.fromkeys(("encryption", "format"), "strings"),
        **dict.fromkeys(("first", "last"), "time"),
        "duration_s": "double",
        **dict.fromkeys(("opened", "reset", "deflate", "key_given"), "bool"),
    },
    "findings": {"severity": "enum", "code": "enum", "time": "time", "text": "string"},
    "subscriptions": {
        **dict.fromkeys(("symbol", "sub_type"), "enum"),
        **dict.fromkeys(("since", "until", "last_push"), "time"),
        **dict.fromkeys(("first_push_ms", "longest_silence_s"), "double"),
        "renewed": "bool",
    },
    "rates": {
        **dict.fromkeys(("proto", "limit_source"), "enum"),
        "account": "uint64",
        "at": "time",
        **dict.fromkeys(("share", "min_gap_ms"), "double"),
    },
    "lateness": {
        **dict.fromkeys(("proto", "market", "leg"), "enum"),
        **dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "max_ms", "clock_offset_ms"), "double"),
    },
}
"""Types of the columns that are no counts; ``connection`` is the id of a connection in all of them."""

LEDGERS = tuple(_TYPES)
"""Names of these tables."""

_NO_COLUMNS = frozenset(("wireshark",))
"""Keys for people: `message` leads to the packets, which are in table ``messages``."""

_MEANINGS = {
    "orders": "an order, with all that the capture says of it (docs/orders.md)",
    "connections": "a connection",
    "findings": "something worth knowing",
    "subscriptions": "a subscription of a connection",
    "rates": "the requests of a protocol (and account) against their limit",
    "lateness": "the lateness of a protocol's pushes on one leg of their way",
}


def ledger_tables() -> list[Table]:
    """The tables, in the order in which they are written."""
    return [Table(name, _MEANINGS[name], _columns(name)) for name in LEDGERS]


def _columns(name: str) -> tuple[Column, ...]:
    keys = ORDER_KEYS if name == "orders" else TABLE_KEYS[name]
    first = Column("host", "enum", "host that captured it; null without --workers")
    others = []
    for key, meaning in keys.items():
        if key in _NO_COLUMNS:
            continue
        if key == "connection":
            others.append(Column(key, "enum", "16 hex digits, as in the other tables"))
        elif key == "connections":
            others.append(Column(key, "strings", "the connections that spoke of it, 16 hex digits each"))
        else:
            others.append(Column(key, _TYPES[name].get(key, "int64"), meaning))
    return (first, *others)


def ledger_row(table: Table, record: dict[str, Any], host: str | None, id_of: Callable[[int], str | None]) -> Row:
    """Returns a record of `table` as a row; `id_of` gives the id of a connection by its ordinal."""
    cells: list[Any] = [host]
    for column in table.columns[1:]:
        value = record[column.name]
        if value is not None:
            if column.name == "connection":
                value = id_of(value)
            elif column.name == "connections":
                value = [id_of(ordinal) for ordinal in value]
            else:
                convert = _CELLS.get(column.type)
                value = value if convert is None else convert(value)
        cells.append(value)
    return tuple(cells)


_CELLS: dict[ColumnType, Callable[[Any], Any]] = {
    "time": rfc3339_ns,
    "int64": int,
    "uint64": int,
    "double": float,
    "json": json_text,
}
