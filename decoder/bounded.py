"""Provides the dictionary with a maximum size that every stage uses for caches and tables of recent things."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

__all__ = ["BoundedDict"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedDict(OrderedDict[Key, Value]):
    """Holds at most `maximum` entries: adding one more drops the oldest.

    With `make` a missing value is computed from its key and stored, so ``cache[key]`` costs no more than the look-up
    of a plain dictionary once the value is known.  With `on_drop` the key and value of each dropped entry are reported.

    It is an OrderedDict because dropping the first entry of a plain dictionary takes time in proportion to the
    entries dropped before it, which a hostile capture could use.
    """

    __slots__ = ("_make", "_on_drop", "maximum")

    def __init__(
        self,
        maximum: int,
        make: Callable[[Key], Value] | None = None,
        on_drop: Callable[[Key, Value], object] | None = None,
    ) -> None:
        super().__init__()
        self.maximum = maximum
        self._make = make
        self._on_drop = on_drop

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        if len(self) > self.maximum:
            dropped = self.popitem(last=False)
            if self._on_drop is not None:
                self._on_drop(*dropped)

    def __missing__(self, key: Key) -> Value:
        if self._make is None:
            raise KeyError(key)
        value = self[key] = self._make(key)
        return value
