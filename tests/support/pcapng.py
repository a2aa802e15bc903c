"""Puts pcapng blocks together by hand (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct

NOW = 1_700_000_000_123_456_789


def block(kind: int, body: bytes, endian: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(endian + "II", kind, 12 + len(body)) + body + struct.pack(endian + "I", 12 + len(body))


def section(endian: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(endian + "IHHq", 0x1A2B3C4D, 1, 0, -1), endian)


def option(code: int, value: bytes, endian: str = "<") -> bytes:
    return struct.pack(endian + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(linktype: int = 1, *options: bytes, endian: str = "<", snaplen: int = 0) -> bytes:
    return block(1, struct.pack(endian + "HHI", linktype, 0, snaplen) + b"".join(options), endian)


def packet(ticks: int, data: bytes = b"data", index: int = 0, endian: str = "<", wire: int = 99) -> bytes:
    """An Enhanced Packet Block."""
    head = struct.pack(endian + "IIIII", index, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    return block(6, head + data + bytes(-len(data) % 4), endian)


def obsolete_packet(ticks: int, data: bytes = b"data", index: int = 0, endian: str = "<", wire: int = 99) -> bytes:
    head = struct.pack(endian + "HHIIII", index, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    return block(2, head + data + bytes(-len(data) % 4), endian)
