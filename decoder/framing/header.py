"""The 44-byte header of every message, little-endian (source: the official Python SDK's struct format).

======  ====  ==============  =====================================================
offset  size  vendor's name   meaning
======  ====  ==============  =====================================================
0       2     szHeaderFlag    ``FT``
2       4     nProtoID        protocol id
6       1     nProtoFmtType   body format: 0 Protobuf, 1 JSON
7       1     nProtoVer       0 in every client seen
8       4     nSerialNo       serial number, pairs a response with its request
12      4     nBodyLen        length of the body on the wire (of the ciphertext, if any)
16      20    arrBodySHA1     SHA-1 of the body *before* encryption
36      8     arrReserved     zero in every client seen
======  ====  ==============  =====================================================
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "BODY_LEN",
    "DIGEST",
    "FORMAT",
    "FORMATS",
    "HEADER",
    "HEADER_LEN",
    "MAGIC",
    "PROTO_ID",
    "RESERVED",
    "SERIAL_NO",
    "Header",
    "begins_with_header",
    "may_begin_header",
    "plausible",
]

MAGIC = b"FT"
HEADER = struct.Struct("<2sIBBII20s8s")
HEADER_LEN = HEADER.size
RESERVED = bytes(8)
FORMATS = {0: "Protobuf", 1: "Json"}

Header = tuple[bytes, int, int, int, int, int, bytes, bytes]
"""magic, protocol id, body format, version, serial number, body length, SHA-1, reserved: as `HEADER` unpacks them."""

_LOWEST_ID = 1000
_HIGHEST_ID = 9999
"""Ids below 1000 belong to the WebSocket layer; the highest published is 3456, the rest is for releases to come."""

# Places of the fields in a `Header`, which stays a tuple as `struct` unpacks it: a named one costs 0.25 µs a message.
PROTO_ID: Final = 1
FORMAT: Final = 2
SERIAL_NO: Final = 4
BODY_LEN: Final = 5
DIGEST: Final = 6


def plausible(header: Header, max_body: int) -> bool:
    """Returns True if these 44 bytes may start a message where nothing else says that one starts here.

    Every client seen writes version 0 and zero reserved bytes, so a stream is only ever entered at such a header.
    """
    magic, proto_id, body_format, version, _, body_len, _, reserved = header
    return (
        magic == MAGIC
        and _LOWEST_ID <= proto_id <= _HIGHEST_ID
        and body_format <= 1
        and version == 0
        and body_len <= max_body
        and reserved == RESERVED
    )


def begins_with_header(data: bytes, max_body: int) -> bool:
    """Returns True if `data` begins with 44 bytes that may start a message."""
    return data[:2] == MAGIC and len(data) >= HEADER_LEN and plausible(HEADER.unpack_from(data), max_body)


def may_begin_header(data: bytes, max_body: int) -> bool:
    """Returns True if `data` is the beginning of a header that may start a message, or holds such a header."""
    if len(data) >= HEADER_LEN:
        return begins_with_header(data, max_body)
    return bool(data) and plausible(HEADER.unpack(data + _PLAUSIBLE[len(data) :]), max_body)


_PLAUSIBLE = HEADER.pack(MAGIC, 1280, 0, 0, 0, 0, bytes(20), RESERVED)
"""A header of which any beginning may be replaced by that of a plausible one (1280 is 0x0500: its low byte is free)."""
