"""Counts keys by time in a bounded number of equal intervals, for pictures of a capture of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["Timeline", "log_key", "log_value", "quantiles"]

_FIRST_SHIFT = 20  # the first width of an interval is 2**20 ns, about a millisecond
_SUB_BITS = 3  # each doubling of a value has 2**3 keys: quantiles are off by 6 % at most
_LEAST = 1 << _SUB_BITS
_MAX_SHIFT = 62
_MAX_BACK_NS = 7 * 86_400 * 1_000_000_000  # a clock that is set back goes hours back


class Timeline:
    """Counts keys (small integers) in intervals of equal width, in the order of time.

    The width doubles, and pairs of intervals become one, whenever a time would not fit into `intervals` of them.
    Times more than a week before the first one are taken for damaged and count in the first interval.
    """

    def __init__(self, intervals: int = 400) -> None:
        self._max = intervals
        self._shift = _FIRST_SHIFT
        self._origin: int | None = None
        self._cells: list[dict[int, int]] = []

    def add(self, time_ns: int, key: int) -> None:
        """Counts `key` at `time_ns` (nanoseconds since 1970)."""
        if self._origin is None:
            self._origin = time_ns
        index = (time_ns - self._origin) >> self._shift
        cells = self._cells
        if index >= len(cells):
            index = self._extend(time_ns)
        elif index < 0:
            index = self._extend_back(time_ns)
        cell = self._cells[index]
        cell[key] = cell.get(key, 0) + 1

    def _extend(self, time_ns: int) -> int:
        assert self._origin is not None
        while (index := (time_ns - self._origin) >> self._shift) >= self._max and self._shift < _MAX_SHIFT:
            self._double()
        index = min(index, self._max - 1)
        self._cells += [{} for _ in range(index + 1 - len(self._cells))]
        return index

    def _extend_back(self, time_ns: int) -> int:
        assert self._origin is not None
        if self._origin - time_ns > _MAX_BACK_NS:
            return 0
        while (missing := -((time_ns - self._origin) >> self._shift)) + len(self._cells) > self._max:
            self._double()
        self._origin -= missing << self._shift
        self._cells = [{} for _ in range(missing)] + self._cells
        return 0

    def _double(self) -> None:
        self._shift += 1
        halves = self._cells
        if len(halves) % 2:
            halves.append({})
        self._cells = [_sum(halves[i : i + 2]) for i in range(0, len(halves), 2)]

    @property
    def width_ns(self) -> int:
        """Width of an interval in nanoseconds."""
        return 1 << self._shift

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[tuple[int, dict[int, int]]]:
        """Yields the start of each interval (nanoseconds since 1970) and its counts by key."""
        for index, cell in enumerate(self._cells):
            yield (self._origin or 0) + (index << self._shift), cell

    def total(self) -> dict[int, int]:
        """Returns the counts by key of all intervals together."""
        return _sum(self._cells)


def log_key(value: int) -> int:
    """Returns the key of a positive number: numbers that share their first four bits have one key."""
    if value < _LEAST:
        value = _LEAST
    shift = value.bit_length() - _SUB_BITS - 1
    return (shift << _SUB_BITS) + (value >> shift) - _LEAST


def log_value(key: int) -> int:
    """Returns the middle of the numbers whose `log_key` is `key`."""
    shift, first = key >> _SUB_BITS, (key & (_LEAST - 1)) + _LEAST
    return (first << shift) + (1 << shift >> 1)


def quantiles(counts: dict[int, int], fractions: Iterable[float]) -> list[int]:
    """Returns for each of the rising `fractions` the least value that this part of the counted ones does not exceed.

    `counts` has the keys of `log_key` and is not empty.
    """
    total = sum(counts.values())
    keys = sorted(counts)
    found: list[int] = []
    place, seen = 0, counts[keys[0]]
    for fraction in fractions:
        while seen < fraction * total and place < len(keys) - 1:
            place += 1
            seen += counts[keys[place]]
        found.append(log_value(keys[place]))
    return found


def _sum(cells: Iterable[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for cell in cells:
        for key, count in cell.items():
            total[key] = total.get(key, 0) + count
    return total
