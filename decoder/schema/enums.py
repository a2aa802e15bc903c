"""Names enum values: the names that are displayed and the names that are accepted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from decoder.schema.annotations import annotation, bits_enum

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor

    from decoder.schema.annotations import AnyField

EnumStyle = Literal["sdk", "proto", "number"]


def enum_names(enum: EnumDescriptor, style: EnumStyle) -> dict[int, str | int]:
    """Returns the displayed name of each known number of an enum; an unknown number is displayed as itself.

    ``sdk``     the constant that the Python SDK documents, when it has one that is unique in the enum,
                else the proto name without its prefix
    ``proto``   the proto name
    ``number``  the number

    If one number has several names, the first declared is the current one and is displayed.  Zero values
    that exist only because an open enum must have one are not known numbers.
    """
    key = enum.full_name, style
    names = _names.get(key)
    if names is None:
        names = _names[key] = _build_names(enum, style)
    return names


_names: dict[tuple[str, str], dict[int, str | int]] = {}
_numbers: dict[str, dict[str, int]] = {}


def _build_names(enum: EnumDescriptor, style: EnumStyle) -> dict[int, str | int]:
    values = gateway_values(enum)
    unique = unique_sdk_names(enum)
    names: dict[int, str | int] = {}
    for value in values:
        if style == "number":
            names.setdefault(value.number, value.number)
        elif style == "proto":
            names.setdefault(value.number, value.name)
        else:
            names.setdefault(value.number, unique.get(value.name) or bare_name(value))
    return names


def enum_numbers(enum: EnumDescriptor) -> dict[str, int]:
    """Returns every accepted spelling of an enum's values with its number: proto, SDK and bare names.

    A spelling that fits two numbers means the value that is displayed with it, else it is left out.
    """
    numbers = _numbers.get(enum.full_name)
    if numbers is None:
        numbers = _numbers[enum.full_name] = _build_numbers(enum)
    return numbers


def _build_numbers(enum: EnumDescriptor) -> dict[str, int]:
    values = gateway_values(enum)
    unique = unique_sdk_names(enum)
    spellings = [(value.name, value.number) for value in values]
    spellings += [(str(name), number) for number, name in enum_names(enum, "sdk").items()]
    spellings += [(unique[value.name], value.number) for value in values if value.name in unique]
    numbers: dict[str, int] = {}
    for name, number in spellings:
        numbers.setdefault(name, number)
    others = [(bare_name(value), value.number) for value in values]
    others += [(also, value.number) for value in values if (also := annotation(value, "also"))]
    meanings = Counter(name for name, _ in set(others))
    for name, number in others:
        if meanings[name] == 1:
            numbers.setdefault(name, number)
    return numbers


def bit_names(field: AnyField, style: EnumStyle) -> dict[int, str] | None:
    """Returns the displayed name of each bit of an integer field that is a set of bits.

    None for any other field, and in style ``number``, which displays the integer.
    """
    if style == "number":
        return None
    enum = bits_enum(field)
    return None if enum is None else {bit: str(name) for bit, name in enum_names(enum, style).items() if bit}


def gateway_values(enum: EnumDescriptor) -> list[EnumValueDescriptor]:
    """Returns an enum's values without the synthetic zero that our schema adds."""
    return [value for value in enum.values if value.number or not annotation(value, "synthetic")]


def unique_sdk_names(enum: EnumDescriptor) -> dict[str, str]:
    """Returns proto name -> SDK constant, for the constants that name only one value of the enum."""
    names = {value.name: annotation(value, "sdk") for value in enum.values}
    count = Counter(names.values())
    return {name: sdk for name, sdk in names.items() if sdk and count[sdk] == 1}


def bare_name(value: EnumValueDescriptor) -> str:
    """Returns the proto name without its enum's prefix: ``OrderStatus_Filled_All`` is ``Filled_All``."""
    prefix = annotation(value.type, "prefix") or f"{value.type.name}_"
    return value.name.removeprefix(prefix)
