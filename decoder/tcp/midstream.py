"""The start of a stream that the capture enters in the middle: packets may have overtaken each other there.

What arrives first sets the offsets; a packet that belongs before it would be lost.  So for a while the bytes
before the first header are kept, and earlier ones are joined to them as they come.
"""

from __future__ import annotations

from decoder.tcp.reassembly import CHUNK_COST, Block, Hole, Stream

__all__ = ["MidstreamStart"]

_MAX_BYTES = 64 * 1024
_MAX_PIECES = 256


class MidstreamStart:
    """What is known of a stream before its first header."""

    __slots__ = ("begin", "early", "number", "opening", "origin", "until")

    def __init__(self, number: int) -> None:
        self.number = number
        """Number of the packet that was seen first."""
        self.begin: int | None = None
        """Offset of the very first byte of the stream, once a late SYN told."""
        self.origin = 0
        """Offset of the first byte known."""
        self.opening: list[Block] = []
        """The bytes from there to the first header."""
        self.until: int | None = None
        """Offset of the first header."""
        self.early: list[Block] = []
        """Pieces before `origin` that do not join it."""

    @property
    def size(self) -> int:
        """Memory it takes."""
        pieces = self.opening + self.early
        return sum(len(piece.data) for piece in pieces) + CHUNK_COST * len(pieces)

    def keep(self, piece: Block) -> None:
        """Keep bytes that no header was found in yet."""
        if piece.offset - self.origin < _MAX_BYTES and len(self.opening) < _MAX_PIECES:
            self.opening.append(piece)

    def join(self, piece: Block) -> list[Block]:
        """Take a piece from before `origin`; gives what now stands between the new origin and the old one."""
        if self.origin - piece.offset > _MAX_BYTES or len(self.early) >= _MAX_PIECES:
            return []
        self.early.append(piece)
        origin = self.origin
        for early in sorted(self.early, key=lambda early: early.offset, reverse=True):
            if early.offset + len(early.data) >= origin:
                origin = min(origin, early.offset)
        if self.begin is not None:
            origin = max(origin, self.begin)
        if origin >= self.origin:
            return []
        run = _in_order(self.early, origin, self.origin)
        self.early = [early for early in self.early if early.offset < origin]
        self.origin = origin
        return [piece for piece in run if isinstance(piece, Block)]

    def rest(self) -> list[Block | Hole]:
        """What came early and never joined, and the holes in it."""
        if not self.early:
            return []
        start = self.begin if self.begin is not None else min(piece.offset for piece in self.early)
        return _in_order(self.early, start, self.origin)


def _in_order(pieces: list[Block], start: int, end: int) -> list[Block | Hole]:
    """The bytes from `start` to `end` and the holes in them; of several copies in `pieces` that which came first."""
    stream = Stream()
    stream.start(start)
    found: list[Block | Hole] = []
    for offset, data, numbers, time_ns in pieces:
        found += stream.push(offset, data[: max(0, end - offset)], 0, numbers, time_ns, _MAX_BYTES * _MAX_PIECES)
    stream.fin = end - start
    return [each._replace(offset=start + each.offset) for each in (*found, *stream.finish(0))]
