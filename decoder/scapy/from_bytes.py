# SPDX-License-Identifier: GPL-2.0-or-later

"""Makes a `Message` from the bytes of one packet, without a session: nothing is decrypted."""

from __future__ import annotations

import hashlib

from decoder import schema
from decoder.framing.header import BODY_LEN, DIGEST, HEADER, HEADER_LEN, PROTO_ID
from decoder.message import Flow, Message
from decoder.vocabulary import INIT_CONNECT, Direction, Kind

__all__ = ["message_of"]


def message_of(data: bytes, src: str, dst: str, direction: Direction, time_ns: int) -> Message:
    """Returns the message whose header and body, as far as they are there, are `data`."""
    header = HEADER.unpack_from(data)
    body = data[HEADER_LEN:]
    plaintext, encryption, verdict, reason = _judge(header[PROTO_ID], header[BODY_LEN], header[DIGEST], body)
    kind: Kind = "push" if schema.is_push(header[PROTO_ID]) else "request" if direction == "c2s" else "response"
    flow = Flow(0, direction, src, dst)
    return Message(flow, header, time_ns, (), kind, plaintext, encryption, verdict, reason, None)


def _judge(proto_id: int, length: int, sha1: bytes, body: bytes) -> tuple[bytes | None, str, str, str | None]:
    """Plaintext, encryption, verdict and reason."""
    if len(body) < length:
        return None, "unknown", "unverified", "truncated"
    if len(body) == length and hashlib.sha1(body).digest() == sha1:
        return body, "None", "verified", None
    return None, "unknown", "unverified", "no-key" if proto_id == INIT_CONNECT else "handshake-missing"
