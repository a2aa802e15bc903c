"""Buffers the bytes of one direction that wait in the framer, and remembers which packets brought them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from decoder.vocabulary import Arrival

__all__ = ["Buffer"]

_COMPACT = 512
"""Marks of dropped bytes that are worth copying the others."""


class Buffer:
    """Holds a stretch of a stream, without a hole; all positions are offsets in the stream."""

    __slots__ = ("_arrivals", "_begin", "_ends", "_first", "base", "data")

    def __init__(self, begin: int = 0) -> None:
        """`begin` is the stream offset of the first byte that will come."""
        self.data = bytearray()
        self.base = begin
        """Offset of the first byte."""
        self._ends: list[int] = []  # where the bytes of each block end
        self._arrivals: list[Arrival] = []
        self._first = 0  # marks before this one are dropped
        self._begin = begin  # where the bytes of the first block that is not dropped begin

    def __len__(self) -> int:
        return len(self.data)

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self.base + len(self.data)

    @property
    def blocks(self) -> int:
        """Number of blocks that it was filled from."""
        return len(self._ends) - self._first

    def append(self, data: bytes, arrival: Arrival, offset: int) -> None:
        """Adds bytes that stand at `offset`: right behind the last byte, or anywhere if the buffer is empty."""
        if not self.data:
            self.base = self._begin = offset
            self._ends, self._arrivals, self._first = [], [], 0
        self.data += data
        self._ends.append(offset + len(data))
        self._arrivals.append(arrival)

    def drop(self, offset: int) -> None:
        """Drops all bytes before `offset`."""
        if offset <= self.base:
            return
        if offset == self.end:
            self.data.clear()
            self.base = self._begin = offset
            self._first = len(self._ends)
            return
        del self.data[: offset - self.base]
        self.base = offset
        first = bisect_right(self._ends, offset, self._first)
        if first > self._first:
            self._begin = self._ends[first - 1]
            self._first = first
        if self._first > _COMPACT and self._first * 2 > len(self._ends):
            del self._ends[: self._first], self._arrivals[: self._first]
            self._first = 0

    def skip(self, offset: int) -> None:
        """Moves the empty buffer to `offset`: what comes next stands there, or behind it."""
        self.base = self._begin = max(self.base, offset)

    def read(self, start: int, end: int) -> bytes:
        """Returns the bytes from `start` to `end`, as far as they are there."""
        return bytes(self.data[max(0, start - self.base) : max(0, end - self.base)])

    def begins_packet(self, offset: int, size: int) -> bool:
        """Returns True if a packet that brought at least `size` bytes begins at `offset`."""
        index = bisect_right(self._ends, offset, self._first)
        before = self._ends[index - 1] if index > self._first else self._begin
        return before == offset and index < len(self._ends) and self._ends[index] - offset >= size

    def origin(self, start: int, end: int) -> Arrival:
        """Returns the packets that brought the bytes from `start` to `end`, and the time of the last of them."""
        first = bisect_right(self._ends, start, self._first)
        last = min(bisect_left(self._ends, end, first), len(self._ends) - 1)
        if first >= last:
            return self._arrivals[last]
        arrivals = self._arrivals[first : last + 1]
        used = sorted({packet for arrival in arrivals for packet in arrival.packets})
        latest = next(arrival for arrival in reversed(arrivals) if used[-1] in arrival.packets)
        return Arrival(tuple(used), latest.time_ns)

    def replace(self, start: int, data: bytes, arrival: Arrival) -> None:
        """Puts other bytes in the place of those at `start`; the part of `data` that lies outside is ignored."""
        begin, end = max(start, self.base), min(start + len(data), self.end)
        if begin >= end:
            return
        self.data[begin - self.base : end - self.base] = data[begin - start : end - start]
        first = bisect_right(self._ends, begin, self._first)
        last = bisect_left(self._ends, end, first)
        ends, arrivals = [end], [arrival]
        if begin > (self._ends[first - 1] if first > self._first else self._begin):
            ends.insert(0, begin)
            arrivals.insert(0, self._arrivals[first])
        if end < self._ends[last]:
            ends.append(self._ends[last])
            arrivals.append(self._arrivals[last])
        self._ends[first : last + 1] = ends
        self._arrivals[first : last + 1] = arrivals
