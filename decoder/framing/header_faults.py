"""Names what is wrong with a header that a client wrote almost right.

A stream whose first header is not plausible counts as other traffic.  Authors of SDKs in other languages need to
know more: their header is big-endian, padded by the compiler, or has a field set that must be zero.
"""

from __future__ import annotations

import struct
from hashlib import sha1

from decoder.framing.header import HEADER, HEADER_LEN, MAGIC, RESERVED, Header

__all__ = ["header_fault", "length_counts_header", "length_fault", "unconfirmed_header"]

_LAYOUTS = {
    HEADER: "",
    struct.Struct(">2sIBBII20s8s"): "its numbers are big-endian; OpenD reads little-endian",
    struct.Struct("<2s2xIBB2xII20s8s"): "its fields are padded to 48 bytes; pack the struct to 44",
    struct.Struct(">2s2xIBB2xII20s8s"): "its numbers are big-endian and its fields padded to 48 bytes; "
    "OpenD reads 44 bytes, little-endian",
}
_IDS = range(1000, 10_000)
_MAX_BODY = 128 * 1024 * 1024
"""Longest body, in bytes, that a misread length may give: open clients guard at 10 to 100 MB."""
_BODY_STARTS = (b"\x0a", b"\x08", b"{")
"""First bytes of a request, a response and a JSON body."""


def header_fault(first_bytes: bytes) -> str | None:
    """Returns what is wrong with the header at the start of a stream; None if it is no header, or a right one.

    :param first_bytes: the first 44 to 64 bytes that one end sent
    """
    if first_bytes[:2] != MAGIC:
        return _magic_fault(first_bytes)
    for layout, fault in _LAYOUTS.items():
        if len(first_bytes) < layout.size:
            continue
        _, proto_id, body_format, version, _, body_len, digest, reserved = layout.unpack_from(first_bytes)
        if proto_id not in _IDS or body_len > _MAX_BODY:
            continue
        faults = [fault] if fault else []
        if body_format > 1:
            faults.append(f"its body format is {body_format}; 0 is Protobuf, 1 is JSON")
        if version:
            faults.append(f"its version is {version}; OpenD's is 0")
        if reserved != RESERVED:
            faults.append(_reserved_fault(first_bytes, layout.size, body_len, digest))
        return "; ".join(faults) or None
    return None


def length_fault(first_bytes: bytes, sent: int) -> str | None:
    """Returns what is wrong with a length that counts the header's own bytes; None if nothing says that it does.

    :param first_bytes: the first bytes of a stream in which no message was found
    :param sent: bytes of the stream
    """
    body_len = _plain_length(first_bytes)
    if body_len is None or sent != body_len:
        return None
    return "its length counts the header's own 44 bytes; OpenD reads the length of the body alone"


def unconfirmed_header(first_bytes: bytes, sent: int) -> str | None:
    """Returns what there is of a message at the start of a stream in which none was found; None if there is nothing.

    The parameters are those of `length_fault`.
    """
    if 8 <= sent < HEADER_LEN and first_bytes[:2] == MAGIC and int.from_bytes(first_bytes[2:6], "little") in _IDS:
        return f"it begins like the header of a message, of which {sent} of {HEADER_LEN} bytes came"
    body_len = _plain_length(first_bytes)
    if body_len is None:
        return None
    if sent < HEADER_LEN + body_len:
        return f"its only message is not complete: {sent - HEADER_LEN:,} of {body_len:,} bytes of the body came"
    return "it begins like a message, and nothing proves that it is one"


def _plain_length(first_bytes: bytes) -> int | None:
    """Returns the length in the header at the start of a stream; None if it is not one of OpenD's in every field."""
    if len(first_bytes) < HEADER_LEN:
        return None
    magic, proto_id, body_format, version, _, body_len, _, reserved = HEADER.unpack_from(first_bytes)
    plain = magic == MAGIC and proto_id in _IDS and body_format < 2 and not version and reserved == RESERVED
    return body_len if plain and body_len <= _MAX_BODY else None


def _magic_fault(first_bytes: bytes) -> str | None:
    if len(first_bytes) < HEADER_LEN or first_bytes[:2] not in (b"TF", b"ft", b"Ft", b"fT"):
        return None
    _, proto_id, _, _, _, body_len, _, _ = HEADER.unpack_from(first_bytes)
    if proto_id not in _IDS or body_len > _MAX_BODY:
        return None
    return f"it begins with {first_bytes[:2].decode()}; OpenD expects the two letters FT"


def _reserved_fault(first_bytes: bytes, size: int, body_len: int, digest: bytes) -> str:
    """Tells reserved bytes that are set from reserved bytes that are missing, so that the body stands there."""
    start = size - len(RESERVED)
    body = first_bytes[start : start + body_len]
    whole = 0 < body_len == len(body)
    if sha1(body).digest() == digest if whole else body.startswith(_BODY_STARTS):
        return "its 8 reserved bytes are missing"
    return "its reserved bytes are set; they must be zero"


def length_counts_header(header: Header, following: bytes) -> bool:
    """Returns True if the length in `header` includes the 44 bytes of the header itself.

    :param following: the bytes after the header, at least as many as the body has
    """
    _, _, _, _, _, body_len, digest, _ = header
    size = body_len - HEADER_LEN
    return 0 <= size <= len(following) and sha1(following[:size]).digest() == digest
