"""Counts how long something is waited for: in packets of its connection, and in time of the capture."""

from __future__ import annotations

__all__ = ["OVERTAKEN", "Wait"]

OVERTAKEN = 16
"""Packets by which the acknowledgement of some bytes may overtake them, or another version of them."""


class Wait:
    """A wait for the bytes at one place of a stream, or for a better version of them."""

    __slots__ = ("acknowledged", "offset", "packets", "since_ns")

    def __init__(self, offset: int, now_ns: int) -> None:
        self.offset = offset
        """Place in the stream."""
        self.since_ns = now_ns
        """Time of the packet with which it began."""
        self.packets = 0
        """Packets since."""
        self.acknowledged = 0
        """Those of them since the bytes are acknowledged."""

    def count(self, *, acknowledged: bool) -> None:
        """Counts a packet."""
        self.packets += 1
        self.acknowledged = self.acknowledged + 1 if acknowledged else 0
