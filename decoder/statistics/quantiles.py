"""Estimates quantiles of a stream of numbers in bounded memory."""

from __future__ import annotations

from collections import Counter
from math import ceil

__all__ = ["Quantiles"]


class Quantiles:
    """Counts whole numbers: exactly up to 4,096 different ones, then by their leading 11 bits.

    So quantiles of many numbers are off by at most 0.05 %; the least and the greatest number are always exact.
    However many numbers come, at most 1,024 counts are kept for each doubling of their size; nanoseconds up to a day
    make 37 of these.
    """

    __slots__ = ("_bits", "_counts", "_exact", "_most", "count", "highest", "lowest")

    def __init__(self, most: int = 4_096, bits: int = 11) -> None:
        """Makes it empty: `most` different numbers are counted one by one, of more the leading `bits`."""
        self._most = most
        self._bits = bits
        self._counts: Counter[int] = Counter()
        self._exact = True
        self.count = 0
        """Count of the numbers that were added."""
        self.lowest: int | None = None
        self.highest: int | None = None

    def add(self, value: int) -> None:
        """Adds a number."""
        bucket = value if self._exact else _rounded(value, self._bits)
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1
        if self._exact and len(counts) > self._most:
            self._round()
        self.count += 1
        if self.lowest is None or value < self.lowest:
            self.lowest = value
        if self.highest is None or value > self.highest:
            self.highest = value

    def add_all(self, values: list[int]) -> None:
        """Adds numbers, at least one, in a third of the time."""
        bits = self._bits
        self._counts.update(values if self._exact else [_rounded(value, bits) for value in values])
        if self._exact and len(self._counts) > self._most:
            self._round()
        self.count += len(values)
        lowest, highest = min(values), max(values)
        self.lowest = lowest if self.lowest is None or lowest < self.lowest else self.lowest
        self.highest = highest if self.highest is None or highest > self.highest else self.highest

    def _round(self) -> None:
        """Counts by the leading bits from now on."""
        self._exact = False
        counts, self._counts = self._counts, Counter()
        for exact, number in counts.items():
            self._counts[_rounded(exact, self._bits)] += number

    def quantile(self, fraction: float) -> int | None:
        """Returns the least number that at least `fraction` of all do not exceed (nearest rank), or None."""
        if self.highest is None or self.lowest is None:
            return None
        rank = max(1, ceil(fraction * self.count))
        if rank >= self.count:
            return self.highest
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(max(bucket, self.lowest), self.highest)
        return self.highest


def _rounded(value: int, bits: int) -> int:
    """Returns the middle of the numbers that share the leading bits of `value`."""
    shift = abs(value).bit_length() - bits
    if shift <= 0:
        return value
    middle = (abs(value) >> shift << shift) + (1 << shift >> 1)
    return middle if value > 0 else -middle
