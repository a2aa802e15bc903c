"""Parses the headers of WebSocket frames (RFC 6455), and finds those with messages of this protocol in a stream."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from decoder.framing.header import HEADER, HEADER_LEN, begins_with_header
from decoder.framing.websocket_header import REQUEST_HEADER_LEN, SIGN

__all__ = [
    "ABSURD",
    "MAX_WINDOW",
    "FrameHead",
    "begins_compressed",
    "begins_message",
    "begins_with_frame",
    "find_frame",
    "frame_head",
    "payload_start",
]

ABSURD = 1 << 40
"""Bytes of a payload that nobody sends: what announces as much is no frame."""
MAX_WINDOW = 15
"""Window bits that inflate whatever the ends agreed on: a larger window reads what a smaller one wrote."""
_FRAME_STARTS = re.compile(rb"[\x02\x42\x82\xc2]")
"""First byte of a binary message: opcode 2, last fragment or not, compressed or not."""
_MAX_BODY = 1 << 31
"""Bytes of a body that a header inside a frame may announce; the frame's own length is checked."""
_PREFIX = HEADER_LEN
"""Bytes of a payload that show whether it is of this protocol."""


class FrameHead(NamedTuple):
    """The header of a frame."""

    first: int
    """Its first byte: flags and opcode."""
    size: int
    """Bytes of the header."""
    length: int
    """Bytes of the payload."""
    mask: bytes

    @property
    def total(self) -> int:
        """Bytes of the frame."""
        return self.size + self.length


def begins_with_frame(data: bytes) -> bool | None:
    """Returns, if `data` begins with a frame that begins a message of this protocol, True if a client sent it.

    None if there is no such frame.
    """
    if data[:1] and _FRAME_STARTS.match(data) and len(data) > 1:
        masked = data[1] >= 0x80
        if _is_ours(data, 0, masked):
            return masked
    return None


def begins_compressed(data: bytes, *, from_client: bool) -> bool:
    """Returns True if `data` looks like the start of a frame with a compressed message."""
    head = frame_head(data, 0)
    return head is not None and head.first & 0x7F in (0x41, 0x42) and bool(head.mask) == from_client and head.length > 1


def find_frame(buffer: bytes | bytearray, *, masked: bool) -> tuple[int, bool]:
    """Finds the first frame whose payload begins a message of this protocol.

    Returns its offset and true; or, if there is none, the offset from which on more bytes may make one, and false.
    """
    for match in _FRAME_STARTS.finditer(buffer):
        at = match.start()
        ours = _is_ours(buffer, at, masked)
        if ours or ours is None:
            return at, bool(ours)
    return len(buffer), False


def _is_ours(buffer: bytes | bytearray, at: int, masked: bool) -> bool | None:
    """Returns True if a frame of this protocol begins at `at`, None if more bytes must tell."""
    if at + 1 < len(buffer) and (buffer[at + 1] >= 0x80) != masked:
        return False
    head = frame_head(buffer, at)
    if head is None:
        return None
    compressed, fin = bool(head.first & 0x40), head.first >= 0x80
    if head.length >= ABSURD or (not compressed and fin and head.length < REQUEST_HEADER_LEN):
        return False  # longer than any message, or shorter
    needed = head.size + min(head.length, _PREFIX)
    if compressed and len(buffer) - at < needed:
        return None  # less might be inflated, and more then not
    data = payload_start(buffer, at, head)
    if data is None:
        return False
    if begins_message(data, head.length if fin and not compressed else None):
        return True
    may_become = SIGN.startswith(data[: len(SIGN)]) or data[:2] in (b"", b"F", b"FT")
    return None if len(buffer) - at < needed and may_become else False


def begins_message(data: bytes, length: int | None) -> bool:
    """Returns True if a payload begins a message of this protocol; `length` is that of the whole, if it is known."""
    if data.startswith(SIGN):
        return len(data) >= REQUEST_HEADER_LEN
    if not begins_with_header(data, _MAX_BODY):
        return False
    return length is None or length == HEADER_LEN + HEADER.unpack_from(data)[5]


def frame_head(buffer: bytes | bytearray, at: int) -> FrameHead | None:
    """Parses the header of the frame at `at`; returns None if that takes more bytes."""
    if at + 2 > len(buffer):
        return None
    first, second = buffer[at], buffer[at + 1]
    length = second & 0x7F
    end = at + (2 if length < 126 else 4 if length == 126 else 10)
    size = end - at + (4 if second & 0x80 else 0)
    if at + size > len(buffer):
        return None
    if length >= 126:
        length = int.from_bytes(buffer[at + 2 : end], "big")
    return FrameHead(first, size, length, bytes(buffer[end : at + size]))


def payload_start(buffer: bytes | bytearray, at: int, head: FrameHead) -> bytes | None:
    """Returns the first bytes of the payload of the frame at `at`, unmasked and inflated; None if they do not."""
    begin = at + head.size
    data = bytes(buffer[begin : begin + min(head.length, _PREFIX)])
    if head.mask:
        data = bytes(byte ^ head.mask[index & 3] for index, byte in enumerate(data))
    if not head.first & 0x40:
        return data
    try:
        return zlib.decompressobj(wbits=-MAX_WINDOW).decompress(data, _PREFIX)
    except zlib.error:
        return None
