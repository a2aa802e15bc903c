"""Shows a body without its schema: the fields of a protobuf message by number, or the text of a JSON body.

The record has this view in its `raw` key.  The protobuf wire format does not say what a length-delimited field
is, so ``string``, ``message`` and ``bytes`` are guesses: printable text first (a message of the
vendor starts with a tag below 0x20, which no text does), then a message if every byte of it fits,
then text with line breaks, then bytes.

Input is hostile: the views end, take bounded memory and raise nothing.
Source of the format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import unpack
from typing import Any
from unicodedata import category

from decoder.body.scalars import plain_double, plain_float

__all__ = ["fields", "text_view", "wire_view"]

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
_REST = 256
"""Bytes shown of the part that could not be read."""
_GROUP_FIELDS = 10_000
"""Fields read to find the end of a group; with nested groups they are read once for each level."""
_EXACT = 1 << 53
"""Numbers from here on are written as strings: JSON readers that use doubles would round them."""


def wire_view(
    data: bytes, *, max_fields: int = 1_000, max_depth: int = 16, max_bytes: int = 65_536
) -> list[dict[str, Any]]:
    """Returns the fields of the protobuf message `data` as plain data for a JSON writer.

    Each field is ``{"field": number, "type": …, "value": …}`` with type ``varint``, ``fixed64``,
    ``fixed32``, ``string``, ``message``, ``group`` or ``bytes`` (in hex).  A varint of 2**63 and more has its
    negative reading beside it (``signed``), a fixed value its reading as a floating-point number
    (``double``, ``float``).  Where reading stops early, the last entry is ``{"error": why, …}``.

    `max_fields` bounds the entries at all levels together, `max_depth` the nesting, `max_bytes` the
    part of `data` that is read.
    """
    view = _View(max_fields, max_depth).message(data[:max_bytes], 1)
    if len(data) > max_bytes:
        view.append({"error": f"only the first {max_bytes} of {len(data)} bytes are shown"})
    return view


def text_view(data: bytes, *, max_bytes: int = 65_536) -> str:
    r"""Returns the JSON text `data`; control characters except line feed and tab show as ``\x1b`` or ``\u202e``."""
    text = data[:max_bytes].decode("utf-8", "replace")
    safe = "".join(c if c in "\n\t" or category(c) not in _CONTROLS else _escaped(c) for c in text)
    return safe if len(data) <= max_bytes else f"{safe}… ({len(data)} bytes)"


_CONTROLS = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else f"\\x{ord(character):02x}"


def fields(data: bytes) -> Iterator[tuple[int, int, int, Any]]:
    """Yields number, wire type, end offset and value (an int, or the bytes of a length-delimited field) of each field.

    Raises ValueError, with the reason, at the first byte that is not part of a protobuf message.
    """
    position = 0
    size = len(data)
    while position < size:
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"field number {number} is not allowed")
        value: Any
        if wire_type == GROUP:
            start = position
            stop, position = _end_of_group(data, start, number)
            value = data[start:stop]
        else:
            value, position = _value(data, position, number, wire_type)
        yield number, wire_type, position, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + 10]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + shift // 7
    raise ValueError("varint is cut short" if shift < 70 else "varint is longer than 10 bytes")


def _value(data: bytes, position: int, number: int, wire_type: int) -> tuple[Any, int]:
    if wire_type == VARINT:
        return _varint(data, position)
    if wire_type == LENGTH:
        length, position = _varint(data, position)
    elif wire_type in (FIXED64, FIXED32):
        length = 8 if wire_type == FIXED64 else 4
    else:
        raise ValueError(f"field {number} has wire type {wire_type}, which cannot stand here")
    end = position + length
    if end > len(data):
        raise ValueError(f"field {number} wants {length} bytes, {len(data) - position} are there")
    value = data[position:end]
    return (value if wire_type == LENGTH else int.from_bytes(value, "little")), end


def _end_of_group(data: bytes, position: int, number: int) -> tuple[int, int]:
    """Returns the offset after the content of the group `number`, which begins at `position`, and after its end tag."""
    numbers = [number]
    for _ in range(_GROUP_FIELDS):
        if position >= len(data):
            break
        stop = position
        tag, position = _varint(data, position)
        if tag & 7 == GROUP:
            numbers.append(tag >> 3)
        elif tag & 7 == END_GROUP:
            if numbers.pop() != tag >> 3:
                break
            if not numbers:
                return stop, position
        else:
            position = _value(data, position, tag >> 3, tag & 7)[1]
    raise ValueError(f"group {number} has no end in sight")


class _View:
    def __init__(self, max_fields: int, max_depth: int) -> None:
        self._left = max_fields
        self._max_depth = max_depth

    def message(self, data: bytes, depth: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        position = 0
        try:
            for number, wire_type, end, value in fields(data):
                if self._left <= 0:
                    raise ValueError("too many fields to show")
                self._left -= 1
                entries.append({"field": number, **self._entry(wire_type, value, depth)})
                position = end
        except ValueError as error:
            rest = data[position:]
            entries.append({"error": str(error), "offset": position, "rest": rest[:_REST].hex(), "rest_len": len(rest)})
        return entries

    def _entry(self, wire_type: int, value: Any, depth: int) -> dict[str, Any]:
        if wire_type == VARINT:
            entry = {"type": "varint", "value": _number(value)}
            if value >= 1 << 63:
                entry["signed"] = value - (1 << 64)
            return entry
        if wire_type == FIXED64:
            double = unpack("<d", value.to_bytes(8, "little"))[0]
            return {"type": "fixed64", "value": _number(value), "double": plain_double(double)}
        if wire_type == FIXED32:
            single = unpack("<f", value.to_bytes(4, "little"))[0]
            return {"type": "fixed32", "value": value, "float": plain_float(single)}
        if wire_type == GROUP:
            if depth < self._max_depth:
                return {"type": "group", "value": self.message(value, depth + 1)}
            return {"type": "bytes", "value": value.hex()}
        text = _text(value)
        if text is not None and text.isprintable():
            return {"type": "string", "value": text}
        if depth < self._max_depth and self._is_message(value):
            return {"type": "message", "value": self.message(value, depth + 1)}
        if text is not None:
            return {"type": "string", "value": text}
        return {"type": "bytes", "value": value.hex()}

    def _is_message(self, data: bytes) -> bool:
        """Returns True if `data` parses as fields, as far as it would be shown."""
        try:
            for _ in islice(fields(data), self._left + 1):
                pass
        except ValueError:
            return False
        return True


def _number(value: int) -> int | str:
    return value if value < _EXACT else str(value)


def _text(data: bytes) -> str | None:
    """Returns `data` as text if it is UTF-8 without control characters other than tab and line breaks."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if any(c not in "\t\n\r" and category(c) in _CONTROLS for c in text) else text
