"""Makes the tables by which the compiled core renders: message types, flows, protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from decoder.body.body import kind_of
from decoder.body.parse_cost import always_safe_size
from decoder.bounded import BoundedDict
from decoder.schema.annotations import label, type_name
from decoder.schema.fields import Field, fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from decoder import _core
    from decoder.body.body import Kind
    from decoder.message import Flow
    from decoder.schema.fields import Descriptor
    from decoder.vocabulary import Direction

__all__ = ["FieldTexts", "TypeTables", "flow_table"]

_MAX_CACHED = 8_192  # flows, and protocol ids of one direction, of which the tables are kept


class FieldTexts(NamedTuple):
    """Holds how the values of a field are written."""

    key: bytes = b""
    """Text before the value."""
    fixed: bytes | None = None
    """Text instead of the value."""
    names: dict[int, bytes] | None = None
    """Text of each number."""
    texts: Mapping[int, bytes | None] | Mapping[float, bytes] | None = None
    """Text of each number, where it is computed; None for a number that Python must write."""


class TypeTables:
    """Adds message types to a renderer, each once.

    :param add: the renderer's ``add_type``
    :param texts: returns how a field is written
    """

    def __init__(self, add: Callable[[tuple[_core.FieldRow, ...]], int], texts: Callable[[Field], FieldTexts]) -> None:
        self._add = add
        self._texts = texts
        self._indexes: dict[str, int] = {}

    def index(self, descriptor: Descriptor) -> int:
        """Returns the index of a message type in the renderer."""
        index = self._indexes.get(descriptor.full_name)
        if index is None:
            index = self._add(tuple(map(self._row, fields_of(descriptor))))
            self._indexes[descriptor.full_name] = index
        return index

    def _row(self, field: Field) -> _core.FieldRow:
        declared, inner = field.descriptor, None
        if field.kind == "message":
            kind, inner = "message", self.index(field.message_type)
        else:  # an enum is read as its number
            kind = "int32" if declared.enum_type is not None else type_name(declared)
        return declared.number, kind, field.repeated, label(declared) == "required", *self._texts(field), inner


def flow_table(
    body: Callable[[int, Direction, Kind], int], texts: Callable[[Flow], tuple[bytes, ...]]
) -> BoundedDict[Flow, tuple[Any, ...]]:
    """Returns a mapping from flows to what the core needs of each: the longest body, the bodies, the texts.

    :param body: adds the bodies of a protocol and direction to the renderer; returns their index, -1 if it has none
    :param texts: returns the texts of a line that depend on the flow
    """

    def bodies(direction: Direction) -> BoundedDict[int, int]:
        def add(proto_id: int) -> int:
            kind = kind_of(proto_id, direction)
            return -1 if kind.cls is None else body(proto_id, direction, kind)

        return BoundedDict(_MAX_CACHED, add)

    by_direction = {direction: bodies(direction) for direction in ("c2s", "s2c")}

    def row(flow: Flow) -> tuple[Any, ...]:
        return always_safe_size(flow.limits), by_direction[flow.direction], *texts(flow)

    return BoundedDict(_MAX_CACHED, row)
