"""Parses and builds the headers inside WebSocket messages (source: `base.js` of the official JavaScript SDK)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["REPLY_HEADER_LEN", "REQUEST_HEADER_LEN", "SIGN", "WebSocketHeader", "build_header", "read_header"]

SIGN = b"ft-v1.0\0"
"""First bytes of every message of the official framing."""
# Big-endian.
_REQUEST = struct.Struct(">8sIQ")
_REPLY = struct.Struct(">8sIQi20s")
REQUEST_HEADER_LEN = _REQUEST.size
REPLY_HEADER_LEN = _REPLY.size


class WebSocketHeader(NamedTuple):
    """The header of a message of the official framing."""

    size: int
    """Its bytes: 20 from the client, 44 from the gateway."""
    cmd: int
    """Protocol id; ids under 100 belong to the WebSocket layer."""
    section: int
    """Number of the request, which its reply repeats; 0 in a push."""
    error: int
    """Of a reply: 0, 1 no answer from OpenD, 2 OpenD's own time-out, 3 link to OpenD lost."""
    text: bytes
    """Of a reply: what `error` means, UTF-8."""

    @property
    def told_error(self) -> dict[str, int | str] | None:
        """The error for the record, ``{"code": …, "message": …}``; None if there is none."""
        if not self.error:
            return None
        # The field has 20 bytes, so a longer text may end inside a character.
        return {"code": self.error, "message": self.text.decode("utf-8", "replace").rstrip("\ufffd")}


def read_header(data: bytes, from_client: bool) -> WebSocketHeader | None:
    """Parses the start of a WebSocket message; returns None if it is not one of the official framing."""
    size = REQUEST_HEADER_LEN if from_client else REPLY_HEADER_LEN
    if len(data) < size or not data.startswith(SIGN):
        return None
    if from_client:
        _, cmd, section = _REQUEST.unpack_from(data)
        return WebSocketHeader(size, cmd, section, 0, b"")
    _, cmd, section, error, text = _REPLY.unpack_from(data)
    return WebSocketHeader(size, cmd, section, error, text.rstrip(b"\0"))


def build_header(cmd: int, section: int, error: Mapping[str, int | str] | None, *, from_client: bool) -> bytes:
    """Builds the header of a request, or of a reply with the error that `told_error` returned."""
    if from_client:
        return _REQUEST.pack(SIGN, cmd, section)
    code, text = (0, "") if error is None else (int(error["code"]), str(error["message"]))
    return _REPLY.pack(SIGN, cmd, section, code, text.encode())  # what is longer than the field is cut
