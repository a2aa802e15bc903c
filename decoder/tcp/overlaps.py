"""Conflicting copies: retransmitted bytes that differ from those that came first.

One of them is damaged, or somebody interferes.  The first copy counts until the SHA-1 of its message says
otherwise; so the others are kept until their message has come out.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Copy", "OverlapConflicts"]

_MAX_COPIES = 16
_MAX_BYTES = 256 * 1024
_EVERYWHERE = 1 << 62


class Copy(NamedTuple):
    """A later copy of the bytes at stream offset `start`, and the packet that brought it."""

    start: int
    data: bytes
    numbers: tuple[int, ...]
    time_ns: int
    differs: tuple[int, int] = (0, _EVERYWHERE)
    """Offsets of the first byte in which it differs from what came first, and behind the last one."""

    @property
    def end(self) -> int:
        """Offset behind its last byte."""
        return self.start + len(self.data)

    def contradicts(self, start: int, end: int) -> bool:
        """Whether it differs in bytes between these offsets."""
        return self.differs[0] < end and self.differs[1] > start


class OverlapConflicts(list[Copy]):
    """The conflicting copies of one direction whose bytes have not come out yet."""

    __slots__ = ("failed", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Bytes they take."""
        self.failed: set[tuple[int, int, int, tuple[Copy, ...]]] = set()
        """Combinations that made no message: start, end, number of keys, copies."""

    def add(self, copy: Copy) -> bool:
        """Keep a copy; True if it is new."""
        if copy in self:
            return False
        self.append(copy)
        self.size += len(copy.data)
        return True

    def compare(self, start: int, first: bytes, copy: bytes, numbers: tuple[int, ...], time_ns: int) -> bool:
        """Keep `copy` if it differs from `first`, which came before it for the bytes at `start`; True if it is kept."""
        if copy == first or len(self) >= _MAX_COPIES or self.size + len(copy) > _MAX_BYTES:
            return False
        differing = [at for at, (old, new) in enumerate(zip(first, copy, strict=True)) if old != new]
        differs = (start + differing[0], start + differing[-1] + 1)
        return self.add(Copy(start, copy, numbers, time_ns, differs))

    def forget(self, offset: int) -> None:
        """Forget those that end at `offset` or before."""
        self[:] = [copy for copy in self if copy.end > offset]
        self.size = sum(len(copy.data) for copy in self)
        self.failed.clear()

    def overlapping(self, start: int, end: int) -> list[Copy]:
        """Those of bytes between `start` and `end`."""
        return [copy for copy in self if copy.start < end and copy.end > start]
