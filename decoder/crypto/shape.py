"""Tells plaintext from ciphertext by the first bytes and outermost fields of a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.body import wire

if TYPE_CHECKING:
    from decoder.vocabulary import Direction

__all__ = ["has_message_shape", "looks_like_damaged_plaintext"]

_REQUEST = {1: wire.LENGTH}  # c2s
_RESPONSE = {1: wire.VARINT, 2: wire.LENGTH, 3: wire.VARINT, 4: wire.LENGTH}  # retType, retMsg, errCode, s2c
_RESPONSE_STARTS = (b"\x08\x00\x12", b"\x08\x00\x18", b"\x08\x00\x22")


def has_message_shape(direction: Direction, format: int, body: bytes) -> bool:
    """Returns True if the outermost fields are those of a request or response; one ciphertext in a million has them.

    A full parse gives the same answer, but takes a hundred times as long for a large body.
    """
    if format:
        return body[:1] == b"{"
    # As the official clients write them: a request is one field, and a response begins with retType 0.
    if direction == "c2s":
        if body[0] == 0x0A and body[1] == len(body) - 2:
            return True
    elif body.startswith(_RESPONSE_STARTS):
        return True
    known = _REQUEST if direction == "c2s" else _RESPONSE
    try:
        return bool(body) and all(known.get(number) == kind for number, kind, _, _ in wire.fields(body))
    except ValueError:
        return False


def looks_like_damaged_plaintext(direction: Direction, body: bytes) -> bool:
    """Returns True if an InitConnect body that does not parse is rather damaged plaintext than RSA.

    RSA blocks are random: half of their bytes have the high bit set, and their length is a multiple of 8.
    """
    if len(body) % 8:
        return True
    if body[:1] not in ((b"\x0a", b"{") if direction == "c2s" else (b"\x08", b"{")):
        return False
    return sum(byte >> 7 for byte in body) < 0.25 * len(body)  # 4 standard deviations for 512 bits
