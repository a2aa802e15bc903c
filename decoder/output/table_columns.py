"""Columns of the tables, derived from the descriptors of what stands in their rows.

A table takes the messages of one type, its row type, from every protocol that carries it; so a protocol that a new
release of the SDK brings lands in its table without a change here.  `Entry` is one field as columns, `Source` a place
in a body where rows stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from decoder import schema
from decoder.output.table_names import LEFT_OUT, NAMES, PRESENCE, ROW_TYPES, snake_case
from decoder.schema.annotations import annotation, label
from decoder.schema.fields import Field, fields_of

if TYPE_CHECKING:
    from decoder.schema.fields import Descriptor

__all__ = ["Column", "ColumnType", "Derived", "Entry", "Source", "Table", "context_entries", "row_entries", "sources"]

ColumnType = Literal[
    "string",
    "enum",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "double",
    "bool",
    "time",
    "sha1",
    "json",
    "int64s",
    "strings",
]
"""Type of a column: ``enum`` is text of few different values, ``time`` nanoseconds since 1970 (UTC), ``json`` text."""

SECURITY = "Qot_Common.Security"
_DEEPEST = 6  # messages within a row; the deepest today has 2


class Column(NamedTuple):
    """One column of a table."""

    name: str
    type: ColumnType
    source: str
    """The field behind it as ``Qot_Common.Ticker.price``, or a few words."""


@dataclass(frozen=True)
class Derived:
    """A column that is worked out from others when rows are written."""

    column: Column
    form: Literal["utc", "seconds", "level", "pivot"]
    inputs: tuple[str, ...]
    """Of ``utc`` the text, or time of day and date, and the code; of the others one column."""
    function: Callable[..., Any]


@dataclass(frozen=True)
class Table:
    """A table: its columns, and how the cells that are collected become them."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    context: tuple[Column, ...] = ()
    """Of a table of rows: what stands around them, after the common ones and before ``side``."""
    cells: tuple[Column, ...] = ()
    """Lists the columns of a row; a name that comes twice is one column, with the first value that is there."""
    derived: tuple[Derived, ...] = ()


class Entry(NamedTuple):
    """A field, and the columns that it becomes."""

    form: Literal["value", "split", "prefer", "code", "trade_code", "list", "message", "present"]
    field: Field
    columns: tuple[Column, ...]
    other: Field | None = None
    """Of ``prefer``: the field that counts where `field` is absent; of ``trade_code``: the market."""
    entries: tuple[Entry, ...] = ()
    """Of ``message``: what is in it."""


@dataclass(frozen=True)
class Source:
    """Locates the rows of a table in the bodies of a protocol."""

    proto_id: int
    direction: Literal["c2s", "s2c"]
    table: str
    steps: tuple[Field, ...]
    """The fields to descend through below ``c2s`` or ``s2c``; the last holds the rows."""

    @property
    def side(self) -> str | None:
        """``bid`` or ``ask`` for a list of one side of the market."""
        name = self.steps[-1].name
        return "bid" if "Bid" in name else "ask" if "Ask" in name else None


@cache
def sources() -> tuple[Source, ...]:
    """Every place in the bodies of the schema where rows stand."""
    found: list[Source] = []
    directions: tuple[Literal["c2s", "s2c"], ...] = ("c2s", "s2c")
    for protocol in schema.protocols():
        for direction in directions:
            cls = schema.body_class(protocol.proto_id, direction)
            part = None if cls is None else cls.DESCRIPTOR.fields_by_name.get(direction)
            if part is not None and part.message_type is not None:
                for steps in _places(part.message_type, ()):
                    table = ROW_TYPES[steps[-1].message_type.full_name]
                    found.append(Source(protocol.proto_id, direction, table, steps))
    return tuple(found)


def _places(descriptor: Descriptor, above: tuple[Field, ...]) -> Iterator[tuple[Field, ...]]:
    for field in fields_of(descriptor):
        if field.kind != "message":
            continue
        steps = (*above, field)
        if field.message_type.full_name in ROW_TYPES:
            yield steps
        elif len(steps) < _DEEPEST:
            yield from _places(field.message_type, steps)


@cache
def row_entries(full_name: str) -> tuple[Entry, ...]:
    """The fields of a row type as columns."""
    descriptor = schema.message_class(full_name).DESCRIPTOR
    return tuple(_entries(descriptor, "", full_name, full_name, 0))


def context_entries(descriptor: Descriptor, step: Field, side: str | None) -> tuple[Entry, ...]:
    """Returns the fields beside `step` in a message of type `descriptor`, as columns of each row below it.

    Of fields for one side of the market (``svrRecvTimeBid``) those of `side`, without that word in the column's name.
    """
    return tuple(
        entry
        for entry in _entries(descriptor, "", "s2c", descriptor.full_name, 0, side)
        if entry.field.name != step.name
        and not (entry.form == "list" and entry.field.message_type.full_name in ROW_TYPES)
        and f"{descriptor.full_name}.{entry.field.name}" not in LEFT_OUT
    )


def _entries(
    descriptor: Descriptor, prefix: str, names: str, path: str, depth: int, side: str | None = None
) -> Iterator[Entry]:
    """`names`: the entry of `NAMES` to use; `path`: what the source of a column begins with."""
    known = NAMES.get(names, {})
    fields = {field.name: field for field in fields_of(descriptor)}
    for field in fields.values():
        word = next((word for word in ("Bid", "Ask") if word in field.name), None) if side else None
        if word is not None and word.lower() != side:
            continue
        shown = known.get(field.name)
        name = snake_case(field.name.replace(word, "") if word else field.name) if shown is None else shown
        name = name[1:] if name.startswith("=") else prefix + name
        source = f"{path}.{field.name}"
        if name == "svr_recv_time_timestamp":
            name = "svr_recv_timestamp"
        if field.kind == "message":
            if PRESENCE.get(names, {}).get(field.name):
                yield Entry("present", field, (Column(PRESENCE[names][field.name], "bool", f"{source} is there"),))
            yield _message_entry(field, name, prefix if shown is None else "", source, depth, shown is not None)
        elif field.repeated:
            yield Entry("list", field, (Column(name, "json", source),))
        elif names == "Qot_Common.BasicQot" and field.name == "updateTime":
            columns = tuple(Column(f"data_{part}", "string", f"{source} ({part})") for part in ("date", "time"))
            yield Entry("split", field, columns)
        elif field.name == "code" and "secMarket" in fields:
            column = Column(name, "enum", f"{path}.secMarket and {field.name}")
            yield Entry("trade_code", field, (column,), fields["secMarket"])
        else:
            yield from _scalar_entries(field, fields, name, source, path)


def _scalar_entries(field: Field, fields: dict[str, Field], name: str, source: str, path: str) -> Iterator[Entry]:
    precise = fields.get(f"hp{field.name[0].upper()}{field.name[1:]}") or fields.get(f"{field.name}Float")
    if precise is not None:  # the same amount with its fraction, from gateways that know it
        column = Column(name, "double", f"{path}.{precise.name}, else {field.name}")
        yield Entry("prefer", precise, (column,), field)
        name += "_int"
    if not _is_precise(field, fields):
        yield Entry("value", field, (Column(name, _type_of(field), source),))


def _is_precise(field: Field, fields: dict[str, Field]) -> bool:
    """True for a field that stands in the column of another one, which it says with its fraction."""
    name = field.name
    plain = name[2:3].lower() + name[3:] if name.startswith("hp") else name.removesuffix("Float")
    return plain != name and plain in fields


def _message_entry(field: Field, name: str, prefix: str, source: str, depth: int, named: bool) -> Entry:
    inner = field.message_type
    if field.repeated or depth >= _DEEPEST:
        return Entry("list", field, (Column(name, "json", source),))
    if inner.full_name == SECURITY:
        return Entry("code", field, (Column(name, "enum", source),))
    before = name if named else f"{name}_"
    entries = tuple(_entries(inner, before, inner.full_name, source, depth + 1))
    return Entry("message", field, tuple(column for entry in entries for column in entry.columns), None, entries)


def _type_of(field: Field) -> ColumnType:
    if field.secret:
        return "string"
    if field.kind in ("enum", "bits"):
        return "enum"
    if field.kind == "int":
        if field.wide:
            return "int64" if field.low else "uint64"
        return "int32" if field.low else "uint32"
    if field.kind in ("double", "float"):
        return "time" if is_time(field) else "double"
    if field.kind == "bool":
        return "bool"
    return "enum" if field.name in ("name", "code", "counterBrokerName", "currency") else "string"


def is_time(field: Field) -> bool:
    """True for seconds since 1970 as a double."""
    return field.kind == "double" and annotation(field.descriptor, "kind") == "SECONDS"


def is_required(field: Field) -> bool:
    """True for a field that every complete message has."""
    return label(field.descriptor) == "required"
