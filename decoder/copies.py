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

    __slots__ = ("_failed", "size")

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Bytes they take."""
        self._failed: set[tuple[int, int, int, tuple[Copy, ...]]] = set()  # choices that made no message

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
        self._failed.clear()

    def overlapping(self, start: int, end: int) -> list[Copy]:
        """Those of bytes between `start` and `end`."""
        return [copy for copy in self if copy.start < end and copy.end > start]

    def mend(
        self,
        buffer: Buffer,
        start: int,
        max_body: int,
        afford: Callable[[int], bool],
        proves: Callable[[Header, bytes], bool],
        keys: int,
    ) -> Header | None:
        """Put those copies into `buffer` that make a message of what begins at `start`; gives its header.

        No choice is tried twice with the same number of `keys`, so that it may be asked with every packet.
        """
        head = buffer.read(start, start + HEADER_LEN)
        if len(head) < HEADER_LEN:
            return None
        for choice in _choices(self.overlapping(start, buffer.end)):
            header: Header = HEADER.unpack(_patched(head, start, choice))
            end = start + HEADER_LEN + header[5]
            used = [copy for copy in choice if copy.start < end]
            trial = start, end, keys, tuple(used)
            if not used or end > buffer.end or not plausible(header, max_body) or trial in self._failed:
                continue
            if not afford(header[5]):
                continue
            self._failed.add(trial)
            data = buffer.read(start, end)
            other = _patched(data, start, used)
            if other != data and proves(header, other[HEADER_LEN:]):
                for copy in used:
                    if copy.contradicts(start, end):
                        buffer.replace(copy.start, copy.data[: end - copy.start], copy.numbers, copy.time_ns)
                self._failed.clear()
                return header
        return None


def _patched(data: bytes, start: int, copies: list[Copy]) -> bytes:
    """`data`, which stands at `start`, with `copies` put in."""
    other = bytearray(data)
    for copy in copies:
        skip = max(0, start - copy.start)
        at = max(0, copy.start - start)
        piece = copy.data[skip : skip + max(0, len(data) - at)]
        other[at : at + len(piece)] = piece
    return bytes(other)


def _choices(copies: list[Copy]) -> Iterator[list[Copy]]:
    """All copies first: of most damaged segments there is one good copy.  Then fewer and fewer; of many, each alone."""
    if len(copies) > _MAX_MIXED:
        yield copies
        yield from ([copy] for copy in copies)
        return
    for size in range(len(copies), 0, -1):
        for choice in combinations(copies, size):
            yield list(choice)
