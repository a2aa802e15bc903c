"""Reassembles IP datagrams from their fragments."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

__all__ = ["Datagram", "Fragments"]

_OVERHEAD = 200
"""Bytes that Python itself needs for one fragment, about: many small ones count for what they cost."""
_MAX_DATAGRAM = 65_535
"""Bytes of the longest IP datagram."""
_MAX_PIECES = 1_400
"""Fragments of one datagram that are kept; the smallest MTU that IPv4 allows makes 1,366 of the longest datagram."""
_LIFETIME = 30_000
"""Packets after which an incomplete datagram is given up: its identification may be used again by then."""


class Datagram(NamedTuple):
    """Holds the payload of an IP datagram that was sent in fragments."""

    protocol: int
    data: bytes
    """Its bytes up to the first one that was not captured."""
    length: int
    """Its length on the wire."""
    frames: tuple[int, ...]
    """Numbers of the packets that its bytes come from, in order of arrival."""


class _Partial:
    """Collects the fragments of one datagram."""

    __slots__ = ("covered", "frames", "length", "pieces", "protocol", "size")

    def __init__(self) -> None:
        self.protocol = 0
        self.frames: list[int] = []
        # Start, end and captured bytes of what was received; sorted, without overlap.
        self.pieces: list[tuple[int, int, bytes]] = []
        self.covered = 0
        self.length: int | None = None
        self.size = _OVERHEAD

    def add(self, start: int, end: int, data: bytes, frames: tuple[int, ...]) -> None:
        """Adds the bytes of a fragment that were not received before: the first copy wins."""
        pieces = self.pieces
        at = bisect_left(pieces, (start,))
        if at and pieces[at - 1][1] > start:
            at -= 1
        position = start
        while position < end:
            if at < len(pieces) and pieces[at][0] <= position:
                position = max(position, pieces[at][1])
            else:
                stop = min(end, pieces[at][0]) if at < len(pieces) else end
                fresh = data[position - start : stop - start]
                pieces.insert(at, (position, stop, fresh))
                self.covered += stop - position
                self.size += len(fresh) + _OVERHEAD
                self.frames += frames
                position = stop
            at += 1

    def complete(self) -> Datagram | None:
        """Returns the datagram once no fragment is missing, else None."""
        if self.length is None or self.covered < self.length:
            return None
        captured = []
        for start, end, data in self.pieces:
            captured.append(data)
            if len(data) < end - start:
                break
        return Datagram(self.protocol, b"".join(captured), self.length, tuple(dict.fromkeys(self.frames)))


class Fragments:
    """Reassembles IP datagrams, of a bounded number and size; the oldest is given up for a new one.

    :ivar evicted: datagrams that were given up before they were complete
    """

    def __init__(self, max_datagrams: int, max_bytes: int) -> None:
        self.evicted = 0
        self._max_datagrams = max_datagrams
        self._max_bytes = max_bytes
        self._bytes = 0
        self._partials: dict[bytes, _Partial] = {}

    def add(
        self, key: bytes, protocol: int, offset: int, more: bool, data: bytes, length: int, frames: tuple[int, ...]
    ) -> Datagram | None:
        """Adds one fragment; returns the datagram if it completes one.

        :param key: addresses and identification, for IPv4 also the protocol: the same for all fragments of a datagram
        :param offset: where its payload belongs, in bytes
        :param more: True if more fragments follow
        :param data: its payload as captured, `length` bytes of it on the wire
        """
        end = offset + length
        if length <= 0 or end > _MAX_DATAGRAM or (more and length & 7):
            return None
        partial = self._partials.get(key)
        if partial is not None and frames[0] - partial.frames[0] > _LIFETIME:
            self._give_up(key)
            partial = None
        if partial is None:
            partial = self._partials[key] = _Partial()
            self._bytes += partial.size
        size = partial.size
        if partial.length is not None and end > partial.length:
            return None
        partial.add(offset, end, data[:length], frames)
        if offset == 0:
            partial.protocol = protocol
        if not more and partial.length is None and end >= max(piece[1] for piece in partial.pieces):
            partial.length = end
        self._bytes += partial.size - size
        datagram = partial.complete()
        if datagram is not None:
            self._bytes -= partial.size
            del self._partials[key]
        elif len(partial.pieces) > _MAX_PIECES:
            self._give_up(key)
        while self._bytes > self._max_bytes or len(self._partials) > self._max_datagrams:
            self._give_up(next(iter(self._partials)))
        return datagram

    def _give_up(self, key: bytes) -> None:
        self._bytes -= self._partials.pop(key).size
        self.evicted += 1
