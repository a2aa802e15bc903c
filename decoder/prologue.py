"""The start of a stream that the capture enters in the middle: packets may have overtaken each other there.

What arrives first sets the offsets; a packet that belongs before it would be lost.  So for a while the bytes
before the first header are kept, and earlier ones are joined to them as they come.
"""

from __future__ import annotations

from .reassembly import CHUNK_COST, Piece

__all__ = ["Prologue"]

_MAX_BYTES = 64 * 1024
_MAX_PIECES = 256


class Prologue:
    """What is known of a stream before its first header."""

    __slots__ = ("begin", "early", "number", "opening", "origin", "until")

    def __init__(self, number: int) -> None:
        self.number = number
        """Number of the packet that was seen first."""
        self.begin: int | None = None
        """Offset of the very first byte of the stream, once a late SYN told."""
        self.origin = 0
        """Offset of the first byte known."""
        self.opening: list[Piece] = []
        """The bytes from there to the first header."""
        self.until: int | None = None
        """Offset of the first header."""
        self.early: list[Piece] = []
        """Pieces before `origin` that do not join it."""

    @property
    def size(self) -> int:
        """Memory it takes."""
        pieces = self.opening + self.early
        return sum(len(piece.data) for piece in pieces) + CHUNK_COST * len(pieces)

    def keep(self, piece: Piece) -> None:
        """Keep bytes that no header was found in yet."""
        if piece.offset - self.origin < _MAX_BYTES and len(self.opening) < _MAX_PIECES:
            self.opening.append(piece)

    def join(self, piece: Piece) -> list[Piece]:
        """Take a piece from before `origin`; gives what now stands between the new origin and the old one."""
        if self.origin - piece.offset > _MAX_BYTES or len(self.early) >= _MAX_PIECES:
            return []
        self.early.append(piece)
        self.early.sort(key=lambda early: early.offset, reverse=True)
        run: list[Piece] = []
        rest: list[Piece] = []
        for early in self.early:
            offset, data = early.offset, early.data
            if self.begin is not None and offset < self.begin:
                data, offset = data[self.begin - offset :], self.begin
            if offset + len(data) < self.origin:
                rest.append(early)
            elif offset < self.origin:
                run.insert(0, early._replace(offset=offset, data=data[: self.origin - offset]))
                self.origin = offset
        self.early = rest
        return run
