"""Finds the rows of every table in a body, with the messages that stand around them; `table_blocks` reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.body.body import kind_of, ret_type_of
from decoder.body.parse import parse_canonical
from decoder.body.parse_cost import always_safe_size
from decoder.framing.header import FORMAT
from decoder.output.table_columns import Column, Source, Table, row_entries, sources
from decoder.output.table_core import CoreTables
from decoder.output.table_names import NAMES, snake_case
from decoder.output.table_rows import Batch, Cells, ColumnReader, ColumnReaders, Odd
from decoder.output.table_schema import WIDE_CELLS, WIDE_LEVELS, around
from decoder.schema.fields import Field, fields_by_name, fields_of

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.limits import Limits
    from decoder.message import Message
    from decoder.output.table_core import CoreSheets

__all__ = ["Bodies", "BodyRows", "Lent", "Place", "Plan", "row_reader"]

_LONGEST = 256 * 1024
"""Bytes of a body that is read with others; a longer one would be parsed twice at a high price if it is odd."""
_PUSH = b"\x08\x00\x22"
"""First bytes of a push that says success: retType 0, then s2c."""
_OK = "RET_OK"
_NO_NOTES: list[str] = []
"""Notes of a body that the core collected, to which none is added."""


class BodyRows(NamedTuple):
    """Holds what the tables take from one body."""

    ret_type: str | None
    err_code: int | None
    ret_msg: str | None
    notes: list[str]
    """Notes on the message, without those on values in the rows."""
    part: Any
    """The c2s or s2c, where rows stand; None if there is none."""
    data: bytes | None
    """The body as protobuf writes it, to be read with others by its columnar type; None if it is an unusual one."""
    collected: bool = False
    """True if the compiled core has the rows, one parent for each place, and `part` is not looked at."""


Find = Callable[[Any], Iterable[tuple[Any, Sequence[Any]]]]
"""Takes the c2s or s2c of a body; yields rows of one table that share what is around them:

the message around them (a tuple of messages, from outside to inside, where there are several), and the messages that
become rows (of a wide book one, the pair of its sides).
"""
Lent = tuple[tuple[int, str], ...]
"""Places in a table's context, and fields of a request."""


@dataclass(frozen=True, eq=False)
class Place:
    """A place in the bodies of a protocol where rows stand."""

    table: Table
    side: str | None
    readers: list[ColumnReader]
    """Readers of the messages around the rows."""
    columns: list[int | None]
    """Of each column of the table's context: where it stands in what `readers` return; None if nowhere."""
    find: Find
    """Finds rows in the c2s or s2c of a body."""
    body: str
    """Full name of the body's type."""
    part: str
    """Name of its c2s or s2c."""
    step: str | None
    """Field of that in which the items are; None if they are deeper, or not as they are in the table."""

    def context(self, around: Sequence[Any], columns: Any, odd: Odd) -> list[Cells]:
        """Returns the columns of the context; `around` as `find` yields it, `columns` of the columnar type, or None."""
        levels = (around,) if len(self.readers) == 1 else tuple(zip(*around, strict=True))
        found: list[Cells] = []
        for read, parts in zip(self.readers, levels, strict=True):
            found += read(Batch(len(parts), lambda parts=parts: parts, columns), odd)  # type: ignore[misc]
        empty = [None] * len(around)
        return [empty if column is None else found[column] for column in self.columns]


class Bodies:
    """Finds rows in the bodies of every protocol that has rows of one of `tables`."""

    def __init__(self, tables: dict[str, Table], readers: ColumnReaders) -> None:
        """`tables`: all tables, for what a body has does not depend on which of them are wanted."""
        self._tables = tables
        self._readers = readers
        self._sources: dict[tuple[int, str], list[Source]] = {}
        for source in sources():
            self._sources.setdefault((source.proto_id, source.direction), []).append(source)
        self._plans: dict[tuple[int, str], Plan] = {}
        self._core = CoreTables.make(tables, self._sources.values())

    def plan(self, proto_id: int, direction: str) -> Plan | None:
        """Returns the plan for the bodies of a protocol in one direction; None if no table takes rows from them."""
        key = proto_id, direction
        plan = self._plans.get(key)
        if plan is None and key in self._sources:
            plan = self._plans[key] = Plan(self._sources[key], self._tables, self._readers, self._core)
        return plan

    def sheets(self, name: str) -> CoreSheets | None:
        """Returns the rows of a table that the compiled core collects; None if it collects none."""
        return None if self._core is None else self._core.sheets(name)

    def lent(self, tables: Iterable[str]) -> dict[int, Lent]:
        """Of each protocol the columns in the rows of a response that only its request has, if `tables` want them.

        So a K-line that was asked for has the type that it was asked for by.
        """
        found = [_lent(each[0], self._tables[each[0].table]) for each in self._sources.values()]
        wanted = zip(self._sources.values(), found, strict=True)
        return {each[0].proto_id: lent for each, lent in wanted if lent and each[0].table in tables}


class Plan:
    """Plans how the bodies of one protocol in one direction are read."""

    def __init__(
        self, found: list[Source], tables: dict[str, Table], readers: ColumnReaders, core: CoreTables | None
    ) -> None:
        source = found[0]
        self.direction = source.direction
        self.table = source.table
        self.kind = kind_of(source.proto_id, source.direction)
        assert self.kind.cls is not None
        self._cls = self.kind.cls
        self._limits: Limits | None = None
        self._longest = 0
        self.owns_body = source.direction == "s2c" and len(source.steps) == 1
        """True if the tables hold all that the body says."""
        table = tables[source.table]
        if source.side and "side" not in {column.name for column in table.columns}:
            self.places = [_wide_place(found, table, readers)]
        else:
            self.places = [_place(each, tables[each.table], readers) for each in found]
        self._source = None if core is None else core.source(found)
        self._core = None if core is None else core.core
        ret_type = _OK if self.kind.has_ret_type else None
        self._usual = [
            BodyRows(ret_type, err_code, ret_msg, _NO_NOTES, None, None, collected=True)
            for ret_msg in (None, "")
            for err_code in (None, 0)
        ]

    def read(self, message: Message, *, keep: bool) -> BodyRows | None:
        """Returns what the tables take from a message; None if its body is not there or cannot be read.

        :param keep: whether the compiled core keeps the rows that it finds
        """
        plaintext = message.plaintext
        if plaintext is None:
            return None
        if self._core is not None and self._source is not None and self._fits(message, plaintext):
            found = self._core.read(self._source, plaintext, keep)
            if found.__class__ is int and not message.own_notes:
                return self._usual[found]
            if found is not None:
                return self._of_core(found, message)
        return self._read(message, plaintext)

    def _of_core(self, found: int | tuple[bool, str | None, int | None, str | None], message: Message) -> BodyRows:
        """Returns what the core says of a body."""
        notes = [*message.own_notes] if message.own_notes else _NO_NOTES
        if isinstance(found, int):
            return self._usual[found]._replace(notes=notes)
        has_part, ret_type, err_code, ret_msg = found
        return BodyRows(ret_type, err_code, ret_msg, notes, None, None, collected=has_part)

    def _read(self, message: Message, plaintext: bytes) -> BodyRows | None:
        body, data = self._parsed(message, plaintext)
        if body is None:
            return None
        notes = [*message.own_notes] if message.own_notes else []
        if data is None:  # (what can be written like that has no remarks)
            notes += [remark.partition(":")[0] for remark in message.content.remarks_on_form]
        if message.kind == "push" and plaintext.startswith(_PUSH):
            return BodyRows(_OK, None, None, notes, body.s2c, data)
        ret_type = err_code = ret_msg = None
        if self.kind.has_ret_type:
            ret_type = ret_type_of(body)
            is_odd = ret_type.lstrip("-").isdigit()  # an unknown number deserves a note
            if body.HasField("retMsg"):
                ret_msg = body.retMsg
                if ret_msg.__class__ is bytes:
                    is_odd, ret_msg = True, ret_msg.decode("utf-8", "replace")
            err_code = body.errCode if body.HasField("errCode") else None
            if is_odd:
                notes = message.notes
        part = getattr(body, self.direction) if body.HasField(self.direction) else None
        return BodyRows(ret_type, err_code, ret_msg, notes, part, data)

    def _parsed(self, message: Message, plaintext: bytes) -> tuple[Any, bytes | None]:
        """Returns the parsed body, or None, and the bytes that the columnar type may read."""
        if self._fits(message, plaintext) and not message.is_parsed:
            found = parse_canonical(self._cls, plaintext)
            if found is not None:
                message.adopt(found[0])
                return found
        return message.protobuf, None

    def _fits(self, message: Message, plaintext: bytes) -> bool:
        """Returns True for a body in protobuf that cannot exceed a limit."""
        limits = message.flow.limits
        if limits is not self._limits:
            self._limits, self._longest = limits, min(_LONGEST, always_safe_size(limits))
        return not message.header[FORMAT] and len(plaintext) <= self._longest


def _lent(source: Source, table: Table) -> Lent:
    """Context columns that `source` lacks but the request has."""
    request = schema.body_class(source.proto_id, "c2s")
    part = None if request is None or source.direction == "c2s" else request.DESCRIPTOR.fields_by_name.get("c2s")
    if part is None or part.message_type is None:
        return ()
    own = {column.name for _, entries in around(source) for entry in entries for column in entry.columns}
    places = {column.name: place for place, column in enumerate(table.context) if column.name not in own}
    names = NAMES["s2c"]
    found = []
    for field in fields_of(part.message_type):
        name = names.get(field.name) or snake_case(field.name)
        if name in places and field.kind == "enum" and not field.repeated:
            found.append((places[name], field.name))
    return tuple(found)


def _place(source: Source, table: Table, readers: ColumnReaders) -> Place:
    cls = _part_class(source)
    context, names = [], []
    for step, entries in around(source):
        context.append(readers.reader(cls, entries))
        names += [column.name for entry in entries for column in entry.columns]
        cls = _class_of(step)
    steps = source.steps
    find = _finder(steps[0]) if len(steps) == 1 else lambda part: _descend(steps, part, ())
    columns = _places_of(table.context, names)
    step_name = steps[0].name if len(steps) == 1 else None
    return Place(table, source.side, context, columns, find, _body_name(source), source.direction, step_name)


def _finder(step: Field) -> Callable[[Any], Iterable[tuple[Any, Sequence[Any]]]]:
    """For rows that stand in a list of the body, or alone in it."""
    name = step.name

    def find_list(part: Any) -> Iterable[tuple[Any, Sequence[Any]]]:
        return ((part, getattr(part, name)),)  # without rows too: what is odd around them deserves a note

    def find_one(part: Any) -> Iterable[tuple[Any, Sequence[Any]]]:
        return ((part, (getattr(part, name),) if part.HasField(name) else ()),)

    return find_list if step.repeated else find_one


def _descend(
    steps: tuple[Field, ...], part: Any, above: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Sequence[Any]]]:
    """For rows deeper in the body: each row has the context of all messages around it."""
    parts = (*above, part)
    step = steps[len(above)]
    items: Sequence[Any] = (getattr(part, step.name),)
    if step.repeated:
        (items,) = items
    elif not part.HasField(step.name):
        items = ()
    if len(parts) < len(steps):
        for item in items:
            yield from _descend(steps, item, parts)
    elif items:
        yield parts, items


def _wide_place(found: list[Source], table: Table, readers: ColumnReaders) -> Place:
    """For books of one row each."""
    ((_, entries),) = around(found[0], wide=True)
    names = [column.name for entry in entries for column in entry.columns]
    lists = {source.side: source.steps[0].name for source in found}
    bid, ask = lists["bid"], lists["ask"]

    def find(part: Any) -> Iterable[tuple[Any, Sequence[Any]]]:
        return ((part, ((getattr(part, bid), getattr(part, ask)),)),)

    context = [readers.reader(_part_class(found[0]), entries)]
    columns = _places_of(table.context, names)
    return Place(table, None, context, columns, find, _body_name(found[0]), found[0].direction, None)


def row_reader(table: Table, row_type: str, readers: ColumnReaders) -> ColumnReader:
    """Returns the reader of the items of `table`: the columns of a row, in the order of its cells."""
    read = readers.reader(schema.message_class(row_type), row_entries(row_type))
    if not any(column.name == "bid_levels" for column in table.cells):
        return read
    names = [column.name for entry in row_entries(row_type) for column in entry.columns]
    get_cells = itemgetter(*map(names.index, WIDE_CELLS))
    missing = (None,) * len(WIDE_CELLS)

    def read_books(batch: Batch, odd: Odd) -> list[Cells]:
        books = batch.messages
        levels = [(place, item) for place, book in enumerate(books) for side in book for item in side[:WIDE_LEVELS]]
        odd_levels: Odd = set()
        columns = (
            get_cells(read(Batch(len(levels), lambda: [item for _, item in levels]), odd_levels)) if levels else ()
        )
        odd.update(levels[place][0] for place in odd_levels)
        cells = zip(*columns, strict=True)
        rows = []
        for book in books:
            sides = [[next(cells) for _ in side[:WIDE_LEVELS]] for side in book]
            row = [len(side) for side in book]
            for level in range(WIDE_LEVELS):
                pair = [side[level] if level < len(side) else missing for side in sides]
                for both in zip(*pair, strict=True):
                    row += both
            rows.append(row)
        return list(zip(*rows, strict=True))

    return read_books


def _places_of(wanted: tuple[Column, ...], names: list[str]) -> list[int | None]:
    return [names.index(column.name) if column.name in names else None for column in wanted]


def _body_name(source: Source) -> str:
    cls = schema.body_class(source.proto_id, source.direction)
    assert cls is not None
    return cls.DESCRIPTOR.full_name


def _part_class(source: Source) -> type[ProtobufMessage]:
    cls = schema.body_class(source.proto_id, source.direction)
    assert cls is not None
    return _class_of(fields_by_name(cls.DESCRIPTOR)[source.direction])


def _class_of(step: Field) -> type[ProtobufMessage]:
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(step.message_type)
