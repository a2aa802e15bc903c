"""Reads the options of opend.proto on fields, messages and enum values: secrets, bit sets, SDK names."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

from decoder.schema.pool import enum_descriptor, pool

if TYPE_CHECKING:
    from google._upb import _message as upb
    from google.protobuf.descriptor import Descriptor, DescriptorBase, EnumDescriptor, FieldDescriptor

    # The type stubs tell the descriptors of protobuf's two implementations apart; here it makes no difference.
    AnyDescriptor = DescriptorBase | upb.Descriptor | upb.FieldDescriptor | upb.EnumDescriptor | upb.EnumValueDescriptor
    AnyField = FieldDescriptor | upb.FieldDescriptor
    AnyMessage = Descriptor | upb.Descriptor


def annotation(descriptor: AnyDescriptor, name: str) -> Any:
    """Returns the value of one of our options (``kind``, ``bits``, ``sdk`` ...), or None if it is not set.

    For an option of an enum type it is the value's name.
    """
    handle = _extension(name)
    options = _own_class(handle.containing_type.full_name).FromString(descriptor.GetOptions().SerializeToString())
    if not options.HasExtension(handle):
        return None
    value = options.Extensions[handle]
    return handle.enum_type.values_by_number[value].name if handle.enum_type is not None else value


@cache
def _extension(name: str) -> Any:
    return pool().FindExtensionByName(f"opend.{name}")


@cache
def _own_class(full_name: str) -> Any:
    # GetOptions returns a class of protobuf's default pool, where our extensions are unknown fields;
    # the same message class from the private pool has them.
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(pool().FindMessageTypeByName(full_name))


def field_enum(field: AnyField) -> EnumDescriptor | None:
    """Returns the enum that names a field's numbers, or None.

    Three fields are declared wider than an enum (int64, uint32).  They stay integers, so that no value is
    cut, and have the enum's name as an annotation.
    """
    if field.enum_type is not None:
        return cast("EnumDescriptor", field.enum_type)
    name = annotation(field, "names") if field.message_type is None else None
    return enum_descriptor(name) if name else None


def bits_enum(field: AnyField) -> EnumDescriptor | None:
    """Returns the enum whose values are the bits of an integer field, or None."""
    name = annotation(field, "bits") if field.message_type is None else None
    return enum_descriptor(name) if name else None


def label(field: AnyField) -> Literal["optional", "required", "repeated"]:
    """Returns a field's label.  protobuf 5.26 has only ``label`` for this, protobuf 7 only ``is_repeated``."""
    known: Any = field
    if hasattr(known, "is_repeated"):
        return "repeated" if known.is_repeated else "required" if known.is_required else "optional"
    if known.label == known.LABEL_REPEATED:
        return "repeated"
    return "required" if known.label == known.LABEL_REQUIRED else "optional"


def type_name(field: AnyField) -> str:
    """Returns the type of a field: ``int32``, or the full name of a message type or an enum."""
    declared = field.message_type or field.enum_type
    return _SCALARS[field.type] if declared is None else declared.full_name


# Numbers of FieldDescriptorProto.Type.
_SCALARS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string",
    12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}  # fmt: skip


def is_secret(field: AnyField) -> bool:
    """Returns True if a field's value must not be shown unasked: keys, passwords, verification codes."""
    return bool(field.GetOptions().debug_redact)


def has_secrets(message: AnyMessage) -> bool:
    """Returns True if a message type, or a type in it at any depth, has a secret field."""
    found = _secrecy.get(message.full_name)
    if found is None:
        found = _secrecy[message.full_name] = any(is_secret(field) for field in _reachable_fields(message))
    return found


_secrecy: dict[str, bool] = {}


def _reachable_fields(message: AnyMessage) -> list[AnyField]:
    fields: list[AnyField] = []
    seen = {message.full_name}
    todo: list[AnyMessage] = [message]
    while todo:
        for field in todo.pop().fields:
            fields.append(field)
            inner = field.message_type
            if inner is not None and inner.full_name not in seen:
                seen.add(inner.full_name)
                todo.append(inner)
    return fields
