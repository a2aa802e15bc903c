"""Defines a TCP segment as the reassembly handles it, and arithmetic on sequence numbers."""

from __future__ import annotations

from typing import NamedTuple

from decoder.vocabulary import Arrival

__all__ = ["ACK", "FIN", "RST", "SYN", "Segment", "signed_distance"]

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_MASK = 0xFFFFFFFF


class Segment(NamedTuple):
    """One TCP segment of a known direction."""

    seq: int
    ack: int
    flags: int
    payload: bytes
    missing: int
    """Bytes of payload that were on the wire but are not in the capture (snap length)."""
    arrival: Arrival

    @property
    def size(self) -> int:
        """Bytes of payload on the wire."""
        return len(self.payload) + self.missing


def signed_distance(seq: int, reference: int) -> int:
    """Returns how far `seq` lies after `reference` in the 32-bit sequence space, negative if before."""
    return ((seq - reference + 0x80000000) & _MASK) - 0x80000000
