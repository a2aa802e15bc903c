"""Defines the message that a framer is at: not all of its bytes came, or its length is not proven yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from decoder.framing.header import BODY_LEN, HEADER_LEN, Header
from decoder.vocabulary import Arrival

if TYPE_CHECKING:
    from decoder.framing.buffer import Buffer
    from decoder.framing.header_chains import HeaderChains

__all__ = ["FIRST_LOOK", "PendingFrame"]

FIRST_LOOK = 256 * 1024
"""Bytes of a message after which headers in it are looked for even if no packet begins with one."""


class PendingFrame:
    """Describes a message that did not come out yet, or whose length is not proven yet."""

    __slots__ = (
        "_latest",
        "_packets",
        "_time_ns",
        "certain",
        "chains",
        "emitted",
        "end",
        "header",
        "look_at",
        "reason",
        "start",
    )

    def __init__(self, header: Header, start: int, certain: bool) -> None:
        self.header = header
        self.start = start
        self.end = start + HEADER_LEN + header[BODY_LEN]
        self.certain = certain
        """True if its header is where one must be; else it counts only if another stands where it ends."""
        self.emitted = False
        """True once it came out."""
        self.reason: str | None = None
        """Reason why bytes of it are missing; None if none are."""
        self.chains: HeaderChains | None = None
        """Headers in it, once they are looked for: its length may be wrong."""
        self.look_at = FIRST_LOOK
        """Bytes at hand with which they are looked for next."""
        # Of the bytes before the last hole in it:
        self._packets: set[int] = set()
        self._latest = -1
        self._time_ns = 0

    @property
    def arrival(self) -> Arrival:
        """The packets that brought the bytes noted by `keep_origin`."""
        return Arrival(tuple(sorted(self._packets)), self._time_ns)

    def keep_origin(self, buffer: Buffer, end: int | None = None) -> None:
        """Notes which packets brought those bytes of it that are in the buffer (before `end`)."""
        start, end = max(self.start, buffer.base), min(self.end if end is None else end, buffer.end)
        if start < end:
            arrival = buffer.origin(start, end)
            if max(arrival.packets) > self._latest:
                self._latest = max(arrival.packets)
                self._time_ns = arrival.time_ns
            self._packets.update(arrival.packets)
