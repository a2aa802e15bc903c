"""Collects the properties of message fields that conversion needs, once for each message type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from decoder import schema
from decoder.schema.annotations import label

if TYPE_CHECKING:
    from google._upb._message import Descriptor as UpbDescriptor
    from google.protobuf.descriptor import Descriptor as PythonDescriptor
    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

    Descriptor = PythonDescriptor | UpbDescriptor

__all__ = ["Field", "fields_by_name", "fields_of", "split_bits"]


class Field(NamedTuple):
    """Holds the properties of one field of a message type."""

    name: str
    kind: str
    """``message``, ``enum``, ``bits``, ``int``, ``bool``, ``double``, ``float``, ``string`` or ``bytes``."""
    repeated: bool
    secret: bool
    wide: bool
    """True for 64-bit integers, which the JSON mapping writes as strings."""
    low: int
    high: int
    """Bounds of an integer's type; with `low` inclusive."""
    enum: EnumDescriptor | None
    """Enum that names the numbers of an enum or bit set, also where the field is declared as an integer."""
    known: Mapping[int, str | int]
    """Numbers or bits of an enum or bit set that have a name, with their proto names."""
    descriptor: FieldDescriptor

    @property
    def message_type(self) -> PythonDescriptor:
        """Type of a submessage field."""
        inner = self.descriptor.message_type
        assert inner is not None
        return inner


_fields: dict[Descriptor, tuple[Field, ...]] = {}
_by_name: dict[Descriptor, dict[str, Field]] = {}


def fields_of(descriptor: Descriptor) -> tuple[Field, ...]:
    """Returns the fields of a message type by number: the order in which protobuf writes them."""
    found = _fields.get(descriptor)
    if found is None:
        found = _fields[descriptor] = tuple(
            _field(field)
            for field in sorted(cast("PythonDescriptor", descriptor).fields, key=lambda field: field.number)
        )
    return found


def fields_by_name(descriptor: Descriptor) -> dict[str, Field]:
    """Returns the fields of a message type by both spellings of their names, ``max_count`` and ``maxCount``."""
    found = _by_name.get(descriptor)
    if found is None:
        fields = fields_of(descriptor)
        found = {field.descriptor.json_name: field for field in fields} | {field.name: field for field in fields}
        _by_name[descriptor] = found
    return found


def split_bits(value: int, names: Mapping[int, str | int]) -> tuple[list[str], int]:
    """Returns the names of the bits set in `value`, and the set bits that have no name."""
    found = []
    rest = value
    for bit, name in names.items():
        if value & bit == bit:
            found.append(str(name))
            rest &= ~bit
    return found, rest


def _field(field: FieldDescriptor) -> Field:
    signed, bits = _INTEGERS.get(field.cpp_type, (False, 0))
    bit_names = schema.bit_names(field, "proto")
    enum = schema.bits_enum(field) or schema.field_enum(field)
    kind = "bits" if bit_names else "enum" if enum is not None else _KINDS.get(field.type, "int")
    return Field(
        field.name,
        kind,
        label(field) == "repeated",
        schema.is_secret(field),
        bits == 64,
        -(1 << bits - 1) if signed else 0,
        (1 << bits - signed) - 1,
        enum,
        bit_names or (schema.enum_names(enum, "proto") if enum is not None else {}),
        field,
    )


# Numbers of FieldDescriptorProto.Type, and of the runtime's C++ types.
_KINDS = {1: "double", 2: "float", 8: "bool", 9: "string", 11: "message", 12: "bytes"}
_INTEGERS = {1: (True, 32), 2: (True, 64), 3: (False, 32), 4: (False, 64), 8: (True, 32)}
