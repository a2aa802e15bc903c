"""Enum values by name: the names to show and the names to accept."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from decoder.schema.annotations import annotation, bits_enum

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor, FieldDescriptor

EnumStyle = Literal["sdk", "proto", "number"]


def enum_names(enum: EnumDescriptor, style: EnumStyle) -> dict[int, str | int]:
    """What to show for each known number of an enum; a number that is not in it shows as itself.

    ``sdk``     the constant that the Python SDK documents, when it has one that is unique in the enum,
                else the proto name without its prefix
    ``proto``   the proto name
    ``number``  the number

    Of several names of one number the first declared, the current one, is shown.  Zero values that
    exist only because an open enum must have one are not known numbers.
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
    """Every accepted spelling of an enum's values and its number: proto, SDK and bare names.

    A spelling that would mean two numbers means the value that is shown so, else it is left out.
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


def bit_names(field: FieldDescriptor, style: EnumStyle) -> dict[int, str] | None:
    """What to show for each bit of an integer field that is a set of bits.

    None for any other field, and in style ``number``, where the integer is shown.
    """
    if style == "number":
        return None
    enum = bits_enum(field)
    return None if enum is None else {bit: str(name) for bit, name in enum_names(enum, style).items() if bit}


def gateway_values(enum: EnumDescriptor) -> list[EnumValueDescriptor]:
    """An enum's values without a zero of our own making."""
    return [value for value in enum.values if value.number or not annotation(value, "synthetic")]


def unique_sdk_names(enum: EnumDescriptor) -> dict[str, str]:
    """Proto name -> SDK constant, for the constants that name one value of the enum only."""
    names = {value.name: annotation(value, "sdk") for value in enum.values}
    count = Counter(names.values())
    return {name: sdk for name, sdk in names.items() if sdk and count[sdk] == 1}


def bare_name(value: EnumValueDescriptor) -> str:
    """The proto name without its enum's prefix: ``OrderStatus_Filled_All`` is ``Filled_All``."""
    prefix = annotation(value.type, "prefix") or f"{value.type.name}_"
    return value.name.removeprefix(prefix)
