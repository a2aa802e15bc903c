"""The bytes by which a secret could be found in a file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress


def spellings(value: str) -> Iterator[bytes]:
    """The bytes by which a value could be found: as text, as hex, in base64 at each of the three places in a triple."""
    data = value.encode()
    yield from (data, data.hex().encode(), data.hex().upper().encode())
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data + bytes(-(shift + len(data)) % 3))
        yield encoded[4 if shift else 0 : len(encoded) - 4]
    if value.isascii() and value.isalnum() and len(value) % 2 == 0 and value[:6] != "000000":
        with suppress(ValueError):
            yield bytes.fromhex(value)
    if value.isdecimal() and value[0] != "0" and len(value) > 5 and int(value) < 2**64:
        number, varint = int(value), bytearray()
        while number > 127:
            varint.append(number & 127 | 128)
            number >>= 7
        yield bytes((*varint, number))
        yield int(value).to_bytes(8, "little")
        yield int(value).to_bytes(8, "big")
