"""Tells from the content of a message who sent it, where ports and SYN do not."""

from __future__ import annotations

from hashlib import sha1

from decoder.framing.header import HEADER, HEADER_LEN
from decoder.schema import PUSH_IDS
from decoder.vocabulary import Direction

__all__ = ["told_by_content"]

_REQUEST = (b"\x0a", b'{"c2s"')
_RESPONSE = (b"\x08", b'{"retType"', b'{"s2c"', b'{"retMsg"', b'{"errCode"')


def told_by_content(header: bytes, body: bytes) -> Direction | None:
    """Returns the direction of a message, of which `body` may be cut; None if its content does not tell.

    A request has one field, a message (0a); a response or push begins with retType (08) (source: recorded traffic).
    Pushes come from the gateway only.  A body whose bytes do not have the SHA-1 of the header may be encrypted.
    """
    if len(header) < HEADER_LEN:
        return None
    _, proto_id, _, _, _, size, digest, _ = HEADER.unpack(header)
    if proto_id in PUSH_IDS:
        return "s2c"
    if len(body) >= size and sha1(body[:size]).digest() != digest:
        return None
    return direction_of(body[:size])


def direction_of(plaintext: bytes) -> Direction | None:
    """Returns the direction that the first bytes of a body show; None if they show none."""
    if plaintext.startswith(_REQUEST):
        return "c2s"
    return "s2c" if plaintext.startswith(_RESPONSE) else None
