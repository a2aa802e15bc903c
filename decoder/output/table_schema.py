"""The tables of ``opendump export``: which there are, and their columns, always the same whatever a capture holds."""

from __future__ import annotations

from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from decoder import schema
from decoder.output.table_columns import (
    Column,
    ColumnType,
    Derived,
    Entry,
    Source,
    Table,
    context_entries,
    row_entries,
    sources,
)
from decoder.output.table_ledgers import ledger_tables
from decoder.output.table_names import NO_UTC, PIVOTS, ROW_TYPES
from decoder.output.table_times import seconds_ns, utc_ns

if TYPE_CHECKING:
    from decoder.schema.fields import Field

__all__ = ["COMMON", "WIDE_CELLS", "WIDE_LEVELS", "Derived", "Table", "all_tables", "around"]

WIDE_LEVELS = 10
"""Levels of each side in a row of ``order_book`` with ``--wide``: as many as most markets send."""

COMMON = (
    Column("host", "enum", "host that captured it; null without --workers"),
    Column("connection", "enum", "16 hex digits from host, both ends and the time of the first packet"),
    Column("ordinal", "int64", "of the message within its connection, from 1"),
    Column("message", "int64", "number of the record, as in JSON Lines"),
    Column("capture_time", "time", "of the packet that completed the message"),
    Column("proto", "enum", "name of the protocol"),
    Column("source", "enum", "push, get (a response) or request"),
    Column("verdict", "enum", "as in JSON Lines"),
)
"""The first columns of every table of messages and of what is in them."""

ITEM = Column("item", "int32", "place in the list of the body, from 0")

_MESSAGES = (
    Column("direction", "enum", "c2s or s2c"),
    Column("kind", "enum", "request, response or push"),
    Column("proto_id", "uint32", "protocol id"),
    Column("conn_id", "uint64", "connID of InitConnect"),
    Column("src", "enum", "sender"),
    Column("dst", "enum", "receiver"),
    Column("format", "enum", "Protobuf or Json"),
    Column("version", "int32", "header"),
    Column("serial_no", "uint64", "header; 64 bits on the WebSocket port"),
    Column("body_len", "uint32", "header"),
    Column("sha1", "sha1", "header; hex in CSV and JSON Lines"),
    Column("encryption", "enum", "as in JSON Lines"),
    Column("reason", "enum", "why not verified"),
    Column("packet_id_conn_id", "uint64", "packetID.connID of a trade write"),
    Column("packet_id_serial_no", "uint32", "packetID.serialNo"),
    Column("request", "int64", "ordinal of the request that a response answers"),
    Column("latency_ms", "double", "from the completion of the request"),
    Column("ret_type", "enum", "retType of a response or push"),
    Column("frames", "int64s", "numbers of the packets"),
    Column("notes", "strings", "as in JSON Lines"),
    Column("body", "json", "of protocols without a table of their own; with --bodies all of every one"),
    Column("raw", "json", "wire-level view of a body that the schema cannot read"),
    Column("transport", "enum", "tcp or websocket"),
    Column("error", "json", "of a WebSocket reply whose header reports one"),
)
_REQUESTS = (
    Column("serial_no", "uint64", "header of the request"),
    Column("body_len", "uint32", "header of the request"),
    Column("response", "int64", "ordinal of the response, null without one"),
    Column("response_time", "time", "of the packet that completed it"),
    Column("response_len", "uint32", "header of the response"),
    Column("response_verdict", "enum", "verdict of the response"),
    Column("latency_ms", "double", "from the completion of the request to that of the response"),
    Column("ret_type", "enum", "retType"),
    Column("err_code", "int32", "errCode"),
    Column("ret_msg", "string", "retMsg"),
)
_GAPS = (
    COMMON[0],
    COMMON[1],
    Column("capture_time", "time", "of the packet at which it was declared"),
    Column("direction", "enum", "c2s or s2c"),
    Column("bytes", "int64", "size, null if not known"),
    Column("reason", "enum", "lost, snaplen, limit, resync or mid-stream"),
)
_MEANINGS = {
    "rt_ticker": "a tick",
    "order_book": "a level of a book",
    "stock_quote": "a quote",
    "cur_kline": "a bar",
    "rt_data": "a minute",
    "broker_queue": "a broker in a queue",
    "market_snapshot": "a snapshot",
    "order_updates": "a state of an order, each time that a message shows it",
    "deals": "a fill, each time that a message shows it",
    "positions": "a position",
    "accinfo": "the funds of an account",
}
_WIDE: tuple[tuple[str, ColumnType, str, str], ...] = (
    ("px", "double", "price", "price"),
    ("sz", "double", "volume", "volume"),
    ("ct", "int32", "order_num", "number of orders"),
)
"""Of a level in a wide book: part of the column's name, type, column of the level, meaning."""

WIDE_CELLS = tuple(name for _, _, name, _ in _WIDE)
_FIRST = (
    *("acc_id", "trd_env", "trd_market", "header_jp_acc_type", "side", "level"),
    *("code", "name", "stock_name", "exchange_time"),
)
"""The columns that stand before the others of a row, after the common ones."""


def around(source: Source, *, wide: bool = False) -> list[tuple[Field, tuple[Entry, ...]]]:
    """The fields to descend through to the rows of `source`, and what stands beside each: with `wide` of both sides."""
    cls = schema.body_class(source.proto_id, source.direction)
    assert cls is not None
    descriptor = cls.DESCRIPTOR.fields_by_name[source.direction].message_type
    found = []
    for step in source.steps:
        assert descriptor is not None
        found.append((step, context_entries(descriptor, step, None if wide else source.side)))
        descriptor = step.message_type
    return found


@cache
def all_tables(*, wide: bool = False) -> dict[str, Table]:
    """Every table by name; with `wide`, ``order_book`` has a row for each book."""
    flat = (
        Table("messages", "a message", (*COMMON, *_MESSAGES)),
        Table("requests", "a request with its answer", (*COMMON, *_REQUESTS)),
        Table("gaps", "a hole in a stream", _GAPS),
    )
    rows = [
        _wide_book() if wide and name == "order_book" else _row_table(row_type, name)
        for row_type, name in ROW_TYPES.items()
    ]
    return {table.name: table for table in (flat[0], *rows, *flat[1:], *ledger_tables())}


def _row_table(row_type: str, name: str) -> Table:
    side = (Column("side", "enum", "bid or ask: which list"),) if _has_sides(name) else ()
    context = _context(name)
    cells = _columns_of(row_entries(row_type))
    derived = _derived(row_type, [*context, *cells])
    if name == "order_book":
        derived.append(Derived(Column("level", "int32", "item + 1: 1 is the best"), "level", ("item",), (1).__add__))
    columns = _arranged([ITEM, *side, *context, *cells], derived)
    return Table(name, _MEANINGS[name], (*COMMON, *columns), context, cells, tuple(derived))


def _has_sides(name: str) -> bool:
    return any(source.side for source in sources() if source.table == name)


def _context(name: str, *, wide: bool = False) -> tuple[Column, ...]:
    """The columns around the rows of a table: all that any protocol has."""
    found: dict[str, Column] = {}
    for source in sources():
        if source.table == name:
            for _, entries in around(source, wide=wide):
                for column in _columns_of(entries):
                    if found.setdefault(column.name, column).type != column.type:
                        raise ValueError(f"{name}.{column.name} is {column.type} and {found[column.name].type}")
    return tuple(found.values())


def _columns_of(entries: tuple[Entry, ...]) -> tuple[Column, ...]:
    return tuple(column for entry in entries for column in entry.columns)


def _arranged(collected: list[Column], derived: list[Derived]) -> tuple[Column, ...]:
    """The columns in the order of the table, each name once; the UTC of a text stands beside it."""
    beside = {each.inputs[0]: each.column for each in derived if each.column.name.endswith("_utc")}
    order = {name: place for place, name in enumerate((ITEM.name, *_FIRST))}
    rest = [each.column for each in derived if not each.column.name.endswith("_utc")]
    found: dict[str, Column] = {}
    for column in sorted([*collected, *rest], key=lambda column: order.get(column.name, len(order))):
        found.setdefault(column.name, column)
        if column.name in beside:
            utc = beside[column.name]
            found.setdefault(utc.name, utc)
    return tuple(found.values())


def _derived(row_type: str, columns: list[Column]) -> list[Derived]:
    names = {column.name for column in columns}
    found = []
    for column in columns:
        if column.type == "string" and "time" in column.name.split("_") and column.name not in NO_UTC:
            utc = Column(f"{column.name}_utc", "time", f"{column.source}, where the time zone of the market is known")
            found.append(Derived(utc, "utc", (column.name, "code"), utc_ns))
    if "data_date" in names:
        utc = Column("update_time_utc", "time", "Qot_Common.BasicQot.updateTime, where the time zone is known")
        found.append(Derived(utc, "utc", ("data_time", "data_date", "code"), _time_date_utc))
    if "recv_timestamp" in names:
        received = Column("recv_time", "time", "recv_timestamp as a time")
        found.append(Derived(received, "seconds", ("recv_timestamp",), seconds_ns))
    for path, (key, values) in PIVOTS.items():
        if path.startswith(f"{row_type}."):
            source = next(column for column in columns if column.source == path)
            for value, wanted in values.items():
                for field, name in wanted.items():
                    pivot = Column(name, "double", f"{path}.{field} where {key} is {value}")
                    found.append(Derived(pivot, "pivot", (source.name,), partial(_picked, key, value, field)))
    return found


def _time_date_utc(time: str | None, date: str, code: str | None) -> int | None:
    return utc_ns(f"{date} {time}", code) if time else None


def _picked(key: str, value: str, field: str, text: str | None) -> float | None:
    """The `field` of the last item of a JSON list whose `key` has `value`, as the SDK picks it."""
    found = None
    for item in _items(text) if text else ():
        if item.get(key) == value:
            found = item.get(field)
    return None if found is None else float(found)


@lru_cache(16)
def _items(text: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = orjson.loads(text)
    return items


def _wide_book() -> Table:
    context = _context("order_book", wide=True)
    levels = tuple(
        Column(f"{side}_{kind}_{level:02}", column_type, f"{meaning} of level {level + 1}")
        for level in range(WIDE_LEVELS)
        for kind, column_type, _, meaning in _WIDE
        for side in ("bid", "ask")
    )
    counts = tuple(Column(f"{side}_levels", "int32", f"{side} levels in the message") for side in ("bid", "ask"))
    levels = (*counts, *levels)
    derived = _derived("", list(context))
    columns = _arranged([*context, *levels], derived)
    return Table("order_book", "a book", (*COMMON, *columns), context, levels, tuple(derived))
