"""The tables of ``opendump export``: which there are, and their columns, always the same whatever a capture holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from decoder import schema
from decoder.output.table_columns import Column, Entry, Source, context_entries, row_entries, sources
from decoder.output.table_names import NO_UTC, PIVOTS, ROW_TYPES
from decoder.output.table_times import utc_ns

if TYPE_CHECKING:
    from decoder.schema.fields import Field

__all__ = ["COMMON", "WIDE_LEVELS", "Derived", "Table", "around", "all_tables", "table_names"]

WIDE_LEVELS = 10
"""Levels of each side in a row of ``order_book`` with ``--wide``: as many as most markets send."""

COMMON = (
    Column("host", "enum", "the capture host, null unless told"),
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
    Column("serial_no", "uint32", "header"),
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
)
_REQUESTS = (
    Column("serial_no", "uint32", "header of the request"),
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
_FIRST = (
    *("acc_id", "trd_env", "trd_market", "header_jp_acc_type", "side", "level"),
    *("code", "name", "stock_name", "exchange_time"),
)
"""The columns that stand before the others of a row, after the common ones."""


@dataclass(frozen=True)
class Derived:
    """A column that is worked out from others when rows are written."""

    column: Column
    inputs: tuple[str, ...]
    function: Callable[..., Any]


@dataclass(frozen=True)
class Table:
    """A table: its columns, and how the cells that are collected become them."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    context: tuple[Column, ...] = ()
    """Of a table of rows: what stands around them, after `COMMON` and before ``side``."""
    cells: tuple[Column, ...] = ()
    """What is collected of each row; a name that comes twice is one column: the first value that is there."""
    derived: tuple[Derived, ...] = ()


def around(source: Source) -> list[tuple[Field, tuple[Entry, ...]]]:
    """The fields to descend through to the rows of `source`, and what stands beside each."""
    cls = schema.body_class(source.proto_id, source.direction)
    assert cls is not None
    descriptor = cls.DESCRIPTOR.fields_by_name[source.direction].message_type
    found = []
    for step in source.steps:
        assert descriptor is not None
        found.append((step, context_entries(descriptor, step, source.side)))
        descriptor = step.message_type
    return found


def table_names() -> tuple[str, ...]:
    """The names of all tables."""
    return tuple(all_tables())


@cache
def all_tables(*, wide: bool = False) -> dict[str, Table]:
    """Every table by name; with `wide`, ``order_book`` has a row for each book."""
    flat = (
        Table("messages", "a message", (*COMMON, *_MESSAGES)),
        Table("requests", "a request with its answer", (*COMMON, *_REQUESTS)),
        Table("gaps", "a hole in a stream", _GAPS),
    )
    rows = [_row_table(row_type, name) for row_type, name in ROW_TYPES.items()]
    return {table.name: table for table in (flat[0], *rows, *flat[1:])}
"""
