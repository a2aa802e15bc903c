"""Makes what the compiled core needs to collect the rows of tables, of the entries that `table_rows` reads in Python.

The core takes the bodies that it can prove to be ordinary (core_types.h) and that have no list which becomes JSON.
Every other body is read in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from decoder import schema
from decoder.body.body import kind_of, ret_type_names
from decoder.core import Columns
from decoder.output.core_tables import FieldTexts, TypeTables
from decoder.output.table_cells import CoreCells
from decoder.output.table_columns import SECURITY, is_time, row_entries
from decoder.output.table_names import PERCENT
from decoder.output.table_rows import TRADE_MARKETS, cell_names
from decoder.output.table_schema import ITEM, around
from decoder.output.table_times import minutes
from decoder.schema.fields import fields_by_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from decoder import _core
    from decoder.output.table_columns import Column, Derived, Entry, Source, Table
    from decoder.schema.fields import Descriptor, Field

__all__ = ["CoreSheets", "CoreTables", "TakenRows"]

_PARENT = "parent"  # the column of a rows' sheet that says what is around
_STORES = {
    "string": "s",
    "enum": "s",
    "int32": "4",
    "uint32": "4",
    "int64": "8",
    "uint64": "8",
    "double": "8",
    "time": "8",
    "bool": "?",
}
"""Letters by which the core is told how to keep the cells of a column, by its type; JSON is left to Python."""


class _Unsupported(Exception):
    """Raised for what the core cannot collect: Python reads the whole table."""


class TakenRows(NamedTuple):
    """Rows that the core collected."""

    rows: int
    own: dict[str, CoreCells]
    shared: dict[str, CoreCells]
    """The columns of what is around the rows, without the common ones."""
    places: CoreCells
    """Of each row the place of what is around it."""


class _Sheet:
    """A sheet of the core, with the columns that stand in it."""

    def __init__(self, core: _core.Columns, columns: dict[str, Column], coded: set[str]) -> None:
        self.columns = columns
        stored = [name for name, column in columns.items() if column.type in _STORES]
        self.places = {name: place for place, name in enumerate(stored)}
        self._core = core
        self.index = core.add_sheet("".join("e" if name in coded else _STORES[columns[name].type] for name in stored))

    def take(self) -> dict[str, CoreCells]:
        """Returns the columns, and begins anew."""
        rows = self._core.rows(self.index)
        taken = dict(zip(self.places, self._core.take(self.index), strict=True))
        return {
            name: CoreCells(column.type, rows, *taken[name])
            if name in taken
            else CoreCells(column.type, rows, None, None)
            for name, column in self.columns.items()
        }


class CoreSheets:
    """Keeps the rows of one table that the core collected."""

    def __init__(self, core: _core.Columns, table: Table, rows: Iterable[Entry], contexts: Iterable[Entry]) -> None:
        self._core = core
        sided = [column for column in table.columns if column.name == "side"]
        shared = {column.name: column for column in (*table.context, *sided)}
        own = {_PARENT: ITEM._replace(name=_PARENT)}
        own |= {column.name: column for column in table.cells}
        if ITEM in table.columns:
            own[ITEM.name] = ITEM
        for derived in table.derived:
            (shared if all(name in shared for name in derived.inputs) else own)[derived.column.name] = derived.column
        self.around = _Sheet(core, shared, _coded(contexts) | {"side"})
        self.own = _Sheet(core, own, _coded(rows))

    @property
    def rows(self) -> int:
        """Number of rows that are kept."""
        return self._core.rows(self.own.index)

    def take(self) -> TakenRows:
        """Returns the rows, and begins anew."""
        rows = self.rows
        own, shared = self.own.take(), self.around.take()
        return TakenRows(rows, own, shared, own.pop(_PARENT))


def _coded(entries: Iterable[Entry]) -> set[str]:
    """Returns the columns that hold only names of numbers: the core keeps each name once."""
    coded: dict[str, bool] = {}
    for entry in entries:
        if entry.form == "message":
            for name in {column.name for column in entry.columns}:
                coded[name] = coded.get(name, True) and name in _coded(entry.entries)
            continue
        for column in entry.columns:
            is_enum = entry.form == "value" and entry.field.kind == "enum"
            coded[column.name] = coded.get(column.name, True) and is_enum
    return {name for name, only in coded.items() if only}


class CoreTables:
    """Makes the sources of the compiled core: bodies of one protocol in one direction.

    :param tables: all tables, by name
    :param found: every place where rows stand, by protocol and direction
    """

    def __init__(self, core: _core.Columns, tables: dict[str, Table], found: Iterable[list[Source]]) -> None:
        self.core = core
        self._tables = tables
        self._types = TypeTables(core.add_type, lambda field: FieldTexts())
        self._sources = list(found)
        self._sheets: dict[str, CoreSheets | None] = {}
        self._rows: dict[str, int] = {}

    @classmethod
    def make(cls, tables: dict[str, Table], found: Iterable[list[Source]]) -> CoreTables | None:
        """Returns them, or None if Python must do."""
        return None if Columns is None else cls(Columns(minutes), tables, found)

    def sheets(self, name: str) -> CoreSheets | None:
        """Returns the sheets of a table; None if Python reads all of it."""
        if name not in self._sheets:
            self._sheets[name] = self._new_sheets(self._tables[name])
        return self._sheets[name]

    def _new_sheets(self, table: Table) -> CoreSheets | None:
        sources = [source for found in self._sources for source in found if source.table == table.name]
        row_type = sources[0].steps[-1].message_type
        rows = row_entries(row_type.full_name)
        if "side" not in {column.name for column in table.columns} and sources[0].side:
            return None  # a row for both sides of a book
        contexts = [entry for source in sources for _, entries in around(source) for entry in entries]
        try:
            sheets = CoreSheets(self.core, table, rows, contexts)
            steps = _Steps(self._types, self.core, row_type, sheets.own, sheets.around)
            steps.put("parent", _PARENT)
            steps.entries(rows)
            if ITEM.name in sheets.own.places:
                steps.put("item", ITEM.name)
            for derived in table.derived:
                if derived.column.name in sheets.own.places:
                    steps.derived(derived, rows)
            self._rows[table.name] = steps.reader()
        except _Unsupported:
            return None
        return sheets

    def source(self, found: list[Source]) -> int | None:
        """Returns the index of the bodies with these places; None if Python must read them."""
        if any(len(source.steps) > 1 or source.table != found[0].table for source in found):
            return None
        kind = kind_of(found[0].proto_id, found[0].direction)
        assert kind.cls is not None
        fields = fields_by_name(kind.cls.DESCRIPTOR)
        part = fields[found[0].direction]
        places = []
        for source in found:
            sheets = self.sheets(source.table)
            context = None if sheets is None else self._context(source, found, part.message_type, sheets)
            if sheets is None or context is None:
                return None
            number = source.steps[0].descriptor.number
            places.append((number, context, sheets.around.index, self._rows[source.table], sheets.own.index))
        ret_type, err_code, ret_msg = (
            fields[name].descriptor.number if kind.has_ret_type and name in fields else 0
            for name in ("retType", "errCode", "retMsg")
        )
        index, number = self._types.index(kind.cls.DESCRIPTOR), part.descriptor.number
        return self.core.add_source((index, number, ret_type, err_code, ret_msg, ret_type_names(), tuple(places)))

    def _context(self, source: Source, found: list[Source], part: Descriptor, sheets: CoreSheets) -> int | None:
        """Returns the reader of what is around the rows of `source`; None if there is none."""
        steps = _Steps(self._types, self.core, part, sheets.around, None)
        try:
            ((_, entries),) = around(source)
            if len({column.name for entry in entries for column in entry.columns}) < sum(
                len(entry.columns) for entry in entries
            ):
                return None  # (the first of two counts, even where it is absent)
            steps.entries(entries)
            for other in {each.steps[0].name: each.steps[0] for each in found}.values():
                steps.add("pass", field=other)
            if source.side:
                steps.put("fixed", "side", names={0: source.side.encode()})
            for derived in self._tables[source.table].derived:
                if derived.column.name in sheets.around.places:
                    steps.derived(derived, entries)
            return steps.reader()
        except _Unsupported:
            return None


class _Steps:
    """Collects the steps of a reader."""

    def __init__(
        self, types: TypeTables, core: _core.Columns, descriptor: Descriptor, sheet: _Sheet, parent: _Sheet | None
    ) -> None:
        self._types = types
        self._core = core
        self._descriptor = descriptor
        self._sheet = sheet
        self._around = parent
        self._steps: list[_core.StepRow] = []

    def reader(self) -> int:
        """Returns the index of the reader with these steps."""
        outer = -1 if self._around is None else self._around.index
        index = self._types.index(self._descriptor)
        return self._core.add_reader(index, self._sheet.index, outer, tuple(self._steps))

    def add(
        self,
        code: str,
        column: int = -1,
        other_column: int = -1,
        *,
        field: Field | None = None,
        other: Field | None = None,
        date_column: int = -1,
        code_column: int = -1,
        around: bool = False,
        plus: int = 0,
        names: dict[int, bytes] | None = None,
        inside: int | None = None,
    ) -> None:
        """Adds a step."""
        numbers = [0 if each is None else each.descriptor.number for each in (field, other)]
        row = (code, *numbers, column, other_column, date_column, code_column, around, plus, names, inside)
        self._steps.append(row)  # type: ignore[arg-type]

    def put(self, code: str, name: str, *, plus: int = 0, names: dict[int, bytes] | None = None) -> None:
        """Adds a step without a field for the column `name`."""
        self.add(code, self._sheet.places[name], plus=plus, names=names)

    def entries(self, entries: Iterable[Entry]) -> None:
        """Adds the steps of entries."""
        for entry in entries:
            self._entry(entry)

    def _entry(self, entry: Entry) -> None:
        field, other = entry.field, entry.other
        if entry.form == "list":
            self.add("empty", field=field)
            return
        if entry.form == "message":
            inner = _Steps(self._types, self._core, field.message_type, self._sheet, self._around)
            inner.entries(entry.entries)
            self.add("inside", field=field, inside=inner.reader())
            return
        columns = [self._sheet.places[column.name] for column in entry.columns]
        if entry.form == "code":
            market = fields_by_name(schema.message_class(SECURITY).DESCRIPTOR)["market"]
            self.add("code", *columns, field=field, names=_names(market))
        elif entry.form == "trade_code":
            assert other is not None
            self.add("trade-code", *columns, field=field, other=other, names=_names(other, TRADE_MARKETS))
        elif entry.form == "prefer":
            self.add("either", *columns, field=field, other=other)
        elif entry.form in ("split", "present"):
            self.add(entry.form, *columns, field=field)
        else:
            self._value(field, *columns)

    def _value(self, field: Field, column: int) -> None:
        if field.secret or field.kind in ("bits", "float", "bytes"):
            raise _Unsupported
        if field.kind == "enum":
            self.add("value", column, field=field, names=_names(field))
        elif is_time(field):
            self.add("seconds", column, field=field)
        elif field.kind == "double" and field.descriptor.full_name in PERCENT:
            self.add("percent", column, field=field)
        else:
            self.add("value", column, field=field)

    def derived(self, derived: Derived, entries: Iterable[Entry]) -> None:
        """Adds the step of a column that is worked out of others; `entries` are those of the row."""
        column = self._sheet.places[derived.column.name]
        if derived.form == "level":
            self.add("item", column, plus=1)
        elif derived.form == "seconds":
            fields = [entry.field for entry in entries if derived.inputs[0] in [each.name for each in entry.columns]]
            if len(fields) != 1:
                raise _Unsupported
            self.add("seconds", column, field=fields[0])
        elif derived.form == "utc":
            *texts, code = derived.inputs
            holder = self._sheet if code in self._sheet.places else self._around
            if holder is None or code not in holder.places or not all(text in self._sheet.places for text in texts):
                raise _Unsupported
            text, date = (*(self._sheet.places[name] for name in texts), -1)[:2]
            self.add(
                "stamp",
                column,
                text,
                date_column=date,
                code_column=holder.places[code],
                around=holder is self._around,
            )


def _names(field: Field, others: dict[str, str] | None = None) -> dict[int, bytes]:
    return {number: name.encode() for number, name in cell_names(field, others or {}).items()}
