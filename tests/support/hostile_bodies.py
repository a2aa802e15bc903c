"""Bodies that differ from what a protobuf library writes: valid in another form, odd, or broken."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.support.random_messages import random_message

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
Entry = tuple[int, int, bytes]
"""Number, wire type, and the bytes behind the tag (of a length-delimited field without the length)."""


def hostile_body(cls: Any, random: Random) -> bytes:
    """Returns a body of the class `cls` with random values, changed in a few places at any depth; or in none."""
    body: bytes = random_message(cls, random, random.choice((0.2, 0.6, 0.9))).SerializePartialToString()
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        body = _changed(body, cls.DESCRIPTOR, random)
    if random.random() < 0.1:
        body = body[: random.randrange(len(body) + 1)]
    return body


def varint(value: int) -> bytes:
    """Returns `value` as a varint; a negative one in ten bytes, as protobuf does."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entries(body: bytes) -> list[Entry] | None:
    """Returns the fields of a message; None if it is none."""
    found: list[Entry] = []
    position = 0
    try:
        while position < len(body):
            tag, position = _read_varint(body, position)
            number, wire_type = tag >> 3, tag & 7
            if wire_type == VARINT:
                _, end = _read_varint(body, position)
            elif wire_type == LENGTH:
                size, position = _read_varint(body, position)
                end = position + size
            else:
                end = position + {FIXED64: 8, FIXED32: 4}[wire_type]
            if end > len(body):
                return None
            found.append((number, wire_type, body[position:end]))
            position = end
    except (IndexError, KeyError):
        return None
    return found


def joined(fields: list[Entry]) -> bytes:
    """Returns the message that has these fields; the inverse of `entries`."""
    return b"".join(
        varint(number << 3 | wire_type) + (varint(len(data)) + data if wire_type == LENGTH else data)
        for number, wire_type, data in fields
    )


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _changed(body: bytes, descriptor: Any, random: Random) -> bytes:
    """Changes one place in a message, or in a message within it."""
    fields = entries(body)
    if not fields:
        return body + random.randbytes(random.randrange(4))
    place = random.randrange(len(fields))
    number, wire_type, data = fields[place]
    field = descriptor.fields_by_number.get(number)
    if field is not None and field.message_type is not None and wire_type == LENGTH and random.random() < 0.8:
        fields[place] = number, wire_type, _changed(data, field.message_type, random)
        return joined(fields)
    return random.choice(_CHANGES)(fields, place, random)


def _shuffled(fields: list[Entry], place: int, random: Random) -> bytes:
    random.shuffle(fields)
    return joined(fields)


def _moved(fields: list[Entry], place: int, random: Random) -> bytes:
    fields.insert(random.randrange(len(fields)), fields.pop(place))
    return joined(fields)


def _doubled(fields: list[Entry], place: int, random: Random) -> bytes:
    fields.insert(random.randrange(len(fields) + 1), fields[place])
    return joined(fields)


def _dropped(fields: list[Entry], place: int, random: Random) -> bytes:
    return joined([entry for i, entry in enumerate(fields) if i != place])


def _renumbered(fields: list[Entry], place: int, random: Random) -> bytes:
    _, wire_type, data = fields[place]
    fields[place] = random.choice((1, 2, 3, 15, 16, 127, 2047, 2048, 1 << 20, (1 << 29) - 1, 0)), wire_type, data
    return joined(fields)


def _other_value(fields: list[Entry], place: int, random: Random) -> bytes:
    """Another number (negative, of 64 bits, in more bytes than it needs), or text that is not UTF-8, or none."""
    number, wire_type, data = fields[place]
    if wire_type == VARINT:
        value = random.choice((0, 1, -1, 5, 999, 1 << 31, 1 << 32, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1))
        data = varint(value)
        if random.random() < 0.3:
            padding = random.randrange(1, 11)
            data = data[:-1] + bytes([data[-1] | 0x80]) + b"\x80" * (padding - 1) + random.choice((b"\0", b"\1"))
    elif wire_type == LENGTH:
        data = random.choice(
            (b"", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x9f\x92",
             "é\u202e\x1b\x7f\x00\"\\".encode(), random.randbytes(5), data * 2, b"\x80" * 3)
        )  # fmt: skip
    else:
        data = random.choice((b"\0", b"\xff", b"\x7f\xf0", b"\x01\x80"))[:1] * len(data)
    fields[place] = number, wire_type, data
    return joined(fields)


def _other_wire_type(fields: list[Entry], place: int, random: Random) -> bytes:
    number, _, data = fields[place]
    return joined(fields[:place]) + varint(number << 3 | random.randrange(8)) + data + joined(fields[place + 1 :])


def _packed(fields: list[Entry], place: int, random: Random) -> bytes:
    """The values of one number joined as a packed list, or a single value as one."""
    number, wire_type, _ = fields[place]
    values = b"".join(data for other, kind, data in fields if (other, kind) == (number, wire_type))
    rest = [entry for entry in fields if entry[:2] != (number, wire_type)]
    if random.random() < 0.3:
        rest.insert(place % (len(rest) + 1), fields[place])
    rest.insert(place % (len(rest) + 1), (number, LENGTH, values))
    return joined(rest)


def _grouped(fields: list[Entry], place: int, random: Random) -> bytes:
    number = random.choice((fields[place][0], 99))
    depth = random.choice((1, 1, 5, 120))
    begin, end = (
        varint(number << 3 | GROUP) * depth,
        varint(number << 3 | END_GROUP) * random.choice((depth, depth - 1)),
    )
    return joined(fields[:place]) + begin + joined(fields[place : place + 1]) + end + joined(fields[place + 1 :])


def _wrong_length(fields: list[Entry], place: int, random: Random) -> bytes:
    number, _, data = fields[place]
    size = random.choice(
        (len(data) + 1, max(0, len(data) - 1), 0, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)
    )
    return joined(fields[:place]) + varint(number << 3 | LENGTH) + varint(size) + data + joined(fields[place + 1 :])


def _long_tag(fields: list[Entry], place: int, random: Random) -> bytes:
    number, wire_type, data = fields[place]
    tag = varint(number << 3 | wire_type)
    tag = tag[:-1] + bytes([tag[-1] | 0x80]) + b"\x80" * random.randrange(8) + random.choice((b"\0", b"\1"))
    size = varint(len(data)) if wire_type == LENGTH else b""
    return joined(fields[:place]) + tag + size + data + joined(fields[place + 1 :])


def _nested(fields: list[Entry], place: int, random: Random) -> bytes:
    """A message within itself, deep."""
    number, _, data = fields[place]
    for _ in range(random.choice((2, 20, 110))):
        data = joined([(number, LENGTH, data)])
    fields[place] = number, LENGTH, data
    return joined(fields)


_CHANGES = (
    _shuffled, _moved, _doubled, _dropped, _renumbered, _other_value, _other_value, _other_wire_type, _packed, _grouped,
    _wrong_length, _long_tag, _nested,
)  # fmt: skip
