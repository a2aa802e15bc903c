"""Builds a WebSocket connection anew (RFC 6455): its upgrade, and a frame for each message; nothing is compressed."""

from __future__ import annotations

import struct

__all__ = ["build_frame", "build_upgrade"]

_BINARY, _FIN, _MASKED = 0x02, 0x80, 0x80
_NO_MASK = bytes(4)
"""Masking key of a client's frame: RFC 6455 asks for one, and this one leaves the bytes as they are."""
_UPGRADE = (
    "GET / HTTP/1.1\r\n"
    "Host: {}\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: b3BlbmR1bXAgcmV3cml0ZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n"
)
_ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: b2IPyEkyWcPwLCkZtctWzYTRKQs=\r\n"
    b"\r\n"
)


def build_upgrade(gateway: str) -> tuple[bytes, bytes]:
    """Builds the upgrade from HTTP and the answer to it.

    :param gateway: address and port of the gateway
    """
    return _UPGRADE.format(gateway).encode(), _ACCEPTED


def build_frame(payload: bytes, absent: int = 0, *, from_client: bool) -> bytes:
    """Builds the frame of a binary message that goes on for `absent` bytes after `payload`."""
    length = len(payload) + absent
    bit = _MASKED if from_client else 0
    first = _FIN | _BINARY
    if length < 126:
        head = bytes((first, bit | length))
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, bit | 126, length)
    else:
        head = struct.pack(">BBQ", first, bit | 127, length)
    return head + (_NO_MASK if from_client else b"") + payload
