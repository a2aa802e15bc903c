"""Keeps overlap conflicts: retransmitted bytes that differ from those that came first.

One version is damaged, or somebody interferes.  The first version counts until the SHA-1 of its message says
otherwise; so the others are kept until their message has come out.
"""

from __future__ import annotations

from typing import NamedTuple

from decoder.vocabulary import Arrival

__all__ = ["Conflict", "OverlapConflicts"]

_MAX_CONFLICTS = 16
"""Later versions kept for one direction; more of them are ignored, and the first version stays."""
_MAX_BYTES = 256 * 1024
"""Bytes of all of them."""
_EVERYWHERE = 1 << 62


class Conflict(NamedTuple):
    """A later version of the bytes at stream offset `start`, and the packets that brought it."""

    start: int
    data: bytes
    arrival: Arrival
    differs: tuple[int, int] = (0, _EVERYWHERE)
    """Offsets of the first byte in which it differs from what came first, and behind the last one."""

    @property
    def end(self) -> int:
        """Offset behind its last byte."""
        return self.start + len(self.data)

    def contradicts(self, start: int, end: int) -> bool:
        """Returns True if it differs from the first version in bytes between these offsets."""
        return self.differs[0] < end and self.differs[1] > start


class OverlapConflicts(list[Conflict]):
    """The later versions of one direction whose bytes have not come out yet."""

    __slots__ = ("failed", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Bytes they take."""
        self.failed: set[tuple[int, int, int, tuple[Conflict, ...]]] = set()
        """Combinations that made no message: start, end, number of keys, versions."""

    def add(self, conflict: Conflict) -> bool:
        """Keeps a version; returns True if it is new."""
        if conflict in self:
            return False
        self.append(conflict)
        self.size += len(conflict.data)
        return True

    def compare(self, start: int, first: bytes, other: bytes, arrival: Arrival) -> bool:
        """Keeps `other` if it differs from `first`, which came before it for the same bytes; True if it is kept."""
        if other == first or len(self) >= _MAX_CONFLICTS or self.size + len(other) > _MAX_BYTES:
            return False
        differing = [at for at, (old, new) in enumerate(zip(first, other, strict=True)) if old != new]
        differs = (start + differing[0], start + differing[-1] + 1)
        return self.add(Conflict(start, other, arrival, differs))

    def forget(self, offset: int) -> None:
        """Forgets those that end at `offset` or before."""
        if not self:
            return
        self[:] = [conflict for conflict in self if conflict.end > offset]
        self.size = sum(len(conflict.data) for conflict in self)
        self.failed.clear()

    def overlapping(self, start: int, end: int) -> list[Conflict]:
        """Returns those of bytes between `start` and `end`."""
        return [conflict for conflict in self if conflict.start < end and conflict.end > start]
