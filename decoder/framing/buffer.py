"""Bytes of one direction that wait in the framer, and which packets brought them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

__all__ = ["Buffer"]

_COMPACT = 512  # forgotten marks that are worth a copy of the others


class Buffer:
    """A stretch of a stream, without a hole; all positions are offsets in the stream."""

    __slots__ = ("_begin", "_ends", "_first", "_numbers", "_times", "base", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self.base = 0
        """Offset of the first byte."""
        # Where the bytes of each packet end, the numbers of that packet (of its fragments), its time.
        self._ends: list[int] = []
        self._numbers: list[tuple[int, ...]] = []
        self._times: list[int] = []
        self._first = 0  # marks before this one are forgotten
        self._begin = 0  # where the bytes of the first packet that is not forgotten begin

    def __len__(self) -> int:
        return len(self.data)

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self.base + len(self.data)

    @property
    def pieces(self) -> int:
        """How many packets brought it."""
        return len(self._ends) - self._first

    def append(self, data: bytes, numbers: tuple[int, ...], time_ns: int, offset: int) -> None:
        """Add bytes that stand at `offset`: right behind the last byte, or anywhere if the buffer is empty."""
        if not self.data:
            self.base = self._begin = offset
            self._ends, self._numbers, self._times, self._first = [], [], [], 0
        self.data += data
        self._ends.append(offset + len(data))
        self._numbers.append(numbers)
        self._times.append(time_ns)

    def drop(self, offset: int) -> None:
        """Forget all bytes before `offset`."""
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
            del self._ends[: self._first], self._numbers[: self._first], self._times[: self._first]
            self._first = 0

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, as far as they are there."""
        return bytes(self.data[max(0, start - self.base) : max(0, end - self.base)])

    def begins_packet(self, offset: int, size: int) -> bool:
        """Whether a packet that brought at least `size` bytes begins at `offset`."""
        index = bisect_right(self._ends, offset, self._first)
        before = self._ends[index - 1] if index > self._first else self._begin
        return before == offset and index < len(self._ends) and self._ends[index] - offset >= size

    def origin(self, start: int, end: int) -> tuple[tuple[int, ...], int]:
        """Numbers of the packets that brought the bytes from `start` to `end`, and the time of the last of them."""
        first = bisect_right(self._ends, start, self._first)
        last = min(bisect_left(self._ends, end, first), len(self._ends) - 1)
        if first >= last:
            return self._numbers[last], self._times[last]
        numbers = self._numbers[first : last + 1]
        used = sorted(set().union(*numbers))
        latest = next(index for index in range(last, first - 1, -1) if used[-1] in self._numbers[index])
        return tuple(used), self._times[latest]

    def replace(self, start: int, data: bytes, numbers: tuple[int, ...], time_ns: int) -> None:
        """Put other bytes in the place of those at `start`; the part of `data` that lies outside is ignored."""
        begin, end = max(start, self.base), min(start + len(data), self.end)
        if begin >= end:
            return
        self.data[begin - self.base : end - self.base] = data[begin - start : end - start]
        first = bisect_right(self._ends, begin, self._first)
        last = bisect_left(self._ends, end, first)
        ends, brought, times = [end], [numbers], [time_ns]
        if begin > (self._ends[first - 1] if first > self._first else self._begin):
            ends.insert(0, begin)
            brought.insert(0, self._numbers[first])
            times.insert(0, self._times[first])
        if end < self._ends[last]:
            ends.append(self._ends[last])
            brought.append(self._numbers[last])
            times.append(self._times[last])
        self._ends[first : last + 1] = ends
        self._numbers[first : last + 1] = brought
        self._times[first : last + 1] = times
