"""Bodies to rows: finds the rows of every table in a body, with what stands around them.

A body is read as an outline first, which keeps the messages in its lists as bytes; what deserves a note, a JSON body,
and rows deeper than a list of the body go through the whole message.  Both ways give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder import schema
from decoder.body.body import kind_of, ret_type_of
from decoder.body.parse import parse_known
from decoder.body.parse_cost import always_safe_size
from decoder.framing.header import FORMAT
from decoder.output.json_cache import NotCacheable
from decoder.output.table_columns import Source, Table, row_entries, sources
from decoder.output.table_names import NAMES, snake_case
from decoder.output.table_rows import Row, RowFunctions
from decoder.output.table_schema import WIDE_CELLS, WIDE_LEVELS, around
from decoder.schema.fields import Field, fields_by_name, fields_of

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from decoder.limits import Limits
    from decoder.message import Message
    from decoder.schema.fields import Descriptor

__all__ = ["Bodies", "BodyRows", "Lent", "Plan", "Rows"]

_LONGEST = 256 * 1024
"""Bytes of a body that is read as an outline; a longer one would be read twice if it is odd."""


_PUSH = b"\x08\x00\x22"
"""First bytes of a push that says success: retType 0, then s2c."""
_OK = "RET_OK"


class Rows(NamedTuple):
    """Rows of one table that share what is around them."""

    table: str
    context: Row
    """Cells of the table's context, and the side if it has one."""
    cells: list[Row]


class BodyRows(NamedTuple):
    """Holds what the tables take from one body."""

    ret_type: str | None
    err_code: int | None
    ret_msg: str | None
    notes: list[str]
    rows: list[Rows]


Lent = tuple[tuple[int, str], ...]
"""Places in a table's context, and fields of a request."""

Extractor = Callable[[Any], Iterable[Rows]]
"""Takes the c2s or s2c of a body."""


class Bodies:
    """Reads bodies of every protocol that has rows of one of `tables`."""

    def __init__(self, tables: dict[str, Table], *, show_secrets: bool) -> None:
        """`tables`: all tables, for what a body has does not depend on which of them are wanted."""
        self._tables = tables
        self._quick = RowFunctions(strict=True, show_secrets=show_secrets)
        self._whole = RowFunctions(strict=False, show_secrets=show_secrets)
        self._sources: dict[tuple[int, str], list[Source]] = {}
        for source in sources():
            self._sources.setdefault((source.proto_id, source.direction), []).append(source)
        self._plans: dict[tuple[int, str], Plan] = {}

    def plan(self, proto_id: int, direction: str) -> Plan | None:
        """Returns the plan for the bodies of a protocol in one direction; None if no table takes rows from them."""
        key = proto_id, direction
        plan = self._plans.get(key)
        if plan is None and key in self._sources:
            plan = self._plans[key] = Plan(self._sources[key], self._tables, self._quick, self._whole)
        return plan

    def lent(self, tables: Iterable[str]) -> dict[int, Lent]:
        """Of each protocol the columns in the rows of a response that only its request has, if `tables` want them.

        So a K-line that was asked for has the type that it was asked for by.
        """
        plans = [self.plan(*key) for key, found in self._sources.items() if found[0].table in tables]
        return {plan.proto_id: plan.lent for plan in plans if plan is not None and plan.lent}


class Plan:
    """Plans how the bodies of one protocol in one direction are read."""

    def __init__(self, found: list[Source], tables: dict[str, Table], quick: RowFunctions, whole: RowFunctions) -> None:
        source = found[0]
        self.proto_id = source.proto_id
        self.direction = source.direction
        self.table = source.table
        self.kind = kind_of(source.proto_id, source.direction)
        assert self.kind.cls is not None
        self.owns_body = source.direction == "s2c" and len(source.steps) == 1
        """True if the tables hold all that the body says."""
        self._outline: type[ProtobufMessage] | None = None
        self._quick: list[Extractor] = []
        if all(len(each.steps) == 1 for each in found):
            self._outline = schema.shallow_class(self.kind.cls.DESCRIPTOR.full_name)
            self._quick = _extractors(found, tables, quick, self._outline)
        self._whole = _extractors(found, tables, whole, self.kind.cls)
        self._limits: Limits | None = None
        self._longest = 0
        self.lent = _lent(source, tables[source.table])

    def read(self, message: Message) -> BodyRows | None:
        """The rows of a message; None if its body is not there or cannot be read."""
        plaintext = message.plaintext
        if plaintext is None:
            return None
        if self._outline is not None and not message.header[FORMAT] and not message.is_parsed:
            limits = message.flow.limits
            if limits is not self._limits:
                self._limits, self._longest = limits, min(_LONGEST, always_safe_size(limits))
            outline = parse_known(self._outline, plaintext) if len(plaintext) <= self._longest else None
            if outline is not None:
                try:
                    if plaintext.startswith(_PUSH):
                        return BodyRows(_OK, None, None, message.own_notes or [], self._rows(outline, self._quick))
                    return self._read(outline, self._quick, message.own_notes or [], strict=True)
                except NotCacheable:
                    pass
        body = message.protobuf
        return None if body is None else self._read(body, self._whole, message.notes, strict=False)

    def _read(self, body: Any, extractors: list[Extractor], notes: list[str], *, strict: bool) -> BodyRows:
        ret_type = err_code = ret_msg = None
        if self.kind.has_ret_type:
            ret_type = ret_type_of(body)
            if body.HasField("retMsg"):
                ret_msg = body.retMsg
                if ret_msg.__class__ is not str:
                    if strict:
                        raise NotCacheable
                    ret_msg = ret_msg.decode("utf-8", "replace")
            if strict and ret_type.lstrip("-").isdigit():
                raise NotCacheable  # an unknown number deserves a note
            err_code = body.errCode if body.HasField("errCode") else None
        return BodyRows(ret_type, err_code, ret_msg, notes, self._rows(body, extractors))

    def _rows(self, body: Any, extractors: list[Extractor]) -> list[Rows]:
        rows: list[Rows] = []
        if body.HasField(self.direction):
            part = getattr(body, self.direction)
            for extract in extractors:
                rows += extract(part)
        return rows


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


def _extractors(
    found: list[Source], tables: dict[str, Table], functions: RowFunctions, cls: type[ProtobufMessage]
) -> list[Extractor]:
    from google.protobuf.message_factory import GetMessageClass

    part = fields_by_name(cls.DESCRIPTOR)[found[0].direction]
    inner = GetMessageClass(part.message_type)
    if found[0].side and "side" not in {column.name for column in tables[found[0].table].columns}:
        return [_wide_extractor(found, tables[found[0].table], functions, inner)]
    return [
        _list_extractor(each, tables[each.table], functions, inner)
        if len(each.steps) == 1
        else _nested_extractor(each, tables[each.table], functions, inner)
        for each in found
    ]


def _list_extractor(source: Source, table: Table, functions: RowFunctions, cls: type[ProtobufMessage]) -> Extractor:
    """For rows that stand in a list of the body, or alone in it."""
    ((step, entries),) = around(source)
    get_context = functions.function(cls, entries)
    arrange = _arranger([column.name for entry in entries for column in entry.columns], source, table)
    get_row = _row_function(step, cls.DESCRIPTOR, functions)
    name, table_name = step.name, table.name
    if step.repeated:

        def extract(part: Any) -> Iterable[Rows]:
            context = get_context(part)  # without rows too: what is odd in it deserves a note
            items = getattr(part, name)
            return (Rows(table_name, arrange(context), list(map(get_row, items))),) if items else ()

    else:

        def extract(part: Any) -> Iterable[Rows]:
            context = get_context(part)
            if not part.HasField(name):
                return ()
            return (Rows(table_name, arrange(context), [get_row(getattr(part, name))]),)

    return extract


def _nested_extractor(source: Source, table: Table, functions: RowFunctions, cls: type[ProtobufMessage]) -> Extractor:
    """For rows deeper in the body: each row has the context of all messages around it."""
    from google.protobuf.message_factory import GetMessageClass

    levels = []
    names: list[str] = []
    for step, entries in around(source):
        levels.append((step, functions.function(cls, entries)))
        names += [column.name for entry in entries for column in entry.columns]
        last, cls = cls, GetMessageClass(step.message_type)
    arrange = _arranger(names, source, table)
    get_row = _row_function(source.steps[-1], last.DESCRIPTOR, functions)

    def descend(part: Any, depth: int, context: Row) -> Iterator[Rows]:
        step, get_context = levels[depth]
        context = (*context, *get_context(part))
        if step.repeated:
            items = getattr(part, step.name)
        else:
            items = [getattr(part, step.name)] if part.HasField(step.name) else []
        if depth < len(levels) - 1:
            for item in items:
                yield from descend(item, depth + 1, context)
        elif items:
            yield Rows(table.name, arrange(context), list(map(get_row, items)))

    return lambda part: descend(part, 0, ())


def _wide_extractor(
    found: list[Source], table: Table, functions: RowFunctions, cls: type[ProtobufMessage]
) -> Extractor:
    """For books of one row each."""
    ((step, entries),) = around(found[0], wide=True)
    get_context = functions.function(cls, entries)
    arrange = _arranger([column.name for entry in entries for column in entry.columns], None, table)
    names = [column.name for entry in row_entries(step.message_type.full_name) for column in entry.columns]
    get_level = itemgetter(*map(names.index, WIDE_CELLS))
    sides = {source.side: source.steps[0] for source in found}
    lists = [(sides[side].name, _row_function(sides[side], cls.DESCRIPTOR, functions)) for side in ("bid", "ask")]
    missing = [(None,) * len(WIDE_CELLS)] * WIDE_LEVELS

    def extract(part: Any) -> Iterable[Rows]:
        books = [(getattr(part, name), get_row) for name, get_row in lists]
        bids, asks = (
            [*(get_level(get_row(item)) for item in items[:WIDE_LEVELS]), *missing][:WIDE_LEVELS]
            for items, get_row in books
        )
        cells: list[Any] = [len(items) for items, _ in books]
        for pair in zip(bids, asks, strict=True):
            for both in zip(*pair, strict=True):
                cells += both
        return (Rows(table.name, arrange(get_context(part)), [tuple(cells)]),)

    return extract


def _row_function(step: Field, descriptor: Descriptor, functions: RowFunctions) -> Callable[[Any], Row]:
    from google.protobuf.message_factory import GetMessageClass

    inner = step.message_type
    is_read = descriptor.fields_by_name[step.name].message_type is not None
    return (functions.function if is_read else functions.cached)(GetMessageClass(inner), row_entries(inner.full_name))


def _arranger(names: list[str], source: Source | None, table: Table) -> Callable[[Row], Row]:
    """Returns what puts cells of the columns `names` in the order of the table's context, and adds the side."""
    wanted = [column.name for column in table.context]
    after: Row = (source.side,) if source is not None and source.side else ()
    if names == wanted:
        return (lambda cells: cells + after) if after else lambda cells: cells
    places = [names.index(name) if name in names else len(names) for name in wanted]
    if not places:
        return lambda cells: after
    get = itemgetter(*places) if len(places) > 1 else lambda cells: (cells[places[0]],)
    return lambda cells: (*get((*cells, None)), *after)
