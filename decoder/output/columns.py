"""Turns messages and gaps into rows of plain values: the columns of ``--format csv`` and of ``-e``.

A column is a key of the JSON Lines contract, a path into the body (``body.c2s.code``), or one of `LEADING`: a field
that decides in many protocols, taken from wherever a body has it, unless it stands in a list of several elements.
What is not there is None.

A path through a list has several values.  If several columns share a list, or `explode` is set, each element of that
list is a row of its own, so that values of one element stand side by side; the other columns repeat.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder.errors import SchemaError
from decoder.filter.shortcut_terms import symbols
from decoder.formatting.escape import escape
from decoder.message import Gap, Message
from decoder.schema.fields import fields_by_name, fields_of
from decoder.schema.paths import did_you_mean, places, unknown_path

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

    from decoder.schema.fields import Descriptor
    from decoder.vocabulary import EnumStyle

__all__ = ["COLUMNS", "LEADING", "Columns"]

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
    "bytes",
)
"""The keys of the contract that have one value; ``bytes`` is that of a gap."""

LEADING = (
    "symbol",
    "trdEnv",
    "accID",
    "trdSide",
    "orderType",
    "orderStatus",
    "qty",
    "price",
    "fillQty",
    "fillAvgPrice",
    "orderID",
    "orderIDEx",
    "fillID",
    "subTypeList",
    "curPrice",
    "volume",
    "retMsg",
    "errCode",
)
"""The fields of a body that the text output shows most, one column each; ``symbol`` is every security, ``HK.00700``."""

_OTHERS = (
    "frames",
    "lag_ms",
    "packet_id",
    "packet_id.connID",
    "packet_id.serialNo",
    "body",
    "raw",
    "notes",
    "transport",
    "error",
)
_OF_GAP = frozenset(("kind", "reason", "bytes"))
"""Columns of which at least one must be there for gaps to have rows: without them they could not be told apart."""
_DEPTH = 4
"""Levels below a body down to which a leading field is looked for: ``s2c.orderList.order.qty`` is the deepest use."""

Getter = Callable[[Message], Any]
Path = tuple[str, ...]


class _BodyPath(NamedTuple):
    """Holds a path for one message type: its names, and the places in it where a list ends."""

    names: Path
    lists: tuple[Path, ...]


class Columns:
    """Makes rows of messages and gaps.

    :param columns: names of columns; none for `COLUMNS` and `LEADING`
    :param explode: a row for each element of the list that a path goes through
    :raises SchemaError: for a column that no message has, and for columns of two lists that have nothing in common
    """

    def __init__(
        self,
        columns: Sequence[str] = (),
        enums: EnumStyle = "sdk",
        *,
        show_secrets: bool = False,
        explode: bool = False,
    ) -> None:
        self.names = tuple(columns) or COLUMNS + LEADING
        self._enums: EnumStyle = enums
        self._show_secrets = show_secrets
        self._paths: dict[int, dict[Descriptor, _BodyPath]] = {}
        self._getters = [self._getter(place, column) for place, column in enumerate(self.names)]
        self._lists = self._shared_lists(explode)
        self._shows_gaps = not _OF_GAP.isdisjoint(self.names)
        if explode and not self._lists:
            raise SchemaError("--explode makes a row of each element of a list: none of the columns is in a list")

    def rows(self, records: Iterable[Message | Gap]) -> Iterator[list[Any]]:
        """Yields the rows of `records`, a value for each column."""
        for item in records:
            if not isinstance(item, Message):
                if self._shows_gaps:
                    yield self._gap_row(item)
                continue
            lists = self._lists and self._lists_of(item)
            if lists:
                yield from self._exploded(item, lists)
            else:
                yield [get(item) for get in self._getters]

    def _gap_row(self, gap: Gap) -> list[Any]:
        values = gap.record() | {"kind": "gap", "src": gap.flow.src, "dst": gap.flow.dst}
        return [values.get(name) for name in self.names]

    # Columns

    def _getter(self, place: int, column: str) -> Getter:
        first, *names = column.split(".")
        if column == "body":
            return self._body
        if column == "raw":
            return lambda message: message.content.raw(show_secrets=self._show_secrets)
        if column == "symbol":
            return lambda message: _one_of(list(dict.fromkeys(symbols(message))))
        if column in LEADING:
            return self._leading(place, column)
        if first == "body":
            return self._path_getter(place, names)
        if first == "packet_id" and column in _OTHERS and names:
            return lambda message: (message.packet_id or {}).get(names[0])
        if column == "bytes":
            return lambda message: None
        if column in COLUMNS or column in _OTHERS:
            return operator.attrgetter(column)
        known = (*COLUMNS, *LEADING, *_OTHERS)
        hint = did_you_mean(column, known) or "; columns are keys of a record, symbol, qty, …, or body.…"
        raise SchemaError(f"no column {escape(column, 80)}{hint}")

    def _path_getter(self, place: int, names: Sequence[str]) -> Getter:
        # Both spellings of a name are taken, the JSON mapping has the original one.
        paths = {root: _body_path(fields) for root, fields in places(names)}
        if not paths:
            raise SchemaError(escape(unknown_path(names)[1], 200))
        self._paths[place] = paths
        return lambda message: self._value(message, place)

    def _leading(self, place: int, name: str) -> Getter:
        self._paths[place] = {}

        def get(message: Message) -> Any:
            if message.protobuf is None:
                return None
            root = message.protobuf.DESCRIPTOR
            paths = self._paths[place]
            if root not in paths:
                paths[root] = _body_path(_find(root, name))
            path = paths[root]
            if not path.names:
                return None
            value = self._value(message, place)
            return value if not isinstance(value, list) or path.lists == (path.names,) else None

        return get

    def _value(self, message: Message, place: int) -> Any:
        body = self._body(message)
        path = None if body is None else self._paths[place].get(message.protobuf.DESCRIPTOR)  # type: ignore[union-attr]
        return None if path is None else _one_of(list(_values(body, path.names)))

    def _body(self, message: Message) -> dict[str, Any] | None:
        return message.content.to_dict(self._enums, redact=not self._show_secrets)

    # Rows for the elements of lists

    def _shared_lists(self, explode: bool) -> dict[Descriptor, tuple[Path, ...]]:
        """Returns, by message type, the lists whose elements get rows: each stands in the one before."""
        asked = {place: paths for place, paths in self._paths.items() if self.names[place].startswith("body.")}
        chains: dict[Descriptor, tuple[Path, ...]] = {}
        for root in {root for paths in asked.values() for root in paths}:
            columns = [(self.names[place], paths[root].lists) for place, paths in asked.items() if root in paths]
            in_lists = [(name, lists) for name, lists in columns if lists]
            if not in_lists or not (explode or len(in_lists) > 1):
                continue
            deepest_name, deepest = max(in_lists, key=lambda column: len(column[1]))
            for name, lists in in_lists:
                if lists != deepest[: len(lists)]:
                    raise SchemaError(
                        f"{escape(name, 100)} and {escape(deepest_name, 100)} are in two lists of which none is in the "
                        f"other, so no row can have both: ask for them one at a time"
                    )
            chains[root] = deepest
        return chains

    def _lists_of(self, message: Message) -> tuple[Path, ...]:
        body = message.protobuf
        return () if body is None else self._lists.get(body.DESCRIPTOR, ())

    def _exploded(self, message: Message, lists: Sequence[Path]) -> Iterator[list[Any]]:
        assert message.protobuf is not None
        body, root = self._body(message), message.protobuf.DESCRIPTOR
        paths = {place: known[root] for place, known in self._paths.items() if root in known}
        fixed = [None if paths.get(i) and paths[i].lists else get(message) for i, get in enumerate(self._getters)]
        for elements in _elements(body, (), lists):
            row = list(fixed)
            for place, path in paths.items():
                if path.lists:
                    innermost = path.lists[-1]
                    if innermost in elements:
                        row[place] = _one_of(list(_values(elements[innermost], path.names[len(innermost) :])))
                    else:
                        row[place] = _one_of(list(_values(body, path.names)))
            yield row


def _elements(value: Any, at: Path, lists: Sequence[Path]) -> Iterator[dict[Path, Any]]:
    """Yields the elements of the innermost list, each with the elements of the lists around it.

    A list that is empty or absent yields once, with None: what stands beside it must not be lost.
    """
    if not lists:
        yield {}
        return
    first, *inner = lists
    found = [] if value is None else list(_values(value, first[len(at) :]))
    for element in found or [None]:
        for deeper in _elements(element, first, inner):
            yield {first: element, **deeper}


def _values(value: Any, path: Path) -> Iterator[Any]:
    """Yields what stands at the end of `path`, in every element of the lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:])


def _one_of(values: list[Any]) -> Any:
    """Returns the only value, None if there is none, or the list of several."""
    return values[0] if len(values) == 1 else values or None


def _body_path(fields: Sequence[FieldDescriptor]) -> _BodyPath:
    names = tuple(field.name for field in fields)
    lists = []
    for length, field in enumerate(fields, 1):
        assert field.containing_type is not None
        if fields_by_name(field.containing_type)[field.name].repeated:
            lists.append(names[:length])
    return _BodyPath(names, tuple(lists))


@cache
def _find(root: Descriptor, name: str) -> tuple[FieldDescriptor, ...]:
    """Returns the fields on the shortest way from a message type to a field called `name`, none if there is none."""
    level: list[tuple[Descriptor, tuple[FieldDescriptor, ...]]] = [(root, ())]
    for _ in range(_DEPTH):
        deeper: list[tuple[Descriptor, tuple[FieldDescriptor, ...]]] = []
        for descriptor, way in level:
            for field in fields_of(descriptor):
                if field.name == name and field.kind != "message":
                    return (*way, field.descriptor)
                if field.kind == "message":
                    deeper.append((field.message_type, (*way, field.descriptor)))
        level = deeper
    return ()
