"""Bounds the work of resynchronizing: each byte that arrives pays for a fixed amount of hashing and scanning."""

from __future__ import annotations

__all__ = ["Budget"]

_CREDIT_PER_BYTE = 24
"""Bytes that may be hashed for each byte that arrives: 8 hashed, and scanned once."""
_SCAN_COST = 16
"""Bytes that could be hashed in the time in which one is scanned for headers, in the worst case."""


class Budget:
    """Counts what may still be hashed or scanned, so that crafted headers cannot make the work quadratic."""

    __slots__ = ("_left", "_maximum")

    def __init__(self, maximum: int) -> None:
        """`maximum` is the credit in bytes, at the start and at most."""
        self._left = self._maximum = maximum

    def credit(self, size: int) -> None:
        """Adds what `size` bytes that arrived pay for."""
        self._left += _CREDIT_PER_BYTE * size
        if self._left > self._maximum:
            self._left = self._maximum

    def spend(self, size: int) -> bool:
        """Returns True, and counts them as spent, if `size` bytes more may be hashed."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def spend_scan(self, size: int) -> bool:
        """Returns True, and counts them as spent, if `size` bytes more may be scanned for headers."""
        return self.spend(_SCAN_COST * size)
