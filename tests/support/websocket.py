"""WebSocket frames and what is in them, put together by hand (RFC 6455, RFC 7692, `base.js` of the official SDK)."""

from __future__ import annotations

import struct
import zlib

SIGN = b"ft-v1.0\0"
UPGRADE = (
    b"GET /?token=secret-token HTTP/1.1\r\nHost: 127.0.0.1:33333\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
DEFLATE = ACCEPTED[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
NO_TAKEOVER = (
    ACCEPTED[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; "
    b"server_no_context_takeover; server_max_window_bits=9\r\n\r\n"
)
MASK = bytes.fromhex("a1b2c3d4")


def ws(payload: bytes, opcode: int = 2, *, masked: bool = False, fin: bool = True, compressed: bool = False) -> bytes:
    """A frame."""
    first = opcode | (128 if fin else 0) | (64 if compressed else 0)
    size, bit = len(payload), 128 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = struct.pack(">BBH", first, bit | 126, size)
    else:
        head = struct.pack(">BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index & 3] for index, byte in enumerate(payload))


def request(cmd: int, section: int, body: bytes) -> bytes:
    """A message of the client."""
    return SIGN + struct.pack(">IQ", cmd, section) + body


def reply(cmd: int, section: int, body: bytes, error: int = 0, text: bytes = b"") -> bytes:
    """A message of the gateway."""
    return SIGN + struct.pack(">IQi20s", cmd, section, error, text) + body


class Deflater:
    """Compresses messages, each with those before it as a dictionary unless `takeover` is false."""

    def __init__(self, *, takeover: bool = True, window: int = 15) -> None:
        self._takeover, self._window = takeover, window
        self._compressor = zlib.compressobj(wbits=-window)

    def __call__(self, payload: bytes) -> bytes:
        if not self._takeover:
            self._compressor = zlib.compressobj(wbits=-self._window)
        data = self._compressor.compress(payload) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(b"\x00\x00\xff\xff")
