"""Remembers connections that have not carried a byte yet, in a few dozen bytes each: a scan makes many of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from decoder.tcp.segment import SYN, Segment
from decoder.vocabulary import Arrival

__all__ = ["HALF_OPEN_COST", "HalfOpen"]

HALF_OPEN_COST = 320
"""Bytes of memory that one of them takes, with its place in a dict."""
_RECORD = struct.Struct("<?BIIQQ")  # sent by the one that sent first, flags, seq, ack, number, time
_MAX_RECORDS = 8
"""Packets kept of each: more than a handshake and its end take."""


class HalfOpen:
    """The packets without payload that were seen between two ends."""

    __slots__ = ("_records", "ordinal")

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        """Ordinal of the connection."""
        self._records = b""

    def add(self, forward: bool, segment: Segment) -> None:
        """Adds a packet, `forward` if it was sent by the end that sent the first one."""
        packets, time_ns = segment.arrival
        if len(self._records) < _MAX_RECORDS * _RECORD.size:
            flags = segment.flags & 0xFF
            self._records += _RECORD.pack(forward, flags, segment.seq, segment.ack, packets[-1], time_ns)

    def segments(self) -> Iterator[tuple[bool, Segment]]:
        """Yields its packets again."""
        for forward, flags, seq, ack, number, time_ns in _RECORD.iter_unpack(self._records):
            yield forward, Segment(seq, ack, flags, b"", 0, Arrival((number,), time_ns))

    def begins_another(self, segment: Segment) -> bool:
        """Returns True if `segment` is a SYN with another number behind the end of this connection."""
        if segment.flags & SYN == 0 or not self._records:
            return False
        seen = [each for _, each in self.segments()]
        return any(each.flags & 0x05 for each in seen) and all(each.seq != segment.seq for each in seen)
