"""Conflicting copies: retransmitted bytes that differ from those that came first.

One of them is damaged, or somebody interferes.  The first copy counts until the SHA-1 of its message says
otherwise; so the others are kept until their message has come out.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from .header import HEADER, HEADER_LEN, Header, plausible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .buffer import Buffer

__all__ = ["Copies", "Copy"]

_MAX_COPIES = 16
_MAX_BYTES = 256 * 1024
_EVERYWHERE = 1 << 62
_MAX_MIXED = 6  # copies in one message of which every choice is tried


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


class Copies(list[Copy]):
    """The conflicting copies of one direction whose bytes have not come out yet."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Bytes they take."""

    def add(self, copy: Copy) -> None:
        """Keep a copy, unless there are too many."""
        if len(self) < _MAX_COPIES and self.size + len(copy.data) <= _MAX_BYTES and copy not in self:
            self.append(copy)
            self.size += len(copy.data)

    def compare(self, start: int, first: bytes, copy: bytes, numbers: tuple[int, ...], time_ns: int) -> bool:
        """Keep `copy` if it differs from `first`, which came before it for the bytes at `start`; True if so."""
        if copy == first:
            return False
        differing = [at for at, (old, new) in enumerate(zip(first, copy, strict=True)) if old != new]
        differs = (start + differing[0], start + differing[-1] + 1)
        self.add(Copy(start, copy, numbers, time_ns, differs))
        return True

    def forget(self, offset: int) -> None:
        """Forget those that end at `offset` or before."""
        self[:] = [copy for copy in self if copy.end > offset]
        self.size = sum(len(copy.data) for copy in self)

    def overlapping(self, start: int, end: int) -> list[Copy]:
        """Those of bytes between `start` and `end`."""
        return [copy for copy in self if copy.start < end and copy.end > start]

    def patched(self, data: bytes, start: int) -> Iterator[tuple[bytes, list[Copy]]]:
        """`data`, which stands at `start`, with copies of its bytes put in: all of them, then other choices."""
        copies = self.overlapping(start, start + len(data))
        for choice in _choices(copies):
            other = bytearray(data)
            for copy in choice:
                skip = max(0, start - copy.start)
                at = max(0, copy.start - start)
                other[at : at + len(copy.data) - skip] = copy.data[skip : skip + len(data) - at]
            if other != data:
                yield bytes(other), choice

    def mend(self, buffer: Buffer, start: int, max_body: int, proves: Callable[[Header, bytes], bool]) -> Header | None:
        """Put those copies into `buffer` that make a message of what begins at `start`; gives its header."""
        for data, used in self.patched(buffer.read(start, buffer.end), start):
            if len(data) < HEADER_LEN:
                continue
            header: Header = HEADER.unpack_from(data)
            size = HEADER_LEN + header[5]
            if size <= len(data) and plausible(header, max_body) and proves(header, data[HEADER_LEN:size]):
                end = start + size
                for copy in used:
                    if copy.contradicts(start, end):
                        buffer.replace(copy.start, copy.data[: end - copy.start], copy.numbers, copy.time_ns)
                return header
        return None


def _choices(copies: list[Copy]) -> Iterator[list[Copy]]:
    """All copies first: of most damaged segments there is one good copy.  Then fewer and fewer; of many, each alone."""
    if len(copies) > _MAX_MIXED:
        yield copies
        yield from ([copy] for copy in copies)
        return
    for size in range(len(copies), 0, -1):
        for choice in combinations(copies, size):
            yield list(choice)
