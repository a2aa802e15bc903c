"""Reads fields of many messages of one type as columns: the cells of rows, or of what stands around the rows.

protobuf collects the columns itself where the bodies allow it (`schema.columnar_class`): 0.02 µs a cell.  A field that
only some messages have is read message by message: 0.06 µs a cell, and 0.3 for each message that is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import orjson

from decoder import schema
from decoder.body.codegen import REDACTED, builder
from decoder.body.scalars import plain_bytes, plain_float, plain_text
from decoder.formatting.escape import json_safe
from decoder.output.table_columns import SECURITY, Entry, is_required, is_time
from decoder.output.table_names import PERCENT
from decoder.schema.fields import Field, fields_by_name, split_bits

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    MessageClass = type[ProtobufMessage]

__all__ = [
    "TRADE_MARKETS",
    "Batch",
    "Cells",
    "ColumnReader",
    "ColumnReaders",
    "Odd",
    "Row",
    "cell_names",
    "json_text",
]

Row = tuple[Any, ...]
Cells = Sequence[Any]
Odd = set[int]
"""Places in a list of messages: of those with a value that deserves a note."""


class Batch:
    """Messages of one type, at least one.

    :param count: how many
    :param get: returns them
    :param columns: the message of the columnar type that has their fields; None if there is none
    """

    __slots__ = ("_get", "_messages", "columns", "count")

    def __init__(self, count: int, get: Callable[[], Sequence[Any]], columns: Any = None) -> None:
        self.count = count
        self.columns = columns
        self._get = get
        self._messages: Sequence[Any] | None = None

    @property
    def messages(self) -> Sequence[Any]:
        """The messages."""
        if self._messages is None:
            self._messages = self._get()
        return self._messages

    def lacks(self, name: str) -> bool:
        """Returns True if no message has the field `name`, a message or a list of them, as far as is known."""
        return self.columns is not None and not self.columns.HasField(name)

    def values(self, name: str) -> list[Any] | None:
        """Returns the values of a scalar field: none if no message has it, None if they are to be read one by one."""
        if self.columns is None:
            return None
        values: list[Any] = getattr(self.columns, name)[:]
        return values if len(values) == self.count or not values else None


ColumnReader = Callable[[Batch, Odd], list[Cells]]
"""Takes messages; returns the columns of its entries and adds to the second argument."""
CellReader = Callable[[Batch, Odd], Cells]
"""Likewise for one column."""
Converter = Callable[[list[Any], Odd], list[Any]]
"""Takes values of a field; returns cells."""

_TIMES = 9.2e9
"""Seconds before and after 1970 that nanoseconds in 64 bits can say; what is beyond is no time."""

TRADE_MARKETS = {"CN_SH": "SH", "CN_SZ": "SZ", "Unknown": ""}
"""Markets of a trade whose name is another one in a code of the SDK."""


class ColumnReaders:
    """Makes readers of entries; secret fields are shown if `show_secrets` is set."""

    def __init__(self, *, show_secrets: bool) -> None:
        self._show_secrets = show_secrets
        self._made: dict[Any, ColumnReader] = {}

    def reader(self, cls: MessageClass, entries: tuple[Entry, ...]) -> ColumnReader:
        """Returns the reader of `entries`, which are fields of `cls`."""
        key = cls, tuple((entry.form, entry.field.name) for entry in entries)
        if key not in self._made:
            readers = [self._columns(entry, cls) for entry in entries]

            def read(batch: Batch, odd: Odd) -> list[Cells]:
                return [cells for each in readers for cells in each(batch, odd)]

            self._made[key] = read
        return self._made[key]

    def _columns(self, entry: Entry, cls: MessageClass) -> ColumnReader:
        from google.protobuf.message_factory import GetMessageClass

        field = entry.field
        if entry.form == "message":
            inner = self.reader(GetMessageClass(field.message_type), entry.entries)
            return _inner_reader(cls, field, inner, len(entry.columns))
        if entry.form == "code":
            return _inner_reader(cls, field, self._securities(), 1)
        if entry.form == "split":
            read_text = self._values(cls, field)
            return lambda batch, odd: list(zip(*map(_split, read_text(batch, odd)), strict=True))
        read = self._cells(entry, cls)
        return lambda batch, odd: [read(batch, odd)]

    def _cells(self, entry: Entry, cls: MessageClass) -> CellReader:
        field, other = entry.field, entry.other
        if entry.form == "present":
            has, names = cls.HasField, repeat(field.name)
            return lambda batch, odd: (
                [False] * batch.count if batch.lacks(field.name) else list(map(has, batch.messages, names))
            )
        if entry.form == "list":
            return self._lists(field)
        read = self._values(cls, field)
        if other is None:
            return read
        if entry.form == "trade_code":
            return _trade_code_reader(self._values(cls, other, TRADE_MARKETS), read)
        return _preferring(read, self._values(cls, other))

    def _values(self, cls: MessageClass, field: Field, names: dict[str, str] | None = None) -> CellReader:
        """Returns the reader of a scalar field; `names` replace names of its enum."""
        has, fields = cls.HasField, repeat(field.name)
        if field.secret and not self._show_secrets:
            return lambda batch, odd: [REDACTED if there else None for there in map(has, batch.messages, fields)]
        get, convert = attrgetter(field.name), _converter(field, names or {})
        always_there, has_default = is_required(field), bool(field.descriptor.default_value)

        def read(batch: Batch, odd: Odd) -> Cells:
            values = batch.values(field.name)
            if values:
                return values if convert is None else convert(values, odd)
            if values is not None or not (always_there or any(map(has, batch.messages, fields))):
                return [None] * batch.count
            values = list(map(get, batch.messages))
            cells = values if convert is None else convert(values, odd)
            if always_there or (all(values) and not has_default):  # an absent field reads as its default
                return cells
            return [
                cell if (value and not has_default) or has(message, field.name) else None
                for cell, value, message in zip(cells, values, batch.messages, strict=True)
            ]

        return read

    def _securities(self) -> ColumnReader:
        """Returns the reader of securities: each as the code of the SDK, market and code."""
        cls = schema.message_class(SECURITY)
        fields = fields_by_name(cls.DESCRIPTOR)
        read_market, read_code = self._values(cls, fields["market"]), self._values(cls, fields["code"])

        def read(batch: Batch, odd: Odd) -> list[Cells]:
            pairs = zip(read_market(batch, odd), read_code(batch, odd), strict=True)
            return [[f"{market}.{code}" for market, code in pairs]]

        return read

    def _lists(self, field: Field) -> CellReader:
        """Returns the reader of a list of messages as JSON, as JSON Lines has it."""
        if field.kind != "message":
            raise NotImplementedError(f"a list of {field.kind}: {field.descriptor.full_name}")
        from google.protobuf.message_factory import GetMessageClass

        build = builder(GetMessageClass(field.message_type), "sdk", not self._show_secrets, True)
        get = attrgetter(field.name)

        def read(batch: Batch, odd: Odd) -> Cells:
            if batch.lacks(field.name) or not any(map(get, batch.messages)):
                return [None] * batch.count
            cells = []
            for place, items in enumerate(map(get, batch.messages)):
                notes: list[str] = []
                plain = [build(item, notes) for item in items]
                cells.append(json_text(plain) if plain else None)
                if notes:
                    odd.add(place)
            return cells

        return read


def _inner_reader(cls: MessageClass, field: Field, inner: ColumnReader, width: int) -> ColumnReader:
    """Returns the reader of a message in a message: `inner` where it is there, else `width` empty cells."""
    get = attrgetter(field.name)
    if is_required(field):

        def read_all(batch: Batch, odd: Odd) -> list[Cells]:
            columns = None if batch.columns is None else get(batch.columns)
            return inner(Batch(batch.count, lambda: list(map(get, batch.messages)), columns), odd)

        return read_all
    has, names = cls.HasField, repeat(field.name)

    def read(batch: Batch, odd: Odd) -> list[Cells]:
        empty = [None] * batch.count
        if batch.lacks(field.name):
            return [empty] * width
        places = [place for place, there in enumerate(map(has, batch.messages, names)) if there]
        if not places:
            return [empty] * width
        columns = [empty.copy() for _ in range(width)]
        odd_inside: Odd = set()
        found = inner(Batch(len(places), lambda: [get(batch.messages[place]) for place in places]), odd_inside)
        for column, cells in zip(columns, found, strict=True):
            for place, cell in zip(places, cells, strict=True):
                column[place] = cell
        odd.update(places[place] for place in odd_inside)
        return list(columns)

    return read


def _trade_code_reader(read_market: CellReader, read_code: CellReader) -> CellReader:
    def read(batch: Batch, odd: Odd) -> Cells:
        pairs = zip(read_market(batch, odd), read_code(batch, odd), strict=True)
        return [f"{market}.{code}" if market else code for market, code in pairs]

    return read


def _preferring(read: CellReader, read_other: CellReader) -> CellReader:
    """Returns the reader of a field that says with its fraction what another one says without."""

    def read_either(batch: Batch, odd: Odd) -> Cells:
        cells = read(batch, odd)
        if None not in cells:
            return cells
        others = read_other(batch, odd)
        return [
            cell if cell is not None else other if other is None else float(other)
            for cell, other in zip(cells, others, strict=True)
        ]

    return read_either


def _converter(field: Field, names: dict[str, str]) -> Converter | None:
    """Returns what turns the values of a field into cells; None if they are cells already."""
    kind = field.kind
    if kind == "string":
        return _texts
    if kind == "enum":
        return _named(field, names)
    if kind == "bits":
        return _bits(field)
    if is_time(field):
        return _times
    if kind == "double" and field.descriptor.full_name in PERCENT:
        return lambda values, odd: [100 * value for value in values]
    if kind == "float":
        return lambda values, odd: list(map(_single, values))
    if kind == "bytes":
        return lambda values, odd: list(map(plain_bytes, values))
    return None


def _texts(values: list[Any], odd: Odd) -> list[Any]:
    if bytes not in set(map(type, values)):
        return values
    odd.update(place for place, value in enumerate(values) if value.__class__ is bytes)
    return [plain_text(value) for value in values]


def _times(values: list[Any], odd: Odd) -> list[Any]:
    return [round(value * 1e6) * 1000 if -_TIMES < value < _TIMES else None for value in values]


def _named(field: Field, others: dict[str, str]) -> Converter:
    """Returns what turns numbers of an enum into names; a number without a name shows as its digits."""
    get = cell_names(field, others).get

    def convert(values: list[Any], odd: Odd) -> list[Any]:
        cells = list(map(get, values))
        if None not in cells:
            return cells
        odd.update(place for place, cell in enumerate(cells) if cell is None)
        return [str(value) if cell is None else cell for cell, value in zip(cells, values, strict=True)]

    return convert


def cell_names(field: Field, others: dict[str, str]) -> dict[int, str]:
    """Returns the cells of the numbers of an enum; `others` stand for names of it."""
    assert field.enum is not None
    # (0 in an enum of the vendor that has none says that nothing is set: no note.)
    known = {0: "0", **{number: str(name) for number, name in schema.enum_names(field.enum, "sdk").items()}}
    return {number: others.get(name, name) for number, name in known.items()}


def _bits(field: Field) -> Converter:
    names = schema.bit_names(field.descriptor, "sdk") or {}

    def convert(values: list[Any], odd: Odd) -> list[Any]:
        cells = []
        for place, value in enumerate(values):
            found, rest = split_bits(value, names)
            if rest:
                odd.add(place)
            cells.append("|".join([*found, str(rest)] if rest or not found else found))
        return cells

    return convert


def json_text(plain: Any) -> str:
    """Returns plain data as the JSON of the records, as text."""
    try:
        data = orjson.dumps(plain)
    except TypeError:  # integers beyond 64 bits, unpaired surrogates
        data = json.dumps(plain, separators=(",", ":")).encode()
    return json_safe(data).decode()


def _single(value: float) -> float:
    plain = plain_float(value)
    return plain if isinstance(plain, float) else value


def _split(time: str) -> tuple[str, str | None]:
    """Date and time of day, as the SDK parts them."""
    date, blank, rest = time.partition(" ")
    return date, rest if blank else None
