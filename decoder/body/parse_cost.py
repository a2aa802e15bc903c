"""Bounds the memory that parsing a body would take, by scanning its tags.

Two bytes of a hostile body can become a message object of a kilobyte: a body of 32 MiB could take 8 GiB.  So a body
that is large enough to do harm is scanned first, which takes as much time as parsing and no memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from decoder.schema.fields import fields_of

if TYPE_CHECKING:
    from decoder.limits import Limits
    from decoder.schema.fields import Descriptor

__all__ = ["always_safe_size", "check_json", "check_protobuf"]

# Bytes of memory, measured with protobuf 5.26 to 7.36 and CPython 3.10 to 3.13; message and plain data exist together.
_MESSAGE, _MEMBER = 256, 16  # a message, and each field that its type declares
_TEXT, _NUMBER = 128, 64  # a text without its characters, a number
_OBJECT, _LIST, _PAIR, _ITEM = 512, 128, 128, 64  # of JSON
_WORST = 256  # the most that one byte of a body can take

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_SIZES = {"double": 8, "float": 4}  # bytes of an item of a packed list; other kinds take at least one
_CONTINUED = bytes(range(0x80, 0x100))  # bytes of a varint that are not its last one

_STRINGS = re.compile(rb'"[^"]*"?')  # after escaped quotes were removed
_LEVELS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class _Type(NamedTuple):
    """Holds what the scan needs of a message type."""

    cost: int
    """Bytes that an empty message takes."""
    inner: dict[int, Descriptor]
    """Types of its submessages, by field number."""
    scalars: dict[int, str]
    """Kinds of its other fields, by field number."""


_types: dict[Descriptor, _Type] = {}


def always_safe_size(limits: Limits) -> int:
    """Returns the length in bytes up to which no protobuf body can exceed a limit."""
    return limits.max_parsed // _WORST if limits.max_depth >= _SCHEMA_DEPTH else 0


def check_protobuf(data: bytes, descriptor: Descriptor, limits: Limits) -> str | None:
    """Returns the remark ``too-large`` or ``too-deep`` if `data`, of the type `descriptor`, exceeds a limit.

    None for bytes that are no message at all: parsing refuses them at once.
    """
    if len(data) <= always_safe_size(limits):
        return None
    try:
        return _scan(data, descriptor, limits.max_parsed, limits.max_depth)
    except IndexError:  # the bytes end in the middle of a field
        return None


def too_deep(data: bytes, descriptor: Descriptor, limits: Limits) -> str | None:
    """Returns the remark ``too-deep`` if protobuf refuses `data` for its nesting."""
    try:
        return _scan(data, descriptor, _ANY_COST, limits.max_depth)
    except IndexError:
        return None


_SCHEMA_DEPTH = 100  # levels of nesting; protobuf refuses deeper messages
_ANY_COST = 1 << 62  # no limit


def _scan(data: bytes, descriptor: Descriptor, max_cost: int, max_depth: int) -> str | None:
    within = _type(descriptor)
    cost, position, end = within.cost, 0, len(data)
    around: list[tuple[int, _Type]] = []  # open messages and groups: end, type
    while True:
        if position >= end:
            if not around or position > end:
                return None
            end, within = around.pop()
            continue
        tag = data[position]
        position += 1
        if tag > 0x7F:
            tag, position = _varint(data, position - 1)
        wire_type, number = tag & 7, tag >> 3
        if wire_type == _LENGTH:
            length = data[position]
            position += 1
            if length > 0x7F:
                length, position = _varint(data, position - 1)
            inner = within.inner.get(number)
            if inner is not None:
                if len(around) >= max_depth:
                    return _too_deep(max_depth)
                around.append((end, within))
                within = _type(inner)
                cost += within.cost
                if position + length > end:
                    return None
                end = position + length
            else:
                kind = within.scalars.get(number)
                if kind == "string" or kind == "bytes":
                    cost += _TEXT
                elif kind is not None:
                    packed = data[position : position + length]
                    size = _SIZES.get(kind)
                    cost += _NUMBER * (length // size if size else len(packed.translate(None, _CONTINUED)))
                position += length
        elif wire_type == _VARINT:
            while data[position] > 0x7F:
                position += 1
            position += 1
            if number in within.scalars:
                cost += _NUMBER
        elif wire_type in (_FIXED64, _FIXED32):
            position += 8 if wire_type == _FIXED64 else 4
            if number in within.scalars:
                cost += _NUMBER
        elif wire_type == _GROUP:
            if len(around) >= max_depth:
                return _too_deep(max_depth)
            around.append((end, within))
            within = _UNKNOWN
        elif wire_type == _END_GROUP and around and within is _UNKNOWN:
            end, within = around.pop()
        else:
            return None
        if cost > max_cost:
            return _too_large(max_cost)


_UNKNOWN = _Type(0, {}, {})


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise IndexError


def _type(descriptor: Descriptor) -> _Type:
    found = _types.get(descriptor)
    if found is None:
        fields = fields_of(descriptor)
        found = _types[descriptor] = _Type(
            _MESSAGE + _MEMBER * len(fields),
            {field.descriptor.number: field.message_type for field in fields if field.kind == "message"},
            {field.descriptor.number: field.kind for field in fields if field.kind != "message"},
        )
    return found


def check_json(data: bytes, limits: Limits) -> str | None:
    """Returns the remark ``too-large`` or ``too-deep`` if the JSON text `data` exceeds a limit."""
    if len(data) * _WORST > limits.max_parsed:
        objects, lists, pairs, items = map(data.count, (b"{", b"[", b":", b","))
        if objects * _OBJECT + lists * _LIST + pairs * _PAIR + items * _ITEM > limits.max_parsed:
            return _too_large(limits.max_parsed)
    if data.count(b"[") + data.count(b"{") <= limits.max_depth:
        return None
    unquoted = _STRINGS.sub(b"", data.replace(b"\\\\", b"").replace(b'\\"', b""))
    levels = unquoted.translate(_LEVELS, _NO_BRACKETS)
    allowed = 0  # brackets that may remain
    for _ in range(limits.max_depth + 1):
        inside = levels.replace(b"[]", b"")  # removes the innermost level
        if len(inside) == len(levels):
            allowed = limits.max_depth + 1  # unclosed brackets: the parser reports them
            break
        levels = inside
    return _too_deep(limits.max_depth) if levels.count(b"[") > allowed else None


def _too_large(limit: int) -> str:
    return f"too-large: parsed, it would take more than {limit >> 20:,} MiB"


def _too_deep(limit: int) -> str:
    return f"too-deep: nested more than {limit} levels deep"
